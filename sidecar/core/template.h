// The small template language of annotations: "{{ name }}" is replaced by the value of `name` as people read it,
// "{{ name | format }}" by its number in that format; anything else stays.
// Safe by construction: no code, no recursion, output at most kMaxRendered bytes (cut at a character's border). Pure.
#ifndef SPANWATCH_SIDECAR_CORE_TEMPLATE_H_
#define SPANWATCH_SIDECAR_CORE_TEMPLATE_H_

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace spanwatch::core {

inline constexpr std::size_t kMaxRendered = 2048;

struct TemplateValue {
  std::string_view name;
  std::string_view text;              // as people read it: "12.3 s"
  std::optional<double> number = {};  // in base units (ns, bytes, 0..1); nothing: it is no number
};
std::string RenderTemplate(std::string_view text, std::span<const TemplateValue> values);

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_TEMPLATE_H_
