// Trace and span ids as OpenTelemetry and W3C Trace Context define them: 16 and 8 bytes, all-zero is invalid.
// Plain values: copy freely, any thread. C++17, no allocation except in ToHex().
#ifndef SPANWATCH_IDS_H_
#define SPANWATCH_IDS_H_

#include <cstdint>
#include <string>
#include <string_view>

#pragma GCC visibility push(default)
namespace spanwatch {

namespace ids_internal {
inline void AppendHex(std::uint64_t value, char* out) noexcept {
  constexpr char kDigits[] = "0123456789abcdef";
  for (int i = 15; i >= 0; --i, value >>= 4) out[i] = kDigits[value & 15];
}
// Both letter cases. Returns false if a character is not a hex digit.
inline bool ParseHex(std::string_view text, std::uint64_t* out) noexcept {
  std::uint64_t value = 0;
  for (const char c : text) {
    std::uint64_t digit;
    if (c >= '0' && c <= '9') {
      digit = static_cast<std::uint64_t>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      digit = static_cast<std::uint64_t>(c - 'a' + 10);
    } else if (c >= 'A' && c <= 'F') {
      digit = static_cast<std::uint64_t>(c - 'A' + 10);
    } else {
      return false;
    }
    value = value << 4 | digit;
  }
  *out = value;
  return true;
}
}  // namespace ids_internal

// 128-bit trace id; `hi` holds the first eight bytes in network order.
struct TraceId {
  std::uint64_t hi = 0;
  std::uint64_t lo = 0;

  // Not all zero, which is no id.
  bool IsValid() const noexcept { return (hi | lo) != 0; }
  // 32 digits, in lower case. May throw std::bad_alloc.
  std::string ToHex() const {
    std::string text(32, '0');
    ids_internal::AppendHex(hi, text.data());
    ids_internal::AppendHex(lo, text.data() + 16);
    return text;
  }
  // 32 hex digits, either case. Returns false and leaves *out alone otherwise (also for the all-zero id).
  static bool FromHex(std::string_view text, TraceId* out) noexcept {
    TraceId id;
    if (text.size() != 32 || !ids_internal::ParseHex(text.substr(0, 16), &id.hi) ||
        !ids_internal::ParseHex(text.substr(16), &id.lo) || !id.IsValid()) {
      return false;
    }
    *out = id;
    return true;
  }
  friend bool operator==(const TraceId& a, const TraceId& b) noexcept { return a.hi == b.hi && a.lo == b.lo; }
  friend bool operator!=(const TraceId& a, const TraceId& b) noexcept { return !(a == b); }
};

// 64-bit span id, first byte most significant.
struct SpanId {
  std::uint64_t value = 0;

  // Not zero, which is no id.
  bool IsValid() const noexcept { return value != 0; }
  // 16 digits, in lower case.
  std::string ToHex() const {
    std::string text(16, '0');
    ids_internal::AppendHex(value, text.data());
    return text;
  }
  // 16 hex digits; as TraceId::FromHex.
  static bool FromHex(std::string_view text, SpanId* out) noexcept {
    SpanId id;
    if (text.size() != 16 || !ids_internal::ParseHex(text, &id.value) || !id.IsValid()) return false;
    *out = id;
    return true;
  }
  friend bool operator==(const SpanId& a, const SpanId& b) noexcept { return a.value == b.value; }
  friend bool operator!=(const SpanId& a, const SpanId& b) noexcept { return !(a == b); }
};

}  // namespace spanwatch

#pragma GCC visibility pop

#endif  // SPANWATCH_IDS_H_
