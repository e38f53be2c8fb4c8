// One incident's message through its life, in virtual time.
#include "tests/unit/notify/planner_harness.h"

namespace spanwatch::notify {
namespace {

TEST_F(PlannerTest, OneMessagePostedAtOnceEditedAsItGrowsGreenAtTheEnd) {
  Fire("a");
  Send();
  ASSERT_EQ(sent_.size(), 1u);
  EXPECT_EQ(sent_[0].method, Method::kPost);
  EXPECT_EQ(sent_[0].at_ns, 1000 * kSec);
  for (int i = 1; i <= 20; ++i) {
    now_ += kSec;
    Update("a", 3.2e9 + i * 1e8);
    Send();
  }
  RunFor(0);
  EXPECT_EQ(Count(Method::kPatch), 4u) << "twenty updates in twenty seconds, an edit each five";
  for (std::size_t i = 1; i < sent_.size(); ++i) EXPECT_GE(sent_[i].at_ns - sent_[i - 1].at_ns, 5 * kSec);
  now_ += kSec;
  Resolve("a");
  Send();
  EXPECT_EQ(sent_.back().at_ns, now_) << "the end is told at once";
  EXPECT_EQ(messages_.size(), 1u);
  EXPECT_EQ(Title("100"), "Resolved: SlowOperation: GeminiService.generate in gemini");
  EXPECT_EQ(FieldOf(messages_.at("100"), "Lasted"), "2 min 5 s");
  EXPECT_EQ(planner_.TrackedIncidents(), 0u);
  EXPECT_EQ(planner_.Slots(), 0u);
  EXPECT_EQ(planner_.counters().posted, 1u);
  EXPECT_EQ(planner_.counters().edited, 5u);
}

TEST_F(PlannerTest, AnUpdateThatShowsNothingNewIsNotSent) {
  Fire("a");
  Send();
  Add(MakeIncident("a"), TransitionKind::kUpdated);
  RunFor(60 * kSec);
  EXPECT_EQ(sent_.size(), 1u);
  EXPECT_EQ(planner_.Waiting(false), 0u);
}

TEST_F(PlannerTest, FiredAndOverWhileWaitingIsOneGreenPost) {
  Fire("a");
  Update("a", 9e9);
  Resolve("a");
  Send();
  ASSERT_EQ(sent_.size(), 1u);
  EXPECT_EQ(sent_[0].method, Method::kPost);
  EXPECT_EQ(Title("100"), "Resolved: SlowOperation: GeminiService.generate in gemini");
  EXPECT_EQ(planner_.Slots(), 0u);
}

TEST_F(PlannerTest, TheEndDuringThePostFollowsIt) {
  Fire("a");
  during_ = [&] { Resolve("a"); };
  Send();
  ASSERT_EQ(sent_.size(), 2u);
  EXPECT_EQ(sent_[1].method, Method::kPatch);
  EXPECT_EQ(planner_.Slots(), 0u);
}

TEST_F(PlannerTest, ARisePostsAnewLinksTheOldAndCutsItToALink) {
  Fire("a");
  Send();
  now_ += kSec;
  Escalate("a");
  Send();
  ASSERT_EQ(sent_.size(), 4u);
  EXPECT_EQ(sent_[1].method, Method::kGet) << "links need the guild's id";
  EXPECT_EQ(sent_[2].method, Method::kPost);
  EXPECT_EQ(FieldOf(messages_.at("101"), "History"),
            "raised from warning to critical, [earlier message](https://discord.com/channels/77/88/100)");
  EXPECT_EQ(Title("101"), "Critical: SlowOperation: GeminiService.generate in gemini");
  EXPECT_EQ(messages_.at("100")["content"], "Now critical: https://discord.com/channels/77/88/101");
  EXPECT_EQ(messages_.at("100")["embeds"], Json::array());
  Resolve("a");
  Send();
  EXPECT_EQ(sent_.back().message_id, "101");
  EXPECT_EQ(FieldOf(messages_.at("101"), "History"),
            "raised from warning to critical, [earlier message](https://discord.com/channels/77/88/100)");
  EXPECT_EQ(planner_.Slots(), 0u);
}

TEST_F(PlannerTest, WithoutTheGuildTheRiseGoesOutWithoutLinks) {
  Fire("a");
  Send();
  script_ = {Status(500)};
  Escalate("a");
  Send();
  ASSERT_EQ(sent_.size(), 4u);
  EXPECT_EQ(FieldOf(messages_.at("101"), "History"), "raised from warning to critical");
  EXPECT_EQ(messages_.at("100")["content"], "Now critical: see the newer message");
}

TEST_F(PlannerTest, ARiseBeforeThePostIsOnePost) {
  Fire("a");
  Escalate("a");
  Send();
  EXPECT_EQ(sent_.size(), 1u);
  EXPECT_EQ(Title("100"), "Critical: SlowOperation: GeminiService.generate in gemini");
}

TEST_F(PlannerTest, ARiseDuringThePostIsASecondPost) {
  Fire("a");
  during_ = [&] { Escalate("a"); };
  Send();
  EXPECT_EQ(Count(Method::kPost), 2u);
  EXPECT_EQ(messages_.at("100")["embeds"], Json::array());
}

TEST_F(PlannerTest, AFallOnlyEditsAndTheNextRiseIsNewsAgain) {
  Fire("a", Severity::kCritical);
  Send();
  auto fallen = MakeIncident("a");
  fallen.peak_severity = Severity::kCritical;
  Add(fallen, TransitionKind::kDeescalated);
  RunFor(10 * kSec);
  EXPECT_EQ(Count(Method::kPost), 1u);
  EXPECT_EQ(FieldOf(messages_.at("100"), "Severity"), "warning, was critical");
  Escalate("a");
  Send();
  EXPECT_EQ(Count(Method::kPost), 2u);
}

TEST_F(PlannerTest, RepeatedWhileItFires) {
  Fire("a");
  RunFor(4 * 3600 * kSec - 1);
  EXPECT_EQ(Count(Method::kPost), 1u);
  RunFor(kSec);
  EXPECT_EQ(Count(Method::kPost), 2u);
  EXPECT_EQ(messages_.at("100")["content"], "Still firing: https://discord.com/channels/77/88/101");
  RunFor(4 * 3600 * kSec);
  EXPECT_EQ(Count(Method::kPost), 3u);
  Resolve("a");
  RunFor(24 * 3600 * kSec);
  EXPECT_EQ(Count(Method::kPost), 3u);
}

TEST_F(PlannerTest, ADeletedMessageIsPostedAnew) {
  Fire("a");
  Send();
  messages_.clear();
  Update("a", 9e9);
  RunFor(5 * kSec);
  EXPECT_EQ(Count(Method::kPost), 2u);
  Resolve("a");
  Send();
  ASSERT_EQ(messages_.size(), 1u);
  EXPECT_THAT(Title("101"), testing::StartsWith("Resolved"));
}

TEST_F(PlannerTest, AMessageThatAlwaysVanishesIsNotPostedForEver) {
  fault_ = [&](const Request& request) {
    return request.method == Method::kPatch ? Status(404, "gone") : Good(request);
  };
  Fire("a");
  for (int i = 0; i < 100; ++i) {
    Update("a", 4e9 + i);
    RunFor(5 * kSec);
  }
  EXPECT_LE(Count(Method::kPost), 5u);
  Resolve("a");
  RunFor(60 * kSec);
  EXPECT_EQ(planner_.Slots(), 0u);
}

TEST_F(PlannerTest, AnAnswerWithoutIdLeavesNothingToEdit) {
  script_ = {Status(200, "{}")};
  Fire("a");
  Send();
  Update("a", 9e9);
  RunFor(60 * kSec);
  EXPECT_EQ(sent_.size(), 1u);
  Resolve("a");
  Send();
  ASSERT_EQ(sent_.size(), 2u);
  EXPECT_EQ(sent_[1].method, Method::kPost);
  EXPECT_EQ(planner_.Slots(), 0u);
}

TEST_F(PlannerTest, TraceLinksOnlyWhereTheTraceIsStored) {
  PlannerOptions options = WithUrl({});
  bool stored = true;
  options.trace_stored = [&](const TraceId&) { return stored; };
  planner_.SetOptions(options);
  Fire("a");
  Send();
  EXPECT_THAT(FieldOf(messages_.at("100"), "Slowest trace"), testing::HasSubstr("http://localhost:9464/trace/"));
  stored = false;
  Resolve("a");
  Send();
  EXPECT_THAT(FieldOf(messages_.at("100"), "Slowest trace"), testing::HasSubstr("no longer stored"));
}

TEST_F(PlannerTest, PendingIncidentsAreNobodysBusiness) {
  auto incident = MakeIncident("a");
  incident.state = core::AlertState::kPending;
  Add(incident, TransitionKind::kUpdated);
  Send();
  EXPECT_TRUE(sent_.empty());
}

TEST_F(PlannerTest, AResolutionOfAnIncidentFromBeforeIsTold) {
  Resolve("a");
  Send();
  ASSERT_EQ(sent_.size(), 1u);
  EXPECT_THAT(Title("100"), testing::StartsWith("Resolved"));
}

}  // namespace
}  // namespace spanwatch::notify
