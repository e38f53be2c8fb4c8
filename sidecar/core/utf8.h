// Checks and repairs of text from outside. Pure functions, any thread.
#ifndef SPANWATCH_SIDECAR_CORE_UTF8_H_
#define SPANWATCH_SIDECAR_CORE_UTF8_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace spanwatch::core {

// Eight bytes at a time; inline because the decoder asks it for every string of every span.
inline bool IsAscii(std::string_view text) noexcept {
  const char* data = text.data();
  const std::size_t size = text.size();
  constexpr std::uint64_t kHighBits = 0x8080808080808080u;
  if (size >= 8) {
    std::uint64_t all = 0;
    std::uint64_t word;
    for (std::size_t i = 0; i + 8 <= size; i += 8) {
      std::memcpy(&word, data + i, 8);
      all |= word;
    }
    std::memcpy(&word, data + size - 8, 8);  // the tail, overlapping what was seen
    return ((all | word) & kHighBits) == 0;
  }
  if (size >= 4) {
    std::uint32_t first, last;
    std::memcpy(&first, data, 4);
    std::memcpy(&last, data + size - 4, 4);
    return ((first | last) & 0x80808080u) == 0;
  }
  unsigned all = 0;
  for (const char c : text) all |= static_cast<unsigned char>(c);
  return all < 0x80;
}

// Well-formed UTF-8 as Unicode defines it: no overlong forms, no surrogates, nothing above U+10FFFF.
bool IsUtf8(std::string_view text) noexcept;

// Each maximal run of bytes that is no character becomes U+FFFD. The result is at most three times as long.
std::string RepairUtf8(std::string_view text);

// At most `max_bytes`, not cut inside a character of well-formed UTF-8.
std::string_view CutUtf8(std::string_view text, std::size_t max_bytes) noexcept;

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_UTF8_H_
