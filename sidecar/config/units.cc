#include "sidecar/config/units.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>

namespace spanwatch::config {
namespace {

constexpr const char* kDurationHelp = "allowed: a number with ms, s, m, h or d, as in 500ms or 1h30m";
constexpr const char* kSizeHelp = "allowed: a number with B, KB, MB or GB, as in 50MB";
constexpr const char* kPercentHelp = "allowed: 0% to 100%, as in 10%";
constexpr const char* kRateHelp = "allowed: a number with /s, /m or /h, as in 5/s";
constexpr const char* kCountHelp = "allowed: a number, 0 or more, as in 15, 20k or 1.5M";
constexpr const char* kSignedHelp = "allowed: a number, as in 500, -3 or 1.5M";
constexpr const char* kDollarHelp = "allowed: US dollars, as in $5, $0.50 or 5 USD";
constexpr const char* kFactorHelp = "allowed: a number without unit, 0 or more, as in 14.4";

struct UnitSize {
  std::string_view name;
  double size;
};
// Large to small: the order in which they may be combined.
constexpr std::array<UnitSize, 5> kDurationUnits = {
    {{"d", 86400e9}, {"h", 3600e9}, {"m", 60e9}, {"s", 1e9}, {"ms", 1e6}}};
constexpr std::array<UnitSize, 4> kSizeUnits = {{{"B", 1}, {"KB", 1024.0}, {"MB", 1048576.0}, {"GB", 1073741824.0}}};
constexpr std::array<UnitSize, 3> kRateUnits = {{{"/s", 1}, {"/m", 1.0 / 60}, {"/h", 1.0 / 3600}}};
constexpr std::array<UnitSize, 4> kCountUnits = {{{"", 1}, {"k", 1e3}, {"M", 1e6}, {"G", 1e9}}};
constexpr double kMaxDurationNs = 3650 * 86400e9;
constexpr double kMaxSizeBytes = 1125899906842624.0;  // 2^50
constexpr double kMaxNumber = 9007199254740992.0;     // 2^53: whole numbers are exact up to here

// A decimal number at the front of `text`, which is cut off it. No sign, no exponent, no "inf".
std::optional<double> TakeNumber(std::string_view* text) {
  std::size_t length = 0;
  while (length < text->size() && ((*text)[length] == '.' || ((*text)[length] >= '0' && (*text)[length] <= '9'))) {
    ++length;
  }
  double value = 0;
  const char* end = text->data() + length;
  const auto [stop, error] = std::from_chars(text->data(), end, value, std::chars_format::fixed);
  if (length == 0 || error != std::errc() || stop != end) return std::nullopt;
  text->remove_prefix(length);
  return value;
}

std::string_view TakeUnit(std::string_view* text) {
  std::size_t length = 0;
  while (length < text->size() && (*text)[length] != '.' && ((*text)[length] < '0' || (*text)[length] > '9')) ++length;
  const std::string_view unit = text->substr(0, length);
  text->remove_prefix(length);
  return unit;
}

tl::unexpected<std::string> Refuse(std::string_view text, const char* what, const char* help) {
  if (!text.empty() && text.front() == '-') {
    std::string_view rest = text.substr(1);
    if (TakeNumber(&rest)) return tl::make_unexpected(Quote(text) + " is negative; " + help);
  }
  std::string_view rest = text;
  if (TakeNumber(&rest) && rest.empty()) return tl::make_unexpected(Quote(text) + " has no unit; " + help);
  return tl::make_unexpected(Quote(text) + " is not " + what + "; " + help);
}

template <std::size_t N>
const UnitSize* FindUnit(const std::array<UnitSize, N>& units, std::string_view name) {
  for (const UnitSize& unit : units) {
    if (unit.name == name) return &unit;
  }
  return nullptr;
}

}  // namespace

Parsed<std::int64_t> ParseDuration(std::string_view text) {
  if (text == "0") return 0;  // zero is the same in every unit
  std::string_view rest = text;
  double total = 0;
  double last_size = INFINITY;
  do {
    const std::optional<double> number = TakeNumber(&rest);
    const UnitSize* unit = number ? FindUnit(kDurationUnits, TakeUnit(&rest)) : nullptr;
    if (unit == nullptr || unit->size >= last_size) return Refuse(text, "a duration", kDurationHelp);
    last_size = unit->size;
    total += *number * unit->size;
  } while (!rest.empty());
  if (total > kMaxDurationNs) return tl::make_unexpected(Quote(text) + " is too long; allowed: up to 3650d");
  return std::llround(total);
}

Parsed<std::uint64_t> ParseSize(std::string_view text) {
  std::string_view rest = text;
  const std::optional<double> number = TakeNumber(&rest);
  const UnitSize* unit = number ? FindUnit(kSizeUnits, rest) : nullptr;
  if (unit == nullptr) return Refuse(text, "a size", kSizeHelp);
  const double bytes = *number * unit->size;
  if (bytes > kMaxSizeBytes) return tl::make_unexpected(Quote(text) + " is too large; allowed: up to 1048576GB");
  return static_cast<std::uint64_t>(std::llround(bytes));
}

Parsed<double> ParsePercent(std::string_view text) {
  std::string_view rest = text;
  const std::optional<double> number = TakeNumber(&rest);
  if (!number || rest != "%" || *number > 100) return Refuse(text, "a percentage", kPercentHelp);
  return *number / 100;
}

Parsed<double> ParseShare(std::string_view text) {
  const Parsed<double> share = text.ends_with('%') ? ParsePercent(text) : ParseNumber(text);
  if (share && *share <= 1) return *share;
  return tl::make_unexpected(Quote(text) + " is not a share; allowed: 0 to 1, or 0% to 100%");
}

Parsed<double> ParseRate(std::string_view text) {
  std::string_view rest = text;
  const std::optional<double> number = TakeNumber(&rest);
  const UnitSize* unit = number ? FindUnit(kRateUnits, rest) : nullptr;
  if (unit == nullptr || *number > kMaxNumber) return Refuse(text, "a rate", kRateHelp);
  return *number * unit->size;
}

Parsed<double> ParseNumber(std::string_view text) {
  std::string_view rest = text;
  const std::optional<double> number = TakeNumber(&rest);
  if (!number || !rest.empty() || *number > kMaxNumber) {
    return tl::make_unexpected(Quote(text) + " is not a count; allowed: a number without unit, 0 or more, as in 15");
  }
  return *number;
}

Parsed<double> ParseCount(std::string_view text) {
  std::string_view rest = text;
  const std::optional<double> number = TakeNumber(&rest);
  const UnitSize* unit = number ? FindUnit(kCountUnits, rest) : nullptr;
  if (unit == nullptr || *number * unit->size > kMaxNumber) {
    return text.starts_with('-') ? Refuse(text, "a count", kCountHelp)
                                 : tl::make_unexpected(Quote(text) + " is not a count; " + kCountHelp);
  }
  return *number * unit->size;
}

Parsed<double> ParseSigned(std::string_view text) {
  const bool negative = text.starts_with('-');
  const Parsed<double> number = ParseCount(text.substr(negative ? 1 : 0));
  if (!number) return tl::make_unexpected(Quote(text) + " is not a number; " + kSignedHelp);
  return negative ? -*number : *number;
}

Parsed<double> ParseDollars(std::string_view text) {
  std::string_view amount = text;
  const bool sign = amount.starts_with('$');
  const bool name = amount.ends_with("USD");
  if (sign) amount.remove_prefix(1);
  if (name) amount.remove_suffix(3);
  while (amount.starts_with(' ')) amount.remove_prefix(1);
  while (amount.ends_with(' ')) amount.remove_suffix(1);
  const Parsed<double> number = ParseCount(amount);
  if (!number || sign == name) return Refuse(text, "an amount of money", kDollarHelp);
  return *number;
}

Parsed<double> ParseFactor(std::string_view text) {
  const Parsed<double> number = ParseNumber(text.ends_with('x') ? text.substr(0, text.size() - 1) : text);
  if (!number) return tl::make_unexpected(Quote(text) + " is not a factor; " + kFactorHelp);
  return *number;
}

Parsed<std::uint64_t> ParseWhole(std::string_view text) {
  const Parsed<double> number = ParseNumber(text);
  if (!number && !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos) {
    return tl::make_unexpected(Quote(text) + " is too large; allowed: a whole number up to 9007199254740992");
  }
  if (!number || *number != std::floor(*number)) {
    return tl::make_unexpected(Quote(text) + " is not a whole number; allowed: 0 or more, without unit, as in 2000");
  }
  return static_cast<std::uint64_t>(*number);
}

Parsed<bool> ParseBool(std::string_view text) {
  if (text == "true") return true;
  if (text == "false") return false;
  return tl::make_unexpected(Quote(text) + " is neither true nor false; allowed: true, false");
}

std::string Quote(std::string_view text) {
  constexpr std::size_t kMaxShown = 60;
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  const bool is_socket = lower.starts_with("ipc://") || lower.starts_with("tcp://");
  const bool is_url = lower.find("//") != std::string::npos && !is_socket;
  if (is_url || lower.find("webhooks/") != std::string::npos) return "<hidden>";
  std::string shown = "\"";
  for (const char c : text.substr(0, kMaxShown)) shown += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  // A character cut in the middle must not leave half of itself.
  while (text.size() > kMaxShown && !shown.empty() && (static_cast<unsigned char>(shown.back()) & 0x80) != 0) {
    shown.pop_back();
  }
  return shown + (text.size() > kMaxShown ? "...\"" : "\"");
}

std::string DurationText(std::int64_t ns) {
  std::string text;
  for (const UnitSize& unit : kDurationUnits) {
    const auto size = static_cast<std::int64_t>(unit.size);
    if (ns < size) continue;
    text += std::to_string(ns / size) + std::string(unit.name);
    ns %= size;
  }
  return text.empty() ? "0s" : text;
}

namespace {

// Edits (insert, delete, replace, swap of neighbours) that make one text of the other.
std::size_t Distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> cost(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        cost[i][j] = i + j;
        continue;
      }
      const std::size_t replaced = cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, replaced});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
    }
  }
  return cost[a.size()][b.size()];
}

std::string Normalised(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '-' || c == ' ') {
      result += '_';
    } else {
      result += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
  }
  return result;
}

}  // namespace

std::string DidYouMean(std::string_view text, const std::vector<std::string>& allowed) {
  if (text.size() > 64) return "";
  const std::string wanted = Normalised(text);
  std::size_t best = std::max<std::size_t>(1, text.size() / 3) + 1;
  const std::string* nearest = nullptr;
  for (const std::string& candidate : allowed) {
    const std::string known = Normalised(candidate);
    const bool is_start = wanted.size() >= 3 && known.starts_with(wanted);
    const std::size_t distance = is_start ? 1 : Distance(wanted, known);
    if (distance < best) {
      best = distance;
      nearest = &candidate;
    }
  }
  return nearest == nullptr ? "" : " (did you mean \"" + *nearest + "\"?)";
}

std::string Join(const std::vector<std::string>& parts) {
  std::string joined;
  for (const std::string& part : parts) joined += (joined.empty() ? "" : ", ") + part;
  return joined;
}

}  // namespace spanwatch::config
