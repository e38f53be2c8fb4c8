#include "sidecar/core/template.h"

#include <array>
#include <charconv>
#include <cmath>

#include "sidecar/core/rule.h"

namespace spanwatch::core {
namespace {

constexpr std::array<TemplateFormatName, 17> kFormats = {{
    {"duration", TemplateFormat::kDuration},
    {"humanizeDuration", TemplateFormat::kDuration, true},
    {"seconds", TemplateFormat::kSeconds},
    {"milliseconds", TemplateFormat::kMilliseconds},
    {"bytes", TemplateFormat::kBytes},
    {"humanize1024", TemplateFormat::kBytes, true},
    {"percent", TemplateFormat::kPercent},
    {"humanizePercentage", TemplateFormat::kPercent, true},
    {"number", TemplateFormat::kNumber},
    {"humanize", TemplateFormat::kHumanize},
    {"dollars", TemplateFormat::kDollars},
    {"upper", TemplateFormat::kUpper},
    {"toUpper", TemplateFormat::kUpper, true},
    {"lower", TemplateFormat::kLower},
    {"toLower", TemplateFormat::kLower, true},
    {"title", TemplateFormat::kTitle},
    {"urlquery", TemplateFormat::kUrlQuery},
}};

std::string_view Trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// Digits without exponent, at most six decimals and no zeros at their end.
std::string Digits(double value) {
  if (!std::isfinite(value)) return FormatValue(value, Unit::kCount);
  std::array<char, 400> buffer{};  // 309 digits, sign, point, six decimals
  const auto [end, error] = std::to_chars(buffer.begin(), buffer.end(), value, std::chars_format::fixed, 6);
  if (error != std::errc()) return "";
  std::string text(buffer.begin(), end);
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text == "-0" ? "0" : text;
}

std::string Humanized(double value) {
  const bool thousands = std::fabs(value) >= 1e3 && std::fabs(value) < 9999.5;
  return thousands ? FormatValue(value / 1e3, Unit::kCount) + " k" : FormatValue(value, Unit::kCount);
}

std::string FormattedNumber(double number, TemplateFormat format) {
  switch (format) {
    case TemplateFormat::kDuration:
      return FormatValue(number, Unit::kNanoseconds);
    case TemplateFormat::kSeconds:
      return Digits(number / 1e9);
    case TemplateFormat::kMilliseconds:
      return Digits(number / 1e6);
    case TemplateFormat::kBytes:
      return FormatValue(number, Unit::kBytes);
    case TemplateFormat::kPercent:
      return FormatValue(number, Unit::kRatio);
    case TemplateFormat::kDollars:
      return FormatValue(number, Unit::kDollars);
    case TemplateFormat::kHumanize:
      return Humanized(number);
    default:
      return Digits(number);
  }
}

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
char Upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }
char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string UrlQuery(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (out.size() > kMaxRendered) break;
    if (IsLetter(c) || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '~') {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return out;
}

std::string FormattedText(std::string_view text, TemplateFormat format) {
  if (format == TemplateFormat::kUrlQuery) return UrlQuery(text);
  std::string out(text);
  bool in_word = false;
  for (char& c : out) {
    if (format == TemplateFormat::kUpper || (format == TemplateFormat::kTitle && !in_word)) {
      c = Upper(c);
    } else if (format == TemplateFormat::kLower) {
      c = Lower(c);
    }
    in_word = c != ' ';
  }
  return out;
}

std::string Rendered(const TemplatePiece& piece, std::span<const TemplateValue> values) {
  for (const TemplateValue& value : values) {
    if (value.name != piece.name) continue;
    if (piece.format.empty()) return std::string(value.text);
    const std::optional<TemplateFormat> format = FindTemplateFormat(piece.format);
    if (!format) break;
    if (IsOfText(*format)) return FormattedText(value.text, *format);
    return value.number ? FormattedNumber(*value.number, *format) : std::string(value.text);
  }
  return std::string(piece.text);
}

}  // namespace

std::span<const TemplateFormatName> TemplateFormatNames() { return kFormats; }

std::optional<TemplateFormat> FindTemplateFormat(std::string_view name) {
  for (const TemplateFormatName& known : kFormats) {
    if (known.name == name) return known.format;
  }
  return std::nullopt;
}

TemplatePiece TakeTemplatePiece(std::string_view* rest) {
  TemplatePiece piece;
  const std::size_t open = rest->find("{{");
  const std::size_t close = open == 0 ? rest->find("}}", 2) : std::string_view::npos;
  if (close == std::string_view::npos) {
    const bool is_last =
        open == std::string_view::npos || open == 0 || rest->find("}}", open) == std::string_view::npos;
    piece.text = is_last ? *rest : rest->substr(0, open);
  } else {
    piece.text = rest->substr(0, close + 2);
    piece.is_value = true;
    const std::string_view inside = piece.text.substr(2, close - 2);
    const std::size_t bar = inside.find('|');
    piece.name = Trim(inside.substr(0, bar));
    if (bar != std::string_view::npos) piece.format = Trim(inside.substr(bar + 1));
  }
  rest->remove_prefix(piece.text.size());
  return piece;
}

std::string RenderTemplate(std::string_view text, std::span<const TemplateValue> values) {
  std::string out;
  while (!text.empty() && out.size() < kMaxRendered) {
    const TemplatePiece piece = TakeTemplatePiece(&text);
    if (piece.is_value) {
      out += Rendered(piece, values);
    } else {
      out += piece.text;
    }
  }
  if (out.size() > kMaxRendered) {
    std::size_t end = kMaxRendered;
    while (end > 0 && (static_cast<unsigned char>(out[end]) & 0xC0) == 0x80) --end;
    out.resize(end);
  }
  return out;
}

}  // namespace spanwatch::core
