// Limits, faults, refusals and changes of the webhook, in virtual time.
#include <random>
#include <set>

#include "tests/unit/notify/planner_harness.h"

namespace spanwatch::notify {
namespace {

TEST_F(PlannerTest, RetryAfterIsObeyedToTheMillisecond) {
  script_ = {Status(429, R"({"retry_after":0.65,"global":false})")};
  Fire("a");
  RunFor(10 * kSec);
  ASSERT_EQ(sent_.size(), 2u);
  EXPECT_EQ(sent_[1].at_ns - sent_[0].at_ns, 650'000'000);
  EXPECT_EQ(planner_.counters().rate_limited, 1u);
  EXPECT_EQ(planner_.counters().posted, 1u);
}

TEST_F(PlannerTest, AGlobalLimitIsHandedOn) {
  script_ = {Status(429, R"({"retry_after":2,"global":true})")};
  Fire("a");
  Send();
  EXPECT_EQ(planner_.TakeGlobalBlock(), now_ + 2 * kSec);
  EXPECT_EQ(planner_.TakeGlobalBlock(), 0);
}

TEST_F(PlannerTest, AnEmptyBucketIsNotTriedAndOrderIsKept) {
  Reply last = Status(200, R"({"id":"1","channel_id":"88"})");
  last.bucket = "b";
  last.remaining = "0";
  last.reset_after = "1.5";
  script_ = {last};
  for (const char* id : {"x", "y", "z"}) FireAlone(id);
  RunFor(10 * kSec);
  ASSERT_EQ(sent_.size(), 3u);
  EXPECT_EQ(sent_[1].at_ns - sent_[0].at_ns, 1'500'000'000);
  EXPECT_THAT(TitleOf(sent_[1].body), testing::HasSubstr("Alerty"));
  EXPECT_THAT(TitleOf(sent_[2].body), testing::HasSubstr("Alertz"));
  EXPECT_EQ(planner_.counters().rate_limited, 0u);
}

TEST_F(PlannerTest, FaultsAreRetriedWithGrowingDeterministicPauses) {
  const auto run = [](int faults) {
    PlannerOptions options;
    DiscordPlanner planner(options);
    planner.SetTarget(true, false, 0);
    planner.Add(MakeTransition(MakeIncident("a"), TransitionKind::kFiring), 0);
    std::vector<std::int64_t> times;
    std::int64_t now = 0;
    for (int i = 0; i < faults; ++i) {
      EXPECT_TRUE(planner.Next(now));
      times.push_back(now);
      planner.OnReply(i % 2 == 0 ? Status(502, "<html>") : Lost(), now, 0);
      now = planner.NextDue();
    }
    EXPECT_EQ(planner.counters().retried, static_cast<std::uint64_t>(faults));
    EXPECT_EQ(planner.counters().possible_duplicates, static_cast<std::uint64_t>(faults / 2));
    EXPECT_FALSE(planner.last_error().empty());
    return times;
  };
  const auto times = run(10);
  EXPECT_EQ(times, run(10));
  for (std::size_t i = 1; i < times.size(); ++i) {
    const std::int64_t full = std::min<std::int64_t>(60 * kSec, kSec << (i - 1));
    EXPECT_GE(times[i] - times[i - 1], full / 2) << i;
    EXPECT_LE(times[i] - times[i - 1], full) << i;
  }
}

TEST_F(PlannerTest, AfterAnOutageOneMessageTellsTheLastState) {
  fault_ = [](const Request&) { return Status(503); };
  Fire("a");
  for (int i = 0; i < 30; ++i) {
    RunFor(10 * kSec);
    Update("a", 4e9 + i * 1e8);
  }
  fault_ = nullptr;
  RunFor(120 * kSec);
  ASSERT_EQ(messages_.size(), 1u);
  EXPECT_THAT(FieldOf(messages_.begin()->second, "Value"), testing::StartsWith("**6.9 s**"));
  EXPECT_EQ(planner_.last_error(), "");
}

TEST_F(PlannerTest, WhatIsOverIsDroppedAfterTheMaximumAgeWhatFiresIsNot) {
  fault_ = [](const Request&) { return Status(503); };
  FireAlone("x");
  FireAlone("y");
  Add(Alone("x"), TransitionKind::kResolved);
  RunFor(3600 * kSec + 120 * kSec);
  EXPECT_EQ(planner_.counters().failed, 1u);
  EXPECT_EQ(planner_.TrackedIncidents(), 1u);
  fault_ = nullptr;
  RunFor(120 * kSec);
  ASSERT_EQ(messages_.size(), 1u);
  EXPECT_THAT(TitleOf(messages_.begin()->second), testing::HasSubstr("Alerty"));
}

TEST_F(PlannerTest, AWebhookThatOnlyEverAsksToWaitHasTheSameMaximumAge) {
  fault_ = [](const Request&) { return Status(429, R"({"retry_after":30,"global":false})"); };
  FireAlone("x");
  FireAlone("y");
  Add(Alone("x"), TransitionKind::kResolved);
  RunFor(3500 * kSec);
  EXPECT_EQ(planner_.TrackedIncidents(), 2u);
  RunFor(220 * kSec);
  EXPECT_EQ(planner_.counters().failed, 1u);
  EXPECT_EQ(planner_.TrackedIncidents(), 1u);
  fault_ = nullptr;
  RunFor(120 * kSec);
  ASSERT_EQ(messages_.size(), 1u);
  EXPECT_THAT(TitleOf(messages_.begin()->second), testing::HasSubstr("Alerty"));
}

TEST_F(PlannerTest, APoisonedMessageLetsTheOthersGo) {
  fault_ = [&](const Request& request) {
    return request.body.find("Alertx") != std::string::npos ? Status(500) : Good(request);
  };
  FireAlone("x");
  FireAlone("y");
  RunFor(120 * kSec);
  ASSERT_EQ(messages_.size(), 1u);
  EXPECT_THAT(TitleOf(messages_.begin()->second), testing::HasSubstr("Alerty"));
}

TEST_F(PlannerTest, RefusedCardsBecomePlainTextAndStaySo) {
  script_ = {Status(400, R"({"code":50035,"message":"Invalid Form Body"})")};
  Fire("a");
  Send();
  ASSERT_EQ(sent_.size(), 2u);
  EXPECT_EQ(messages_.at("100")["content"], "Warning: SlowOperation: GeminiService.generate in gemini, 3.2 s");
  EXPECT_EQ(planner_.counters().fallbacks, 1u);
  EXPECT_THAT(planner_.last_error(), testing::HasSubstr("Invalid Form Body")) << "Discord's words are kept";
  Resolve("a");
  Send();
  EXPECT_EQ(messages_.size(), 1u);
  EXPECT_THAT(Title("100"), testing::StartsWith("Resolved: SlowOperation"));
  EXPECT_EQ(planner_.Slots(), 0u);
}

TEST_F(PlannerTest, RefusedTwiceIsDroppedUntilSomethingChanges) {
  fault_ = [](const Request&) { return Status(400, R"({"code":50035})"); };
  Fire("a");
  RunFor(600 * kSec);
  EXPECT_EQ(sent_.size(), 2u);
  EXPECT_EQ(planner_.counters().failed, 1u);
  fault_ = nullptr;
  Resolve("a");
  Send();
  EXPECT_EQ(messages_.size(), 1u);
  EXPECT_EQ(planner_.Slots(), 0u);
}

TEST_F(PlannerTest, IfTheNewMessageIsRefusedTheOldOneGoesOn) {
  Fire("a");
  Send();
  script_ = {Good({Method::kGet, "", ""}), Status(400), Status(400)};
  Escalate("a");
  RunFor(10 * kSec);
  ASSERT_EQ(messages_.size(), 1u);
  EXPECT_EQ(Title("100"), "Critical: SlowOperation: GeminiService.generate in gemini");
  Resolve("a");
  Send();
  EXPECT_THAT(Title("100"), testing::StartsWith("Resolved"));
  EXPECT_EQ(planner_.Slots(), 0u);
}

TEST_F(PlannerTest, GivesUpLoudlyAndForGood) {
  for (const Reply& no : {Status(404, R"({"code":10015})"), Status(401, R"({"code":50027})"), Status(403, "<html>")}) {
    planner_.SetTarget(true, false, now_);
    sent_.clear();
    script_ = {no};
    FireAlone("x");
    RunFor(3600 * kSec);
    FireAlone("y");
    Add(Alone("x"), TransitionKind::kUpdated);
    RunFor(3600 * kSec);
    EXPECT_EQ(sent_.size(), 1u);
    EXPECT_TRUE(planner_.given_up());
    EXPECT_THAT(planner_.last_error(), testing::HasSubstr("Discord answered 4"));
    EXPECT_EQ(planner_.NextDue(), INT64_MAX);
    Add(Alone("x"), TransitionKind::kResolved);
    Add(Alone("y"), TransitionKind::kResolved);
    EXPECT_EQ(planner_.Slots(), 0u) << "nothing piles up";
  }
  EXPECT_EQ(planner_.counters().failed, 6u);
}

TEST_F(PlannerTest, ANewConfigurationEndsIt) {
  script_ = {Status(403)};
  FireAlone("x");
  FireAlone("y");
  RunFor(kSec);
  planner_.SetTarget(true, true, now_);
  RunFor(kSec);
  EXPECT_EQ(messages_.size(), 2u);
  EXPECT_EQ(planner_.last_error(), "");
}

TEST_F(PlannerTest, ANewWebhookGetsWhatStillFires) {
  FireAlone("x");
  FireAlone("y");
  Send();
  Add(Alone("x"), TransitionKind::kResolved);
  planner_.SetTarget(true, false, now_);
  Send();
  EXPECT_EQ(Count(Method::kPost), 3u);
  EXPECT_THAT(TitleOf(sent_.back().body), testing::HasSubstr("Alerty"));
  EXPECT_EQ(planner_.TrackedIncidents(), 1u);
}

TEST_F(PlannerTest, WithoutAWebhookNothingIsKeptButWhatFires) {
  planner_.SetTarget(false, false, now_);
  FireAlone("x");
  FireAlone("y");
  Add(Alone("x"), TransitionKind::kResolved);
  RunFor(60 * kSec);
  EXPECT_TRUE(sent_.empty());
  EXPECT_EQ(planner_.Waiting(false), 0u);
  EXPECT_EQ(planner_.counters().failed, 0u);
  planner_.SetTarget(true, false, now_);
  Send();
  ASSERT_EQ(sent_.size(), 1u);
  EXPECT_THAT(TitleOf(sent_[0].body), testing::HasSubstr("Alerty"));
}

TEST_F(PlannerTest, TooManyEditsOfAnOldMessageWaits) {
  Fire("a");
  Send();
  script_ = {Status(400, R"({"code":30046})")};
  Update("a", 9e9);
  RunFor(5 * kSec);
  EXPECT_EQ(sent_.size(), 2u);
  RunFor(59 * kSec);
  EXPECT_EQ(sent_.size(), 2u);
  RunFor(kSec);
  EXPECT_EQ(sent_.size(), 3u);
  EXPECT_EQ(planner_.counters().fallbacks, 0u);
}

class SmallPlannerTest : public PlannerTest {
 protected:
  static PlannerOptions Small() {
    PlannerOptions options;
    options.max_incidents = 8;
    return options;
  }
  SmallPlannerTest() : PlannerTest(Small()) {}
};

TEST_F(SmallPlannerTest, TheTableIsBounded) {
  fault_ = [](const Request&) { return Status(503); };
  Send();
  for (int i = 0; i < 50; ++i) {
    FireAlone(std::to_string(i));
    if (i % 2 == 0) Add(Alone(std::to_string(i)), TransitionKind::kResolved);
  }
  EXPECT_LE(planner_.TrackedIncidents(), 8u);
  EXPECT_GE(planner_.counters().dropped, 30u);
}

TEST_F(SmallPlannerTest, WhatFiresIsToldThoughTheEndsOfOthersWait) {
  for (int i = 0; i < 8; ++i) FireAlone(std::to_string(i));
  RunFor(60 * kSec);
  ASSERT_EQ(messages_.size(), 8u);
  fault_ = [](const Request&) { return Status(503); };
  for (int i = 0; i < 8; ++i) Add(Alone(std::to_string(i)), TransitionKind::kResolved);
  FireAlone("new");
  EXPECT_EQ(planner_.TrackedIncidents(), 8u);
  EXPECT_EQ(planner_.counters().dropped, 1u);
  fault_ = nullptr;
  RunFor(120 * kSec);
  EXPECT_THAT(TitleOf(messages_.rbegin()->second), testing::HasSubstr("Alertnew"));
}

// Random lives and random faults; at the end Discord works: every incident has exactly one message, green, and nothing
// is kept.
TEST_F(PlannerTest, HoweverItGoesEveryIncidentEndsAsOneGreenMessage) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    std::mt19937_64 random(seed);
    planner_ = DiscordPlanner(WithUrl({}));
    planner_.SetTarget(true, false, now_);
    messages_.clear();
    sent_.clear();
    fault_ = [&](const Request& request) {
      switch (random() % 12) {
        case 0:
          return Status(502);
        case 1:
          return Status(429, R"({"retry_after":0.3})");
        case 2:
          if (request.method == Method::kPatch && random() % 4 == 0) messages_.erase(request.message_id);
          return Good(request);
        default:
          return Good(request);
      }
    };
    std::map<std::string, core::Incident> active;
    std::set<std::string> all;
    for (int step = 0; step < 120; ++step) {
      const std::string id = std::to_string(random() % 12) + "-" + std::to_string(step / 40);
      const bool is_active = active.contains(id);
      if (!is_active && !all.contains(id)) {
        active[id] = Alone(id);
        all.insert(id);
        Add(active[id], TransitionKind::kFiring);
      } else if (is_active && random() % 3 == 0) {
        Add(active[id], TransitionKind::kResolved);
        active.erase(id);
      } else if (is_active) {
        const bool up = random() % 2 == 0;
        active[id].severity = up ? Severity::kCritical : Severity::kWarning;
        active[id].value += 1e8;
        Add(active[id], up ? TransitionKind::kEscalated : TransitionKind::kDeescalated);
      }
      RunFor(static_cast<std::int64_t>(random() % 4000) * 1'000'000);
    }
    for (const auto& [id, incident] : active) Add(incident, TransitionKind::kResolved);
    fault_ = nullptr;
    RunFor(600 * kSec);
    ASSERT_EQ(planner_.Slots(), 0u) << seed;
    std::map<std::string, int> live;
    for (const auto& [id, message] : messages_) {
      if (message["embeds"].empty()) continue;  // cut to a link
      ASSERT_THAT(TitleOf(message), testing::StartsWith("Resolved")) << seed;
      ++live[TitleOf(message)];
    }
    for (const auto& [title, count] : live) {
      if (title.find(" more ") == std::string::npos) {
        ASSERT_EQ(count, 1) << seed << title;
      }
    }
  }
}

}  // namespace
}  // namespace spanwatch::notify
