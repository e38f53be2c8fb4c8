#include "sidecar/notify/discord_text.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace spanwatch::notify {
namespace {

constexpr std::uint32_t kReplacement = 0xFFFD;
constexpr std::string_view kEllipsis = "\u2026";
constexpr std::string_view kZeroWidthSpace = "\u200b";

// Decodes one code point and advances; an invalid byte gives U+FFFD and is skipped alone.
std::uint32_t NextCodePoint(std::string_view text, std::size_t* at) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i])); };
  const std::uint32_t first = byte(*at);
  std::size_t length = 1;
  std::uint32_t point = first;
  if (first >= 0xC2 && first <= 0xDF) {
    length = 2;
    point = first & 0x1F;
  } else if (first >= 0xE0 && first <= 0xEF) {
    length = 3;
    point = first & 0x0F;
  } else if (first >= 0xF0 && first <= 0xF4) {
    length = 4;
    point = first & 0x07;
  } else if (first >= 0x80) {
    ++*at;
    return kReplacement;
  }
  if (*at + length > text.size()) {
    ++*at;
    return kReplacement;
  }
  for (std::size_t i = 1; i < length; ++i) {
    const std::uint32_t next = byte(*at + i);
    if ((next & 0xC0) != 0x80) {
      ++*at;
      return kReplacement;
    }
    point = point << 6 | (next & 0x3F);
  }
  constexpr std::array<std::uint32_t, 5> kLeast = {0, 0, 0x80, 0x800, 0x10000};
  if (point < kLeast[length] || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) {
    ++*at;
    return kReplacement;
  }
  *at += length;
  return point;
}

void AppendUtf8(std::uint32_t point, std::string* out) {
  const auto put = [&](std::uint32_t byte) { out->push_back(static_cast<char>(static_cast<unsigned char>(byte))); };
  if (point < 0x80) {
    put(point);
  } else if (point < 0x800) {
    put(0xC0 | point >> 6);
    put(0x80 | (point & 0x3F));
  } else if (point < 0x10000) {
    put(0xE0 | point >> 12);
    put(0x80 | (point >> 6 & 0x3F));
    put(0x80 | (point & 0x3F));
  } else {
    put(0xF0 | point >> 18);
    put(0x80 | (point >> 12 & 0x3F));
    put(0x80 | (point >> 6 & 0x3F));
    put(0x80 | (point & 0x3F));
  }
}

bool IsSpace(std::uint32_t p) {
  return p == ' ' || (p >= 0x09 && p <= 0x0D) || p == 0x85 || p == 0xA0 || p == 0x1680 ||
         (p >= 0x2000 && p <= 0x200A) || p == 0x2028 || p == 0x2029 || p == 0x202F || p == 0x205F || p == 0x2800 ||
         p == 0x3000;
}

// Characters that show nothing, or change how their neighbours are shown.
bool IsInvisible(std::uint32_t p) {
  return p < 0x20 || (p >= 0x7F && p <= 0x9F) || p == 0xAD || p == 0x034F || p == 0x061C || p == 0x115F ||
         p == 0x1160 || p == 0x17B4 || p == 0x17B5 || (p >= 0x180B && p <= 0x180F) || (p >= 0x200B && p <= 0x200F) ||
         (p >= 0x202A && p <= 0x202E) || (p >= 0x2060 && p <= 0x206F) || p == 0x3164 || (p >= 0xFE00 && p <= 0xFE0F) ||
         p == 0xFEFF || p == 0xFFA0 || (p >= 0xFFF0 && p <= 0xFFFB) || (p & 0xFFFE) == 0xFFFE ||
         (p >= 0xFDD0 && p <= 0xFDEF) || (p >= 0xE0000 && p <= 0xE0FFF);
}

bool IsMarkup(std::uint32_t p) {
  return p < 0x80 && std::string_view("\\*_~`|<>#[]()@:").find(static_cast<char>(p)) != std::string_view::npos;
}

bool IsDigit(std::uint32_t p) { return p >= '0' && p <= '9'; }

// Collects whole pieces and remembers where a cut still leaves room for the ellipsis.
class Collector {
 public:
  explicit Collector(std::size_t max_units) : max_units_(max_units) {}

  // False when the text is full; then it has been cut and closed.
  bool Add(std::string_view piece) {
    const std::size_t units = Utf16Units(piece);
    if (units_ + units > max_units_) {
      text_.resize(cut_);
      while (!text_.empty() && text_.back() == ' ') text_.pop_back();
      if (max_units_ > 0) text_ += kEllipsis;
      return false;
    }
    text_ += piece;
    units_ += units;
    if (units_ < max_units_) cut_ = text_.size();
    return true;
  }
  std::string Take() { return std::move(text_); }

