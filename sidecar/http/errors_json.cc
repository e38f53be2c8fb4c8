#include "sidecar/http/errors_json.h"

#include <charconv>
#include <nlohmann/json.hpp>

#include "sidecar/http/text.h"

namespace spanwatch::http {
namespace {

using Json = nlohmann::ordered_json;

Json GroupJson(const core::ErrorsView& view, const core::ErrorGroupView& group) {
  Json traces = Json::array(), together = Json::array();
  for (const TraceId& id : group.traces) traces.push_back(id.ToHex());
  for (const auto& each : group.together) {
    const core::ErrorGroupView& other = view.groups[each.group];
    together.push_back({{"type", other.type},
                        {"service", other.service},
                        {"operation", other.operation},
                        {"message", other.message},
                        {"count", each.count},
                        {"share", static_cast<double>(each.count) / static_cast<double>(group.traces_seen)}});
  }
  return {{"type", group.type},
          {"service", group.service},
          {"operation", group.operation},
          {"message", group.message},
          {"example", group.example},
          {"count", group.count},
          {"judgedCount", group.judged},
          {"rootCauseCount", group.root_causes},
          {"perMinute", group.per_minute},
          {"trend", ToString(group.trend)},
          {"firstSeen", TimeText(group.first_seen_ns)},
          {"lastSeen", TimeText(group.last_seen_ns)},
          {"traces", std::move(traces)},
          {"traceCount", group.traces_seen},
          {"together", std::move(together)}};
}

bool Matches(const core::ErrorGroupView& group, const ErrorsQuery& query) {
  return (!query.service || group.service == *query.service) &&
         (!query.operation || group.operation == *query.operation) && (!query.type || group.type == *query.type) &&
         group.last_seen_ns >= query.since_ns;
}

bool ParseLimit(const std::string& value, std::size_t* limit) {
  const auto result = std::from_chars(value.data(), value.data() + value.size(), *limit);
  return result.ec == std::errc() && result.ptr == value.data() + value.size() && *limit >= 1 &&
         *limit <= kMaxErrorLimit;
}

}  // namespace

tl::expected<ErrorsQuery, ParamError> ParseErrorsQuery(const Params& params, std::int64_t now_ns) {
  ErrorsQuery query;
  for (const auto& [name, value] : params) {
    const bool text = name == "service" || name == "operation" || name == "type";
    if (!text && name != "since" && name != "limit")
      return tl::unexpected(ParamError{"unknown parameter: service, operation, type, since and limit are known", name});
    if (params.count(name) > 1) return tl::unexpected(ParamError{"given more than once", name});
    if (value.empty()) continue;  // a form sends its empty fields
    if (text) (name == "service" ? query.service : name == "operation" ? query.operation : query.type) = value;
    if (name == "since" && !ParseTimeNs(value, now_ns, &query.since_ns)) {
      return tl::unexpected(ParamError{
          "must be ms since the epoch, RFC 3339 (\"2024-05-01T10:00:00Z\"), or a duration before now (\"-15m\")",
          name});
    }
    if (name == "limit" && !ParseLimit(value, &query.limit)) {
      return tl::unexpected(ParamError{"must be a whole number from 1 to " + std::to_string(kMaxErrorLimit), name});
    }
  }
  return query;
}

std::string ErrorsJson(const core::ErrorsView& view, const ErrorsQuery& query) {
  Json errors = Json::array();
  std::size_t matched = 0;
  for (const core::ErrorGroupView& group : view.groups) {
    if (Matches(group, query) && ++matched <= query.limit) errors.push_back(GroupJson(view, group));
  }
  const Json json = {{"errors", std::move(errors)},
                     {"matched", matched},
                     {"groups", view.groups.size()},
                     {"total", view.total},
                     {"forgottenGroups", view.forgotten_groups},
                     {"forgottenErrors", view.forgotten_errors},
                     {"since", view.since_ns > 0 ? Json(TimeText(view.since_ns)) : Json(nullptr)},
                     {"now", TimeText(view.now_ns)}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace spanwatch::http
