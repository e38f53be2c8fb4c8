// Where UTF-8 may be cut. Pure; any thread.
#ifndef SPANWATCH_SDK_CPP_REDACT_UTF8_H_
#define SPANWATCH_SDK_CPP_REDACT_UTF8_H_

#include <cstddef>

namespace spanwatch::redact {

// The longest prefix of at most `limit` bytes that does not cut a UTF-8 character.
inline std::size_t CutUtf8(const char* text, std::size_t size, std::size_t limit) noexcept {
  if (size <= limit) return size;
  std::size_t cut = limit;
  while (cut > 0 && cut + 4 > limit && (static_cast<unsigned char>(text[cut]) & 0xc0) == 0x80) --cut;
  return cut;
}

}  // namespace spanwatch::redact

#endif  // SPANWATCH_SDK_CPP_REDACT_UTF8_H_
