#include "sidecar/http/json_text.h"

#include <charconv>
#include <cmath>

namespace spanwatch::http {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

bool IsPlain(char c) { return static_cast<unsigned char>(c) >= 0x20 && c != '"' && c != '\\' && c >= 0; }

// The length of the UTF-8 sequence that `text` begins with; 0: it is none.
std::size_t SequenceSize(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const auto follows = [&](std::size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return follows(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const bool overlong = first == 0xE0 && byte(1) < 0xA0, surrogate = first == 0xED && byte(1) > 0x9F;
    return follows(1) && follows(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const bool overlong = first == 0xF0 && byte(1) < 0x90, beyond = first == 0xF4 && byte(1) > 0x8F;
    return follows(1) && follows(2) && follows(3) && !overlong && !beyond ? 4 : 0;
  }
  return 0;
}

void AppendControl(char c, std::string* out) {
  constexpr char kDigits[] = "0123456789abcdef";
  if (c == '\n') {
    *out += "\\n";
  } else if (c == '\t') {
    *out += "\\t";
  } else if (c == '\r') {
    *out += "\\r";
  } else {
    *out += "\\u00";
    *out += kDigits[static_cast<unsigned char>(c) >> 4];
    *out += kDigits[static_cast<unsigned char>(c) & 15];
  }
}

}  // namespace

void AppendJsonString(std::string_view text, std::string* out) {
  *out += '"';
  for (std::size_t i = 0; i < text.size();) {
    std::size_t end = i;
    while (end < text.size() && IsPlain(text[end])) ++end;
    out->append(text, i, end - i);
    i = end;
    if (i == text.size()) break;
    const char c = text[i];
    if (c == '"' || c == '\\') {
      *out += '\\';
      *out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      AppendControl(c, out);
    } else if (const std::size_t size = SequenceSize(text.substr(i)); size > 0) {
      out->append(text, i, size);
      i += size;
      continue;
    } else {
      *out += kReplacement;
    }
    ++i;
  }
  *out += '"';
}

void AppendJsonNumber(double value, std::string* out) {
  if (!std::isfinite(value)) {
    *out += std::isnan(value) ? "\"NaN\"" : value > 0 ? "\"Infinity\"" : "\"-Infinity\"";
    return;
  }
  char text[40];
  const std::size_t begin = out->size();
  out->append(text, std::to_chars(text, text + sizeof text, value).ptr);
  if (out->find_first_of(".e", begin) == std::string::npos) *out += ".0";
}

void AppendJsonNumber(std::int64_t value, std::string* out) {
  char text[24];
  out->append(text, std::to_chars(text, text + sizeof text, value).ptr);
}

void AppendMs(std::int64_t ns, std::string* out) {
  if (ns < 0) *out += '-';
  const std::uint64_t size = ns < 0 ? 0 - static_cast<std::uint64_t>(ns) : static_cast<std::uint64_t>(ns);
  AppendJsonNumber(static_cast<std::int64_t>(size / 1'000'000), out);
  char digits[] = ".000000";
  std::size_t length = 2;  // ".0" at least
  for (std::uint64_t i = 6, rest = size % 1'000'000; i > 0; --i, rest /= 10) {
    digits[i] = static_cast<char>('0' + rest % 10);
    if (rest % 10 != 0 && length == 2) length = i + 1;
  }
  out->append(digits, length);
}

}  // namespace spanwatch::http
