#include "sidecar/http/params.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>

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

bool ApplyNumber(const std::string& name, const std::string& value, std::int64_t now_ns, core::TraceQuery* query) {
  if (name == "min_duration") {
    query->min_duration_ns = ParseDurationNs(value);
    return query->min_duration_ns >= 0;
  }
  if (name == "start") return ParseTimeNs(value, now_ns, &query->start_ns);
  if (name == "end") return ParseTimeNs(value, now_ns, &query->end_ns);
  double limit = 0;  // "limit"
  if (!ParseNumber(value, &limit) || limit != std::trunc(limit) || limit < 1 ||
      limit > static_cast<double>(kMaxTraceLimit)) {
    return false;
  }
  query->limit = static_cast<std::size_t>(limit);
  return true;
}

std::string Allowed(const std::string& name) {
  if (name == "min_duration") return "a duration with a unit (\"1.5s\", \"250ms\", \"2h\") or in ms";
  if (name == "limit") return "a whole number from 1 to " + std::to_string(kMaxTraceLimit);
  if (name == "status") return "\"error\" or \"success\"";
  return "ms since the epoch, RFC 3339 (\"2024-05-01T10:00:00Z\"), or a duration before now (\"-15m\")";
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

tl::expected<core::TraceQuery, ParamError> ParseTraceQuery(const Params& params, std::int64_t now_ns) {
  core::TraceQuery query;
  for (const auto& [name, value] : params) {
    if (value.empty()) continue;  // a form sends its empty fields
    if (params.count(name) > 1) return tl::unexpected(ParamError{"given more than once", name});
    if (name == "service") {
      query.service = value;
    } else if (name == "operation") {
      query.operation = value;
    } else if (name == "correlation_id") {
      query.correlation_id = value;
    } else if (name == "status") {
      if (value != "error" && value != "success") return tl::unexpected(ParamError{"must be " + Allowed(name), name});
      query.status = value == "error" ? core::TraceQuery::Status::kError : core::TraceQuery::Status::kSuccess;
    } else if (name == "min_duration" || name == "start" || name == "end" || name == "limit") {
      if (!ApplyNumber(name, value, now_ns, &query))
        return tl::unexpected(ParamError{"must be " + Allowed(name), name});
    } else {
      return tl::unexpected(ParamError{
          "unknown parameter: service, operation, correlation_id, min_duration, status, start, end and limit are known",
          name});
    }
  }
  if (query.start_ns > query.end_ns) return tl::unexpected(ParamError{"start lies after end", "start"});
  return query;
}

}  // namespace spanwatch::http
