#include "sidecar/config/canonical.h"

#include <nlohmann/json.hpp>

#include "sidecar/config/config.h"
#include "sidecar/config/matcher.h"
#include "sidecar/config/measures.h"
#include "sidecar/core/prices.h"
#include "sidecar/core/span_names.h"

namespace spanwatch::config {
namespace {

using Json = nlohmann::json;

constexpr int kVersion = 1;
constexpr std::size_t kMaxReloadBytes = 4u << 20;

Json PairsToJson(const std::vector<core::NameValue>& pairs) {
  Json list = Json::array();
  for (const core::NameValue& pair : pairs) list.push_back({pair.name, pair.value});
  return list;
}

std::vector<core::NameValue> PairsFromJson(const Json& list) {
  std::vector<core::NameValue> pairs;
  for (const Json& pair : list) pairs.push_back({pair.at(0).get<std::string>(), pair.at(1).get<std::string>()});
  return pairs;
}

core::RuleLabel LabelFromJson(const Json& name) {
  const std::optional<core::RuleLabel> label = FindLabel(name.get<std::string>());
  if (!label) throw std::invalid_argument("unknown label");
  return *label;
}

Json RuleToJson(const core::Rule& rule) {
  Json match = Json::array();
  for (const core::LabelMatcher& matcher : rule.match) {
    const auto* pattern = dynamic_cast<const PatternMatcher*>(matcher.pattern.get());
    match.push_back({matcher.label.Text(), pattern == nullptr ? std::string() : pattern->Pattern()});
  }
  Json by = Json::array();
  for (const core::RuleLabel& label : rule.by) by.push_back(label.Text());
  Json json = {{"group", rule.group},
               {"alert", rule.alert},
               {"measure", core::ToString(rule.measure)},
               {"match", std::move(match)},
               {"by", std::move(by)},
               {"direction", rule.direction == core::Direction::kAbove ? "above" : "below"},
               {"window_ns", rule.window_ns},
               {"short_window_ns", rule.short_window_ns},
               {"objective", rule.objective},
               {"slower_than_ns", rule.slower_than_ns},
               {"tag", rule.tag},
               {"min_count", rule.min_count},
               {"for_ns", rule.for_ns},
               {"keep_firing_for_ns", rule.keep_firing_for_ns},
               {"labels", PairsToJson(rule.labels)},
               {"annotations", PairsToJson(rule.annotations)}};
  if (rule.warning) json["warning"] = *rule.warning;
  if (rule.critical) json["critical"] = *rule.critical;
  return json;
}

// What the engine counts on, of measures with keys of their own.
void CheckSpecials(const core::Rule& rule) {
  const bool is_tag = rule.measure == core::Measure::kSpanTag;
  const bool is_burn = rule.measure == core::Measure::kSloBurnRate;
  const bool burn_fits = rule.objective > 0 && rule.objective < 1 && rule.slower_than_ns >= 0 &&
                         rule.short_window_ns > 0 && rule.short_window_ns < rule.window_ns;
  if (is_tag != IsTagName(rule.tag) || (is_burn && !burn_fits)) {
    throw std::invalid_argument("tag, objective or windows of rule " + rule.alert);
  }
}

core::Rule RuleFromJson(const Json& json) {
  core::Rule rule;
  rule.group = json.at("group").get<std::string>();
  rule.alert = json.at("alert").get<std::string>();
  const std::optional<core::Measure> measure = FindMeasure(json.at("measure").get<std::string>());
  if (!measure) throw std::invalid_argument("unknown measure");
  rule.measure = *measure;
  for (const Json& entry : json.at("match")) {
    auto matcher = MakeMatcher(entry.at(1).get<std::string>());
    if (!matcher) throw std::invalid_argument(matcher.error());
    rule.match.push_back({LabelFromJson(entry.at(0)), std::move(*matcher)});
  }
  for (const Json& name : json.at("by")) rule.by.push_back(LabelFromJson(name));
  rule.direction = json.at("direction") == "below" ? core::Direction::kBelow : core::Direction::kAbove;
  if (json.contains("warning")) rule.warning = json.at("warning").get<double>();
  if (json.contains("critical")) rule.critical = json.at("critical").get<double>();
  rule.window_ns = json.at("window_ns").get<std::int64_t>();
  if (json.contains("tag")) {  // older recordings have none
    json.at("short_window_ns").get_to(rule.short_window_ns);
    json.at("objective").get_to(rule.objective);
    json.at("slower_than_ns").get_to(rule.slower_than_ns);
    json.at("tag").get_to(rule.tag);
  }
  rule.min_count = json.at("min_count").get<std::uint64_t>();
  rule.for_ns = json.at("for_ns").get<std::int64_t>();
  rule.keep_firing_for_ns = json.at("keep_firing_for_ns").get<std::int64_t>();
  if (rule.window_ns < 0 || rule.for_ns < 0 || rule.keep_firing_for_ns < 0 || (!rule.warning && !rule.critical) ||
      (core::IsWindow(rule.measure) && !IsTimeless(rule.measure) && rule.window_ns == 0)) {
    throw std::invalid_argument("times or thresholds of rule " + rule.alert);
  }
  CheckSpecials(rule);
  rule.labels = PairsFromJson(json.at("labels"));
  rule.annotations = PairsFromJson(json.at("annotations"));
  rule.text = CanonicalText(rule);
  return rule;
}

Json ForwardToJson(const core::ForwardChoice& forward) {
  return {{"all", forward.all},
          {"slow", forward.slow},
          {"failed", forward.failed},
          {"alerted", forward.alerted},
          {"sample_ratio", forward.sample_ratio}};
}

core::ForwardChoice ForwardFromJson(const Json& json) {
  core::ForwardChoice forward;
  json.at("all").get_to(forward.all);
  json.at("slow").get_to(forward.slow);
  json.at("failed").get_to(forward.failed);
  json.at("alerted").get_to(forward.alerted);
  json.at("sample_ratio").get_to(forward.sample_ratio);
  if (!(forward.sample_ratio >= 0 && forward.sample_ratio <= 1)) throw std::invalid_argument("forward.sample_ratio");
  return forward;
}

Json PricesToJson(const core::Prices& prices) {
  Json list = Json::array();
  for (const core::Price& price : prices.list())
    list.push_back({price.model, price.from_ns, price.input, price.output, price.cached_input, price.cache_write});
  return list;
}

std::shared_ptr<const core::Prices> PricesFromJson(const Json& list) {
  if (list.size() > core::kMaxPrices) throw std::invalid_argument("too many prices");
  std::vector<core::Price> prices;
  for (const Json& entry : list) {
    core::Price& price = prices.emplace_back();
    entry.at(0).get_to(price.model);
    entry.at(1).get_to(price.from_ns);
    std::size_t at = 2;
    for (double* const amount : {&price.input, &price.output, &price.cached_input, &price.cache_write}) {
      entry.at(at++).get_to(*amount);
      if (!(*amount >= 0 && *amount <= core::kMaxPrice)) throw std::invalid_argument("price of " + price.model);
    }
    if (price.model.empty() || price.model.size() > core::kMaxModelBytes)
      throw std::invalid_argument("name of a model");
  }
  return std::make_shared<const core::Prices>(std::move(prices));
}

Json LimitsToJson(const core::Limits& limits) {
  return {{"max_traces", limits.max_traces},
          {"ttl_ns", limits.ttl_ns},
          {"memory_limit_bytes", limits.memory_limit_bytes},
          {"slow_warning_ns", limits.slow_warning_ns},
          {"slow_critical_ns", limits.slow_critical_ns},
          {"error_rate", {limits.error_rate_warning, limits.error_rate_critical}},
          {"memory_bytes", {limits.memory_warning_bytes, limits.memory_critical_bytes}},
          {"max_spans_per_trace", limits.max_spans_per_trace},
          {"max_series", limits.max_series},
          {"max_series_per_service", limits.max_series_per_service},
          {"series_idle_ns", limits.series_idle_ns},
          {"span_names", limits.span_names},
          {"max_incidents", limits.max_incidents},
          {"max_processes", limits.max_processes},
          {"update_interval_ns", limits.update_interval_ns},
          {"sample_rate", limits.sample_rate},
          {"forward", ForwardToJson(limits.forward)}};
}

void SeriesFromJson(const Json& json, core::Limits* limits) {
  json.at("max_series_per_service").get_to(limits->max_series_per_service);
  json.at("series_idle_ns").get_to(limits->series_idle_ns);
  json.at("span_names").get_to(limits->span_names);
  if (limits->series_idle_ns < 0 || limits->span_names.size() > core::kMaxSpanNames)
    throw std::invalid_argument("limits of series");
  for (const std::string& name : limits->span_names) {
    if (!core::SpanNames::Problem(name).empty()) throw std::invalid_argument("span_names");
  }
}

core::Limits LimitsFromJson(const Json& json) {
  core::Limits limits;
  json.at("max_traces").get_to(limits.max_traces);
  json.at("ttl_ns").get_to(limits.ttl_ns);
  json.at("memory_limit_bytes").get_to(limits.memory_limit_bytes);
  json.at("slow_warning_ns").get_to(limits.slow_warning_ns);
  json.at("slow_critical_ns").get_to(limits.slow_critical_ns);
  if (json.contains("error_rate")) {  // older recordings have none
    json.at("error_rate").at(0).get_to(limits.error_rate_warning);
    json.at("error_rate").at(1).get_to(limits.error_rate_critical);
    json.at("memory_bytes").at(0).get_to(limits.memory_warning_bytes);
    json.at("memory_bytes").at(1).get_to(limits.memory_critical_bytes);
  }
  json.at("max_spans_per_trace").get_to(limits.max_spans_per_trace);
  json.at("max_series").get_to(limits.max_series);
  json.at("max_incidents").get_to(limits.max_incidents);
  json.at("max_processes").get_to(limits.max_processes);
  json.at("update_interval_ns").get_to(limits.update_interval_ns);
  json.at("sample_rate").get_to(limits.sample_rate);
  if (json.contains("span_names")) SeriesFromJson(json, &limits);                      // older recordings have none
  if (json.contains("forward")) limits.forward = ForwardFromJson(json.at("forward"));  // older recordings have none
  if (limits.max_traces == 0 || limits.ttl_ns <= 0 || limits.memory_limit_bytes == 0 || limits.update_interval_ns < 0) {
    throw std::invalid_argument("limits out of range");
  }
  return limits;
}

}  // namespace

std::string CanonicalText(const core::Rule& rule) {
  return RuleToJson(rule).dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string MakeReload(const Config& config) {
  Json rules = Json::array();
  for (const core::Rule& rule : config.rules->rules) rules.push_back(RuleToJson(rule));
  Json json = {{"version", kVersion}, {"limits", LimitsToJson(config.limits)}, {"rules", std::move(rules)}};
  if (config.limits.prices != nullptr) json["prices"] = PricesToJson(*config.limits.prices);
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

tl::expected<Reload, std::string> ParseReload(std::string_view bytes) {
  if (bytes.size() > kMaxReloadBytes) return tl::make_unexpected("reload record: larger than 4 MiB");
  try {
    const Json json = Json::parse(bytes);
    if (json.at("version") != kVersion) return tl::make_unexpected("reload record: made by another version");
    auto rules = std::make_shared<core::RuleSet>();
    for (const Json& rule : json.at("rules")) rules->rules.push_back(RuleFromJson(rule));
    if (rules->rules.size() > core::kMaxRules) return tl::make_unexpected("reload record: too many rules");
    core::Limits limits = LimitsFromJson(json.at("limits"));
    if (json.contains("prices")) limits.prices = PricesFromJson(json.at("prices"));  // older recordings have none
    return Reload{std::move(rules), std::make_shared<core::Limits>(std::move(limits))};
  } catch (const std::exception& error) {
    return tl::make_unexpected(std::string("reload record: ") + error.what());
  }
}

}  // namespace spanwatch::config
