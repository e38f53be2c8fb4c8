#include "sidecar/http/params.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <iterator>
#include <utility>
#include <vector>

namespace spanwatch::http {
namespace {

constexpr double kMaxNs = 9.2e18;

// A plain decimal number, not negative, nothing before or after it.
bool ParseNumber(std::string_view text, double* out) {
  if (text.empty() || text.front() < '0' || text.front() > '9') return false;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), *out, std::chars_format::fixed);
  return result.ec == std::errc() && result.ptr == text.data() + text.size();
}

// ms with a fraction -> ns, exactly: a double does not hold ns since the epoch.
bool ParseMs(std::string_view text, std::int64_t* out) {
  constexpr std::int64_t kMaxMs = 9'200'000'000'000;
  const std::size_t point = std::min(text.find('.'), text.size());
  std::int64_t ms = 0, fraction = 0, unit = 100'000;
  const auto whole = std::from_chars(text.data(), text.data() + point, ms);
  if (whole.ec != std::errc() || whole.ptr != text.data() + point || ms < 0 || ms > kMaxMs || text.front() == '-')
    return false;
  if (point + 1 == text.size()) return false;
  for (std::size_t i = point + 1; i < text.size(); ++i, unit /= 10) {
    if (text[i] < '0' || text[i] > '9') return false;
    fraction += (text[i] - '0') * unit;
  }
  *out = ms * 1'000'000 + fraction;
  return true;
}

// Exactly `width` digits at text[at].
bool Digits(std::string_view text, std::size_t at, std::size_t width, int* out) {
  if (at + width > text.size()) return false;
  int value = 0;
  for (const char c : text.substr(at, width)) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + (c - '0');
  }
  *out = value;
  return true;
}

// "Z" or "+hh:mm"; in a query a plain '+' arrives as a blank.
bool ParseOffset(std::string_view text, std::int64_t* seconds) {
  *seconds = 0;
  if (text == "Z" || text == "z") return true;
  int hours = 0, minutes = 0;
  if (text.size() != 6 || (text[0] != '+' && text[0] != ' ' && text[0] != '-') || text[3] != ':' ||
      !Digits(text, 1, 2, &hours) || !Digits(text, 4, 2, &minutes) || hours > 23 || minutes > 59) {
    return false;
  }
  *seconds = (text[0] == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
  return true;
}

bool ParseRfc3339(std::string_view text, std::int64_t* out) {
  int year, month, day, hour, minute, second;
  if (text.size() < 20 || !Digits(text, 0, 4, &year) || text[4] != '-' || !Digits(text, 5, 2, &month) ||
      text[7] != '-' || !Digits(text, 8, 2, &day) || (text[10] != 'T' && text[10] != 't' && text[10] != ' ') ||
      !Digits(text, 11, 2, &hour) || text[13] != ':' || !Digits(text, 14, 2, &minute) || text[16] != ':' ||
      !Digits(text, 17, 2, &second)) {
    return false;
  }
  const std::chrono::year_month_day date(std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day)));
  if (!date.ok() || hour > 23 || minute > 59 || second > 60 || year < 1678 || year > 2261) return false;
  std::size_t at = 19;
  std::int64_t fraction = 0;
  if (text[at] == '.') {
    std::int64_t unit = 100'000'000;
    const std::size_t first = ++at;
    for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, unit /= 10)
      fraction += (text[at] - '0') * unit;
    if (at == first) return false;
  }
  std::int64_t offset = 0;
  if (!ParseOffset(text.substr(at), &offset)) return false;
  const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  *out = (days * 86400 + hour * 3600 + minute * 60 + second - offset) * 1'000'000'000 + fraction;
  return true;
}

bool ParseWhole(std::string_view text, std::size_t least, std::size_t most, std::size_t* out) {
  double number = 0;
  if (!ParseNumber(text, &number) || number != std::trunc(number)) return false;
  if (number < static_cast<double>(least) || number > static_cast<double>(most)) return false;
  *out = static_cast<std::size_t>(number);
  return true;
}

bool ParseDuration(std::string_view text, std::int64_t* out) { return (*out = ParseDurationNs(text)) >= 0; }

// "key:value": the key ends at the first colon.
bool ParseTag(std::string_view text, std::vector<core::NameValue>* tags) {
  const std::size_t colon = text.find(':');
  if (colon == 0 || colon == std::string_view::npos || tags->size() == kMaxSearchTags) return false;
  tags->push_back({std::string(text.substr(0, colon)), std::string(text.substr(colon + 1))});
  return true;
}

bool ParseStatus(std::string_view text, core::TraceQuery::Status* out) {
  *out = text == "error" ? core::TraceQuery::Status::kError : core::TraceQuery::Status::kSuccess;
  return text == "error" || text == "success";
}

bool ParseSort(std::string_view text, core::TraceQuery::Sort* out) {
  using Sort = core::TraceQuery::Sort;
  constexpr std::pair<std::string_view, Sort> kSorts[] = {{"newest", Sort::kNewest},
                                                          {"longest", Sort::kLongest},
                                                          {"errors", Sort::kMostErrors},
                                                          {"spans", Sort::kMostSpans}};
  for (const auto& [name, sort] : kSorts) {
    if (text != name) continue;
    *out = sort;
    return true;
  }
  return false;
}

// A parameter of a search: what its value must be, and what takes it over.
struct SearchParam {
  std::string_view name;
  std::string_view allowed;
  bool (*apply)(std::string_view value, std::int64_t now_ns, core::TraceQuery* query);
};

