// What the routing says: who is told, who waits, who is quiet; in virtual time.
#include "tests/unit/notify/planner_route.h"

#include <set>

namespace spanwatch::notify {
namespace {

constexpr const char* kTitle = "Warning: SlowOperation: GeminiService.generate in gemini";

TEST_F(PlannerRouteTest, WhatIsRoutedElsewhereIsNotTold) {
  Say("a", [](Direction* d) { d->routed = false; });
  Fire("a");
  RunFor(60 * kSec);
  EXPECT_TRUE(sent_.empty());
  EXPECT_EQ(State("a"), "not_routed");
  EXPECT_EQ(planner_.Waiting(false), 0u);
  Escalate("a");
  Resolve("a");
  RunFor(60 * kSec);
  EXPECT_TRUE(sent_.empty());
  EXPECT_EQ(planner_.TrackedIncidents(), 0u);
}

TEST_F(PlannerRouteTest, AReloadThatRoutesItHereTellsIt) {
  Say("a", [](Direction* d) { d->routed = false; });
  Fire("a");
  RunFor(kSec);
  Unmute("a");
  RunFor(kSec);
  EXPECT_EQ(Title("100"), kTitle);
}

TEST_F(PlannerRouteTest, RoutedElsewhereAfterARiseItsMessageGoesOnWithoutANewOne) {
  Fire("a");
  Send();
  said_["a"] = base_;
  said_["a"].routed = false;
  Escalate("a");
  RunFor(24 * 3600 * kSec);
  EXPECT_EQ(Count(Method::kPost), 1u) << "neither the rise nor a repeat is posted";
  EXPECT_THAT(Title("100"), testing::StartsWith("Critical"));
  Resolve("a");
  Send();
  EXPECT_THAT(Title("100"), testing::StartsWith("Resolved"));
  EXPECT_EQ(planner_.Slots(), 0u);
}

TEST_F(PlannerRouteTest, ARiseThatWaitsAndIsRoutedElsewhereIsNotPosted) {
  Fire("a");
  script_ = {Status(500)};
  Send();
  said_["a"] = base_;
  said_["a"].routed = false;
  Escalate("a");
  RunFor(600 * kSec);
  EXPECT_EQ(messages_.size(), 0u);
  EXPECT_EQ(State("a"), "not_routed");
}

TEST_F(PlannerRouteTest, MutedBeforeItFiresItIsSilentUntilTheMutingEnds) {
  Mute("a");
  Fire("a");
  RunFor(600 * kSec);
  EXPECT_TRUE(sent_.empty());
  EXPECT_EQ(State("a"), "muted");
  EXPECT_EQ(Detail("a"), kSilence);
  Unmute("a");
  Send();
  EXPECT_EQ(Title("100"), kTitle);
  EXPECT_EQ(FieldOf(messages_.at("100"), "History"), "(none)");
}

TEST_F(PlannerRouteTest, MutedAndOverNobodyHears) {
  Mute("a");
  Fire("a");
  Resolve("a");
  Unmute("a");
  RunFor(60 * kSec);
  EXPECT_TRUE(sent_.empty());
  EXPECT_EQ(planner_.TrackedIncidents(), 0u);
}

TEST_F(PlannerRouteTest, ALiveMessageSaysWhyItIsQuietAndShowsItsEnd) {
  Fire("a");
  Send();
  now_ += kSec;
  Mute("a");
  RunFor(10 * kSec);
  EXPECT_EQ(FieldOf(messages_.at("100"), "Quiet"), "silenced by ada until 14\\:05 UTC\\: deploy");
  EXPECT_EQ(State("a"), "muted");
  EXPECT_THAT(Detail("a"),
              testing::StartsWith(std::string(kSilence) + "; posted at 2023-11-14 22:30:00 UTC, edited once"));
  Escalate("a");
  RunFor(24 * 3600 * kSec);
  EXPECT_EQ(Count(Method::kPost), 1u) << "neither the rise nor a repeat is posted";
  Resolve("a");
  Send();
  EXPECT_THAT(Title("100"), testing::StartsWith("Resolved"));
  EXPECT_EQ(FieldOf(messages_.at("100"), "Quiet"), "(none)");
}

TEST_F(PlannerRouteTest, WhenTheMutingEndsItIsToldAnewWithALinkToTheOldMessage) {
  Fire("a");
  Send();
  Mute("a");
  RunFor(10 * kSec);
  Unmute("a");
  RunFor(kSec);
  EXPECT_EQ(Count(Method::kPost), 2u);
  EXPECT_EQ(FieldOf(messages_.at("101"), "History"),
            "no longer muted, still firing, [earlier message](https://discord.com/channels/77/88/100)");
  EXPECT_EQ(FieldOf(messages_.at("101"), "Quiet"), "(none)");
  EXPECT_EQ(messages_.at("100")["content"], "Still firing: https://discord.com/channels/77/88/101");
  RunFor(60 * kSec);
  EXPECT_EQ(Count(Method::kPost), 2u);
}

TEST_F(PlannerRouteTest, AMutingThatNobodySawLeavesNoTrace) {
  Fire("a");
  Send();
  now_ += kSec;
  Mute("a");
  Unmute("a");
  RunFor(60 * kSec);
  EXPECT_EQ(sent_.size(), 1u);
}

TEST_F(PlannerRouteTest, ARiseWhileMutedIsNewsWhenTheMutingEnds) {
  Fire("a");
  Send();
  Mute("a");
  Escalate("a");
  RunFor(10 * kSec);
  Unmute("a");
  RunFor(kSec);
  EXPECT_EQ(Count(Method::kPost), 2u);
  EXPECT_THAT(FieldOf(messages_.at("101"), "History"), testing::StartsWith("raised from warning to critical"));
}

TEST_F(PlannerRouteTest, MutedWhileTheRiseWaitsTheOldMessageGoesOn) {
  Fire("a");
  Send();
  now_ += kSec;
  Escalate("a");
  Mute("a");
  RunFor(60 * kSec);
  EXPECT_EQ(Count(Method::kPost), 1u);
  EXPECT_THAT(Title("100"), testing::StartsWith("Critical"));
  EXPECT_NE(FieldOf(messages_.at("100"), "Quiet"), "(none)");
  Unmute("a");
  RunFor(kSec);
  EXPECT_EQ(Count(Method::kPost), 2u);
}

TEST_F(PlannerRouteTest, TheMutingEndsWhileItIsBeingTold) {
  Fire("a");
  Send();
  Mute("a");
  during_ = [&] { Unmute("a"); };
  RunFor(60 * kSec);
  EXPECT_EQ(Count(Method::kPost), 2u);
  EXPECT_EQ(FieldOf(messages_.at("101"), "Quiet"), "(none)");
}

TEST_F(PlannerRouteTest, AMutedMemberLeavesAFoldThatIsNotSentYet) {
  script_ = {Status(500)};
  for (const char* id : {"a", "b", "c", "d", "e"}) Fire(id);
  Send();
  Mute("e");
  RunFor(60 * kSec);
  EXPECT_EQ(messages_.size(), 4u);
  EXPECT_EQ(Title("103"), "Warning: 1 more SlowOperation");
  Unmute("e");
  RunFor(10 * kSec);
  EXPECT_EQ(State("e"), "posted") << "the group's interval is over: it gets its own";
}

TEST_F(PlannerRouteTest, AFoldIsQuietWhenAllOfItIs) {
  for (const char* id : {"a", "b", "c", "d", "e"}) Fire(id);
  Send();
  Mute("d");
  RunFor(10 * kSec);
  EXPECT_EQ(FieldOf(messages_.at("103"), "Quiet"), "(none)");
  Mute("e");
  RunFor(10 * kSec);
  EXPECT_NE(FieldOf(messages_.at("103"), "Quiet"), "(none)");
  Unmute("e");
  RunFor(10 * kSec);
  EXPECT_EQ(Count(Method::kPost), 5u);
  EXPECT_EQ(State("e"), "folded");
  EXPECT_THAT(Detail("e"), testing::StartsWith("in a message with 1 other, posted at "));
}

TEST_F(PlannerRouteTest, GroupWaitHoldsTheFirstMessagesOfAGroupAlone) {
  base_.group_wait_ns = 20 * kSec;
  Fire("a");
  now_ += 5 * kSec;
  for (const char* id : {"b", "c", "d", "e"}) Fire(id);
  RunFor(14 * kSec);
  EXPECT_TRUE(sent_.empty());
  EXPECT_EQ(State("a"), "waiting");
  EXPECT_EQ(Detail("a"), "its message waits for more of its group (group_wait) until 2023-11-14 22:30:20 UTC");
  RunFor(kSec);
  EXPECT_EQ(messages_.size(), 4u) << "three, and a fold of two";
  EXPECT_EQ(Title("103"), "Warning: 2 more SlowOperation");
  now_ += 100 * kSec;
  Fire("f");
  Send();
  EXPECT_EQ(messages_.size(), 5u) << "a group that is known does not wait again";
  for (const char* id : {"a", "b", "c", "d", "e", "f"}) Resolve(id);
  RunFor(200 * kSec);
  Fire("g");
  Send();
  EXPECT_EQ(messages_.size(), 5u) << "a group that was over is a new one";
  RunFor(20 * kSec);
  EXPECT_EQ(messages_.size(), 6u);
}

TEST_F(PlannerRouteTest, WhatEndsInTheGroupWaitIsOneGreenMessage) {
  base_.group_wait_ns = 20 * kSec;
  Fire("a");
  Resolve("a");
  RunFor(60 * kSec);
  EXPECT_EQ(sent_.size(), 1u);
  EXPECT_THAT(Title("100"), testing::StartsWith("Resolved"));
}

TEST_F(PlannerRouteTest, GroupsAreWhatTheRouteSays) {
  for (int i = 0; i < 12; ++i) {
    said_[std::to_string(i)] = base_;
    said_[std::to_string(i)].group_key = i % 2 == 0 ? "even" : "odd";
    said_[std::to_string(i)].group_labels = {{"service", i % 2 == 0 ? "even" : "odd"}};
  }
  for (int i = 0; i < 12; ++i) Fire(std::to_string(i));
  Send();
  EXPECT_EQ(messages_.size(), 8u);
  EXPECT_EQ(Title("106"), "Warning: 3 more alerts in even");
}

TEST_F(PlannerRouteTest, EachRouteRepeatsInItsOwnTime) {
  base_.repeat_interval_ns = 600 * kSec;
  said_["never"] = base_;
  said_["never"].repeat_interval_ns = 0;
  Fire("a");
  Fire("never");
  core::Incident budget = MakeIncident("budget");
  budget.measure = "tokens";
  Add(budget, TransitionKind::kFiring);
  Send();
  EXPECT_EQ(Detail("a"), "posted at 2023-11-14 22:30:00 UTC; next repeat at 2023-11-14 22:40:00 UTC");
  EXPECT_EQ(Detail("never"), "posted at 2023-11-14 22:30:00 UTC");
  EXPECT_EQ(Detail("budget"), "posted at 2023-11-14 22:30:00 UTC");
  RunFor(1300 * kSec);
  EXPECT_EQ(Count(Method::kPost), 5u) << "two repeats of one of three";
}

TEST_F(PlannerRouteTest, EndsThatAreNotWantedAreStillShownButNeverPosted) {
  core::Receiver receiver;
  receiver.send_resolved = false;
  Set(receiver);
  Fire("a");
  Send();
  Resolve("a");
  Send();
  EXPECT_THAT(Title("100"), testing::StartsWith("Resolved"));
  Fire("b");
  Resolve("b");
  RunFor(60 * kSec);
  EXPECT_EQ(Count(Method::kPost), 1u);
  EXPECT_EQ(planner_.Slots(), 0u);
  EXPECT_EQ(planner_.TrackedIncidents(), 0u);
}

TEST_F(PlannerRouteTest, ARoleIsPingedByNewMessagesFromItsSeverityOnAlone) {
  core::Receiver receiver;
  receiver.discord.role_id = "4711";
  Set(receiver);
  Fire("a");
  Send();
  EXPECT_FALSE(sent_.back().body.contains("content"));
  Escalate("a");
  RunFor(kSec);
  EXPECT_EQ(messages_.at("101")["content"], "<@&4711>");
  auto worse = MakeIncident("a", Severity::kCritical);
  worse.value = worse.worst_value = 9e9;
  Add(worse, TransitionKind::kUpdated);
  RunFor(60 * kSec);
  Resolve("a");
  Send();
  for (const Sent& sent : sent_) {
    if (sent.method == Method::kPost) continue;
    EXPECT_FALSE(sent.body.contains("allowed_mentions") && sent.body["allowed_mentions"].contains("roles"));
  }
  EXPECT_EQ(messages_.at("101")["content"], "<@&4711>") << "an edit leaves the content alone";
}

TEST_F(PlannerRouteTest, AFoldPingsOnceAndAnUnchangedMessageIsNotEdited) {
  core::Receiver receiver;
  receiver.discord.role_id = "4711";
  receiver.discord.mention_from = Severity::kWarning;
  Set(receiver);
  for (int i = 0; i < 40; ++i) Fire("i" + std::to_string(i));
  RunFor(3 * kSec);
  Add(MakeIncident("i0"), TransitionKind::kUpdated);
  RunFor(30 * kSec);
  EXPECT_EQ(Title("103"), "Warning: 37 more SlowOperation");
  EXPECT_EQ(Count(Method::kPatch), 0u);
  std::size_t pings = 0;
  for (const Sent& sent : sent_) pings += sent.body.value("allowed_mentions", Json()).contains("roles") ? 1 : 0;
  EXPECT_EQ(pings, 4u);
}

TEST_F(PlannerRouteTest, ADeletedMessageComesBackWithoutAPing) {
  core::Receiver receiver;
  receiver.discord.role_id = "4711";
  receiver.discord.mention_from = Severity::kWarning;
  Set(receiver);
  Fire("a");
  Send();
  messages_.clear();
  Update("a", 9e9);
  RunFor(10 * kSec);
  EXPECT_EQ(Count(Method::kPost), 2u);
  EXPECT_FALSE(sent_.back().body.contains("content"));
}

TEST_F(PlannerRouteTest, ARestartKnowsWhoIsQuietAndWhoIsNotTold) {
  Fire("a");
  Send();
  Mute("a");
  Mute("b");
  Fire("b");
  RunFor(10 * kSec);
  StoredReceiver stored;
  planner_.ForgetSaved();
  const Changes changes = planner_.TakeChanges();
  stored.incidents = changes.incidents;
  stored.slots = changes.slots;
  ASSERT_EQ(stored.incidents.size(), 2u);
  PlannerOptions options = WithUrl({});
  options.direct = [this](const core::Incident& incident) {
    const auto it = said_.find(incident.id);
    return it == said_.end() ? base_ : it->second;
  };
  DiscordPlanner next(options);
  EXPECT_EQ(next.Load(stored, now_, kEpoch + now_), 0u);
  next.SetTarget(true, true, now_);
  EXPECT_FALSE(next.Next(now_ + 60 * kSec)) << "nothing is new";
  said_.clear();
  next.Redirect(now_);
  std::set<std::string> titles;
  while (const auto request = next.Next(now_)) {
    if (request->method == Method::kPost)
      titles.insert(request->body.substr(0, request->body.find("allowed_mentions")));
    next.OnReply(Good(*request), now_, kEpoch + now_);
  }
  EXPECT_EQ(titles.size(), 2u) << "both are told anew";
}

TEST_F(PlannerRouteTest, EachStandIsExplained) {
  Fire("a");
  script_ = {Lost()};
  Send();
  EXPECT_THAT(Detail("a"), testing::HasSubstr("its message waits after a failure (no answer) until "));
  RunFor(60 * kSec);
  script_ = {Status(429, R"({"retry_after": 30})")};
  Update("a", 9e9);
  RunFor(6 * kSec);
  EXPECT_THAT(Detail("a"), testing::HasSubstr("the next edit is rate limited by Discord until "));
  RunFor(60 * kSec);
  EXPECT_EQ(State("a"), "edited");
  script_ = {Status(401)};
  Update("a", 10e9);
  RunFor(60 * kSec);
  EXPECT_EQ(State("a"), "given_up");
  planner_.SetTarget(false, true, now_);
  EXPECT_EQ(State("a"), "not_configured");
  EXPECT_EQ(Explained("a").receiver, "team");
}

TEST_F(PlannerRouteTest, WhatIsNotToldMakesRoomForWhatIs) {
  PlannerOptions options = WithUrl({});
  options.max_incidents = 4;
  options.direct = [this](const core::Incident& incident) {
    Direction direction = base_;
    direction.routed = incident.id[0] != 'x';
    return direction;
  };
  planner_.SetOptions(options);
  for (int i = 0; i < 10; ++i) Fire("x" + std::to_string(i));
  for (int i = 0; i < 4; ++i) Fire(std::to_string(i));
  EXPECT_EQ(planner_.TrackedIncidents(), 4u);
  Send();
  EXPECT_EQ(messages_.size(), 4u);
  EXPECT_EQ(planner_.counters().dropped, 0u);
}

}  // namespace
}  // namespace spanwatch::notify
