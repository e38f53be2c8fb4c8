// Health of services and the service graph on /metrics.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sidecar/metrics/families.h"
#include "tests/support/engine_driver.h"
#include "tests/unit/metrics/promtool.h"

namespace spanwatch::metrics {
namespace {

using core::EngineDriver;
using core::kMs;
using core::kSecond;
using core::TestSpan;
using ::testing::HasSubstr;
using ::testing::Not;

std::vector<TestSpan> Call(std::uint64_t trace, bool failed, double weight = 1) {
  return {{.trace = trace,
           .id = 1,
           .service = "bot",
           .duration_ns = 30 * kMs,
           .kind = core::SpanKind::kClient,
           .weight = weight},
          {.trace = trace,
           .id = 2,
           .parent = 1,
           .service = "api",
           .duration_ns = 7 * kMs,
           .failed = failed,
           .kind = core::SpanKind::kServer,
           .weight = weight}};
}

std::string Render(EngineDriver* driver, bool milliseconds = false) {
  Writer writer(Format::kText, 0);
  WriteHealth(driver->engine().GetHealth(), &writer);
  WriteDependencies(driver->engine().GetDependencies(), milliseconds, &writer);
  return writer.Finish();
}

TEST(ServiceFamilies, HealthIsANumberAndACount) {
  EngineDriver driver;
  EXPECT_THAT(Render(&driver), HasSubstr("spanwatch_services{status=\"critical\"} 0\n"));
  std::vector<TestSpan> spans;
  for (std::uint64_t id = 1; id <= 100; ++id) {
    for (const auto& [service, failed] : {std::pair{"well", 10u}, {"ill", 20u}, {"bad", 21u}})
      spans.push_back({.trace = id, .id = spans.size() + 1, .service = service, .failed = id <= failed});
  }
  driver.Spans(spans);
  driver.At(10 * kSecond);
  const std::string text = Render(&driver);
  EXPECT_THAT(text, HasSubstr("spanwatch_services{status=\"healthy\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("spanwatch_services{status=\"warning\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("spanwatch_services{status=\"critical\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("spanwatch_service_health{service_name=\"well\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("spanwatch_service_health{service_name=\"ill\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("spanwatch_service_health{service_name=\"bad\"} 2\n"));
}

TEST(ServiceFamilies, ServiceGraph) {
  EngineDriver driver;
  driver.Spans(Call(1, false));
  driver.Spans(Call(2, true));
  driver.At(40 * kSecond);
  const std::string text = Render(&driver);
  EXPECT_THAT(text, HasSubstr("traces_service_graph_request_total{client=\"bot\",server=\"api\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("traces_service_graph_request_failed_total{client=\"bot\",server=\"api\"} 1\n"));
  EXPECT_THAT(
      text,
      HasSubstr("traces_service_graph_request_server_seconds_bucket{client=\"bot\",server=\"api\",le=\"0.008\"} 2"));
  EXPECT_THAT(text,
              HasSubstr("traces_service_graph_request_server_seconds_sum{client=\"bot\",server=\"api\"} 0.014\n"));
  EXPECT_THAT(text, HasSubstr("traces_service_graph_request_client_seconds_sum{client=\"bot\",server=\"api\"} 0.06"));
  EXPECT_THAT(text, HasSubstr("traces_service_graph_request_client_seconds_count{client=\"bot\",server=\"api\"} 2\n"));
  const std::string other = Render(&driver, true);
  EXPECT_THAT(other,
              HasSubstr("traces_service_graph_request_server_milliseconds_sum{client=\"bot\",server=\"api\"} 14\n"));
  EXPECT_THAT(other, Not(HasSubstr("_seconds_")));
}

TEST(ServiceFamilies, TheGraphBeginsAtTheMark) {
  EngineDriver driver;
  driver.Spans(Call(1, true));
  driver.At(40 * kSecond);
  driver.engine().MarkStart();
  EXPECT_THAT(Render(&driver), HasSubstr("traces_service_graph_request_total{client=\"bot\",server=\"api\"} 0\n"));
  driver.Spans(Call(2, true, 4));
  driver.At(80 * kSecond);
  const std::string text = Render(&driver);
  EXPECT_THAT(text, HasSubstr("traces_service_graph_request_total{client=\"bot\",server=\"api\"} 4\n"));
  EXPECT_THAT(text, HasSubstr("traces_service_graph_request_failed_total{client=\"bot\",server=\"api\"} 4\n"));
}

TEST(ServiceFamilies, PromtoolHasNothingToSay) {
  if (!HavePromtool()) GTEST_SKIP() << "no promtool";
  EngineDriver driver;
  driver.Spans(Call(1, true));
  driver.At(40 * kSecond);
  EXPECT_EQ(CheckMetrics(Render(&driver)), "");
}

}  // namespace
}  // namespace spanwatch::metrics
