// Where UTF-8 may be cut, and what is none. Pure; any thread.
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

// Bytes of the well-formed character at the front (no overlong forms, no surrogates); 0 if there is none.
inline std::size_t CharacterBytes(const char* text, std::size_t size) noexcept {
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  const std::size_t bytes = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  unsigned char lowest = 0x80, highest = 0xbf;  // of the second byte
  if (lead == 0xe0) lowest = 0xa0;
  if (lead == 0xed) highest = 0x9f;
  if (lead == 0xf0) lowest = 0x90;
  if (lead == 0xf4) highest = 0x8f;
  for (std::size_t i = 1; i < bytes; ++i, lowest = 0x80, highest = 0xbf) {
    if (i >= size || byte(i) < lowest || byte(i) > highest) return 0;
  }
  return bytes;
}

// Puts '?' in place of every byte that belongs to no character: the length stays.
inline void MakeUtf8(char* text, std::size_t size) noexcept {
  while (size > 0) {
    std::size_t bytes = CharacterBytes(text, size);
    if (bytes == 0) {
      *text = '?';
      bytes = 1;
    }
    text += bytes;
    size -= bytes;
  }
}

}  // namespace spanwatch::redact

#endif  // SPANWATCH_SDK_CPP_REDACT_UTF8_H_
