// What a piece of an error's message looks like: the predicates of error_text.cc. Pure; any thread; linear.
#ifndef SPANWATCH_SIDECAR_CORE_ERROR_TOKEN_H_
#define SPANWATCH_SIDECAR_CORE_ERROR_TOKEN_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace spanwatch::core::error_token {

inline constexpr std::size_t kUuidSize = 36;

// What a byte may be.
enum ByteClass : std::uint8_t {
  kDigit = 1,
  kUpper = 2,
  kLower = 4,
  kHexLetter = 8,
  kOther = 16,     // '_', and what is not ASCII
  kJoint = 32,     // joins words: host:port, a/b, x@y
  kTrailing = 64,  // ends a sentence rather than a word
  kUrlEnd = 128,   // no part of an address, blanks included
};
consteval std::array<std::uint8_t, 256> MakeClasses() {
  std::array<std::uint8_t, 256> classes{};
  for (std::size_t c = 0; c < 256; ++c) {
    if (c >= '0' && c <= '9') classes[c] |= kDigit;
    if (c >= 'A' && c <= 'Z') classes[c] |= kUpper;
    if (c >= 'a' && c <= 'z') classes[c] |= kLower;
    if ((c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f')) classes[c] |= kHexLetter;
    if (c == '_' || c >= 0x80) classes[c] |= kOther;
    if (c <= ' ' || c == 0x7f) classes[c] |= kUrlEnd;
  }
  for (const char c : std::string_view("-.:/\\@+%#~$*")) classes[static_cast<std::uint8_t>(c)] |= kJoint;
  for (const char c : std::string_view("-.:+%#~$*@\\?!&=")) classes[static_cast<std::uint8_t>(c)] |= kTrailing;
  for (const char c : std::string_view("\"'`<>()[]{}|,;")) classes[static_cast<std::uint8_t>(c)] |= kUrlEnd;
  return classes;
}
inline constexpr std::array<std::uint8_t, 256> kClasses = MakeClasses();
inline bool Is(char c, unsigned classes) { return (kClasses[static_cast<std::uint8_t>(c)] & classes) != 0; }

inline bool IsDigit(char c) { return Is(c, kDigit); }
inline bool IsUpper(char c) { return Is(c, kUpper); }
inline bool IsLetter(char c) { return Is(c, kUpper | kLower); }
inline bool IsHex(char c) { return Is(c, kDigit | kHexLetter); }
inline bool IsBlank(char c) { return static_cast<unsigned char>(c) <= ' ' || c == '\x7f'; }
inline bool IsWord(char c) { return Is(c, kDigit | kUpper | kLower | kOther); }
// Ends a word within what hangs together.
inline bool IsSplit(char c) { return (Is(c, kJoint) && c != '-' && c != '.') || c == '?' || c == '=' || c == '&'; }
// The first byte of a quotation mark, perhaps.
inline bool QuoteStart(char c) { return c == '\'' || c == '"' || c == '`' || c == '\xe2' || c == '\xc2'; }
bool IsQuote(std::string_view rest);  // a quotation mark of several bytes, at its beginning

bool EqualsIgnoringCase(std::string_view text, std::string_view lower);
bool EndsWith(std::string_view text, std::string_view lower);  // any case

bool IsIdentifier(std::string_view text);  // of at most 32 bytes
bool IsConstant(std::string_view text);    // UNAVAILABLE, NOT_FOUND
bool IsUrl(std::string_view rest);         // at its beginning
bool IsHttpVersion(std::string_view text);
bool IsTime(std::string_view text);  // a date, a time of day, or both
bool IsEmail(std::string_view text);
bool IsIpv4(std::string_view text);
bool IsIpv6(std::string_view text);
bool IsMac(std::string_view text);
bool IsUuidAt(std::string_view rest);     // at its beginning, whole
bool IsHexId(std::string_view text);      // eight hexadecimal digits or more, of both kinds
bool IsErrorCode(std::string_view text);  // E11000, ORA-00942
bool IsMeasure(std::string_view text);    // 1.5, 30s, 1m30s, 2e-7
// "Service Unavailable" behind 503, and the like.
bool HasReason(std::string_view digits, std::string_view after);

// Whether rest[at] belongs to what began at rest[0].
bool GoesOn(std::string_view rest, std::size_t at);
bool GoesOnInUrl(std::string_view rest, std::size_t at);

struct Shape {
  std::size_t digits = 0, changes = 0;  // between digits and letters
  // Made by a machine: req_8sKd93jQ, x2k4q; not v1beta1, utf8mb4.
  bool IsOpaque(std::size_t size) const {
    return (size >= 6 && digits >= 3 && changes >= 3) || (size >= 5 && changes >= 4);
  }
};
Shape ShapeOf(std::string_view text);

}  // namespace spanwatch::core::error_token

#endif  // SPANWATCH_SIDECAR_CORE_ERROR_TOKEN_H_
