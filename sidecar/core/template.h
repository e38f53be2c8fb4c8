// The small template language of annotations: "{{ name }}" is replaced by the value of `name` as people read it,
// "{{ name | format }}" by its number in that format; anything else stays.
// Safe by construction: no code, no recursion, output at most kMaxRendered bytes (cut at a character's border). Pure.
#ifndef SPANWATCH_SIDECAR_CORE_TEMPLATE_H_
#define SPANWATCH_SIDECAR_CORE_TEMPLATE_H_

#include <cstdint>
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
// Of several values of one name the first counts. What has no value of that name, or no such format, stays as written;
// a format of numbers leaves a text as it is.
std::string RenderTemplate(std::string_view text, std::span<const TemplateValue> values);

enum class TemplateFormat : std::uint8_t {
  kDuration,      // 12.3 s            of ns
  kSeconds,       // 12.3
  kMilliseconds,  // 12300
  kBytes,         // 120 MB            of bytes
  kPercent,       // 20 %              of 0..1
  kNumber,        // 1234567.5         digits, at most six decimals
  kHumanize,      // 1.23 M            k, M, G, T of 1000
  kDollars,       // $ 12.50
  kUpper,         // BOT               ASCII letters only, as the next two
  kLower,         // bot
  kTitle,         // Bot
  kUrlQuery,      // a%20b             for links
};
struct TemplateFormatName {
  std::string_view name;
  TemplateFormat format;
  bool is_synonym = false;  // another program's spelling
};
// All spellings; a format's own name comes before its synonyms.
std::span<const TemplateFormatName> TemplateFormatNames();
std::optional<TemplateFormat> FindTemplateFormat(std::string_view name);
inline constexpr bool IsOfText(TemplateFormat format) { return format >= TemplateFormat::kUpper; }

// A template in its parts, for rendering and for checks.
struct TemplatePiece {
  std::string_view text;  // as written, "{{" and "}}" included
  bool is_value = false;  // false: plain text; only the last such may hold a "{{", which has no "}}" then
  std::string_view name;  // of a value; without spaces around it, as the format
  std::string_view format;
};
// Cuts the first piece off `rest`. REQUIRES: it is not empty.
TemplatePiece TakeTemplatePiece(std::string_view* rest);

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_TEMPLATE_H_
