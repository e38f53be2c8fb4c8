// The small template language of annotations: "{{ name }}" is replaced by the value of `name`, anything else stays.
// Safe by construction: no code, no recursion, output at most kMaxRendered bytes (cut at a character's border). Pure.
#ifndef SPANWATCH_SIDECAR_CORE_TEMPLATE_H_
#define SPANWATCH_SIDECAR_CORE_TEMPLATE_H_

#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace spanwatch::core {

inline constexpr std::size_t kMaxRendered = 2048;

using TemplateValue = std::pair<std::string_view, std::string_view>;
std::string RenderTemplate(std::string_view text, std::span<const TemplateValue> values);

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_TEMPLATE_H_
