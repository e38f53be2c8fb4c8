#include "sidecar/core/error_token.h"

#include <algorithm>
#include <array>
#include <utility>

namespace spanwatch::core::error_token {
namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 21> kReasons = {
    {{"400", "bad"},      {"401", "unauthorized"}, {"402", "payment"},     {"403", "forbidden"},     {"404", "not"},
     {"405", "method"},   {"406", "not"},          {"408", "request"},     {"409", "conflict"},      {"410", "gone"},
     {"413", "payload"},  {"413", "request"},      {"415", "unsupported"}, {"422", "unprocessable"}, {"429", "too"},
     {"500", "internal"}, {"501", "not"},          {"502", "bad"},         {"503", "service"},       {"504", "gateway"},
     {"504", "deadline"}}};

char Lower(char c) { return IsUpper(c) ? static_cast<char>(c - 'A' + 'a') : c; }

// How many digits, from `at` on.
std::size_t Digits(std::string_view text, std::size_t at) {
  std::size_t count = 0;
  while (at + count < text.size() && IsDigit(text[at + count])) ++count;
  return count;
}

// A pattern: d is a digit, x a hexadecimal one, anything else itself. True if the text begins so.
bool Begins(std::string_view text, std::string_view pattern) {
  if (text.size() < pattern.size()) return false;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const bool fits = pattern[i] == 'd' ? IsDigit(text[i]) : pattern[i] == 'x' ? IsHex(text[i]) : text[i] == pattern[i];
    if (!fits) return false;
  }
  return true;
}

// hh:mm:ss, a fraction, a zone.
bool IsClock(std::string_view text) {
  if (Begins(text, "d:dd:dd")) {
    text.remove_prefix(7);
  } else if (Begins(text, "dd:dd:dd")) {
    text.remove_prefix(8);
  } else if (Begins(text, "dd:dd") && text.size() == 6 && text[5] == 'Z') {
    return true;
  } else {
    return false;
  }
  if (text.starts_with('.')) text.remove_prefix(1 + Digits(text, 1));
  return text.empty() || text == "Z" ||
         ((text[0] == '+' || text[0] == '-') && ((text.size() == 6 && Begins(text.substr(1), "dd:dd")) ||
                                                 (text.size() == 5 && Begins(text.substr(1), "dddd"))));
}

}  // namespace

bool EqualsIgnoringCase(std::string_view text, std::string_view lower) {
  return std::equal(text.begin(), text.end(), lower.begin(), lower.end(), [](char a, char b) { return Lower(a) == b; });
}

bool EndsWith(std::string_view text, std::string_view lower) {
  return text.size() >= lower.size() && EqualsIgnoringCase(text.substr(text.size() - lower.size()), lower);
}

bool IsQuote(std::string_view rest) {
  if (rest[0] != '\xe2' && rest[0] != '\xc2') return false;
  constexpr std::array<std::string_view, 7> kMarks = {"\u201c", "\u201d", "\u201e", "\u2018",
                                                      "\u2019", "\u00ab", "\u00bb"};
  return std::any_of(kMarks.begin(), kMarks.end(), [rest](std::string_view mark) { return rest.starts_with(mark); });
}

bool IsIdentifier(std::string_view text) {
  return !text.empty() && text.size() <= 32 && (IsLetter(text[0]) || text[0] == '_' || text[0] == '@') &&
         std::all_of(text.begin() + 1, text.end(),
                     [](char c) { return IsLetter(c) || IsDigit(c) || c == '_' || c == '-' || c == '.'; });
}

bool IsConstant(std::string_view text) {
  return text.size() >= 3 && text.size() <= 40 && IsUpper(text[0]) &&
         std::all_of(text.begin(), text.end(), [](char c) { return IsUpper(c) || c == '_'; });
}

bool IsUrl(std::string_view rest) {
  std::size_t size = 0;
  while (size < rest.size() && size < 12 && (IsLetter(rest[size]) || (size > 0 && rest[size] == '+'))) ++size;
  return size > 0 && rest.substr(size).starts_with("://") && size + 3 < rest.size() && !IsBlank(rest[size + 3]);
}

bool IsHttpVersion(std::string_view text) {
  return text.starts_with("HTTP/") &&
         ((text.size() == 6 && IsDigit(text[5])) || (text.size() == 8 && Begins(text.substr(5), "d.d")));
}

bool IsTime(std::string_view text) {
  if (!Begins(text, "dddd-dd-dd") && !Begins(text, "dddd/dd/dd")) return IsClock(text);
  text.remove_prefix(10);
  return text.empty() || ((text[0] == 'T' || text[0] == '_') && IsClock(text.substr(1)));
}

