#include "sidecar/core/span_names.h"

#include <algorithm>

namespace spanwatch::core {
namespace {

constexpr std::size_t kMaxTemplateBytes = 512;

bool IsAny(std::string_view segment) {
  return segment.size() >= 3 && segment.front() == '{' && segment.back() == '}' &&
         segment.substr(1, segment.size() - 2).find_first_of("{}") == std::string_view::npos;
}

}  // namespace

std::size_t SpanNames::Split(std::string_view name, Segments* out) {
  std::size_t count = 0, begin = 0;
  for (std::size_t i = 0; i <= name.size(); ++i) {
    const char c = i < name.size() ? name[i] : '\0';
    if (i < name.size() && c != '/' && c != ' ') continue;
    if (count == kMaxNameSegments) return 0;
    (*out)[count++] = {name.substr(begin, i - begin), c};
    begin = i + 1;
  }
  return count;
}

std::string SpanNames::Problem(std::string_view text) {
  Segments segments;
  if (text.empty()) return "is empty; allowed: a span name with {x} in it, as in \"/users/{id}\"";
  if (text.size() > kMaxTemplateBytes) return "is longer than 512 bytes";
  const std::size_t count = Split(text, &segments);
  if (count == 0) return "has more than 32 segments between \"/\" and \" \"";
  bool any = false;
  for (std::size_t i = 0; i < count; ++i) {
    const bool braces = segments[i].text.find_first_of("{}") != std::string_view::npos;
    if (braces && !IsAny(segments[i].text))
      return "has a brace inside a segment; {x} stands for a whole one between \"/\" or \" \", as in \"/users/{id}\"";
    any = any || braces;
  }
  if (!any) return "has no {x}, so there is nothing to fold; as in \"/users/{id}\"";
  return "";
}

SpanNames::SpanNames(const std::vector<std::string>& templates) : texts_(templates) {
  for (std::size_t i = 0; i < texts_.size(); ++i) {
    Segments segments;
    const std::size_t count = Split(texts_[i], &segments);
    if (count == 0) continue;
    Template made{i, {}};
    for (std::size_t s = 0; s < count; ++s) {
      made.segments.push_back({static_cast<std::uint32_t>(segments[s].text.data() - texts_[i].data()),
                               static_cast<std::uint32_t>(segments[s].text.size()), IsAny(segments[s].text),
                               segments[s].delimiter});
    }
    by_count_[count].push_back(std::move(made));
  }
}

std::string_view SpanNames::Match(std::string_view name) const {
  if (texts_.empty()) return {};
  Segments segments;
  const std::size_t count = Split(name, &segments);
  for (const Template& each : by_count_[count]) {
    const std::string& text = texts_[each.text];
    bool matches = true;
    for (std::size_t i = 0; matches && i < count; ++i) {
      const Literal& literal = each.segments[i];
      const std::string_view segment = segments[i].text;
      matches = literal.delimiter == segments[i].delimiter &&
                (literal.any ? !segment.empty() : segment == std::string_view(text).substr(literal.at, literal.size));
    }
    if (matches) return text;
  }
  return {};
}

}  // namespace spanwatch::core
