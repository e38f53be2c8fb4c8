// The small parts of the ingest thread: clock, connection table, queue of Submit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <string>

#include "sidecar/ingest/clock.h"
#include "sidecar/ingest/connections.h"
#include "sidecar/ingest/submit_queue.h"

namespace spanwatch::ingest {
namespace {

std::int64_t g_wall = 0, g_steady = 0;

TEST(EngineClock, FollowsTheWallAndNeverGoesBack) {
  EngineClock clock({[] { return g_wall; }, [] { return g_steady; }});
  g_wall = 1000;
  g_steady = 50;
  EXPECT_EQ(clock.Now(), 1000);
  g_wall = 2000;
  EXPECT_EQ(clock.Now(), 2000);
  g_wall = 500;  // set back
  EXPECT_EQ(clock.Now(), 2000);
  g_steady += 200;
  g_wall += 200;
  EXPECT_EQ(clock.Now(), 2100) << "half speed until the wall has caught up";
  g_steady += 4000;
  g_wall += 4000;
  EXPECT_EQ(clock.Now(), 4700) << "the wall again";
  g_wall = 1'000'000;
  EXPECT_EQ(clock.Now(), 1'000'000);
}

TEST(EngineClock, ComplainsWhileItIsFarAhead) {
  EngineClock clock({[] { return g_wall; }, [] { return g_steady; }});
  constexpr std::int64_t kMinute = 60'000'000'000;
  g_wall = 1000 * kMinute;
  clock.Now();
  g_wall = 999 * kMinute + 1;
  clock.Now();
  EXPECT_EQ(clock.Complaint(), "") << "less than a minute";
  g_wall = 998 * kMinute;
  clock.Now();
  EXPECT_THAT(clock.Complaint(), ::testing::HasSubstr("120 s ahead"));
  g_wall += kMinute;
  g_steady += kMinute;
  clock.Now();
  EXPECT_THAT(clock.Complaint(), ::testing::HasSubstr("90 s ahead")) << "half of that minute";
  g_wall += 3 * kMinute;
  g_steady += 3 * kMinute;
  clock.Now();
  EXPECT_EQ(clock.Complaint(), "");
}

constexpr std::int64_t kSecond = 1'000'000'000;

TEST(Connections, NumbersInOrderOfAppearance) {
  Connections table;
  EXPECT_EQ(table.See("a", 0)->number, 1u);
  EXPECT_EQ(table.See("b", 0)->number, 2u);
  EXPECT_EQ(table.See("a", 1)->number, 1u);
  EXPECT_EQ(table.Find(2)->routing_id, "b");
  EXPECT_EQ(table.Find(3), nullptr);
}

TEST(Connections, ExpireAfterTenMinutesOfSilence) {
  Connections table;
  table.See("a", 0);
  table.See("b", 300 * kSecond);
  table.Expire(600 * kSecond);
  EXPECT_EQ(table.size(), 1u);
  EXPECT_EQ(table.expired(), 1u);
  EXPECT_EQ(table.See("a", 600 * kSecond)->number, 3u) << "a number is never used twice";
}

TEST(Connections, AFloodOfNewOnesDisplacesNoneThatSpeaks) {
  Connections table(3);
  for (int i = 0; i < 3; ++i) ASSERT_NE(table.See("good" + std::to_string(i), i * kSecond), nullptr);
  EXPECT_EQ(table.See("flood", 4 * kSecond), nullptr);
  const Connection* const taken = table.See("flood", 5 * kSecond);  // good0 was silent for five seconds
  ASSERT_NE(taken, nullptr);
  EXPECT_EQ(table.Find(1), nullptr);
  EXPECT_EQ(table.See("flood2", 5 * kSecond), nullptr);
  EXPECT_EQ(table.size(), 3u);
}

TEST(SubmitQueue, WaitsUntilDone) {
  SubmitQueue queue;
  EXPECT_FALSE(queue.Submit(core::RecordKind::kOtlp, "closed", [] {}));
  queue.Open();
  for (const bool accepted : {true, false}) {
    std::promise<void> queued;
    auto result = std::async(std::launch::async, [&] {
      return queue.Submit(core::RecordKind::kOtlp, "bytes", [&] { queued.set_value(); });
    });
    queued.get_future().wait();
    const auto item = queue.Take();
    ASSERT_NE(item, nullptr);
    EXPECT_EQ(item->bytes, "bytes");
    queue.Done(item, accepted);
    EXPECT_EQ(result.get(), accepted);
  }
  EXPECT_EQ(queue.Take(), nullptr);
}

TEST(SubmitQueue, FullAndClosed) {
  SubmitQueue queue;
  queue.Open();
  EXPECT_FALSE(queue.Submit(core::RecordKind::kOtlp, std::string(kMaxSubmitBytes + 1, 'x'), [] {}));
  std::promise<void> queued;
  auto waiting = std::async(std::launch::async, [&] {
    return queue.Submit(core::RecordKind::kOtlp, std::string(kMaxSubmitBytes, 'x'), [&] { queued.set_value(); });
  });
  queued.get_future().wait();
  EXPECT_FALSE(queue.Submit(core::RecordKind::kOtlp, "x", [] {})) << "the bytes of the first fill the queue";
  EXPECT_EQ(queue.refused(), 2u);
  queue.Close();
  EXPECT_FALSE(waiting.get()) << "Close releases those who wait";
}

}  // namespace
}  // namespace spanwatch::ingest
