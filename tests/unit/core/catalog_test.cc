// Names as a checkpoint keeps them: the same numbers after loading, hostile bytes refused or harmless.
#include "sidecar/core/catalog.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "sidecar/core/statistics.h"

namespace spanwatch::core {
namespace {

// Names come and go, so that there are free numbers in an order of their own.
void Churn(Catalog* catalog, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 100; ++i) {
      const std::uint32_t service = catalog->Service("s" + std::to_string(random() % 20), round * 10);
      catalog->OperationOf(service, "n" + std::to_string(random() % 50), round * 10);
      catalog->Scope("scope" + std::to_string(random() % 9));
      catalog->Resource("resource" + std::to_string(random() % 30), round * 10);
    }
    std::vector<std::uint32_t> operations, services;
    catalog->FreeIdle(round * 10, std::vector<bool>(3, true), 1000, &operations, &services);
  }
}

std::string Saved(const Catalog& catalog) {
  std::string bytes;
  CodecWriter out(&bytes);
  catalog.Save(&out);
  return bytes;
}

TEST(Catalog, LoadsWithTheSameNumbersAndGoesOnTheSameWay) {
  Catalog live, loaded;
  Churn(&live, 1);
  const std::string bytes = Saved(live);
  CodecReader in(bytes);
  ASSERT_TRUE(loaded.Load(&in) && in.AtEnd());
  EXPECT_TRUE(live.SameNames(loaded) && loaded.SameNames(live));
  EXPECT_EQ(loaded.bytes(), live.bytes());
  EXPECT_EQ(loaded.live_operations(), live.live_operations());
  Churn(&live, 2);
  Churn(&loaded, 2);
  EXPECT_EQ(Saved(loaded), Saved(live)) << "free numbers are used again in the same order";
  Catalog other;
  Churn(&other, 3);
  EXPECT_FALSE(live.SameNames(other));
}

TEST(Catalog, HostileBytesAreRefusedOrHarmless) {
  Catalog live;
  Churn(&live, 1);
  const std::string good = Saved(live);
  std::mt19937_64 random(9);
  for (int round = 0; round < 3000; ++round) {
    std::string bytes = good.substr(0, round % 2 == 0 ? good.size() : random() % good.size());
    for (std::uint64_t n = random() % 4; n > 0 && !bytes.empty(); --n)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    Catalog loaded;
    CodecReader in(bytes);
    if (loaded.Load(&in)) Churn(&loaded, 2);
  }
}

std::string SavedStatistics(const Statistics& statistics) {
  std::string bytes;
  CodecWriter out(&bytes);
  statistics.Save(&out);
  return bytes;
}

TEST(Catalog, StatisticsLoadTheSameSeriesAndHostileBytesAreHarmless) {
  Catalog catalog;
  Statistics live(&catalog);
  Limits limits;
  limits.max_series = 12;
  limits.series_idle_ns = 100;
  live.Configure(limits, 3);
  const auto count = [](Catalog* names, Statistics* statistics, std::uint64_t seed, std::int64_t from) {
    std::mt19937_64 random(seed);
    for (std::int64_t now = from; now < from + 300; ++now) {
      SpanView span;
      const std::string name = "n" + std::to_string(random() % 30);
      span.name = name;
      span.status = static_cast<StatusCode>(random() % 3);
      span.end_ns = static_cast<std::int64_t>(random() % 1'000'000'000);
      const std::uint32_t service = names->Service("s" + std::to_string(random() % 3), now);
      const std::uint32_t operation = names->OperationOf(service, span.name, now);
      Statistics::Cell& cell = statistics->CellOf(now, operation, span.kind, span.status);
      statistics->Count(now, &cell, service, span);
      if (now % 40 == 0) statistics->Sweep(now, 1000);
    }
  };
  count(&catalog, &live, 1, 0);
  const std::string names = Saved(catalog), good = SavedStatistics(live);
  const auto load = [&](const std::string& bytes, Catalog* loaded_names, Statistics* loaded) {
    CodecReader names_in(names), in(bytes);
    EXPECT_TRUE(loaded_names->Load(&names_in));
    loaded->Configure(limits, 3);
    return loaded->Load(&in) && in.AtEnd();
  };
  Catalog loaded_names;
  Statistics loaded(&loaded_names);
  ASSERT_TRUE(load(good, &loaded_names, &loaded));
  EXPECT_EQ(SavedStatistics(loaded), good);
  count(&catalog, &live, 2, 300);
  count(&loaded_names, &loaded, 2, 300);
  EXPECT_EQ(SavedStatistics(loaded), SavedStatistics(live)) << "it goes on the same way";
  std::mt19937_64 random(9);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes = good.substr(0, round % 2 == 0 ? good.size() : random() % good.size());
    for (std::uint64_t n = random() % 4; n > 0 && !bytes.empty(); --n)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    Catalog hostile_names;
    Statistics hostile(&hostile_names);
    if (load(bytes, &hostile_names, &hostile)) count(&hostile_names, &hostile, 3, 300);
  }
}

}  // namespace
}  // namespace spanwatch::core
