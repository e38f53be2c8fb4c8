#include "sidecar/ingest/tracestate.h"

#include <cstdint>

#include "spanwatch/ids.h"

namespace spanwatch::ingest {
namespace {

constexpr std::size_t kMaxTracestateBytes = 8192;

// The part of *text before the next `separator`; *text is what follows it.
std::string_view Next(std::string_view* text, char separator) {
  const std::size_t at = text->find(separator);
  const std::string_view part = text->substr(0, at);
  text->remove_prefix(at == std::string_view::npos ? text->size() : at + 1);
  return part;
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

double FromThreshold(std::string_view digits) {
  std::uint64_t threshold = 0;
  if (digits.empty() || digits.size() > 14 || !ids_internal::ParseHex(digits, &threshold)) return 1;
  threshold <<= 4 * (14 - digits.size());
  constexpr std::uint64_t kRange = std::uint64_t{1} << 56;
  return static_cast<double>(kRange) / static_cast<double>(kRange - threshold);
}

}  // namespace

double AdjustedCount(std::string_view tracestate) noexcept {
  if (tracestate.size() > kMaxTracestateBytes) return 1;
  while (!tracestate.empty()) {
    std::string_view member = Trim(Next(&tracestate, ','));
    if (member.substr(0, 3) != "ot=") continue;
    member.remove_prefix(3);
    while (!member.empty()) {
      const std::string_view part = Next(&member, ';');
      if (part.substr(0, 3) == "th:") return FromThreshold(part.substr(3));
    }
    return 1;
  }
  return 1;
}

}  // namespace spanwatch::ingest
