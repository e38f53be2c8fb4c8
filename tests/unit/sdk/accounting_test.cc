// Every span is accounted for, whatever happens; and the program is never held up.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/sdk/traced.h"

namespace spanwatch::test {
namespace {

using ::testing::SizeIs;
using Clock = std::chrono::steady_clock;

TEST(AccountingTest, FullRingIsCountedAndTheRestArrives) {
  FakeSidecar sidecar;
  TracedProgram program(sidecar);
  constexpr std::uint64_t kSpans = 300000;
  for (std::uint64_t i = 0; i < kSpans; ++i) Span("span").End();
  Shutdown(kDeadlineMs);
  const Stats stats = GetStats();
  EXPECT_EQ(stats.emitted, kSpans);
  EXPECT_TRUE(EquationHolds(stats));
  EXPECT_EQ(stats.waiting, 0u);
  EXPECT_GE(stats.delivered, 2900u);  // a ring at least
  EXPECT_EQ(sidecar.Spans().size(), stats.delivered);
  ASSERT_TRUE(
      sidecar.WaitFor([](const std::vector<WireMessage>& messages) { return messages.back().kind == kGoodbye; }));
  const WireMessage goodbye = sidecar.Messages().back();
  EXPECT_EQ(goodbye.batched_before + goodbye.sampled_out + goodbye.Drops(), kSpans);
  EXPECT_EQ(goodbye.drops.at("ring_full"), Dropped(stats, "ring_full"));
}

TEST(AccountingTest, ManyThreadsMoreThanThereAreRings) {
  FakeSidecar sidecar;
  TracedProgram program(sidecar);
  constexpr int kThreads = 90;
  constexpr int kSpans = 200;
  std::atomic<int> ready{0};
  std::atomic<bool> go{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      Span("first").End();
      ++ready;
      while (!go) std::this_thread::yield();
      for (int i = 0; i < kSpans; ++i) {
        Span outer("outer");
        Span inner("inner");
        inner.SetTag("i", i);
      }
    });
  }
  while (ready < kThreads) std::this_thread::yield();  // all at once: 72 rings, and 18 threads without
  go = true;
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(WaitForStats([](const Stats& stats) { return stats.waiting == 0; }));
  std::thread([] { Span("reuses a ring").End(); }).join();
  Shutdown(kDeadlineMs);
  const Stats stats = GetStats();
  EXPECT_EQ(stats.emitted, kThreads * (2u * kSpans + 1) + 1);
  EXPECT_TRUE(EquationHolds(stats));
  // A thread that found no ring takes one as soon as another gives one back.
  EXPECT_GE(Dropped(stats, "no_ring"), 18u);
  EXPECT_LE(Dropped(stats, "no_ring"), 19u * (2 * kSpans + 1));  // this thread may have one as well
  EXPECT_EQ(stats.delivered, stats.batched);
  EXPECT_EQ(sidecar.Spans().size(), stats.delivered);
  EXPECT_THAT(sidecar.SpansNamed("reuses a ring"), SizeIs(1));
  EXPECT_LT(stats.own_bytes, 10000000u);
}

TEST(AccountingTest, ThreadsEndSpansOfOtherThreads) {
  FakeSidecar sidecar;
  TracedProgram program(sidecar);
  constexpr int kSpans = 2000;
  for (int round = 0; round < 3; ++round) {
    std::vector<Span> spans;
    for (int i = 0; i < kSpans / 2; ++i) spans.push_back(std::move(Span("handed over").Detach()));
    std::thread([spans = std::move(spans)]() mutable { spans.clear(); }).join();
    ASSERT_TRUE(WaitForStats([](const Stats& stats) { return stats.waiting == 0; }));  // they share one ring
  }
  Shutdown(kDeadlineMs);
  EXPECT_EQ(GetStats().delivered, 3u * kSpans / 2);
}

