// W3C Baggage: `key=value;property,key=value`, values percent-encoded.
#include <cstring>

#include "sdk/cpp/src/trace_state.h"

namespace spanwatch::internal {
namespace {

std::string_view Trim(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool IsToken(std::string_view text) noexcept {  // RFC 7230
  for (const char c : text) {
    if (c <= 0x20 || c >= 0x7f || std::strchr("\"(),/:;<=>?@[\\]{}", c) != nullptr) return false;
  }
  return !text.empty();
}

// A value and its properties: visible characters without comma, quote and backslash.
bool IsValue(std::string_view text) noexcept {
  for (const char c : text) {
    if (c < 0x20 || c >= 0x7f || c == ',' || c == '"' || c == '\\') return false;
  }
  return true;
}

struct Entry {
  std::string_view key, value;  // the value without properties
};

bool Split(std::string_view member, Entry* entry) noexcept {
  const std::size_t equals = member.find('=');
  if (equals == std::string_view::npos) return false;
  entry->key = Trim(member.substr(0, equals));
  const std::string_view rest = member.substr(equals + 1);
  entry->value = Trim(rest.substr(0, rest.find(';')));
  return IsToken(entry->key) && IsValue(rest);
}

int HexDigit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

}  // namespace

std::size_t CopyBaggage(std::string_view header, std::string_view without, char (&out)[kMaxBaggage]) noexcept {
  constexpr std::size_t kMaxHeader = 8192;  // of W3C: longer ones are dropped unread
  std::size_t size = 0;
  if (header.size() > kMaxHeader) return 0;
  while (!header.empty()) {
    const std::size_t comma = header.find(',');
    const std::string_view member = Trim(header.substr(0, comma));
    header = comma == std::string_view::npos ? std::string_view() : header.substr(comma + 1);
    Entry entry;
    if (!Split(member, &entry) || entry.key == without) continue;
    const std::size_t separator = size > 0 ? 1 : 0;
    if (size + separator + member.size() > kMaxBaggage) continue;
    if (separator > 0) out[size++] = ',';
    std::memcpy(out + size, member.data(), member.size());
    size += member.size();
  }
  return size;
}

std::string_view FindBaggage(std::string_view baggage, std::string_view key) noexcept {
  while (!baggage.empty()) {
    const std::size_t comma = baggage.find(',');
    Entry entry;
    if (Split(baggage.substr(0, comma), &entry) && entry.key == key) return entry.value;
    if (comma == std::string_view::npos) break;
    baggage.remove_prefix(comma + 1);
  }
  return {};
}

std::size_t DecodeBaggage(std::string_view value, char* out, std::size_t limit) noexcept {
  std::size_t size = 0;
  for (std::size_t i = 0; i < value.size() && size < limit; ++i) {
    const bool encoded =
        value[i] == '%' && i + 2 < value.size() && HexDigit(value[i + 1]) >= 0 && HexDigit(value[i + 2]) >= 0;
    out[size++] = encoded ? static_cast<char>(HexDigit(value[i + 1]) << 4 | HexDigit(value[i + 2])) : value[i];
    if (encoded) i += 2;
  }
  return size;
}

}  // namespace spanwatch::internal
