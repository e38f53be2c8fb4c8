#include "sidecar/http/overview_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "sidecar/http/router.h"
#include "tests/support/engine_driver.h"

namespace spanwatch::http {
namespace {

using core::kMb;
using core::kMs;
using core::kSecond;
using Json = nlohmann::json;
using ::testing::HasSubstr;

core::OperationOverview Operation(const std::string& service, const std::string& name, double p95_ns, double slow) {
  core::OperationOverview operation{service, name, core::SpanKind::kServer, {}, {}};
  core::WindowFigures& hour = operation.windows[2];
  hour.covered_ns = 600 * kSecond;
  hour.calls = 100;
  hour.errors = 25;
  hour.rate = 100.0 / 600;
  hour.error_rate = 0.25;
  hour.avg_ns = 1.5e6;
  hour.p95_ns = p95_ns;
  hour.slow_warning = slow;
  hour.memory_growth_bytes = 3.0 * kMb;
  hour.memory_largest_bytes = 2.0 * kMb;
  hour.memory_spans = 2;
  return operation;
}

core::OverviewView View() {
  core::OverviewView view;
  view.now_ns = core::kStart + 90 * kSecond;
  view.since_ns = core::kStart;
  view.all.trends = {core::Trend::kDegrading, core::Trend::kImproving, core::Trend::kStable};
  view.all.recent = {{core::kStart + 40 * kSecond, 50 * kSecond, 100, 10, 100 * 2e6},
                     {core::kStart - 20 * kSecond, 40 * kSecond, 0, 0, 0}};
  view.services = {{"bot", {}, {}, {{core::kStart + 40 * kSecond, 50 * kSecond, 50, 0, 0}}}, {"gemini", {}, {}, {}}};
  view.operations = {Operation("bot", "quick", 5e6, 0), Operation("gemini", "generate \xff", 6e9, 80)};
  view.folded_operations = 3;
  view.max_bytes = 4u << 20;
  return view;
}

core::HealthView Health() {
  core::HealthView health;
  core::ServiceHealth bot;
  bot.service = "bot";
  bot.status = core::HealthStatus::kWarning;
  bot.avg_duration_ns = 2.5e6;
  bot.error_rate = 0.125;
  bot.issues = {"12.5 % of its spans fail"};
  bot.recommendations = {"Look at GET /api/v1/errors."};
  health.services = {bot};
  health.services.push_back(bot);
  health.services[1].service = "gemini";
  return health;
}

TEST(OverviewJsonTest, KeysOfTheDesign) {
  const Json json = Json::parse(OverviewJson(View(), Health(), {}));
  EXPECT_EQ(json["serviceHealth"].size(), 2u);
  EXPECT_EQ(json["serviceHealth"][0], Json({{"serviceName", "bot"},
                                            {"status", "warning"},
                                            {"avgDuration", 2.5},
                                            {"errorRate", 0.125},
                                            {"issues", {"12.5 % of its spans fail"}},
                                            {"recommendations", {"Look at GET /api/v1/errors."}}}));
  EXPECT_EQ(json["trends"],
            Json({{"errorRateTrend", "degrading"}, {"responseTimeTrend", "improving"}, {"throughputTrend", "stable"}}));
  ASSERT_EQ(json["recentMetrics"].size(), 2u);
  EXPECT_EQ(json["recentMetrics"][0]["avgResponseTime"], 2.0);
  EXPECT_EQ(json["recentMetrics"][0]["errorRate"], 0.1);
  EXPECT_EQ(json["recentMetrics"][0]["throughput"], 2.0);
  EXPECT_EQ(json["recentMetrics"][0]["startTime"], (core::kStart + 40 * kSecond) / kMs);
  EXPECT_EQ(json["recentMetrics"][1]["avgResponseTime"], 0.0) << "no calls, no division";
  EXPECT_EQ(json["errorBound"], 0.01);
  EXPECT_EQ(json["since"], "2023-11-14T22:13:20.000Z");
  EXPECT_EQ(json["foldedOperations"], 3);
}

TEST(OverviewJsonTest, OperationsAndRankedLists) {
  const Json json = Json::parse(OverviewJson(View(), Health(), {}));
  ASSERT_EQ(json["operations"].size(), 2u);
  const Json& hour = json["operations"][0]["windows"]["60m"];
  EXPECT_EQ(json["operations"][0]["kind"], "server");
  EXPECT_EQ(hour["seconds"], 600.0);
  EXPECT_EQ(hour["calls"], 100.0);
  EXPECT_EQ(hour["errorRate"], 0.25);
  EXPECT_EQ(hour["avg"], 1.5);
  EXPECT_EQ(hour["p95"], 5.0);
  for (const char* key : {"rate", "p50", "p90", "p99", "errors", "slowWarning", "slowCritical", "timeouts"})
    EXPECT_TRUE(hour.contains(key)) << key;
  for (const char* window : {"1m", "5m"}) EXPECT_TRUE(json["operations"][0]["windows"].contains(window));
  EXPECT_EQ(json["slowestOperations"][0]["operation"], "generate \xEF\xBF\xBD") << "repaired";
  EXPECT_EQ(json["slowestOperations"][0]["p95"], 6000.0);
  ASSERT_EQ(json["frequentSlowOperations"].size(), 1u);
  EXPECT_EQ(json["frequentSlowOperations"][0]["slowShare"], 0.8);
  EXPECT_EQ(json["memoryGrowingOperations"][0]["memoryGrowthMB"], 3.0);
  EXPECT_EQ(json["memoryGrowingOperations"][0]["memoryLargestMB"], 2.0);
}

TEST(OverviewJsonTest, OneServiceAndALimit) {
  const Json gemini = Json::parse(OverviewJson(View(), Health(), {"gemini", 100}));
  EXPECT_EQ(gemini["services"].size(), 1u);
  EXPECT_EQ(gemini["serviceHealth"].size(), 1u);
  EXPECT_EQ(gemini["operations"].size(), 1u);
  EXPECT_EQ(gemini["slowestOperations"].size(), 1u);
  EXPECT_EQ(gemini["trends"]["errorRateTrend"], "stable") << "its own, not that of all";
  EXPECT_TRUE(gemini["recentMetrics"].empty());
  const Json nobody = Json::parse(OverviewJson(View(), Health(), {"nobody", 100}));
  EXPECT_TRUE(nobody["operations"].empty());
  const Json one = Json::parse(OverviewJson(View(), Health(), {"", 1}));
  EXPECT_EQ(one["operations"].size(), 1u);
  EXPECT_EQ(one["operationsTotal"], 2);
  EXPECT_EQ(one["slowestOperations"].size(), 2u) << "the limit is that of operations";
}

TEST(OverviewJsonTest, NothingYet) {
  const Json json = Json::parse(OverviewJson({}, {}, {}));
  EXPECT_EQ(json["since"], nullptr);
  EXPECT_TRUE(json["recentMetrics"].empty());
  EXPECT_EQ(json["trends"]["throughputTrend"], "stable");
  EXPECT_EQ(json["windows"]["60m"]["errorRate"], 0.0);
}

TEST(OverviewQueryTest, ParametersAreChecked) {
  EXPECT_EQ(ParseOverviewQuery({})->limit, 100u);
  EXPECT_EQ(ParseOverviewQuery({{"service", "bot"}, {"limit", "10000"}})->service, "bot");
  EXPECT_EQ(ParseOverviewQuery({{"service", ""}, {"limit", ""}})->limit, 100u);
  for (const char* bad : {"0", "10001", "-1", "1.5", "ten", "99999999999999999999", "5x"}) {
    const auto query = ParseOverviewQuery({{"limit", bad}});
    ASSERT_FALSE(query) << bad;
    EXPECT_EQ(query.error().field, "limit");
    EXPECT_THAT(query.error().error, HasSubstr("1 to 10000"));
  }
  const auto unknown = ParseOverviewQuery({{"window", "5m"}});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().field, "window");
  EXPECT_THAT(unknown.error().error, HasSubstr("service and limit"));
  EXPECT_FALSE(ParseOverviewQuery({{"service", "a"}, {"service", "b"}}));
}

class OverviewRouteTest : public ::testing::Test {
 protected:
  Response Get(const std::string& path, Params params = {}) {
    Hooks hooks;
    hooks.engine = &driver_.engine();
    Request request;
    request.method = "GET";
    request.path = path;
    request.params = std::move(params);
    request.host = "localhost";
    return Router({}, hooks).Handle(request);
  }
  core::EngineDriver driver_;
};

TEST_F(OverviewRouteTest, AnswersFromTheEngine) {
  driver_.Spans({{.trace = 1, .id = 1, .name = "messageCreate", .duration_ns = 2 * kSecond}});
  const Response response = Get("/api/v1/overview");
  EXPECT_EQ(response.status, 200);
  const Json json = Json::parse(response.body);
  EXPECT_EQ(json["operations"][0]["operation"], "messageCreate");
  EXPECT_EQ(json["windows"]["1m"]["calls"], 1.0);
  EXPECT_EQ(Get("/api/v1/overview", {{"nope", "1"}}).status, 400);
}

// What most calls of the last hour did is part of the analysis of one trace.
TEST_F(OverviewRouteTest, TheAnalysisKnowsTheLastHour) {
  std::vector<core::TestSpan> spans;
  for (std::uint64_t i = 1; i <= 10; ++i)
    spans.push_back({.trace = i, .id = 1, .name = "generate", .duration_ns = 3 * kSecond});
  driver_.Spans(std::move(spans));
  const Json json = Json::parse(Get("/api/v1/traces/0000000000abcdef0000000000000001/analysis").body);
  ASSERT_EQ(json["recommendations"].size(), 1u) << json.dump();
  EXPECT_EQ(json["recommendations"][0]["code"], "algorithm");
  EXPECT_THAT(std::string(json["recommendations"][0]["text"]), HasSubstr("10 calls in the last hour"));
}

}  // namespace
}  // namespace spanwatch::http
