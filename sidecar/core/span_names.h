// Templates of span names from the configuration: "/users/{id}" stands for every name that has something in that place.
// Names are split at '/' and ' '; {x} matches one segment that is not empty; the first template that matches holds.
// Immutable once made; pure.
#ifndef SPANWATCH_SIDECAR_CORE_SPAN_NAMES_H_
#define SPANWATCH_SIDECAR_CORE_SPAN_NAMES_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace spanwatch::core {

inline constexpr std::size_t kMaxSpanNames = 64;
inline constexpr std::size_t kMaxNameSegments = 32;

class SpanNames {
 public:
  SpanNames() = default;
  explicit SpanNames(const std::vector<std::string>& templates);

  // What is wrong with a template and what is allowed; nothing: "".
  static std::string Problem(std::string_view text);

  bool empty() const { return texts_.empty(); }
  const std::vector<std::string>& texts() const { return texts_; }
  // The text of the template that `name` matches, a view on this object; empty: none.
  std::string_view Match(std::string_view name) const;

 private:
  struct Segment {
    std::string_view text;
    char delimiter = 0;  // that follows it; 0: the end
  };
  using Segments = std::array<Segment, kMaxNameSegments>;
  // How many segments; 0: more than kMaxNameSegments.
  static std::size_t Split(std::string_view name, Segments* out);

  struct Literal {
    std::uint32_t at, size;  // in the template's text
    bool any;                // {x}
    char delimiter;
  };
  struct Template {
    std::size_t text;
    std::vector<Literal> segments;
  };
  std::vector<std::string> texts_;
  std::array<std::vector<Template>, kMaxNameSegments + 1> by_count_;  // in the order of texts_
};

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_SPAN_NAMES_H_
