// The shapes that RedactText looks for. Internal to it. Pure; any thread. Each looks a bounded way around, or to the
// end of what it then matches: the whole scan stays linear.
#ifndef SPANWATCH_SDK_CPP_REDACT_SHAPES_H_
#define SPANWATCH_SDK_CPP_REDACT_SHAPES_H_

#include <cstddef>
#include <string_view>

#include "sdk/cpp/redact/text.h"

namespace spanwatch::redact {

// text[begin, end) is to be replaced. end == 0: nothing was found.
struct Match {
  std::size_t begin = 0, end = 0;
  Redacted kind = Redacted::kEmail;
};

constexpr bool IsDigit(char c) noexcept { return c >= '0' && c <= '9'; }
constexpr bool IsAlpha(char c) noexcept { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }
constexpr bool IsWordChar(char c) noexcept { return IsAlpha(c) || IsDigit(c) || c == '-' || c == '_'; }

inline constexpr std::size_t kShortestRun = 5;  // "basic"

// text[begin, end) is a run of word characters, as long as can be, of at least kShortestRun.
Match FindInRun(std::string_view text, std::size_t begin, std::size_t end) noexcept;
// What FindInRun asks first: false tells nearly all runs apart without a call.
inline bool MayBeInRun(std::string_view text, std::size_t begin, std::size_t end) noexcept {
  const std::size_t size = end - begin;
  if (size <= 6) return (text[begin] | 0x20) == 'b' && end < text.size() && text[end] == ' ';  // bearer, basic
  if (size == 10) return text[begin] == '-';
  if (size < 18) return size >= 12 && size <= 14 && IsDigit(text[begin]);
  return true;
}

// text[at] is one of @ % + ( . = :. Text before `floor` counts as replaced: nothing there is matched or looked at as a
// neighbour.
Match FindAround(std::string_view text, std::size_t at, std::size_t floor) noexcept;
// As MayBeInRun.
inline bool MayBeAround(std::string_view text, std::size_t at) noexcept {
  switch (text[at]) {
    case '.':
      return at > 0 && IsDigit(text[at - 1]);
    case '+':
    case '(':
      return at + 1 < text.size() && IsDigit(text[at + 1]);
    default:
      return true;
  }
}

// The value after a name and text[at] = '=' or ':'; in assignment.cc.
Match FindAssigned(std::string_view text, std::size_t at, std::size_t floor) noexcept;

}  // namespace spanwatch::redact

#endif  // SPANWATCH_SDK_CPP_REDACT_SHAPES_H_
