// The shapes that RedactText looks for. Internal to it. Pure; any thread. Each looks a bounded way around, or to the
// end of what it then matches: the whole scan stays linear.
#ifndef SPANWATCH_SIDECAR_INGEST_REDACT_SHAPES_H_
#define SPANWATCH_SIDECAR_INGEST_REDACT_SHAPES_H_

#include <cstddef>
#include <string_view>

#include "sidecar/ingest/redact_text.h"

namespace spanwatch::ingest {

// text[begin, end) is to be replaced. end == 0: nothing was found.
struct Match {
  std::size_t begin = 0, end = 0;
  Redacted kind = Redacted::kEmail;
};

constexpr bool IsDigit(char c) { return c >= '0' && c <= '9'; }
constexpr bool IsAlpha(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }
constexpr bool IsWordChar(char c) { return IsAlpha(c) || IsDigit(c) || c == '-' || c == '_'; }

inline constexpr std::size_t kShortestRun = 5;  // "basic"

// text[begin, end) is a run of word characters, as long as can be, of at least kShortestRun.
Match FindInRun(std::string_view text, std::size_t begin, std::size_t end);

// text[at] is one of @ % + ( . = :. Text before `floor` counts as replaced: nothing there is matched or looked at as a
// neighbour.
Match FindAround(std::string_view text, std::size_t at, std::size_t floor);

// The value after a name and text[at] = '=' or ':'; in redact_assignment.cc.
Match FindAssigned(std::string_view text, std::size_t at, std::size_t floor);

}  // namespace spanwatch::ingest

#endif  // SPANWATCH_SIDECAR_INGEST_REDACT_SHAPES_H_
