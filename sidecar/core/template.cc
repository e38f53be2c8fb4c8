#include "sidecar/core/template.h"

namespace spanwatch::core {
namespace {

std::string_view Trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

}  // namespace

std::string RenderTemplate(std::string_view text, std::span<const TemplateValue> values) {
  std::string out;
  while (!text.empty() && out.size() < kMaxRendered) {
    const std::size_t open = text.find("{{");
    const std::size_t close = open == std::string_view::npos ? open : text.find("}}", open);
    if (close == std::string_view::npos) {
      out += text;
      break;
    }
    out += text.substr(0, open);
    const std::string_view name = Trim(text.substr(open + 2, close - open - 2));
    std::string_view value = text.substr(open, close + 2 - open);  // an unknown name stays as it is written
    for (const TemplateValue& known : values) {
      if (known.name == name) value = known.text;
    }
    out += value;
    text.remove_prefix(close + 2);
  }
  if (out.size() > kMaxRendered) {
    std::size_t end = kMaxRendered;
    while (end > 0 && (static_cast<unsigned char>(out[end]) & 0xC0) == 0x80) --end;
    out.resize(end);
  }
  return out;
}

}  // namespace spanwatch::core
