// Points over time: contents, limits, hostile queries.
#include <gtest/gtest.h>

#include "sidecar/core/overview_view.h"
#include "tests/support/engine_driver.h"

namespace spanwatch::core {
namespace {

constexpr std::int64_t kNextMinute = kMinute - kStart % kMinute;

class OverviewSeriesTest : public ::testing::Test {
 protected:
  // `count` calls in minute 0, 1, ... after kNextMinute, 30 s into each.
  void Minutes(const std::vector<int>& counts, const std::string& service = "bot", const std::string& name = "op",
               std::int64_t duration_ns = 10 * kMs) {
    for (std::size_t minute = 0; minute < counts.size(); ++minute) {
      driver_.At(kNextMinute + static_cast<std::int64_t>(minute) * kMinute + 30 * kSecond);
      std::vector<TestSpan> spans;
      for (int i = 0; i < counts[minute]; ++i) {
        TestSpan span;
        span.trace = span.id = ++id_;
        span.service = service;
        span.name = name;
        span.duration_ns = duration_ns;
        span.failed = i % 2 == 1;
        span.kind = i % 4 == 0 ? SpanKind::kServer : SpanKind::kClient;
        spans.push_back(span);
      }
      driver_.Spans(std::move(spans));
    }
  }
  SeriesQuery Query(std::int64_t lookback, std::int64_t per) {
    SeriesQuery query;
    query.end_ns = driver_.now_ns();
    query.lookback_ns = lookback;
    query.per_ns = per;
    return query;
  }

  EngineDriver driver_;
  std::uint64_t id_ = 0;
};

TEST_F(OverviewSeriesTest, RatesAndErrorsByMinute) {
  Minutes({60, 120, 240});
  driver_.At(kNextMinute + 3 * kMinute);
  SeriesQuery query = Query(2 * kMinute, kMinute);
  const auto series = driver_.engine().GetSeries(query);
  ASSERT_EQ(series.size(), 1u);
  EXPECT_EQ(series[0].service, "bot");
  EXPECT_EQ(series[0].operation, "");
  ASSERT_EQ(series[0].points.size(), 3u);
  EXPECT_EQ(series[0].points[0].at_ns, kStart + kNextMinute + kMinute);
  EXPECT_DOUBLE_EQ(series[0].points[0].calls_per_s, 2) << "60 calls in the 30 s since the first";
  EXPECT_DOUBLE_EQ(series[0].points[1].calls_per_s, 2);
  EXPECT_DOUBLE_EQ(series[0].points[2].calls_per_s, 4);
  EXPECT_DOUBLE_EQ(series[0].points[2].errors_per_s, 2);
  EXPECT_NEAR(series[0].points[2].quantile_ns, 10e6, 1e5);
  query.per_ns = 2 * kMinute;
  EXPECT_DOUBLE_EQ(driver_.engine().GetSeries(query)[0].points[2].calls_per_s, 3);
  query.end_ns -= 30 * kSecond;
  query.per_ns = kMinute;
  EXPECT_DOUBLE_EQ(driver_.engine().GetSeries(query)[0].points.back().calls_per_s, 3) << "half of each minute";
}

TEST_F(OverviewSeriesTest, OldPointsRestOnFiveMinuteSlots) {
  Minutes(std::vector<int>(40, 12));
  driver_.At(kNextMinute + 40 * kMinute);
  SeriesQuery query = Query(30 * kMinute, 10 * kMinute);
  query.quantile = 0.5;
  const auto points = driver_.engine().GetSeries(query)[0].points;
  ASSERT_EQ(points.size(), 31u);
  for (const Series::Point& point : points) {
    EXPECT_NEAR(point.calls_per_s, 0.2, 0.02);
    EXPECT_NEAR(point.quantile_ns, 10e6, 1e5);
  }
}

TEST_F(OverviewSeriesTest, ServicesKindsOperations) {
  Minutes({4}, "bot", "b");
  Minutes({4, 4}, "bot", "a");
  Minutes({4}, "gemini", "c", kSecond);
  driver_.At(kNextMinute + 3 * kMinute);
  SeriesQuery query = Query(0, 10 * kMinute);
  EXPECT_EQ(driver_.engine().GetSeries(query).size(), 2u);
  query.by_operation = true;
  auto series = driver_.engine().GetSeries(query);
  ASSERT_EQ(series.size(), 3u);
  EXPECT_EQ(series[0].operation, "a");
  EXPECT_EQ(series[1].operation, "b");
  EXPECT_EQ(series[2].service, "gemini");
  query.services = {"gemini", "nobody"};
  series = driver_.engine().GetSeries(query);
  ASSERT_EQ(series.size(), 1u);
  EXPECT_NEAR(series[0].points[0].quantile_ns, 1e9, 1e7);
  const double both = series[0].points[0].calls_per_s;
  query.kinds = {SpanKind::kServer};
  EXPECT_DOUBLE_EQ(driver_.engine().GetSeries(query)[0].points[0].calls_per_s, both / 4);
  query.kinds = {SpanKind::kProducer};
  EXPECT_TRUE(driver_.engine().GetSeries(query).empty());
}

TEST_F(OverviewSeriesTest, PointsOfWhichNothingIsKnownAreLeftOut) {
  Minutes({10, 10, 10});
  SeriesQuery query = Query(24 * 60 * kMinute, kMinute);
  const auto points = driver_.engine().GetSeries(query)[0].points;
  EXPECT_EQ(points.size(), 2u) << "those after the first span";
  query.end_ns += 60 * kMinute;
  EXPECT_LE(driver_.engine().GetSeries(query)[0].points.back().at_ns, driver_.now_ns() + kMinute);
  query.end_ns = kStart - 60 * kMinute;
  EXPECT_TRUE(driver_.engine().GetSeries(query).empty());
}

TEST_F(OverviewSeriesTest, HostileQueriesAreBounded) {
  Minutes({10});
  for (const std::int64_t end : {INT64_MIN, INT64_MAX, std::int64_t{0}, driver_.now_ns()}) {
    for (const std::int64_t size : {INT64_MIN, INT64_MAX, std::int64_t{0}, std::int64_t{1}}) {
      SeriesQuery query;
      query.end_ns = end;
      query.lookback_ns = query.step_ns = query.per_ns = size;
      query.quantile = size < 0 ? -1 : 5;
      for (const Series& series : driver_.engine().GetSeries(query)) EXPECT_LE(series.points.size(), kMaxSeriesPoints);
    }
  }
}

}  // namespace
}  // namespace spanwatch::core