bool IsEmail(std::string_view text) {
  const std::size_t at = text.find('@'), dot = text.rfind('.');
  if (at == std::string_view::npos || dot == std::string_view::npos || at == 0 || dot < at + 2) return false;
  const std::string_view top = text.substr(dot + 1);
  return top.size() >= 2 && std::all_of(top.begin(), top.end(), IsLetter) &&
         text.find_first_of("/\\:@", at + 1) == std::string_view::npos;
}

bool IsIpv4(std::string_view text) {
  for (int part = 0; part < 4; ++part) {
    const std::size_t digits = Digits(text, 0);
    if (digits == 0 || digits > 3) return false;
    text.remove_prefix(digits);
    if (part == 3) return text.empty();
    if (!text.starts_with('.')) return false;
    text.remove_prefix(1);
  }
  return false;
}

bool IsIpv6(std::string_view text) {
  std::size_t colons = 0, group = 0;
  for (const char c : text) {
    if (c == ':') {
      ++colons;
      group = 0;
    } else if ((!IsHex(c) && c != '.') || ++group > 15 || (group > 4 && text.find('.') == std::string_view::npos)) {
      return false;
    }
  }
  return colons <= 7 && (colons == 7 || (colons >= 2 && text.find("::") != std::string_view::npos));
}

bool IsMac(std::string_view text) {
  return text.size() == 17 && (Begins(text, "xx:xx:xx:xx:xx:xx") || Begins(text, "xx-xx-xx-xx-xx-xx"));
}

bool IsUuidAt(std::string_view rest) {
  return Begins(rest, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx") && (rest.size() == kUuidSize || !IsWord(rest[kUuidSize]));
}

bool IsHexId(std::string_view text) {
  if (text.size() < 8 || !std::all_of(text.begin(), text.end(), IsHex)) return false;
  const auto digits = std::count_if(text.begin(), text.end(), IsDigit);
  return digits > 0 && digits < static_cast<std::ptrdiff_t>(text.size());
}

bool IsErrorCode(std::string_view text) {
  std::size_t capitals = 0;
  while (capitals < text.size() && IsUpper(text[capitals])) ++capitals;
  if (capitals == 0 || capitals > 8) return false;
  const std::size_t from = capitals + (text.substr(capitals).starts_with('-') ? 1 : 0);
  const std::size_t digits = Digits(text, from);
  return digits > 0 && digits <= 5 && from + digits == text.size();
}

bool IsMeasure(std::string_view text) {
  if (text.empty() || !IsDigit(text[0])) return false;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t digits = Digits(text, at);
    if (digits == 0) return false;
    at += digits;
    if (at + 1 < text.size() && text[at] == '.' && IsDigit(text[at + 1])) {
      ++at;
      continue;
    }
    if (at + 2 < text.size() && (text[at] == 'e' || text[at] == 'E') && text[at + 1] == '-' && IsDigit(text[at + 2])) {
      at += 2;
      continue;
    }
    std::size_t letters = 0;
    while (at < text.size() && IsLetter(text[at])) ++at, ++letters;
    if (letters > 3) return false;
  }
  return true;
}

bool HasReason(std::string_view digits, std::string_view after) {
  if (!after.starts_with(' ')) return false;
  after.remove_prefix(1);
  const auto begins = [after](std::string_view word) {
    return after.size() >= word.size() && EqualsIgnoringCase(after.substr(0, word.size()), word) &&
           (after.size() == word.size() || !IsWord(after[word.size()]));
  };
  if (digits.size() == 3 &&
      ((digits[0] == '4' && begins("client error")) || (digits[0] == '5' && begins("server error"))))
    return true;
  return std::any_of(kReasons.begin(), kReasons.end(),
                     [&](const auto& reason) { return reason.first == digits && begins(reason.second); });
}

bool GoesOn(std::string_view rest, std::size_t at) {
  if (Is(rest[at], kDigit | kUpper | kLower | kJoint) || rest[at] == '_') return true;
  return Is(rest[at], kOther) && !IsQuote(rest.substr(at));
}

bool GoesOnInUrl(std::string_view rest, std::size_t at) {
  if (Is(rest[at], kUrlEnd)) return false;
  return static_cast<unsigned char>(rest[at]) < 0x80 || !IsQuote(rest.substr(at));
}

Shape ShapeOf(std::string_view text) {
  Shape shape;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool digit = IsDigit(text[i]);
    shape.digits += digit ? 1 : 0;
    if (i > 0 && digit != IsDigit(text[i - 1])) ++shape.changes;
  }
  return shape;
}

}  // namespace spanwatch::core::error_token