// A reference to what travels with a trace is taken by each child, while another thread ends the parent and the sender
// lets go of its own.
TEST(AccountingTest, ASpanEndsElsewhereWhileItsChildrenBegin) {
  ASSERT_TRUE(Start(TracedOptions("ipc:///tmp/spanwatch-test-nobody-here")));
  const auto until = Clock::now() + std::chrono::milliseconds(500);
  for (int round = 0; round < 500 && Clock::now() < until; ++round) {
    Span parent(
        "parent", SpanKind::kServer,
        Context::FromTraceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "a=b", "key=value"));
    const Context context = round % 2 == 0 ? parent.context() : Context();
    std::atomic<bool> ended{false};
    std::thread other([&ended, moved = std::move(parent)]() mutable {
      moved.Fail("now");  // so that the sender comes at once
      moved.End();
      ended = true;
    });
    while (!ended) Span("child").Fail("now");
    EXPECT_EQ(Context::Current().IsValid(), false);
    other.join();
    EXPECT_EQ(context.BaggageValue("key"), round % 2 == 0 ? "value" : "");
  }
  Shutdown(0);
}

// In a program that wakes the sender all the time, each turn comes before the interval is over.
TEST(AccountingTest, TheProcessIsLookedAtHoweverBusyItIs) {
  ASSERT_TRUE(Start(TracedOptions("ipc:///tmp/spanwatch-test-nobody-here")));
  std::uint64_t last = 0;
  int looked = 0;
  EXPECT_TRUE(WaitForStats([&](const Stats& stats) {
    Span("failed").Fail("wakes the sender");
    looked += stats.sender_cpu_ns != last ? 1 : 0;
    last = stats.sender_cpu_ns;
    return looked == 50;
  }));
  Shutdown(0);
}

TEST(AccountingTest, DeadSidecarHoldsNobodyUpAndIsBounded) {
  ASSERT_TRUE(Start(TracedOptions("ipc:///tmp/spanwatch-test-nobody-here")));
  const std::string text(1000, 'x');
  constexpr int kSpans = 60000;
  std::int64_t longest_ns = 0;
  for (int i = 0; i < kSpans; ++i) {
    const auto start = Clock::now();
    Span("span").SetTag("text", text).End();
    longest_ns = std::max<std::int64_t>(longest_ns, std::chrono::nanoseconds(Clock::now() - start).count());
    if (i % 60 == 0) std::this_thread::yield();
  }
  EXPECT_LT(longest_ns, 500000000);  // preempted, perhaps; never waiting for anything
  ASSERT_TRUE(WaitForStats([](const Stats& stats) { return stats.waiting == 0; }));
  const Stats before = GetStats();
  EXPECT_LT(before.own_bytes, 10000000u);
  EXPECT_FALSE(before.connected);
  const auto start = Clock::now();
  EXPECT_EQ(Shutdown(1000), static_cast<std::uint64_t>(kSpans));
  EXPECT_LT(Clock::now() - start, std::chrono::seconds(20));
  const Stats stats = GetStats();
  EXPECT_EQ(stats.emitted, static_cast<std::uint64_t>(kSpans));
  EXPECT_EQ(stats.delivered, 0u);
  EXPECT_TRUE(EquationHolds(stats));
}

TEST(AccountingTest, SilentSidecarAndShutdownInTime) {
  std::atomic<bool> silent{false};
  FakeSidecar sidecar;  // connected to, and then like one that was stopped
  sidecar.SetPolicy([&](FakeSidecar& self, const WireMessage& message) {
    return silent ? std::vector<std::string>() : self.GoodAnswer(message);
  });
  TracedProgram program(sidecar);
  for (int i = 0; i < 10; ++i) Span("delivered").End();
  ASSERT_TRUE(WaitForStats([](const Stats& stats) { return stats.delivered == 10; }));
  silent = true;
  for (int i = 0; i < 25; ++i) Span("kept").End();
  const auto start = Clock::now();
  EXPECT_EQ(Shutdown(1000), 25u);
  EXPECT_LT(Clock::now() - start, std::chrono::seconds(20));
  EXPECT_EQ(GetStats().held, 25u);
  EXPECT_TRUE(EquationHolds(GetStats()));
}