constexpr std::string_view kDurationText = "a duration with a unit (\"1.5s\", \"250ms\", \"2h\") or in ms";
constexpr std::string_view kTimeText =
    "ms since the epoch, RFC 3339 (\"2024-05-01T10:00:00Z\"), or a duration before now (\"-15m\")";

constexpr SearchParam kSearchParams[] = {
    {"service", "",
     [](std::string_view value, std::int64_t, core::TraceQuery* query) {
       query->service = value;
       return true;
     }},
    {"operation", "",
     [](std::string_view value, std::int64_t, core::TraceQuery* query) {
       query->operation = value;
       return true;
     }},
    {"tag", "key:value, at most 16 of them",
     [](std::string_view value, std::int64_t, core::TraceQuery* query) { return ParseTag(value, &query->tags); }},
    {"correlation_id", "",
     [](std::string_view value, std::int64_t, core::TraceQuery* query) {
       query->correlation_id = value;
       return true;
     }},
    {"error", "",
     [](std::string_view value, std::int64_t, core::TraceQuery* query) {
       query->error_text = value;
       return true;
     }},
    {"min_duration", kDurationText,
     [](std::string_view value, std::int64_t, core::TraceQuery* query) {
       return ParseDuration(value, &query->min_duration_ns);
     }},
    {"max_duration", kDurationText,
     [](std::string_view value, std::int64_t, core::TraceQuery* query) {
       return ParseDuration(value, &query->max_duration_ns);
     }},
    {"status", "\"error\" or \"success\"",
     [](std::string_view value, std::int64_t, core::TraceQuery* query) { return ParseStatus(value, &query->status); }},
    {"start", kTimeText,
     [](std::string_view value, std::int64_t now_ns, core::TraceQuery* query) {
       return ParseTimeNs(value, now_ns, &query->start_ns);
     }},
    {"end", kTimeText,
     [](std::string_view value, std::int64_t now_ns, core::TraceQuery* query) {
       return ParseTimeNs(value, now_ns, &query->end_ns);
     }},
    {"sort", "\"newest\", \"longest\", \"errors\" or \"spans\"",
     [](std::string_view value, std::int64_t, core::TraceQuery* query) { return ParseSort(value, &query->sort); }},
    {"limit", "a whole number from 1 to 1000",
     [](std::string_view value, std::int64_t, core::TraceQuery* query) {
       return ParseWhole(value, 1, kMaxTraceLimit, &query->limit);
     }},
    {"offset", "a whole number from 0 to 1000000",
     [](std::string_view value, std::int64_t, core::TraceQuery* query) {
       return ParseWhole(value, 0, kMaxTraceOffset, &query->offset);
     }},
};
static_assert(kMaxSearchTags == 16 && kMaxTraceLimit == 1000 && kMaxTraceOffset == 1'000'000, "the texts above say so");

std::string Known(std::string_view extra) {
  std::string text;
  for (const SearchParam& param : kSearchParams) {
    if (!text.empty()) text += &param == std::end(kSearchParams) - 1 && extra.empty() ? " and " : ", ";
    text += param.name;
  }
  if (!extra.empty()) text += " and " + std::string(extra);
  return text;
}

}  // namespace

std::int64_t ParseDurationNs(std::string_view text) {
  struct Unit {
    std::string_view name;
    double ns;
  };
  constexpr Unit kUnits[] = {{"ns", 1},   {"us", 1e3},   {"ms", 1e6},   {"s", 1e9},
                             {"m", 6e10}, {"h", 3.6e12}, {"d", 8.64e13}};
  const auto unit_at = text.find_first_not_of("0123456789.");
  double number = 0;
  if (!ParseNumber(text.substr(0, unit_at), &number)) return -1;
  double scale = unit_at == std::string_view::npos ? 1e6 : 0;
  for (const Unit& unit : kUnits) {
    if (unit_at != std::string_view::npos && text.substr(unit_at) == unit.name) scale = unit.ns;
  }
  if (scale == 0 || number * scale > kMaxNs) return -1;
  return std::llround(number * scale);
}

bool ParseTimeNs(std::string_view text, std::int64_t now_ns, std::int64_t* out) {
  if (text.starts_with('-')) {
    const std::int64_t before = ParseDurationNs(text.substr(1));
    if (before < 0 || text.find_first_not_of("0123456789.", 1) == std::string_view::npos) return false;
    *out = now_ns - before;
    return true;
  }
  return ParseMs(text, out) || ParseRfc3339(text, out);
}

tl::expected<core::TraceQuery, ParamError> ParseTraceQuery(const Params& params, std::int64_t now_ns,
                                                           std::string_view extra) {
  core::TraceQuery query;
  for (const auto& [name, value] : params) {
    if (value.empty() || (!extra.empty() && name == extra)) continue;  // a form sends its empty fields
    if (params.count(name) > 1 && name != "tag") return tl::unexpected(ParamError{"given more than once", name});
    const SearchParam* param = std::find_if(std::begin(kSearchParams), std::end(kSearchParams),
                                            [&known = name](const SearchParam& each) { return each.name == known; });
    if (param == std::end(kSearchParams))
      return tl::unexpected(ParamError{"unknown parameter: " + Known(extra) + " are known", name});
    if (!param->apply(value, now_ns, &query))
      return tl::unexpected(ParamError{"must be " + std::string(param->allowed), name});
  }
  if (query.start_ns > query.end_ns) return tl::unexpected(ParamError{"start lies after end", "start"});
  if (query.min_duration_ns > query.max_duration_ns)
    return tl::unexpected(ParamError{"min_duration is more than max_duration", "min_duration"});
  return query;
}

}  // namespace spanwatch::http
