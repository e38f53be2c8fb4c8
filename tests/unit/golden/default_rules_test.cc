// The shipped rules on golden traces, in virtual time: every default threshold on both sides of its border. Depth,
// error rate and memory are computed by hand in the comments.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "sidecar/config/config.h"
#include "tests/support/engine_driver.h"

namespace spanwatch::core {
namespace {

std::shared_ptr<const RuleSet> DefaultRules() {
  const std::string path = std::string(SPANWATCH_SOURCE_DIR) + "/rules/default.yaml";
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  auto rules = config::ParseRules(path, text.str(), config::Thresholds());
  if (!rules) {
    for (const config::Problem& problem : rules.error()) ADD_FAILURE() << problem.ToString();
    return std::make_shared<RuleSet>();
  }
  return std::make_shared<const RuleSet>(std::move(*rules));
}

std::string NameAt(std::uint64_t level) { return level == 1 ? "MessageHandler.handle" : "ContextManager.expand"; }

// A chain: level 1 is the root, each span the parent of the next, sent as an SDK does: innermost first.
std::vector<TestSpan> Chain(std::uint64_t trace, std::uint64_t levels) {
  std::vector<TestSpan> spans;
  for (std::uint64_t level = levels; level >= 1; --level) {
    spans.push_back({.trace = trace, .id = level, .parent = level - 1, .name = NameAt(level)});
  }
  return spans;
}

class Golden : public ::testing::Test {
 protected:
  // What the shipped rules say about `spans`, 45 seconds after they came.
  static std::string Judge(std::vector<TestSpan> spans) {
    EngineDriver driver({}, DefaultRules());
    driver.Spans(std::move(spans));
    driver.At(45 * kSecond);
    return driver.Told();
  }
};

TEST_F(Golden, SlowOperation) {
  EXPECT_EQ(Judge({{.duration_ns = 1000 * kMs}}), "");
  EXPECT_EQ(Judge({{.duration_ns = 1000 * kMs + 1}}), "firing SlowOperation warning");
  EXPECT_EQ(Judge({{.duration_ns = 5000 * kMs}}), "firing SlowOperation warning");
  EXPECT_EQ(Judge({{.duration_ns = 5000 * kMs + 1}}), "firing SlowOperation critical");
}

TEST_F(Golden, DeepCallStack) {
  EXPECT_EQ(Judge(Chain(1, 15)), "");
  EXPECT_EQ(Judge(Chain(1, 16)), "firing DeepCallStack warning");
  EXPECT_EQ(Judge(Chain(1, 25)), "firing DeepCallStack warning");
  EXPECT_EQ(Judge(Chain(1, 26)), "firing DeepCallStack critical");
  // Two branches of 14 levels under one root are 15 levels, not 29.
  std::vector<TestSpan> tree = Chain(1, 15);
  for (std::uint64_t level = 14; level >= 1; --level) {
    tree.push_back({.id = 100 + level, .parent = level == 1 ? 1 : 99 + level, .name = "branch"});
  }
  EXPECT_EQ(Judge(tree), "") << "1 + 14 levels twice";
}

TEST_F(Golden, HighErrorRate) {
  const auto failing = [](int failed, int count) {
    std::vector<TestSpan> spans;
    for (int i = 1; i <= count; ++i) {
      const auto id = static_cast<std::uint64_t>(i);
      spans.push_back({.trace = id, .id = id, .start_ns = kStart - kSecond, .failed = i <= failed});
    }
    return Judge(spans);
  };
  EXPECT_EQ(failing(19, 19), "") << "fewer than 20 spans say nothing";
  EXPECT_EQ(failing(2, 20), "") << "2 of 20 = 10 %";
  EXPECT_EQ(failing(3, 20), "firing HighErrorRate warning") << "3 of 20 = 15 %";
  EXPECT_EQ(failing(4, 20), "firing HighErrorRate warning") << "4 of 20 = 20 %";
  EXPECT_NE(failing(5, 20).find("HighErrorRate critical"), std::string::npos) << "5 of 20 = 25 %";
  EXPECT_EQ(failing(100, 1000), "");
  EXPECT_EQ(failing(101, 1000), "firing HighErrorRate warning");
  EXPECT_NE(failing(201, 1000).find("HighErrorRate critical"), std::string::npos);
}

TEST_F(Golden, HighErrorRateTakesThirtySecondsAndLastsTwoMinutes) {
  EngineDriver driver({}, DefaultRules());
  std::vector<TestSpan> spans;
  for (std::uint64_t id = 1; id <= 20; ++id)
    spans.push_back({.trace = id, .id = id, .start_ns = kStart - kSecond, .failed = id <= 3});
  driver.Spans(spans);
  driver.At(29 * kSecond);
  EXPECT_EQ(driver.Told(), "");
  driver.At(32 * kSecond);
  EXPECT_EQ(driver.Told(), "firing HighErrorRate warning");
  driver.At(5 * kMinute + kMinute + 50 * kSecond);
  EXPECT_EQ(driver.Told(), "") << "the window still holds them, then two minutes more";
  driver.At(5 * kMinute + 2 * kMinute + 10 * kSecond);
  EXPECT_EQ(driver.Told(), "resolved HighErrorRate none");
}

TEST_F(Golden, MemoryGrowth) {
  // The trace's growth is the largest over one of its spans: the root's 90 MB hold the child's 60, they do not add up.
  EXPECT_EQ(Judge({{.id = 2, .parent = 1, .memory_delta = 60 * kMb}, {.id = 1, .memory_delta = 90 * kMb}}), "");
  EXPECT_EQ(Judge({{.memory_delta = 100 * kMb}}), "");
  EXPECT_EQ(Judge({{.memory_delta = 100 * kMb + 1}}), "firing MemoryGrowth warning");
  EXPECT_EQ(Judge({{.memory_delta = 500 * kMb}}), "firing MemoryGrowth warning");
  EXPECT_EQ(Judge({{.memory_delta = 500 * kMb + 1}}), "firing MemoryGrowth critical");
}

TEST_F(Golden, TraceStoreNearLimit) {
  Limits limits;
  limits.memory_limit_bytes = 1'000'000;
  limits.max_traces = 1'000'000;
  EngineDriver driver(limits, DefaultRules());
  std::uint64_t id = 1;
  const auto fill = [&](double share) {
    while (static_cast<double>(driver.engine().Stats().store.bytes) < share * 1e6) {
      driver.Spans({{.trace = id, .id = id, .start_ns = driver.now_ns()}});
      ++id;
    }
  };
  fill(0.895);
  driver.At(2 * kMinute);
  EXPECT_EQ(driver.Told(), "");
  fill(0.905);
  driver.At(5 * kMinute);
  EXPECT_EQ(driver.Told(), "firing TraceStoreNearLimit warning");
}

// Siblings: `count` calls of one name under the root, each in a trace that is complete.
TEST_F(Golden, RepeatedCalls) {
  const auto calls = [](std::uint64_t count) {
    std::vector<TestSpan> spans;
    for (std::uint64_t id = 2; id <= count + 1; ++id) spans.push_back({.id = id, .parent = 1, .name = "db.query"});
    spans.push_back({.id = count + 2, .parent = 1, .name = "db.other"});
    spans.push_back({.id = 1});
    return Judge(spans);
  };
  EXPECT_EQ(calls(50), "");
  EXPECT_EQ(calls(51), "firing RepeatedCalls warning");
}

TEST_F(Golden, ProcessSilent) {
  const auto after_last_sign = [](EnvelopeKind last, std::int64_t silence_ns) {
    EngineDriver driver({}, DefaultRules());
    const TestBatch named({{.service = "bot"}});
    SpanBatch identity;  // its resource alone, as the SDK sends it
    identity.resources = named.batch().resources;
    for (const EnvelopeKind kind : {EnvelopeKind::kHello, EnvelopeKind::kHeartbeat, last}) {
      driver.At(driver.now_ns() - kStart + kSecond);
      EnvelopeView envelope;
      envelope.kind = kind;
      envelope.process_id[0] = 7;
      envelope.oldest_held = 1;
      Decoded decoded;
      decoded.envelope = &envelope;
      decoded.spans = &identity;
      driver.engine().Apply({0, driver.now_ns(), RecordKind::kMessage, 1}, decoded);
    }
    driver.At(driver.now_ns() - kStart + silence_ns);
    return driver.Told();
  };
  EXPECT_EQ(after_last_sign(EnvelopeKind::kHeartbeat, 29 * kSecond), "");
  EXPECT_EQ(after_last_sign(EnvelopeKind::kHeartbeat, 32 * kSecond), "firing ProcessSilent warning");
  EXPECT_EQ(after_last_sign(EnvelopeKind::kGoodbye, 180 * kSecond), "");
}

TEST_F(Golden, CriticalServiceHealth) {
  // 46 of 200 spans failed, of which the service's health alone is asked here.
  EngineDriver driver({}, DefaultRules());
  std::vector<TestSpan> spans;
  for (std::uint64_t id = 1; id <= 200; ++id)
    spans.push_back({.trace = id, .id = id, .service = "gemini", .start_ns = kStart - kSecond, .failed = id <= 46});
  driver.Spans(spans);
  driver.At(9 * kSecond);
  EXPECT_EQ(driver.Told(), "");
  driver.At(10 * kSecond);
  ASSERT_EQ(driver.transitions().size(), 1u) << "at the first judgement, before HighErrorRate's 30 s are over";
  const Incident& incident = driver.transitions()[0].incident;
  EXPECT_EQ(incident.alertname, "CriticalServiceHealth");
  EXPECT_EQ(incident.severity, Severity::kCritical);
  ASSERT_EQ(incident.annotations.size(), 1u);
  EXPECT_EQ(incident.annotations[0].value,
            "gemini is critical: error rate 23 % over 5 min (46 of 200 spans), critical above 20 %");
  driver.Told();
  // Over when the window is empty, two minutes later.
  driver.At(5 * kMinute + 2 * kMinute + 9 * kSecond);
  EXPECT_EQ(driver.Told().find("resolved CriticalServiceHealth"), std::string::npos);
  driver.At(5 * kMinute + 2 * kMinute + 12 * kSecond);
  EXPECT_NE(driver.Told().find("resolved CriticalServiceHealth"), std::string::npos);
}

TEST_F(Golden, AServiceThatWarnsIsNotCritical) {
  std::vector<TestSpan> spans;
  for (std::uint64_t id = 1; id <= 200; ++id)
    spans.push_back({.trace = id, .id = id, .start_ns = kStart - kSecond, .failed = id <= 40});
  EXPECT_EQ(Judge(spans), "firing HighErrorRate warning") << "exactly 20 %";
}

TEST_F(Golden, AQuietHealthyServiceSaysNothing) {
  std::vector<TestSpan> spans;
  for (std::uint64_t id = 1; id <= 1000; ++id)
    spans.push_back({.trace = id, .id = id, .duration_ns = 900 * kMs, .failed = id % 20 == 0});
  EXPECT_EQ(Judge(spans), "");
}

}  // namespace
}  // namespace spanwatch::core
