// The cardinality guard: limits, overflow series with exact sums, the culprit named, idle series and names forgotten.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "sidecar/core/catalog.h"
#include "tests/support/engine_driver.h"
#include "tests/support/heap.h"

namespace spanwatch::core {
namespace {

double Sum(const MetricsView& metrics, const std::string& service = "") {
  double sum = 0;
  for (const SpanSeries& series : metrics.series) {
    if (service.empty() || series.service == service) sum += series.durations.count;
  }
  return sum;
}

std::size_t Named(const MetricsView& metrics, const std::string& service) {
  return static_cast<std::size_t>(
      std::count_if(metrics.series.begin(), metrics.series.end(),
                    [&](const SpanSeries& series) { return !series.overflow && series.service == service; }));
}

// No two series may look the same to Prometheus.
void ExpectUnique(const MetricsView& metrics) {
  std::set<std::string> seen;
  for (const SpanSeries& s : metrics.series) {
    EXPECT_TRUE(seen.insert(s.service + "\n" + s.operation + "\n" + ToString(s.kind) + ToString(s.status) +
                            (s.overflow ? "o" : ""))
                    .second)
        << s.service << " " << s.operation;
  }
}

TEST(Cardinality, ASoleServiceGetsAllAndNamesTheCulpritWithin10Seconds) {
  Limits limits;
  limits.max_series = 40;
  EngineDriver driver(limits);
  for (std::uint64_t i = 1; i <= 100; ++i)
    driver.Spans({{.trace = i, .id = 1, .name = "user \"" + std::to_string(i) + "\"\n" + std::string(200, 'x')}});
  const MetricsView metrics = driver.engine().Metrics();
  EXPECT_EQ(Named(metrics, "bot"), 40u);
  EXPECT_EQ(Sum(metrics), 100);
  EXPECT_EQ(Sum(metrics, "bot"), 100) << "the overflow series keeps its service";
  const StatisticsView statistics = driver.engine().Stats().statistics;
  ASSERT_EQ(statistics.cardinality.size(), 1u);
  const CardinalityView& culprit = statistics.cardinality[0];
  EXPECT_EQ(culprit.service, "bot");
  EXPECT_EQ(culprit.label, "span_name");
  EXPECT_EQ(culprit.limit, 40u);
  EXPECT_EQ(culprit.folded_spans, 60u);
  EXPECT_EQ(culprit.since_ns, driver.now_ns());
  ASSERT_EQ(culprit.samples.size(), 5u);
  EXPECT_TRUE(culprit.samples[0].starts_with("user \"41\"\nxxx")) << culprit.samples[0];
  EXPECT_LE(culprit.samples[0].size(), 80u);
  driver.At(10 * kSecond);
  const auto notices = driver.engine().TakeNotices();
  ASSERT_EQ(notices.size(), 1u) << "once";
  EXPECT_THAT(notices[0],
              testing::AllOf(testing::HasSubstr("service \"bot\""), testing::HasSubstr("span_name"),
                             testing::HasSubstr("\\x2241\\x22\\x0axxx"), testing::Not(testing::HasSubstr("\n"))));
  driver.Spans({{.trace = 500, .id = 1, .name = "one more"}});
  driver.At(30 * kSecond);
  EXPECT_TRUE(driver.engine().TakeNotices().empty());
}

TEST(Cardinality, TheLastQuarterIsForServicesWithFewSeries) {
  Limits limits;
  limits.max_series = 40;
  EngineDriver driver(limits);
  driver.Spans({{.trace = 1, .id = 1, .service = "quiet"}});
  for (std::uint64_t i = 1; i <= 100; ++i)
    driver.Spans({{.trace = 1 + i, .id = 1, .service = "loud", .name = "id" + std::to_string(i)}});
  EXPECT_EQ(Named(driver.engine().Metrics(), "loud"), 29u);
  for (std::uint64_t i = 1; i <= 8; ++i)
    driver.Spans({{.trace = 200 + i, .id = 1, .service = "quiet", .name = "op" + std::to_string(i)}});
  EXPECT_EQ(Named(driver.engine().Metrics(), "quiet"), 9u) << "it still finds room";
  EXPECT_EQ(Sum(driver.engine().Metrics()), 109);
  EXPECT_EQ(Sum(driver.engine().Metrics(), "loud"), 100);
}

TEST(Cardinality, AnExplicitLimitPerServiceIsHard) {
  Limits limits;
  limits.max_series_per_service = 3;
  EngineDriver driver(limits);
  for (std::uint64_t i = 1; i <= 10; ++i) driver.Spans({{.trace = i, .id = 1, .name = "id" + std::to_string(i)}});
  EXPECT_EQ(Named(driver.engine().Metrics(), "bot"), 3u);
  EXPECT_EQ(driver.engine().Stats().statistics.cardinality.at(0).limit, 3u);
  EXPECT_EQ(Sum(driver.engine().Metrics(), "bot"), 10);
}

TEST(Cardinality, ServicesOverflowTooAndAreNamed) {
  EngineDriver driver;
  for (std::uint64_t i = 1; i <= 1500; ++i)
    driver.Spans({{.trace = i, .id = 1, .service = "service" + std::to_string(i)}});
  const StatsView stats = driver.engine().Stats();
  EXPECT_EQ(Sum(driver.engine().Metrics()), 1500);
  ASSERT_FALSE(stats.statistics.cardinality.empty());
  EXPECT_EQ(stats.statistics.cardinality[0].label, "service_name");
  EXPECT_EQ(stats.statistics.cardinality[0].folded_spans, 501u);
  EXPECT_EQ(stats.statistics.cardinality[0].samples.at(0), "service1000");
}

TEST(Cardinality, IdleSeriesGoAndTheirPlaceIsUsedAgain) {
  Limits limits;
  limits.max_series = 10;
  limits.series_idle_ns = kMinute;
  limits.ttl_ns = kMinute;
  EngineDriver driver(limits);
  std::uint64_t trace = 0;
  for (int round = 0; round < 200; ++round) {  // churn: 2,000 names, ten at a time
    driver.At(round * 2 * kMinute);
    for (int i = 0; i < 10; ++i)
      driver.Spans({{.trace = ++trace, .id = 1, .name = "r" + std::to_string(round) + "n" + std::to_string(i)}});
    const MetricsView metrics = driver.engine().Metrics();
    ASSERT_EQ(metrics.series.size(), 10u) << "round " << round;
    ASSERT_EQ(Named(metrics, "bot"), 10u);
  }
  const StatisticsView statistics = driver.engine().Stats().statistics;
  EXPECT_EQ(statistics.expired_series_total, 1990u);
  EXPECT_EQ(statistics.expired_spans_total + Sum(driver.engine().Metrics()), 2000) << "nothing is lost silently";
  EXPECT_LT(statistics.operations, 60u) << "names are freed as well";
  driver.At(401 * kMinute);
  driver.Spans({{.trace = ++trace, .id = 1, .name = "again"}});
  EXPECT_EQ(driver.engine().Metrics().series.size(), 1u);
}

TEST(Cardinality, FreeSeriesGoToNamesThatWereWithout) {
  Limits limits;
  limits.max_series = 2;
  limits.series_idle_ns = kMinute;
  EngineDriver driver(limits);
  for (int second = 0; second < 120; second += 10) {
    driver.At(second * kSecond);
    const auto trace = static_cast<std::uint64_t>(second) + 1;
    if (second == 0) driver.Spans({{.trace = 1000, .id = 1, .name = "a"}, {.trace = 1001, .id = 1, .name = "b"}});
    driver.Spans({{.trace = trace, .id = 1, .name = "c"}});
  }
  const MetricsView metrics = driver.engine().Metrics();
  EXPECT_EQ(Named(metrics, "bot"), 1u);
  EXPECT_EQ(Sum(metrics) + driver.engine().Stats().statistics.expired_spans_total, 14);
}

TEST(Cardinality, SeriesStayForEverWhenIdleIsOff) {
  Limits limits;
  limits.series_idle_ns = 0;
  EngineDriver driver(limits);
  driver.Spans({{.id = 1}});
  driver.At(48 * 60 * kMinute);
  EXPECT_EQ(driver.engine().Metrics().series.size(), 1u);
}

TEST(Cardinality, ANameLivesAsLongAsAStoredTraceUsesIt) {
  Limits limits;
  limits.series_idle_ns = kMinute;
  EngineDriver driver(limits);
  driver.Spans({{.trace = 1, .id = 1, .name = "once"}});
  driver.At(110 * kMinute);
  EXPECT_TRUE(driver.engine().Metrics().series.empty());
  EXPECT_EQ(driver.engine().GetTrace({0xabcdef, 1})->spans.at(0).name, "once");
}

TEST(SpanNames, TemplatesFoldNamesInStatisticsAndKeepThemInTraces) {
  Limits limits;
  limits.span_names = {"/users/{id}", "GET /orders/{id}/items/{item}"};
  EngineDriver driver(limits);
  const auto send = [&](std::uint64_t trace, const std::string& name) {
    driver.Spans({{.trace = trace, .id = 1, .name = name}});
  };
  for (std::uint64_t i = 1; i <= 20'000; ++i) send(i, "/users/" + std::to_string(i));
  send(30'001, "GET /orders/7/items/x");
  send(30'002, "/users/");
  send(30'003, "/users/1/2");
  send(30'004, "GET/orders/7/items/x");
  std::map<std::string, double> counts;
  for (const SpanSeries& series : driver.engine().Metrics().series) counts[series.operation] = series.durations.count;
  EXPECT_EQ(counts, (std::map<std::string, double>{{"/users/{id}", 20'000},
                                                   {"GET /orders/{id}/items/{item}", 1},
                                                   {"/users/", 1},
                                                   {"/users/1/2", 1},
                                                   {"GET/orders/7/items/x", 1}}));
  EXPECT_EQ(driver.engine().Stats().statistics.operations, 5u) << "raw names are not remembered";
  EXPECT_EQ(driver.engine().GetTrace({0xabcdef, 20'000})->spans.at(0).name, "/users/20000");
}

TEST(SpanNames, AReloadFoldsAndUnfoldsWithoutEverTwoEqualSeries) {
  EngineDriver driver;
  Limits with, without, anything;
  with.span_names = {"/users/{id}"};
  anything.span_names = {"{x}", "/{x}/{y}"};
  std::uint64_t trace = 0;
  const auto send = [&] {
    for (const char* name : {"/users/1", "/users/2", "/users/{id}", "(other)", "plain"})
      driver.Spans({{.trace = ++trace, .id = 1, .name = name}});
    ExpectUnique(driver.engine().Metrics());
    EXPECT_EQ(Sum(driver.engine().Metrics()), static_cast<double>(trace));
  };
  send();
  for (const Limits& limits : {with, without, anything, with, anything, without}) {
    driver.Reload(std::make_shared<RuleSet>(), limits);
    send();
  }
}

TEST(SpanNames, ProblemsSayWhatIsAllowed) {
  for (const char* good : {"/users/{id}", "{x}", "GET /{a}/b", "a {b}"})
    EXPECT_EQ(SpanNames::Problem(good), "") << good;
  for (const char* bad : {"", "/users", "/u{id}", "/{}", "/{a}{b}", "/{a", "/a}"})
    EXPECT_NE(SpanNames::Problem(bad), "");
  EXPECT_NE(SpanNames::Problem("{x}" + std::string(40, '/')), "");
  EXPECT_NE(SpanNames::Problem("/{x}/" + std::string(600, 'a')), "");
}

// Random traffic over few and many names: what /metrics shows and what was forgotten is what was applied, always.
TEST(Cardinality, SumsAreExactInAnyFold) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    std::mt19937_64 random(seed);
    Limits limits;
    limits.max_traces = 1 + random() % 50;
    limits.max_series = 1 + random() % 30;
    limits.max_series_per_service = random() % 3 == 0 ? 1 + random() % 10 : 0;
    limits.series_idle_ns = random() % 4 == 0 ? 0 : kMinute;
    limits.ttl_ns = kMinute;
    if (random() % 2 == 0) limits.span_names = {"n/{id}"};
    EngineDriver driver(limits);
    std::map<std::string, double> applied;
    double total = 0;
    std::int64_t now = 0;
    for (int step = 0; step < 60; ++step) {
      now += static_cast<std::int64_t>(random() % 5 == 0 ? random() % 400 : random() % 5) * kSecond;
      driver.At(now);
      std::vector<TestSpan> spans;
      for (std::uint64_t i = random() % 20; i > 0; --i) {
        const std::string service = "s" + std::to_string(random() % 4);
        spans.push_back({.trace = random(),
                         .id = 1,
                         .service = service,
                         .name = "n/" + std::to_string(random() % 40),
                         .failed = random() % 3 == 0,
                         .weight = 1.0 + static_cast<double>(random() % 3)});
        applied[service] += spans.back().weight;
        total += spans.back().weight;
      }
      driver.Spans(std::move(spans));
      const MetricsView metrics = driver.engine().Metrics();
      const StatisticsView statistics = driver.engine().Stats().statistics;
      ASSERT_EQ(Sum(metrics) + statistics.expired_spans_total, total) << "seed " << seed;
      ASSERT_LE(statistics.series, limits.max_series);
      if (limits.series_idle_ns == 0) {
        for (const auto& [service, count] : applied) ASSERT_EQ(Sum(metrics, service), count) << "seed " << seed;
      }
      ExpectUnique(metrics);
    }
  }
}

TEST(Statistics, StayWithin16MbOfRealMemoryWhenEverythingIsHostile) {
  auto rules = std::make_shared<RuleSet>();
  for (int i = 0; i < 4; ++i) {
    Rule rule;
    rule.alert = "Rate" + std::to_string(i);
    rule.measure = Measure::kErrorRate;
    rule.by = {LabelSource::kService, LabelSource::kOperation};
    rule.warning = 0.9;
    rule.window_ns = 5 * kMinute;
    rules->rules.push_back(rule);
  }
  Limits limits;
  limits.max_traces = 1;
  limits.max_series = 100'000;
  EngineDriver driver(limits, rules);
  driver.Spans({{.trace = 1, .id = 1}});
  const std::size_t before = HeapBytes();
  std::mt19937_64 random(3);
  double total = 1;
  const std::string filler(480, 'n');
  for (std::uint64_t batch = 0; batch < 400; ++batch) {
    std::vector<TestSpan> spans;
    for (std::uint64_t i = 0; i < 200; ++i, ++total) {
      spans.push_back({.trace = 2 + batch * 200 + i,
                       .id = 1,
                       .service = std::to_string(random() % 1200) + (random() % 2 == 0 ? filler : ""),
                       .name = std::to_string(random() % 20'000) + (random() % 2 == 0 ? filler : ""),
                       .failed = random() % 2 == 0,
                       .kind = static_cast<SpanKind>(random() % 6)});
    }
    driver.Spans(std::move(spans));
  }
  EXPECT_EQ(Sum(driver.engine().Metrics()), total);
  const StatisticsView statistics = driver.engine().Stats().statistics;
  EXPECT_LE(statistics.bytes, statistics.max_bytes);
  EXPECT_EQ(statistics.max_bytes, 16u << 20);
  EXPECT_GT(statistics.bytes, 6u << 20) << "the test fills it";
  const std::size_t real = HeapBytes() - before;
  EXPECT_LE(real, 16u << 20);
  RecordProperty("real_bytes", static_cast<int>(real));
  RecordProperty("formula_bytes", static_cast<int>(statistics.bytes));
}

}  // namespace
}  // namespace spanwatch::core
