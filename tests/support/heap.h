// Bytes that malloc has given out. Sanitizers bring an allocator of their own, which tells nothing.
#ifndef SPANWATCH_TESTS_SUPPORT_HEAP_H_
#define SPANWATCH_TESTS_SUPPORT_HEAP_H_

#include <malloc.h>

#include <cstddef>

namespace spanwatch::core {

inline std::size_t HeapBytes() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

// False: HeapBytes() is of no use in this build.
inline bool HeapIsCounted() {
  const std::size_t before = HeapBytes();
  char* const probe = new char[1 << 16];
  asm volatile("" : : "r"(probe) : "memory");  // or the compiler leaves both out
  const bool counted = HeapBytes() >= before + (1 << 16);
  delete[] probe;
  return counted;
}

}  // namespace spanwatch::core

#endif  // SPANWATCH_TESTS_SUPPORT_HEAP_H_
