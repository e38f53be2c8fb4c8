// GET /api/v1/services and /api/v1/dependencies, from an engine with known numbers.
#include "sidecar/http/health_json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "sidecar/http/router.h"
#include "tests/support/engine_driver.h"

namespace spanwatch::http {
namespace {

using core::kMs;
using core::kSecond;
using Json = nlohmann::json;

class HealthJson : public ::testing::Test {
 protected:
  HealthJson() { hooks_.engine = &driver_.engine(); }
  Response Get(const std::string& path, Params params = {}) {
    Request request;
    request.method = "GET";
    request.path = path;
    request.host = "localhost";
    request.params = std::move(params);
    return Router({}, hooks_).Handle(request);
  }
  Json GetJson(const std::string& path, Params params = {}) {
    const Response response = Get(path, std::move(params));
    EXPECT_EQ(response.status, 200) << response.body;
    return Json::parse(response.body);
  }
  void Fill() {
    std::vector<core::TestSpan> spans;
    for (std::uint64_t id = 1; id <= 200; ++id) {
      spans.push_back(
          {.trace = id, .id = 1, .service = "bot", .duration_ns = 30 * kMs, .kind = core::SpanKind::kClient});
      spans.push_back({.trace = id,
                       .id = 2,
                       .parent = 1,
                       .service = "gemini\xff",
                       .duration_ns = 7 * kMs,
                       .failed = id <= 46,
                       .kind = core::SpanKind::kServer});
    }
    driver_.Spans(spans);
    driver_.At(40 * kSecond);
  }

  core::EngineDriver driver_;
  Hooks hooks_;
};

TEST_F(HealthJson, AnEmptyEngine) {
  EXPECT_EQ(GetJson("/api/v1/services")["services"], Json::array());
  EXPECT_EQ(GetJson("/api/v1/services")["criticalServices"], 0);
  EXPECT_EQ(GetJson("/api/v1/dependencies")["dependencies"], Json::array());
}

TEST_F(HealthJson, Services) {
  Fill();
  const Json json = GetJson("/api/v1/services");
  EXPECT_EQ(json["now"], "2023-11-14T22:14:00.000Z");
  EXPECT_EQ(json["healthyServices"], 1);
  EXPECT_EQ(json["warningServices"], 0);
  EXPECT_EQ(json["criticalServices"], 1);
  const Json& gemini = json["services"][0];
  EXPECT_EQ(gemini["serviceName"], "gemini\xEF\xBF\xBD") << "invalid UTF-8 is repaired";
  EXPECT_EQ(gemini["status"], "critical");
  EXPECT_EQ(gemini["since"], "2023-11-14T22:13:30.000Z");
  EXPECT_EQ(gemini["spans"], 200.0);
  EXPECT_EQ(gemini["avgDuration"], 7.0);
  EXPECT_EQ(gemini["errorRate"], 0.23);
  EXPECT_EQ(gemini["slowRate"], 0.0);
  EXPECT_EQ(gemini["issues"], Json::array({"error rate 23 % over 5 min (46 of 200 spans), critical above 20 %"}));
  EXPECT_EQ(gemini["recommendations"].size(), 1u);
  EXPECT_EQ(json["services"][1]["serviceName"], "bot");
  EXPECT_EQ(json["services"][1]["issues"], Json::array());
}

TEST_F(HealthJson, ServicesOfOneStatus) {
  Fill();
  const Json json = GetJson("/api/v1/services", {{"status", "healthy"}});
  ASSERT_EQ(json["services"].size(), 1u);
  EXPECT_EQ(json["services"][0]["serviceName"], "bot");
  EXPECT_EQ(json["criticalServices"], 1) << "counts are of all";
}

TEST_F(HealthJson, Dependencies) {
  Fill();
  const Json json = GetJson("/api/v1/dependencies");
  ASSERT_EQ(json["dependencies"].size(), 1u);
  const Json& edge = json["dependencies"][0];
  EXPECT_EQ(edge["client"], "bot");
  EXPECT_EQ(edge["calls"], 200.0);
  EXPECT_EQ(edge["failed"], 46.0);
  EXPECT_EQ(edge["errorRate"], 0.23);
  EXPECT_EQ(edge["avgDuration"], 7.0);
  EXPECT_DOUBLE_EQ(edge["p95"], 7.9) << "within the bucket from 6 to 8 ms";
  EXPECT_EQ(edge["serverSide"]["avgDuration"], 7.0);
  EXPECT_EQ(edge["clientSide"]["avgDuration"], 30.0);
  EXPECT_EQ(edge["last5m"]["calls"], 200.0);
  EXPECT_EQ(edge["last60m"]["failed"], 46.0);
}

TEST_F(HealthJson, WrongParametersAreNamed) {
  for (const auto& [path, params, field] : std::vector<std::tuple<std::string, Params, std::string>>{
           {"/api/v1/services", {{"state", "x"}}, "state"},
           {"/api/v1/services", {{"status", "dead"}}, "status"},
           {"/api/v1/services", {{"status", "healthy"}, {"status", "healthy"}}, "status"},
           {"/api/v1/dependencies", {{"service", "bot"}}, "service"}}) {
    const Response response = Get(path, params);
    EXPECT_EQ(response.status, 400) << path;
    EXPECT_EQ(Json::parse(response.body)["field"], field) << response.body;
  }
}

TEST(HistogramQuantile, AtTheEdges) {
  core::DurationHistogram histogram;
  EXPECT_EQ(HistogramQuantileNs(histogram, 0.95), 0);
  histogram.buckets[0] = 10;  // up to 2 ms
  EXPECT_DOUBLE_EQ(HistogramQuantileNs(histogram, 0.5), 1e6);
  histogram.buckets[1] = 10;  // up to 4 ms
  EXPECT_DOUBLE_EQ(HistogramQuantileNs(histogram, 0.5), 2e6);
  EXPECT_DOUBLE_EQ(HistogramQuantileNs(histogram, 0.75), 3e6);
  histogram.buckets.back() = 1000;
  EXPECT_DOUBLE_EQ(HistogramQuantileNs(histogram, 0.99), 600e9) << "beyond the last bound";
}

}  // namespace
}  // namespace spanwatch::http
