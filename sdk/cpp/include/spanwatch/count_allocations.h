// Exact allocation counts per span: include this in ONE source file of the program, and each span carries
// `spanwatch.alloc.bytes` and `spanwatch.alloc.count`: what its thread allocated with operator new between the span's
// start and its end, children included. In two source files the program does not link (operator new is defined twice).
//
//   #include <spanwatch/count_allocations.h>  // in main.cc, and nowhere else
//
// Replaces all forms of operator new and delete by ones on malloc and free, as the standard allows, and counts in
// thread-local words: about a nanosecond an allocation, no lock, no allocation of its own, in static constructors and
// destructors too. Not counted: malloc of C libraries, and what the SDK allocates itself. A span that ends on another
// thread than the one that it started on has no counts. A coroutine's span counts, where it goes on and ends on its
// first thread, also what that thread did in between. In a build with AddressSanitizer or its like, which replace
// operator new themselves, this does nothing.
// Threads: any.
#ifndef SPANWATCH_COUNT_ALLOCATIONS_H_
#define SPANWATCH_COUNT_ALLOCATIONS_H_

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SPANWATCH_LEAVES_OPERATOR_NEW 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SPANWATCH_LEAVES_OPERATOR_NEW 1
#endif
#endif

#if !defined(SPANWATCH_LEAVES_OPERATOR_NEW)

#include <cstddef>
#include <cstdlib>
#include <new>

#include "spanwatch/allocation_counter.h"

namespace spanwatch {
namespace internal {

inline void* MallocAligned(std::size_t size, std::size_t alignment) noexcept {
  if (alignment <= __STDCPP_DEFAULT_NEW_ALIGNMENT__) return std::malloc(size == 0 ? 1 : size);
  void* memory = nullptr;
  return posix_memalign(&memory, alignment, size == 0 ? 1 : size) == 0 ? memory : nullptr;
}

// Null without memory, after the program's new-handler had its say.
inline void* AllocateCounted(std::size_t size, std::size_t alignment) {
  void* memory = MallocAligned(size, alignment);
  while (memory == nullptr) {
    const std::new_handler handler = std::get_new_handler();
    if (handler == nullptr) return nullptr;
    handler();  // may throw
    memory = MallocAligned(size, alignment);
  }
  t_allocations.bytes += size;
  ++t_allocations.count;
  return memory;
}

inline void* AllocateOrThrow(std::size_t size, std::size_t alignment) {
  void* const memory = AllocateCounted(size, alignment);
#if defined(__cpp_exceptions)
  if (memory == nullptr) throw std::bad_alloc();
#else
  if (memory == nullptr) std::abort();
#endif
  return memory;
}

inline void* AllocateOrNull(std::size_t size, std::size_t alignment) noexcept {
#if defined(__cpp_exceptions)
  try {
    return AllocateCounted(size, alignment);
  } catch (const std::bad_alloc&) {  // of the new-handler
    return nullptr;
  }
#else
  return AllocateCounted(size, alignment);
#endif
}

inline constexpr std::size_t kPlainAlignment = __STDCPP_DEFAULT_NEW_ALIGNMENT__;
inline std::size_t Alignment(std::align_val_t alignment) noexcept { return static_cast<std::size_t>(alignment); }

// Spans that start before this, in static constructors of other files, are not counted.
[[maybe_unused]] static const bool kCountingStarted = StartCountingAllocations();

}  // namespace internal
}  // namespace spanwatch

void* operator new(std::size_t size) {
  return spanwatch::internal::AllocateOrThrow(size, spanwatch::internal::kPlainAlignment);
}
void* operator new[](std::size_t size) {
  return spanwatch::internal::AllocateOrThrow(size, spanwatch::internal::kPlainAlignment);
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return spanwatch::internal::AllocateOrNull(size, spanwatch::internal::kPlainAlignment);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return spanwatch::internal::AllocateOrNull(size, spanwatch::internal::kPlainAlignment);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  return spanwatch::internal::AllocateOrThrow(size, spanwatch::internal::Alignment(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return spanwatch::internal::AllocateOrThrow(size, spanwatch::internal::Alignment(alignment));
}
void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return spanwatch::internal::AllocateOrNull(size, spanwatch::internal::Alignment(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return spanwatch::internal::AllocateOrNull(size, spanwatch::internal::Alignment(alignment));
}

void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t, const std::nothrow_t&) noexcept { std::free(memory); }

#endif  // !SPANWATCH_LEAVES_OPERATOR_NEW

#endif  // SPANWATCH_COUNT_ALLOCATIONS_H_