TEST(AccountingTest, FullBufferDropsTheOldestBatchesAndTheSidecarCanTell) {
  FakeSidecar sidecar;
  sidecar.StopServing();
  ASSERT_TRUE(Start(TracedOptions(sidecar.endpoint())));
  const std::string text(4000, 'x');
  std::uint64_t emitted = 0;
  while (GetStats().evicted == 0) {
    for (int i = 0; i < 20; ++i, ++emitted) Span("span").SetTag("text", text).End();
    ASSERT_TRUE(WaitForStats([](const Stats& stats) { return stats.waiting == 0; }));
    ASSERT_LT(emitted, 3000u);
  }
  sidecar.Serve();
  EXPECT_GT(Shutdown(kDeadlineMs), 0u);  // the evicted ones
  const Stats stats = GetStats();
  EXPECT_EQ(stats.emitted, emitted);
  EXPECT_EQ(stats.delivered + stats.evicted, emitted);
  EXPECT_EQ(sidecar.Spans().size(), stats.delivered);
  const WireMessage hello = sidecar.Messages()[0];
  EXPECT_GT(hello.oldest_held, 1u);
  EXPECT_FALSE(hello.acknowledged.has_value());
}

TEST(AccountingTest, SpansOfAnEarlierRunCountNowhere) {
  FakeSidecar sidecar;
  ASSERT_TRUE(Start(TracedOptions(sidecar.endpoint())));
  Span old("old");
  Shutdown(1000);
  EXPECT_FALSE(old.IsRecording());
  TracedProgram program(sidecar);
  { Span child("child of an old one"); }
  old.End();
  { Span fresh("fresh"); }
  EXPECT_EQ(Shutdown(kDeadlineMs), 0u);
  EXPECT_EQ(GetStats().emitted, 2u);
  EXPECT_THAT(sidecar.SpansNamed("old"), SizeIs(0));
  EXPECT_EQ(sidecar.SpansNamed("fresh")[0].parent_id, "");
}

TEST(AccountingTest, EachRunCountsFromZeroUnderAnIdOfItsOwn) {
  FakeSidecar sidecar;
  for (int run = 0; run < 3; ++run) {
    TracedProgram program(sidecar);
    Span("span").End();
    EXPECT_EQ(Shutdown(kDeadlineMs), 0u);
    EXPECT_EQ(GetStats().emitted, 1u);
  }
  std::vector<std::string> ids;
  for (const WireMessage& message : sidecar.Messages()) {
    if (message.kind == kHello) ids.push_back(message.process_id);
  }
  ASSERT_THAT(ids, SizeIs(3));
  EXPECT_NE(ids[0], ids[1]);
  EXPECT_NE(ids[1], ids[2]);
}

TEST(AccountingTest, StartTwiceIsReported) {
  FakeSidecar sidecar;
  TracedProgram program(sidecar);
  EXPECT_TRUE(Start(TracedOptions("ipc:///tmp/elsewhere")));
  EXPECT_THAT(GetStats().problems, ::testing::HasSubstr("called again"));
  EXPECT_EQ(GetStats().endpoint, sidecar.endpoint());
}

TEST(AccountingTest, ShutdownWhileSpansEnd) {
  FakeSidecar sidecar;
  TracedProgram program(sidecar);
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      while (!stop) {
        Span outer("outer");
        Span("inner").SetTag("k", "v").End();
      }
    });
  }
  ASSERT_TRUE(WaitForStats([](const Stats& stats) { return stats.delivered > 1000; }));
  Shutdown(2000);
  const Stats stats = GetStats();
  EXPECT_EQ(stats.batched, stats.delivered + stats.evicted + stats.held);
  EXPECT_EQ(stats.emitted, stats.batched + stats.sampled_out + stats.dropped());
  stop = true;
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace spanwatch::test
