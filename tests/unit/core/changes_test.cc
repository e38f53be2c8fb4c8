// The generation and the list of completed traces: what those see who look again and again.
#include <gtest/gtest.h>

#include <utility>

#include "sidecar/core/completed_view.h"
#include "tests/support/engine_driver.h"

namespace spanwatch::core {
namespace {

class ChangesTest : public ::testing::Test {
 protected:
  std::uint64_t Grown() {
    const std::uint64_t now = driver_.engine().Generation();
    return now - std::exchange(generation_, now);
  }
  void Traces(std::uint64_t first, std::uint64_t count) {
    std::vector<TestSpan> spans;
    for (std::uint64_t i = 0; i < count; ++i)
      spans.push_back({.trace = first + i, .name = "op" + std::to_string(i % 7)});
    driver_.Spans(std::move(spans));
  }
  static Limits Small() {
    Limits limits;
    limits.max_traces = 1500;
    limits.ttl_ns = 60 * kSecond;
    return limits;
  }

  EngineDriver driver_{Small()};
  std::uint64_t generation_ = 0;
};

TEST_F(ChangesTest, GrowsWithSpansCompletionsAndEvictionsNotWithTime) {
  Grown();
  for (int i = 1; i <= 50; ++i) driver_.At(i * 100 * kMs);
  EXPECT_EQ(Grown(), 0u);
  Traces(1, 3);
  EXPECT_EQ(Grown(), 1u);
  driver_.At(50 * kSecond);
  ASSERT_EQ(driver_.engine().Stats().store.completed_total, 3u);
  EXPECT_GE(Grown(), 1u);
  driver_.At(60 * kSecond);
  EXPECT_EQ(Grown(), 0u);
  driver_.At(100 * kSecond);  // their time is over
  ASSERT_EQ(driver_.engine().Stats().store.traces, 0u);
  EXPECT_GE(Grown(), 1u);
  driver_.At(4000 * kSecond);
  EXPECT_EQ(Grown(), 0u);
  driver_.Reload(nullptr, Small());
  EXPECT_EQ(Grown(), 1u);
}

TEST_F(ChangesTest, AHeartbeatChangesNothingUnlessItTellsOfALoss) {
  EnvelopeView envelope;
  envelope.process_id[0] = 7;
  envelope.kind = EnvelopeKind::kHello;
  driver_.Message(1, envelope);
  Grown();
  envelope.kind = EnvelopeKind::kHeartbeat;
  driver_.Message(1, envelope);
  driver_.Message(1, envelope);
  EXPECT_EQ(Grown(), 0u);
  envelope.drops = {{"ring_full", 5}};
  driver_.Message(1, envelope);
  EXPECT_EQ(Grown(), 1u);
}

TEST_F(ChangesTest, CompletedTracesComeOnceInOrder) {
  const Engine& engine = driver_.engine();
  EXPECT_EQ(engine.CompletedSince(0, 10).last, 0u);
  Traces(1, 5);
  driver_.At(20 * kSecond);
  CompletedView view = engine.CompletedSince(0, 10);
  ASSERT_EQ(view.traces.size(), 5u);
  EXPECT_EQ(view.last, 5u);
  EXPECT_EQ(view.missed, 0u);
  EXPECT_TRUE(view.traces[0].complete);
  EXPECT_TRUE(engine.CompletedSince(view.last, 10).traces.empty());
  // A late span completes its trace once more, and that is not told again.
  driver_.Spans({{.trace = 1, .id = 2, .parent = 1}});
  driver_.At(40 * kSecond);
  EXPECT_EQ(engine.CompletedSince(view.last, 10).last, 5u);
  Traces(11, 4);
  driver_.At(55 * kSecond);
  view = engine.CompletedSince(view.last, 3);  // the newest of them
  EXPECT_EQ(view.last, 9u);
  EXPECT_EQ(view.missed, 1u);
  ASSERT_EQ(view.traces.size(), 3u);
  driver_.At(200 * kSecond);  // all evicted
  view = engine.CompletedSince(0, 100);
  EXPECT_EQ(view.missed, 9u);
  EXPECT_TRUE(view.traces.empty());
}

TEST_F(ChangesTest, CompletionsAreForgottenWhenTheyAreTooMany) {
  Traces(1, 1200);
  driver_.At(20 * kSecond);
  const CompletedView view = driver_.engine().CompletedSince(100, 5000);
  EXPECT_EQ(view.last, 1200u);
  EXPECT_EQ(view.missed, 1200u - 100 - 1024);
  EXPECT_EQ(view.traces.size(), 1024u);
}

}  // namespace
}  // namespace spanwatch::core
