// Who calls whom, through the engine: pairs are counted once however their spans come.
#include "sidecar/core/dependencies.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "sidecar/core/health_view.h"
#include "tests/support/engine_driver.h"

namespace spanwatch::core {
namespace {

constexpr std::int64_t kComplete = 40 * kSecond;  // after it every trace is found complete

std::vector<Dependency> EdgesOf(EngineDriver* driver) { return driver->engine().GetDependencies().edges; }

// "bot>api 2/1 api>db 1/0": calls and failed ones.
std::string MapOf(EngineDriver* driver) {
  std::string text;
  for (const Dependency& edge : EdgesOf(driver)) {
    text += (text.empty() ? "" : " ") + edge.client + ">" + edge.server + " " +
            std::to_string(static_cast<int>(edge.calls)) + "/" + std::to_string(static_cast<int>(edge.failed));
  }
  return text;
}

std::vector<TestSpan> Call(std::uint64_t trace) {
  return {{.trace = trace, .id = 4, .parent = 3, .service = "db", .duration_ns = 3 * kMs, .kind = SpanKind::kServer},
          {.trace = trace, .id = 3, .parent = 2, .service = "api", .duration_ns = 20 * kMs, .kind = SpanKind::kServer},
          {.trace = trace, .id = 2, .parent = 1, .service = "bot", .duration_ns = 30 * kMs, .kind = SpanKind::kClient},
          {.trace = trace, .id = 1, .service = "bot", .duration_ns = 50 * kMs}};
}

TEST(Dependencies, CountsPairsOfDifferentServices) {
  EngineDriver driver;
  driver.Spans(Call(1));
  driver.Spans(Call(2));
  EXPECT_EQ(MapOf(&driver), "") << "not complete yet";
  driver.At(kComplete);
  EXPECT_EQ(MapOf(&driver), "api>db 2/0 bot>api 2/0");
  const Dependency edge = EdgesOf(&driver)[1];
  EXPECT_DOUBLE_EQ(edge.client_side.sum, 60e6) << "the client span's duration";
  EXPECT_DOUBLE_EQ(edge.server_side.sum, 40e6);
  EXPECT_DOUBLE_EQ(edge.server_side.count, 2);
  EXPECT_DOUBLE_EQ(edge.server_side.buckets[5], 2) << "10 to 50 ms";
  const Dependency inner = EdgesOf(&driver)[0];
  EXPECT_DOUBLE_EQ(inner.client_side.sum, 6e6) << "the caller has no client span: what the callee took";
}

TEST(Dependencies, ACallFailsOnEitherSide) {
  EngineDriver driver;
  std::vector<TestSpan> server = Call(1), client = Call(2), inner = Call(3);
  server[1].failed = true;  // api
  client[2].failed = true;  // bot's client span
  inner[3].failed = true;   // bot's handler: not the call's
  driver.Spans(server);
  driver.Spans(client);
  driver.Spans(inner);
  driver.At(kComplete);
  EXPECT_EQ(MapOf(&driver), "api>db 3/0 bot>api 3/2") << "a server span that failed is no failed call of its own";
}

TEST(Dependencies, CountsByWeight) {
  EngineDriver driver;
  std::vector<TestSpan> spans = Call(1);
  for (TestSpan& span : spans) span.weight = 10;
  driver.Spans(spans);
  driver.At(kComplete);
  EXPECT_EQ(MapOf(&driver), "api>db 10/0 bot>api 10/0");
}

TEST(Dependencies, LateSpansCountWhatWasNotCounted) {
  EngineDriver driver;
  const std::vector<TestSpan> all = Call(1);
  driver.Spans({all[0], all[3]});  // db and the root: nobody between them
  driver.At(kComplete);
  EXPECT_EQ(MapOf(&driver), "");
  driver.Spans({all[1]});  // api, the parent of a span that was here before
  driver.At(2 * kComplete);
  EXPECT_EQ(MapOf(&driver), "api>db 1/0");
  driver.Spans({all[2]});
  driver.Spans({all[2]});  // twice
  driver.At(3 * kComplete);
  EXPECT_EQ(MapOf(&driver), "api>db 1/0 bot>api 1/0");
  driver.At(4 * kComplete);
  EXPECT_EQ(MapOf(&driver), "api>db 1/0 bot>api 1/0");
}

// Random trees in random order, in pieces, some longer than the store's linear search, some than what is counted in one
// hold: as a plain count has it.
TEST(Dependencies, AgreesWithAPlainCountInAnyOrder) {
  std::mt19937 random(7);
  for (int round = 0; round < 40; ++round) {
    EngineDriver driver;
    std::vector<TestSpan> spans;
    std::map<std::pair<std::string, std::string>, int> expected;
    const std::uint64_t size = round % 20 == 1 ? 15'000 : 2 + random() % (round % 4 == 0 ? 300 : 30);
    for (std::uint64_t id = 1; id <= size; ++id) {
      const std::uint64_t parent = id == 1 ? 0 : 1 + random() % (id - 1);
      spans.push_back({.id = id,
                       .parent = parent,
                       .service = std::string(1, static_cast<char>('a' + random() % 4)),
                       .name = std::string(1, static_cast<char>('k' + random() % 3))});
      if (parent != 0 && spans[parent - 1].service != spans.back().service)
        ++expected[{spans[parent - 1].service, spans.back().service}];
    }
    std::shuffle(spans.begin(), spans.end(), random);
    std::int64_t at = 0;
    for (std::size_t begin = 0; begin < spans.size();) {
      const std::size_t end = std::min(spans.size(), begin + 1 + random() % spans.size());
      driver.Spans(
          {spans.begin() + static_cast<std::ptrdiff_t>(begin), spans.begin() + static_cast<std::ptrdiff_t>(end)});
      if (random() % 2 == 0) driver.At(at += kComplete);
      begin = end;
    }
    driver.At(at + kComplete);
    std::map<std::pair<std::string, std::string>, int> found;
    for (const Dependency& edge : EdgesOf(&driver)) found[{edge.client, edge.server}] = static_cast<int>(edge.calls);
    EXPECT_EQ(found, expected) << "round " << round;
  }
}

TEST(Dependencies, WindowsForgetAndTotalsDoNot) {
  EngineDriver driver;
  driver.Spans(Call(1));
  driver.At(kMinute);
  EXPECT_DOUBLE_EQ(EdgesOf(&driver)[1].last_5m.calls, 1);
  EXPECT_NEAR(EdgesOf(&driver)[1].last_5m.duration_sum_ns, 20e6, 1e3);
  driver.At(7 * kMinute);
  EXPECT_DOUBLE_EQ(EdgesOf(&driver)[1].last_5m.calls, 0);
  EXPECT_DOUBLE_EQ(EdgesOf(&driver)[1].last_60m.calls, 1);
  driver.At(62 * kMinute);
  EXPECT_DOUBLE_EQ(EdgesOf(&driver)[1].last_60m.calls, 0);
  EXPECT_DOUBLE_EQ(EdgesOf(&driver)[1].calls, 1);
}

TEST(Dependencies, ATableThatIsFullKeepsSumsExact) {
  EngineDriver driver;
  std::uint64_t trace = 0;
  double pairs = 0;
  for (int client = 0; client < 50; ++client) {
    std::vector<TestSpan> spans;
    for (int server = 50; server < 100; ++server) {
      ++trace;
      spans.push_back({.trace = trace, .id = 1, .service = "s" + std::to_string(client)});
      spans.push_back({.trace = trace, .id = 2, .parent = 1, .service = "s" + std::to_string(server)});
      ++pairs;
    }
    driver.Spans(spans);
  }
  driver.At(kComplete);
  const std::vector<Dependency> edges = EdgesOf(&driver);
  ASSERT_EQ(edges.size(), kMaxEdges + 1);
  double calls = 0;
  for (const Dependency& edge : edges) calls += edge.calls;
  EXPECT_DOUBLE_EQ(calls, pairs);
  EXPECT_EQ(edges[0].client, "(other)");
  EXPECT_EQ(edges[0].server, "(other)");
  EXPECT_DOUBLE_EQ(edges[0].calls, pairs - kMaxEdges);
  EXPECT_LT(driver.engine().Stats().statistics.bytes, 16u << 20);
}

TEST(Dependencies, ForgetsServicesThatWereForgotten) {
  Limits limits;
  limits.ttl_ns = kMinute;
  limits.series_idle_ns = kMinute;
  EngineDriver driver(limits);
  driver.Spans(Call(1));
  driver.At(kComplete);
  EXPECT_EQ(EdgesOf(&driver).size(), 2u);
  driver.At(30 * kMinute);
  EXPECT_EQ(EdgesOf(&driver).size(), 0u);
  driver.Spans(Call(2));
  driver.At(31 * kMinute);
  EXPECT_EQ(MapOf(&driver), "api>db 1/0 bot>api 1/0");
}

TEST(Dependencies, ARestartKeepsCountsAndMetricsBeginAtTheMark) {
  EngineDriver driver;
  driver.Spans(Call(1));
  driver.At(kComplete);
  EngineDriver fresh;
  const std::string bytes = driver.engine().Checkpoint();
  ASSERT_TRUE(fresh.engine().Restore({}, bytes));
  EXPECT_EQ(fresh.engine().Checkpoint(), bytes);
  EXPECT_EQ(MapOf(&fresh), "api>db 1/0 bot>api 1/0");
  EXPECT_DOUBLE_EQ(EdgesOf(&fresh)[0].calls_before, 0);
  fresh.engine().MarkStart();
  fresh.At(kComplete);
  fresh.Spans(Call(2));
  fresh.At(2 * kComplete);
  const Dependency edge = EdgesOf(&fresh)[1];
  EXPECT_DOUBLE_EQ(edge.calls, 2);
  EXPECT_DOUBLE_EQ(edge.calls_before, 1);
  EXPECT_DOUBLE_EQ(edge.server_before.count, 1);
  EXPECT_DOUBLE_EQ(edge.server_side.count, 2);
}

TEST(Dependencies, DamagedBytesAreRefused) {
  EngineDriver driver;
  driver.Spans(Call(1));
  driver.At(kComplete);
  const std::string bytes = driver.engine().Checkpoint();
  for (std::size_t size = 0; size < bytes.size(); size += 3) {
    EngineDriver fresh;
    EXPECT_FALSE(fresh.engine().Restore({}, std::string_view(bytes).substr(0, size))) << size;
  }
}

}  // namespace
}  // namespace spanwatch::core
