// The trend rule at its edges: each margin and each guard alone keeps a figure stable.
#include "sidecar/core/overview_trend.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace spanwatch::core {
namespace {

constexpr double kMs = 1e6;

Sketch Durations(std::initializer_list<std::pair<double, int>> ms_and_count) {
  Sketch sketch;
  for (const auto& [ms, count] : ms_and_count) sketch.Add(sketch::BucketOf(std::llround(ms * kMs)), count);
  return sketch;
}

TEST(ErrorTrendTest, MoreFailuresAreDegradingFewerAreImproving) {
  EXPECT_EQ(ErrorTrend({100, 20, 100}, {1000, 20, 1000}), Trend::kDegrading);
  EXPECT_EQ(ErrorTrend({100, 0, 100}, {1000, 200, 1000}), Trend::kImproving);
  EXPECT_EQ(ErrorTrend({100, 2, 100}, {1000, 20, 1000}), Trend::kStable);
  EXPECT_EQ(ErrorTrend({100, 0, 100}, {1000, 0, 1000}), Trend::kStable);
  EXPECT_EQ(ErrorTrend({100, 100, 100}, {1000, 1000, 1000}), Trend::kStable) << "all fail, as ever";
}

TEST(ErrorTrendTest, TooFewCallsAreStable) {
  EXPECT_EQ(ErrorTrend({20, 10, 20}, {50, 0, 50}), Trend::kDegrading);
  EXPECT_EQ(ErrorTrend({20, 10, 19.9}, {50, 0, 50}), Trend::kStable);
  EXPECT_EQ(ErrorTrend({20, 10, 20}, {50, 0, 49.9}), Trend::kStable);
  EXPECT_EQ(ErrorTrend({}, {}), Trend::kStable);
}

TEST(ErrorTrendTest, TooFewErrorsAreStable) {
  EXPECT_EQ(ErrorTrend({40, 5, 40}, {1000, 0, 1000}), Trend::kDegrading);
  EXPECT_EQ(ErrorTrend({40, 4, 40}, {1000, 0, 1000}), Trend::kStable);
}

TEST(ErrorTrendTest, MarginsHoldHoweverManyCallsThereAre) {
  // Half a percentage point.
  EXPECT_EQ(ErrorTrend({1e6, 5'100, 1e6}, {1e7, 0, 1e7}), Trend::kDegrading);
  EXPECT_EQ(ErrorTrend({1e6, 4'900, 1e6}, {1e7, 0, 1e7}), Trend::kStable);
  // A quarter of the past rate.
  EXPECT_EQ(ErrorTrend({1e6, 251'000, 1e6}, {1e7, 2e6, 1e7}), Trend::kDegrading);
  EXPECT_EQ(ErrorTrend({1e6, 249'000, 1e6}, {1e7, 2e6, 1e7}), Trend::kStable);
  EXPECT_EQ(ErrorTrend({1e6, 149'000, 1e6}, {1e7, 2e6, 1e7}), Trend::kImproving);
  EXPECT_EQ(ErrorTrend({1e6, 151'000, 1e6}, {1e7, 2e6, 1e7}), Trend::kStable);
}

TEST(ErrorTrendTest, ThreeStandardErrorsAreNeeded) {
  // 10 % against 5 %: z is 2.6 with 200 and 1,000 calls, 3.7 with twice as many.
  EXPECT_EQ(ErrorTrend({200, 19, 200}, {1000, 50, 1000}), Trend::kStable);
  EXPECT_EQ(ErrorTrend({400, 38, 400}, {2000, 100, 2000}), Trend::kDegrading);
  EXPECT_EQ(ErrorTrend({400, 38, 40}, {2000, 100, 200}), Trend::kStable) << "sampled: one call stands for ten";
}

TEST(TimeTrendTest, MediansThatMove) {
  const Sketch past = Durations({{100, 100}, {110, 100}, {90, 100}});
  EXPECT_EQ(TimeTrend(Durations({{150, 30}, {160, 30}}), 60, past, 300), Trend::kDegrading);
  EXPECT_EQ(TimeTrend(Durations({{50, 30}, {60, 30}}), 60, past, 300), Trend::kImproving);
  EXPECT_EQ(TimeTrend(Durations({{90, 20}, {100, 20}, {110, 20}}), 60, past, 300), Trend::kStable);
  EXPECT_EQ(TimeTrend(Durations({{150, 60}}), 19, past, 300), Trend::kStable) << "too few calls";
  EXPECT_EQ(TimeTrend(Durations({{150, 60}}), 60, past, 49), Trend::kStable) << "too little past";
  EXPECT_EQ(TimeTrend({}, 0, past, 300), Trend::kStable);
}

TEST(TimeTrendTest, Margins) {
  EXPECT_EQ(TimeTrend(Durations({{115, 1000}}), 1000, Durations({{100, 1000}}), 1000), Trend::kDegrading);
  EXPECT_EQ(TimeTrend(Durations({{107, 1000}}), 1000, Durations({{100, 1000}}), 1000), Trend::kStable) << "under 10 %";
  EXPECT_EQ(TimeTrend(Durations({{3.1, 1000}}), 1000, Durations({{2, 1000}}), 1000), Trend::kDegrading);
  EXPECT_EQ(TimeTrend(Durations({{2.9, 1000}}), 1000, Durations({{2, 1000}}), 1000), Trend::kStable) << "under 1 ms";
}

TEST(TimeTrendTest, TheRankTestGuards) {
  // The median jumps from 100 to 200 ms, but both halves were there before and the mix is nearly the same.
  const Sketch past = Durations({{100, 52}, {200, 48}});
  const Sketch recent = Durations({{100, 48}, {200, 52}});
  EXPECT_EQ(TimeTrend(recent, 100, past, 100), Trend::kStable);
  // The same shares of very many calls are no chance.
  EXPECT_EQ(TimeTrend(recent, 100'000, past, 100'000), Trend::kDegrading);
}

std::vector<double> Minutes(std::size_t count, double calls, double swing) {
  std::vector<double> minutes;
  for (std::size_t i = 0; i < count; ++i) minutes.push_back(calls + (i % 2 == 0 ? swing : -swing));
  return minutes;
}

TEST(ThroughputTrendTest, RisingIsImproving) {
  const std::vector<double> past = Minutes(50, 100, 5);
  EXPECT_EQ(ThroughputTrend(std::vector<double>(5, 150), past, 100), Trend::kImproving);
  EXPECT_EQ(ThroughputTrend(std::vector<double>(5, 50), past, 100), Trend::kDegrading);
  EXPECT_EQ(ThroughputTrend(std::vector<double>(5, 0), past, 100), Trend::kDegrading) << "nobody calls any more";
  EXPECT_EQ(ThroughputTrend(std::vector<double>(5, 100), past, 100), Trend::kStable);
}

TEST(ThroughputTrendTest, MarginsAndGuards) {
  const std::vector<double> five(5, 1e6 * 1.21);
  EXPECT_EQ(ThroughputTrend(five, Minutes(50, 1e6, 0), 1e6), Trend::kImproving);
  EXPECT_EQ(ThroughputTrend(std::vector<double>(5, 1e6 * 1.19), Minutes(50, 1e6, 0), 1e6), Trend::kStable) << "20 %";
  EXPECT_EQ(ThroughputTrend(std::vector<double>(5, 2.1), Minutes(50, 1, 0), 0), Trend::kImproving);
  EXPECT_EQ(ThroughputTrend(std::vector<double>(5, 1.9), Minutes(50, 1, 0), 0), Trend::kStable) << "1 a minute";
  EXPECT_EQ(ThroughputTrend(std::vector<double>(4, 1e7), Minutes(50, 1e6, 0), 1e6), Trend::kStable) << "recent minutes";
  EXPECT_EQ(ThroughputTrend(five, Minutes(15, 1e6, 0), 1e6), Trend::kImproving);
  EXPECT_EQ(ThroughputTrend(five, Minutes(14, 1e6, 0), 1e6), Trend::kStable) << "past minutes";
  EXPECT_EQ(ThroughputTrend(std::vector<double>(5, 100), Minutes(49, 1, 0), 1), Trend::kStable) << "49 past calls";
  // Minutes that differ by half from each other say nothing about 30 % more; so does chance.
  EXPECT_EQ(ThroughputTrend(std::vector<double>(5, 130), Minutes(50, 100, 50), 100), Trend::kStable);
  EXPECT_EQ(ThroughputTrend(std::vector<double>(5, 130), Minutes(50, 100, 2), 100), Trend::kImproving);
  EXPECT_EQ(ThroughputTrend(std::vector<double>(5, 130), Minutes(50, 100, 2), 100 * 10), Trend::kStable);
}

TEST(TrendTest, NoiseIsStable) {
  std::mt19937_64 random(11);
  int moved = 0;
  for (int round = 0; round < 1000; ++round) {
    Sketch recent, past;
    TrendSide a, b;
    std::lognormal_distribution<double> duration(18, 1);
    std::poisson_distribution<int> calls(40);
    std::vector<double> recent_minutes, past_minutes;
    for (int minute = 0; minute < 55; ++minute) {
      const bool now = minute >= 50;
      const int count = calls(random);
      (now ? recent_minutes : past_minutes).push_back(count);
      for (int i = 0; i < count; ++i) {
        (now ? recent : past).Add(sketch::BucketOf(static_cast<std::int64_t>(duration(random))), 1);
        TrendSide& side = now ? a : b;
        side.calls += 1;
        side.effective += 1;
        side.errors += random() % 20 == 0 ? 1 : 0;
      }
    }
    moved += ErrorTrend(a, b) != Trend::kStable;
    moved += TimeTrend(recent, a.effective, past, b.effective) != Trend::kStable;
    moved += ThroughputTrend(recent_minutes, past_minutes, b.calls / 50) != Trend::kStable;
  }
  EXPECT_LE(moved, 15) << "of 3000";
}

}  // namespace
}  // namespace spanwatch::core
