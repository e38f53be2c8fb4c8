// Buckets and quantiles against exact ones.
#include "sidecar/core/overview_sketch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>

namespace spanwatch::core {
namespace {

// By nearest rank.
double Exact(const std::vector<std::int64_t>& sorted, double q) {
  const auto rank = static_cast<std::size_t>(std::ceil(q * static_cast<double>(sorted.size()) - 1e-9));
  return static_cast<double>(sorted[std::max<std::size_t>(rank, 1) - 1]);
}

TEST(OverviewSketchTest, EachDurationIsWithinTheBoundOfItsBucket) {
  std::vector<std::int64_t> values = {1, 2, 3, 1000, 999'999'999, INT64_MAX, INT64_MAX - 1};
  for (int power = 1; power < 63; ++power) {
    for (int step = -2; step <= 2; ++step) values.push_back((std::int64_t{1} << power) + step);
  }
  std::mt19937_64 random(1);
  for (int i = 0; i < 200'000; ++i) values.push_back(static_cast<std::int64_t>(random() >> (1 + random() % 63)));
  for (const std::int64_t value : values) {
    const double shown = sketch::ValueOf(sketch::BucketOf(value));
    ASSERT_LE(std::abs(shown - static_cast<double>(value)), kQuantileError * static_cast<double>(value)) << value;
  }
  EXPECT_EQ(sketch::ValueOf(sketch::BucketOf(0)), 0);
  EXPECT_EQ(sketch::BucketOf(-5), sketch::BucketOf(0));
}

TEST(OverviewSketchTest, BucketsKeepTheOrderOfDurations) {
  std::uint32_t last = 0;
  for (std::int64_t value = 0; value < 1'000'000; value += 1 + value / 5000) {
    const std::uint32_t bucket = sketch::BucketOf(value);
    ASSERT_GE(bucket, last) << value;
    last = bucket;
  }
}

TEST(OverviewSketchTest, QuantilesOfRandomDistributionsAreWithinOnePercent) {
  const std::function<double(std::mt19937_64&)> distributions[] = {
      [](std::mt19937_64& r) { return std::lognormal_distribution<double>(16, 1.5)(r); },
      [](std::mt19937_64& r) { return std::exponential_distribution<double>(1e-6)(r); },
      [](std::mt19937_64& r) { return std::uniform_real_distribution<double>(0, 1e10)(r); },
      [](std::mt19937_64& r) { return r() % 2 == 0 ? 1e6 : 1e9 + static_cast<double>(r() % 1000); },
      [](std::mt19937_64& r) { return static_cast<double>(r() % 5); }};
  std::mt19937_64 random(7);
  for (std::size_t which = 0; which < std::size(distributions); ++which) {
    for (int size : {1, 2, 20, 999, 20'000}) {
      Sketch sketch;
      std::vector<std::int64_t> values;
      for (int i = 0; i < size; ++i) {
        values.push_back(static_cast<std::int64_t>(distributions[which](random)));
        sketch.Add(sketch::BucketOf(values.back()), 1);
      }
      std::sort(values.begin(), values.end());
      for (const double q : {0.0, 0.01, 0.5, 0.9, 0.95, 0.99, 1.0}) {
        const double exact = Exact(values, q);
        ASSERT_LE(std::abs(sketch.Quantile(q) - exact), kQuantileError * exact)
            << "distribution " << which << " size " << size << " q " << q;
      }
    }
  }
}

TEST(OverviewSketchTest, BytesGiveTheBucketsBack) {
  std::mt19937_64 random(2);
  for (int round = 0; round < 200; ++round) {
    FlatBuffer<std::uint8_t> bytes;
    std::vector<std::pair<std::uint32_t, double>> in, out;
    std::uint32_t bucket = 0;
    for (int i = 0; i < 50 && bucket < sketch::kBuckets - 100; ++i) {
      const std::uint32_t distance = static_cast<std::uint32_t>(random() % (i % 5 == 0 ? 100 : 9));
      if (distance == 0 && i > 0) continue;
      bucket += distance;
      const double counts[] = {
          1, 30, 31, 32, 65'535, 65'536, 65'537, 1e12, 0.5, 3.25, static_cast<double>(random() % 64 + 1)};
      in.emplace_back(bucket, counts[random() % std::size(counts)]);
      sketch::AppendBucket(distance, in.back().second, &bytes);
    }
    sketch::ForEachBucket(std::span<const std::uint8_t>(bytes.data(), bytes.size()),
                          [&](std::uint32_t number, double count) { out.emplace_back(number, count); });
    ASSERT_EQ(in.size(), out.size());
    for (std::size_t i = 0; i < in.size(); ++i) {
      ASSERT_EQ(in[i].first, out[i].first);
      ASSERT_NEAR(in[i].second, out[i].second, in[i].second > 65'535 ? 1e-7 * in[i].second : 0);
    }
  }
}

TEST(OverviewSketchTest, AddAppendAndClear) {
  Sketch sketch;
  sketch.Add(sketch::BucketOf(1000), 6);
  sketch.Add(sketch::BucketOf(2000), 3);
  FlatBuffer<std::uint8_t> bytes;
  sketch.AppendTo(&bytes);
  EXPECT_LE(bytes.size(), 6u);
  Sketch again;
  again.Add({bytes.data(), bytes.size()});
  EXPECT_EQ(again.total(), 9);
  EXPECT_EQ(again.Quantile(0.66), sketch::ValueOf(sketch::BucketOf(1000)));
  EXPECT_EQ(again.Quantile(0.67), sketch::ValueOf(sketch::BucketOf(2000)));
  again.Clear();
  EXPECT_EQ(again.total(), 0);
  EXPECT_EQ(again.Quantile(0.5), 0) << "empty";
  again.Add(sketch::BucketOf(5), 1);
  EXPECT_EQ(again.Quantile(0.5), 5) << "nothing is left of before";
}

TEST(OverviewSketchTest, ChanceLonger) {
  Sketch low, high, empty;
  for (int i = 0; i < 10; ++i) low.Add(sketch::BucketOf(100), 1);
  for (int i = 0; i < 10; ++i) high.Add(sketch::BucketOf(1000), 1);
  EXPECT_EQ(Sketch::ChanceLonger(high, low), 1);
  EXPECT_EQ(Sketch::ChanceLonger(low, high), 0);
  EXPECT_EQ(Sketch::ChanceLonger(low, low), 0.5);
  EXPECT_EQ(Sketch::ChanceLonger(low, empty), 0.5);
}

}  // namespace
}  // namespace spanwatch::core