 private:
  const std::size_t max_units_;
  std::string text_;
  std::size_t units_ = 0;
  std::size_t cut_ = 0;
};

// Whether what a reader sees next is a space or nothing.
bool EndsWord(std::string_view text, std::size_t at) {
  while (at < text.size()) {
    const std::uint32_t point = NextCodePoint(text, &at);
    if (IsSpace(point)) return true;
    if (!IsInvisible(point)) return false;
  }
  return true;
}

std::string Convert(std::string_view text, std::size_t max_units, bool escape) {
  Collector out(max_units);
  bool space_waits = false;  // spaces are joined, and never stand at the ends
  bool first = true;
  bool leading_number = false;
  std::string piece;
  for (std::size_t at = 0; at < text.size();) {
    const std::uint32_t point = NextCodePoint(text, &at);
    if (IsSpace(point)) {
      space_waits = !first;
      continue;
    }
    if (IsInvisible(point)) continue;
    piece.clear();
    if (space_waits) piece += ' ';
    // Some markup means something at the start of a line alone: "- item", "+ item", "1. item".
    const bool list = (first && (point == '-' || point == '+')) ||
                      (point == '.' && leading_number && !space_waits && EndsWord(text, at));
    if (escape && (list || IsMarkup(point))) piece += '\\';
    AppendUtf8(point, &piece);
    // Some clients look for @everyone before they look at backslashes.
    if (escape && point == '@') piece += kZeroWidthSpace;
    leading_number = IsDigit(point) && !space_waits && (first || leading_number);
    first = false;
    space_waits = false;
    if (!out.Add(piece)) break;
  }
  return out.Take();
}

}  // namespace

std::size_t Utf16Units(std::string_view text) {
  std::size_t units = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte & 0xC0) != 0x80) units += byte >= 0xF0 ? 2 : 1;
  }
  return units;
}

std::string EscapeUserText(std::string_view text, std::size_t max_units) { return Convert(text, max_units, true); }

std::string CleanText(std::string_view text, std::size_t max_units) { return Convert(text, max_units, false); }

std::string LinkUrl(std::string_view url) {
  if (!url.starts_with("http://") && !url.starts_with("https://")) return "";
  std::string out;
  for (const char c : url) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte >= 0x7F || std::string_view("\"'()*<>@\\^`{|}").find(c) != std::string_view::npos) {
      std::array<char, 4> hex{};
      std::snprintf(hex.data(), hex.size(), "%%%02X", static_cast<unsigned>(byte));
      out += hex.data();
    } else {
      out += c;
    }
  }
  return out.size() <= 512 ? out : "";
}

std::string IsoTime(std::int64_t ns_since_epoch) {
  constexpr std::int64_t kLastSecond = 253'402'300'799;
  if (ns_since_epoch <= 0) return "";
  const std::int64_t ms = ns_since_epoch / 1'000'000;
  const std::int64_t seconds = ms / 1000;
  if (seconds > kLastSecond) return "";
  // Days to civil date, counted in eras of 400 years from 0000-03-01.
  const std::int64_t z = seconds / 86400 + 719468;
  const std::int64_t era = z / 146097;
  const std::int64_t day_of_era = z - era * 146097;
  const std::int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const std::int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::int64_t shifted_month = (5 * day_of_year + 2) / 153;
  const int day = static_cast<int>(day_of_year - (153 * shifted_month + 2) / 5 + 1);
  const int month = static_cast<int>(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9);
  const int year = static_cast<int>(year_of_era + era * 400 + (month <= 2 ? 1 : 0));
  const int second_of_day = static_cast<int>(seconds % 86400);
  std::array<char, 96> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", year, month, day, second_of_day / 3600,
                second_of_day / 60 % 60, second_of_day % 60, static_cast<int>(ms % 1000));
  return text.data();
}

std::string FormatLength(std::int64_t ns) {
  const std::int64_t ms = std::max<std::int64_t>(ns, 0) / 1'000'000;
  const auto two = [](std::int64_t a, const char* unit_a, std::int64_t b, const char* unit_b) {
    std::string text = std::to_string(a) + unit_a;
    if (b > 0) text += " " + std::to_string(b) + unit_b;
    return text;
  };
  const std::int64_t s = ms / 1000;
  if (ms < 1000) return std::to_string(ms) + " ms";
  if (s < 60) return std::to_string(s) + " s";
  if (s < 3600) return two(s / 60, " min", s % 60, " s");
  if (s < 86400) return two(s / 3600, " h", s % 3600 / 60, " min");
  return two(s / 86400, " d", s % 86400 / 3600, " h");
}

}  // namespace spanwatch::notify
