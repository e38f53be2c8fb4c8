// Single values of Jaeger's parameters.
#include <algorithm>
#include <cstdint>
#include <string>

#include "sidecar/http/jaeger_params.h"

namespace spanwatch::http::jaeger {
namespace {

constexpr std::int64_t kHour = 3'600'000'000'000;

// Go's unit at text[0...], and its length; 0: none.
std::int64_t Unit(std::string_view text, std::size_t* size) {
  struct Known {
    std::string_view name;
    std::int64_t ns;
  };
  static constexpr Known kUnits[] = {
      {"ns", 1},         {"us", 1'000},        {"\xC2\xB5s", 1'000},  {"\xCE\xBCs", 1'000},
      {"ms", 1'000'000}, {"s", 1'000'000'000}, {"m", 60'000'000'000}, {"h", kHour}};
  for (const Known& unit : kUnits) {
    if (!text.starts_with(unit.name)) continue;
    *size = unit.name.size();
    return unit.ns;
  }
  return 0;
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// "12", "1.5", ".5", "3." and its unit from the front of *text.
bool TakePart(std::string_view* text, std::int64_t* sum) {
  constexpr std::int64_t kMaxFraction = INT64_MAX / 10 - 1;
  std::int64_t whole = 0, fraction = 0;
  double scale = 1;
  std::size_t at = 0;
  for (; at < text->size() && IsDigit((*text)[at]); ++at) {
    if (__builtin_mul_overflow(whole, 10, &whole) || __builtin_add_overflow(whole, (*text)[at] - '0', &whole))
      return false;
  }
  std::size_t digits = at;
  if (at < text->size() && (*text)[at] == '.') {
    for (++at; at < text->size() && IsDigit((*text)[at]); ++at, ++digits) {
      if (fraction > kMaxFraction) continue;  // finer than a nanosecond
      fraction = fraction * 10 + ((*text)[at] - '0');
      scale *= 10;
    }
  }
  std::size_t unit_size = 0;
  const std::int64_t unit = Unit(text->substr(at), &unit_size);
  if (digits == 0 || unit == 0) return false;
  text->remove_prefix(at + unit_size);
  std::int64_t ns = 0;
  if (__builtin_mul_overflow(whole, unit, &ns)) return false;
  const auto part = static_cast<std::int64_t>(static_cast<double>(fraction) * (static_cast<double>(unit) / scale));
  return !__builtin_add_overflow(ns, part, &ns) && !__builtin_add_overflow(*sum, ns, sum);
}

// The 16 bytes behind base64, plain or for URLs, with or without padding.
bool DecodeId(std::string_view text, TraceId* out) {
  while (text.ends_with('=')) text.remove_suffix(1);
  if (text.size() != 22) return false;
  std::uint64_t words[2] = {};
  std::size_t bits = 0;
  for (const char c : text) {
    std::uint64_t six;
    if (c >= 'A' && c <= 'Z') {
      six = static_cast<std::uint64_t>(c - 'A');
    } else if (c >= 'a' && c <= 'z') {
      six = static_cast<std::uint64_t>(c - 'a' + 26);
    } else if (IsDigit(c)) {
      six = static_cast<std::uint64_t>(c - '0' + 52);
    } else if (c == '+' || c == '-' || c == ' ') {  // a plus may have been taken for a blank
      six = 62;
    } else if (c == '/' || c == '_') {
      six = 63;
    } else {
      return false;
    }
    for (int bit = 5; bit >= 0; --bit, ++bits) {
      if (bits < 128) words[bits / 64] = words[bits / 64] << 1 | (six >> bit & 1);
    }
  }
  *out = {words[0], words[1]};
  return out->IsValid();
}

}  // namespace

Parsed<std::int64_t> ParseGoDuration(std::string_view text) {
  const auto bad = [&] {
    return tl::unexpected("invalid duration \"" + std::string(text) + "\": must be like 1.5s, 100ms or 1h30m");
  };
  std::string_view rest = text;
  const bool negative = rest.starts_with('-');
  if (negative || rest.starts_with('+')) rest.remove_prefix(1);
  if (rest == "0") return 0;
  if (rest.empty()) return bad();
  std::int64_t sum = 0;
  while (!rest.empty()) {
    if (!TakePart(&rest, &sum)) return bad();
  }
  return negative ? -sum : sum;
}

Parsed<TraceId> ParseTraceId(std::string_view text) {
  TraceId id;
  if (text.size() > 32) return tl::unexpected(std::string("a trace id has at most 32 hexadecimal digits"));
  if (text.empty() || !TraceId::FromHex(std::string(32 - text.size(), '0').append(text), &id))
    return tl::unexpected(std::string("a trace id has up to 32 hexadecimal digits, not all of them 0"));
  return id;
}

Parsed<TraceId> ParseTraceIdV3(std::string_view text) {
  TraceId id;
  if (text.size() <= 24 && text.size() >= 22 && DecodeId(text, &id) &&
      (text.ends_with('=') || !ParseTraceId(text).has_value())) {
    return id;
  }
  return ParseTraceId(text);
}

std::optional<core::SpanKind> ParseKind(std::string_view text) {
  static constexpr std::string_view kNames[] = {"unspecified", "internal", "server", "client", "producer", "consumer"};
  if (text.empty()) return core::SpanKind::kUnspecified;
  std::string lower(text);
  if (text.starts_with("SPAN_KIND_")) {
    lower.erase(0, 10);
    for (char& c : lower) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
    }
  }
  const auto* known = std::find(std::begin(kNames), std::end(kNames), lower);
  if (known == std::end(kNames)) return std::nullopt;
  return static_cast<core::SpanKind>(known - std::begin(kNames));
}

std::optional<bool> ParseGoBool(std::string_view text) {
  for (const std::string_view yes : {"1", "t", "T", "true", "TRUE", "True"}) {
    if (text == yes) return true;
  }
  for (const std::string_view no : {"0", "f", "F", "false", "FALSE", "False"}) {
    if (text == no) return false;
  }
  return std::nullopt;
}

}  // namespace spanwatch::http::jaeger
