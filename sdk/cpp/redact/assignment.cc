// password=..., "apiKey": "...", Authorization: ..., also inside JSON inside a string (\"token\":\"...\").
#include <algorithm>

#include "sdk/cpp/redact/keys.h"
#include "sdk/cpp/redact/shapes.h"

namespace spanwatch::redact {
namespace {

constexpr std::size_t kMaxName = 64;

bool IsQuote(char c) noexcept { return c == '"' || c == '\'' || c == '`'; }
bool IsOneOf(char c, std::string_view set) noexcept { return set.find(c) != std::string_view::npos; }

// The name before text[at]; `quoted`: it stands in quotes.
std::string_view NameBefore(std::string_view text, std::size_t at, std::size_t floor, bool* quoted) noexcept {
  std::size_t end = at;
  if (end > floor && text[end - 1] == ' ') --end;
  for (; end > floor && (IsQuote(text[end - 1]) || text[end - 1] == '\\') && at - end < 8; --end)
    *quoted |= IsQuote(text[end - 1]);
  std::size_t begin = end;
  while (begin > floor && end - begin < kMaxName && IsWordChar(text[begin - 1])) --begin;
  return text.substr(begin, end - begin);
}

bool SaysNothing(std::string_view value) noexcept {
  constexpr std::string_view kWords[] = {"null", "none", "nil", "undefined", "true", "false", "None", "True", "False"};
  return std::find(std::begin(kWords), std::end(kWords), value) != std::end(kWords);
}

// An array or object: to its end, or to the end of the text.
std::size_t EndOfBrackets(std::string_view text, std::size_t at) noexcept {
  int depth = 0;
  for (; at < text.size(); ++at) {
    if (IsOneOf(text[at], "[{")) ++depth;
    if (IsOneOf(text[at], "]}") && --depth == 0) return at + 1;
  }
  return at;
}

Match Value(std::string_view text, std::size_t begin) noexcept {
  std::size_t end = begin;
  while (end < text.size() && text[end] == '\\' && end - begin < 4) ++end;
  if (end < text.size() && IsQuote(text[end])) {
    const char quote = text[end];
    begin = ++end;
    while (end < text.size() && text[end] != quote && text[end] != '\\' && text[end] != '\n') ++end;
  } else if (begin < text.size() && IsOneOf(text[begin], "[{") && !text.substr(begin).starts_with("[redacted:")) {
    return {begin, EndOfBrackets(text, begin), Redacted::kSecret};
  } else {
    end = begin;
    while (end < text.size() && static_cast<unsigned char>(text[end]) > ' ' && !IsOneOf(text[end], ",;&\"'<>)}]|\\"))
      ++end;
  }
  const std::string_view value = text.substr(begin, end - begin);
  if (value.empty() || value.starts_with("[redacted:") || SaysNothing(value)) return {};
  return {begin, end, Redacted::kSecret};
}

}  // namespace

Match FindAssigned(std::string_view text, std::size_t at, std::size_t floor) noexcept {
  bool quoted = false;
  const std::string_view name = NameBefore(text, at, floor, &quoted);
  if (!IsSecretName(name)) return {};
  std::size_t value = at + 1;
  while (value < text.size() && value - at < 3 && IsOneOf(text[value], "=>")) ++value;  // ==, =>
  if (text.substr(value).starts_with("//")) return {};                                  // a URL's scheme
  while (value < text.size() && value - at < 8 && text[value] == ' ') ++value;
  if (text[at] == '=' || quoted) return Value(text, value);
  if (IsSecretHeader(name)) {
    const std::size_t end = std::min(text.find_first_of("\r\n", value), text.size());
    if (end == value || text.substr(value).starts_with("[redacted:")) return {};
    return {value, end, Redacted::kSecret};
  }
  return IsStrongSecretName(name) ? Value(text, value) : Match{};
}

}  // namespace spanwatch::redact
