#include "sidecar/http/api_json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace spanwatch::http {
namespace {

using Json = nlohmann::json;

core::SpanCopy::Attribute Attribute(std::string key, core::AttributeType type, std::int64_t integer, double number,
                                    std::string text) {
  return {std::move(key), type, integer, number, std::move(text)};
}

TEST(ApiJsonTest, Errors) {
  EXPECT_EQ(Json::parse(ErrorJson("no \"such\"", "limit")), Json({{"error", "no \"such\""}, {"field", "limit"}}));
  EXPECT_EQ(Json::parse(ErrorJson("x", "")), Json({{"error", "x"}}));
}

TEST(ApiJsonTest, StatsHaveTheTermsOfTheEquation) {
  core::StatsView stats;
  stats.store.traces = 4;
  stats.store.spans = 10;
  stats.store.bytes = 3 << 19;
  stats.emitted = 100;
  stats.applied = 90;
  stats.sampled_out = 4;
  stats.lost = {{"buffer_full", 5}, {"died", 1}};
  core::ProcessView process;
  process.id = "01234567";
  process.service = "bot";
  process.state = "alive";
  process.emitted = 100;
  process.applied = 90;
  process.sampled_out = 4;
  process.lost = stats.lost;
  stats.processes = {process};
  stats.services = {{"bot", 10, 1, 5e9, 2, 1}};
  const Json json = Json::parse(StatsJson(stats, {}));
  EXPECT_EQ(json["totalTraces"], 4);
  EXPECT_EQ(json["avgSpansPerTrace"], 2.5);
  EXPECT_EQ(json["memoryUsageMB"], 1.5);
  for (const Json& ledger : {json["losses"], json["processes"][0]}) {
    std::uint64_t lost = 0;
    for (const auto& [reason, count] : ledger["lost"].items()) lost += count.get<std::uint64_t>();
    EXPECT_EQ(ledger["emitted"].get<std::uint64_t>(),
              ledger["applied"].get<std::uint64_t>() + ledger["sampledOut"].get<std::uint64_t>() + lost);
  }
  EXPECT_EQ(json["losses"]["total"], 6);
  EXPECT_EQ(json["services"][0]["errorRate"], 0.1);
  EXPECT_EQ(json["services"][0]["avgDuration"], 500.0);
}

TEST(ApiJsonTest, AnEmptyStoreDividesByNothing) {
  const Json json = Json::parse(StatsJson({}, {}));
  EXPECT_EQ(json["avgSpansPerTrace"], 0.0);
  EXPECT_EQ(json["startedAt"], nullptr);
  EXPECT_TRUE(json["losses"]["lost"].is_object());
}

TEST(ApiJsonTest, TraceWithEveryKindOfValue) {
  core::TraceCopy trace;
  trace.summary.trace_id = {0xAB, 1};
  trace.summary.start_ns = 1'000'000'000;
  core::SpanCopy span;
  span.span_id = {0xCD};
  span.start_ns = 1'002'500'000;
  span.end_ns = 1'003'000'000;
  span.name = "bad utf8 \xFF";
  span.status = core::StatusCode::kError;
  using core::AttributeType;
  span.attributes = {
      Attribute("string", AttributeType::kString, 0, 0, "a\"b"),
      Attribute("bool", AttributeType::kBool, 1, 0, ""),
      Attribute("small", AttributeType::kInt, -5, 0, ""),
      Attribute("big", AttributeType::kInt, INT64_MIN, 0, ""),
      Attribute("double", AttributeType::kDouble, 0, 0.5, ""),
      Attribute("bytes", AttributeType::kBytes, 0, 0, "\xff\xfe"),
      Attribute("array", AttributeType::kJson, 0, 0, "[1,{\"a\":null}]"),
      Attribute("broken", AttributeType::kJson, 0, 0, "[1,"),
      Attribute("deep", AttributeType::kJson, 0, 0, std::string(100'000, '[') + std::string(100'000, ']')),
      Attribute("empty", AttributeType::kEmpty, 0, 0, "")};
  core::SpanCopy::Event event;
  event.time_ns = 1'002'600'000;
  event.name = "exception";
  span.events = {event};
  span.links = {{{1, 2}, {3}}};
  trace.spans = {span};
  const Json json = Json::parse(TraceJson(trace));
  EXPECT_EQ(json["traceId"], "00000000000000ab0000000000000001");
  const Json& out = json["spans"][0];
  EXPECT_EQ(out["spanId"], "00000000000000cd");
  EXPECT_EQ(out["parentSpanId"], nullptr);
  EXPECT_EQ(out["operationName"], "bad utf8 \xEF\xBF\xBD");
  EXPECT_EQ(out["startTime"], 1002.5);
  EXPECT_EQ(out["startTimeUnixNano"], "1002500000");
  EXPECT_EQ(out["offset"], 2.5);
  EXPECT_EQ(out["duration"], 0.5);
  EXPECT_EQ(out["status"], "error");
  EXPECT_EQ(out["tags"]["string"], "a\"b");
  EXPECT_EQ(out["tags"]["bool"], true);
  EXPECT_EQ(out["tags"]["small"], -5);
  EXPECT_EQ(out["tags"]["big"], "-9223372036854775808");
  EXPECT_EQ(out["tags"]["double"], 0.5);
  EXPECT_EQ(out["tags"]["bytes"], "//4=");
  EXPECT_EQ(out["tags"]["array"], Json::parse("[1,{\"a\":null}]"));
  EXPECT_EQ(out["tags"]["broken"], "[1,");
  EXPECT_TRUE(out["tags"]["deep"].is_string());
  EXPECT_EQ(out["tags"]["empty"], nullptr);
  EXPECT_EQ(out["logs"][0]["message"], "exception");
  EXPECT_EQ(out["links"][0]["spanId"], "0000000000000003");
}

TEST(ApiJsonTest, TimesAreNotBlurred) {
  core::TraceSummary trace;
  trace.start_ns = 1'700'000'000'010'000'000;
  EXPECT_EQ(Json::parse(TracesJson({trace}, {}, 1))["traces"][0]["startTime"].dump(), "1700000000010.0");
}

TEST(ApiJsonTest, AlertsHavePrometheusEnvelope) {
  core::Incident firing;
  firing.alertname = "SlowOperation";
  firing.labels = {{"service", "bot"}, {"operation", "x"}};
  firing.annotations = {{"summary", "x took 6 s"}};
  firing.state = core::AlertState::kFiring;
  firing.severity = firing.peak_severity = core::Severity::kCritical;
  firing.unit = core::Unit::kNanoseconds;
  firing.value = 6e9;
  firing.threshold = 5e9;
  firing.active_at_ns = 1'000'000'000;
  firing.worst_trace = {1, 2};
  core::Incident resolved = firing;
  resolved.state = core::AlertState::kResolved;
  resolved.severity = core::Severity::kNone;
  const Json json = Json::parse(AlertsJson({firing, resolved}, ""));
  EXPECT_EQ(json["status"], "success");
  ASSERT_EQ(json["data"]["alerts"].size(), 2u);
  const Json& alert = json["data"]["alerts"][0];
  EXPECT_EQ(alert["labels"],
            Json({{"alertname", "SlowOperation"}, {"service", "bot"}, {"operation", "x"}, {"severity", "critical"}}));
  EXPECT_EQ(alert["state"], "firing");
  EXPECT_EQ(alert["activeAt"], "1970-01-01T00:00:01.000Z");
  EXPECT_TRUE(alert["value"].is_string());
  EXPECT_EQ(std::stod(alert["value"].get<std::string>()), 6000);  // ms
  EXPECT_EQ(alert["threshold"], 5000.0);
  EXPECT_EQ(alert["worstTrace"]["traceId"], "00000000000000010000000000000002");
  EXPECT_EQ(json["data"]["alerts"][1]["labels"]["severity"], "critical");
  EXPECT_EQ(Json::parse(AlertsJson({firing, resolved}, "resolved"))["data"]["alerts"].size(), 1u);
}

TEST(ApiJsonTest, RulesAreGroupedAndShowTheirAlerts) {
  core::RuleSet rules;
  for (const char* group : {"a", "a", "b"}) {
    core::Rule rule;
    rule.group = group;
    rule.alert = "Alert" + std::to_string(rules.rules.size());
    rule.warning = 1e9;
    rules.rules.push_back(rule);
  }
  core::Incident incident;
  incident.alertname = "Alert1";
  incident.rule_group = "a";
  incident.state = core::AlertState::kFiring;
  const Json groups = Json::parse(RulesJson(rules, {incident}))["data"]["groups"];
  ASSERT_EQ(groups.size(), 2u);
  EXPECT_EQ(groups[0]["rules"].size(), 2u);
  EXPECT_EQ(groups[0]["rules"][0]["state"], "inactive");
  EXPECT_EQ(groups[0]["rules"][1]["state"], "firing");
  EXPECT_EQ(groups[0]["rules"][1]["alerts"].size(), 1u);
  EXPECT_EQ(groups[0]["rules"][0]["thresholds"]["warning"], 1000.0);
  EXPECT_EQ(groups[0]["rules"][0]["thresholds"]["critical"], nullptr);
  EXPECT_EQ(groups[0]["rules"][0]["health"], "ok");
  EXPECT_EQ(groups[0]["rules"][0]["lastError"], "");
  EXPECT_EQ(groups[0]["rules"][0]["lastEvaluation"], nullptr);
}

TEST(ApiJson, ARuleThatFailedSaysSoAndWhy) {
  core::RuleSet rules;
  rules.rules.resize(2);
  rules.rules[0].alert = "Fine";
  rules.rules[1].alert = "Wide";
  std::vector<core::RuleStatus> status(2);
  status[0].alert = "Fine";
  status[1].alert = "Wide";
  status[1].ok = false;
  status[1].last_error = "too many groups";
  status[1].evaluations = 7;
  status[1].dropped_groups = 3;
  status[1].last_evaluation_ns = 1'714'557'608'000'000'000;
  const Json shown = Json::parse(RulesJson(rules, {}, status))["data"]["groups"][0]["rules"];
  EXPECT_EQ(shown[0]["health"], "ok");
  EXPECT_EQ(shown[1]["health"], "err");
  EXPECT_EQ(shown[1]["lastError"], "too many groups");
  EXPECT_EQ(shown[1]["evaluations"], 7);
  EXPECT_EQ(shown[1]["droppedGroups"], 3);
  EXPECT_EQ(shown[1]["lastEvaluation"], "2024-05-01T10:00:08.000Z");
  std::swap(status[0], status[1]);
  EXPECT_EQ(Json::parse(RulesJson(rules, {}, status))["data"]["groups"][0]["rules"][0]["health"], "ok")
      << "that of another rule says nothing";
}

}  // namespace
}  // namespace spanwatch::http
