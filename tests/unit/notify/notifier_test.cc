// The notifier with its threads and its HTTP client against the Discord imitation, over loopback.
#include "sidecar/notify/notifier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "tests/unit/notify/imitation.h"
#include "tests/unit/notify/incidents.h"
#include "tests/unit/notify/receivers.h"

namespace spanwatch::notify {
namespace {

using core::TransitionKind;

constexpr std::int64_t kBudget = 20 * kSec;

Options To(const std::string& url) {
  Options options;
  core::Receiver receiver = DiscordReceiver("discord", url);
  receiver.growth_interval_ns = 10'000'000;
  AddReceiver(receiver, &options);
  options.external_url = "http://localhost:9464/";
  return options;
}

std::vector<core::Transition> One(TransitionKind kind, double value = 3.2e9, const std::string& id = "a") {
  core::Incident incident = MakeIncident(id);
  incident.value = value;
  return {MakeTransition(incident, kind)};
}

TEST(Notifier, PostsEditsAndResolves) {
  Imitation discord;
  Notifier notifier(To(discord.url()));
  notifier.Start();
  notifier.Enqueue(One(TransitionKind::kFiring));
  discord.Wait(1);
  notifier.Enqueue(One(TransitionKind::kUpdated, 9e9));
  discord.Wait(1, 1);
  notifier.Enqueue(One(TransitionKind::kResolved));
  EXPECT_EQ(notifier.Stop(kBudget), 0u);

  const auto state = discord.Wait(1, 2);
  ASSERT_EQ(state["messages"].size(), 1u);
  const auto& message = state["messages"][0];
  EXPECT_EQ(message["embeds"][0]["title"], "Resolved: SlowOperation: GeminiService.generate in gemini");
  EXPECT_EQ(message["edits"].size(), 2u);
  EXPECT_EQ(message["warnings"], nlohmann::json::array());
  EXPECT_EQ(message["pings"], nlohmann::json::array());
  EXPECT_THAT(message["embeds"][0].dump(), testing::HasSubstr("http://localhost:9464/trace/0123456789abcdef"));
  EXPECT_THAT(state["requests"][0]["headers"]["User-Agent"].get<std::string>(),
              testing::StartsWith("DiscordBot (http://localhost:9464/, "));
  const Counters counts = notifier.Counts().at(0);
  EXPECT_EQ(counts.posted, 1u);
  EXPECT_EQ(counts.edited, 2u);
  EXPECT_EQ(counts.failed + counts.retried + counts.dropped, 0u);
  const TargetStatus status = notifier.Status().at(0);
  EXPECT_TRUE(status.configured);
  EXPECT_FALSE(status.given_up);
  EXPECT_EQ(status.last_error, "");
  EXPECT_GT(status.last_delivered_ns, kEpoch);
}

TEST(Notifier, AnAnswerThatGotLostCountsAsAPossibleDuplicate) {
  Imitation discord;
  discord.Fault({{"kind", "store_close"}});
  Notifier notifier(To(discord.url()));
  notifier.Start();
  notifier.Enqueue(One(TransitionKind::kFiring));
  discord.Wait(2);
  EXPECT_EQ(notifier.Stop(kBudget), 0u);
  EXPECT_EQ(notifier.Counts().at(0).possible_duplicates, 1u);
  EXPECT_EQ(notifier.Counts().at(0).posted, 1u);
}

TEST(Notifier, StatusKeepsDiscordsWordsButNotTheSecret) {
  Imitation discord;
  discord.Fault({{"kind", "400"}, {"body", "{\"message\":\"bad form at " + discord.url() + "\"}"}});
  Notifier notifier(To(discord.url()));
  notifier.Start();
  notifier.Enqueue(One(TransitionKind::kFiring));
  const auto state = discord.Wait(1);
  EXPECT_EQ(notifier.Stop(kBudget), 0u);
  EXPECT_THAT(state["messages"][0]["content"].get<std::string>(), testing::StartsWith("Warning: SlowOperation"));
  const std::string error = notifier.Status().at(0).last_error;
  EXPECT_THAT(error, testing::HasSubstr("bad form"));
  EXPECT_EQ(error.find(discord.token()), std::string::npos) << error;
  EXPECT_EQ(notifier.Counts().at(0).fallbacks, 1u);
}

TEST(Notifier, StopsInItsBudgetAlthoughDiscordHangs) {
  Imitation discord;
  discord.Fault({{"kind", "hang"}, {"count", 10}});
  Options options = To(discord.url());
  AddReceiver(DiscordReceiver("other", "http://127.0.0.1:1/api/webhooks/1/t"), &options);
  Notifier notifier(options);
  notifier.Start();
  notifier.Enqueue(One(TransitionKind::kFiring));
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(notifier.Stop(100'000'000), 2u) << "one message a target";
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
  notifier.Enqueue(One(TransitionKind::kFiring));
  EXPECT_EQ(notifier.Stop(kBudget), 0u);
}

TEST(Notifier, AHangingTargetHoldsUpNoOther) {
  Imitation hanging, good;
  hanging.Fault({{"kind", "hang"}, {"count", 10}});
  Options options = To(hanging.url());
  AddReceiver(DiscordReceiver("good", good.url()), &options);
  Notifier notifier(options);
  notifier.Start();
  notifier.Enqueue(One(TransitionKind::kFiring));
  EXPECT_EQ(good.Wait(1)["messages"].size(), 1u);
}

TEST(Notifier, GivesUpUntilItIsReconfigured) {
  Imitation discord;
  discord.Fault({{"kind", "404"}, {"code", 10015}});
  Notifier notifier(To(discord.url()));
  notifier.Start();
  notifier.Enqueue(One(TransitionKind::kFiring));
  EXPECT_EQ(discord.Wait(0, 0, 1)["requests"][0]["status"], 404);
  notifier.Enqueue(One(TransitionKind::kUpdated, 8e9));
  notifier.Reconfigure(To(discord.url()));
  EXPECT_EQ(discord.Wait(1)["messages"].size(), 1u);
  EXPECT_EQ(notifier.Stop(kBudget), 0u);
  EXPECT_FALSE(notifier.Status().at(0).given_up);
}

TEST(Notifier, WithoutUrlOrWithABadOneNothingIsPosted) {
  Notifier none(To(""));
  none.Start();
  none.Enqueue(One(TransitionKind::kFiring));
  EXPECT_EQ(none.Stop(kBudget), 0u);
  EXPECT_FALSE(none.Status().at(0).configured);
  EXPECT_EQ(none.Status().at(0).queued, 0u);

  Notifier bad(To("http://discord.com/api/webhooks/1/SECRET"));
  bad.Start();
  bad.Enqueue(One(TransitionKind::kFiring));
  EXPECT_EQ(bad.Stop(kBudget), 0u);
  const TargetStatus status = bad.Status().at(0);
  EXPECT_TRUE(status.configured);
  EXPECT_TRUE(status.given_up);
  EXPECT_THAT(status.last_error, testing::HasSubstr("plain http"));
  EXPECT_EQ(status.last_error.find("SECRET"), std::string::npos);
}

TEST(Notifier, WithoutStartNothingIsDelivered) {
  Notifier notifier(To("http://127.0.0.1:1/api/webhooks/1/t"));
  notifier.Enqueue(One(TransitionKind::kFiring));
  EXPECT_EQ(notifier.Stop(kBudget), 1u);
}

TEST(Notifier, ManyThreadsMayUseIt) {
  Imitation discord;
  Notifier notifier(To(discord.url()));
  notifier.Start();
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        notifier.Enqueue(One(TransitionKind::kFiring, 1e9 * i, std::to_string(t)));
        if (i % 10 == 0) notifier.Reconfigure(To(discord.url()));
        EXPECT_EQ(notifier.Status().size() + notifier.Counts().size(), 2u);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (int t = 0; t < 3; ++t) notifier.Enqueue(One(TransitionKind::kResolved, 1e9, std::to_string(t)));
  EXPECT_EQ(notifier.Stop(kBudget), 0u);
  const auto state = discord.Wait(3);
  ASSERT_EQ(state["messages"].size(), 3u);
  for (const auto& message : state["messages"]) {
    EXPECT_THAT(message["embeds"][0]["title"].get<std::string>(), testing::StartsWith("Resolved"));
  }
}

}  // namespace
}  // namespace spanwatch::notify
