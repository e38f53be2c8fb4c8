// Storms: what does not get a message of its own shares one.
#include "tests/unit/notify/planner_harness.h"

namespace spanwatch::notify {
namespace {

TEST_F(PlannerTest, ThreeOfAGroupAtOnceTheRestShareOne) {
  for (int i = 0; i < 12; ++i) {
    Fire("i" + std::to_string(i));
    Send();
    now_ += kSec;
  }
  RunFor(10 * kSec);
  EXPECT_EQ(Count(Method::kPost), 4u);
  EXPECT_EQ(messages_.size(), 4u);
  EXPECT_EQ(Title("103"), "Warning: 9 more SlowOperation in gemini");
  EXPECT_LE(Count(Method::kPatch), 3u) << "edited at most every five seconds";
  for (int i = 0; i < 12; ++i) Resolve("i" + std::to_string(i));
  RunFor(60 * kSec);
  EXPECT_EQ(Title("103"), "Resolved: 9 more SlowOperation in gemini");
  EXPECT_EQ(FieldOf(messages_.at("103"), "Firing"), "0 of 9");
  RunFor(60 * kSec);
  planner_.Next(now_);
  EXPECT_EQ(planner_.Slots(), 0u);
  EXPECT_EQ(planner_.TrackedIncidents(), 0u);
}

TEST_F(PlannerTest, AfterTheIntervalTheGroupSpeaksAgain) {
  for (int i = 0; i < 5; ++i) Fire("i" + std::to_string(i));
  RunFor(60 * kSec);
  EXPECT_EQ(messages_.size(), 4u);
  for (int i = 5; i < 10; ++i) Fire("i" + std::to_string(i));
  RunFor(10 * kSec);
  EXPECT_EQ(messages_.size(), 8u) << "three alone and a fold of its own";
  EXPECT_EQ(Title("107"), "Warning: 2 more SlowOperation in gemini");
}

TEST_F(PlannerTest, OtherGroupsAreNotHeldBack) {
  for (int i = 0; i < 6; ++i) Fire("i" + std::to_string(i));
  FireAlone("z");
  Send();
  EXPECT_THAT(Title("104"), testing::HasSubstr("Alertz"));
}

TEST_F(PlannerTest, ARiseInsideAFoldPostsTheFoldAnew) {
  for (int i = 0; i < 6; ++i) Fire("i" + std::to_string(i));
  Send();
  EXPECT_EQ(Count(Method::kPost), 4u);
  Escalate("i5");
  Send();
  EXPECT_EQ(Count(Method::kPost), 5u);
  EXPECT_EQ(Title("104"), "Critical: 3 more SlowOperation in gemini");
  EXPECT_EQ(messages_.at("103")["embeds"], Json::array());
  Escalate("i4");
  RunFor(10 * kSec);
  EXPECT_EQ(Count(Method::kPost), 5u) << "one rise is enough";
  Fire("i6");
  RunFor(10 * kSec);
  EXPECT_EQ(Title("104"), "Critical: 4 more SlowOperation in gemini");
}

TEST_F(PlannerTest, AReceiverGetsTenInTenSecondsThenOneForTheRest) {
  for (int i = 0; i < 30; ++i) FireAlone(std::to_string(i));
  RunFor(9 * kSec);
  EXPECT_EQ(Count(Method::kPost), 11u);
  EXPECT_EQ(Title("110"), "Warning: 20 more alerts");
  RunFor(2 * kSec);
  FireAlone("later");
  Send();
  EXPECT_EQ(Count(Method::kPost), 12u);
  for (int i = 0; i < 30; ++i) Add(Alone(std::to_string(i)), TransitionKind::kResolved);
  Add(Alone("later"), TransitionKind::kResolved);
  RunFor(120 * kSec);
  planner_.Next(now_);
  EXPECT_EQ(planner_.Slots(), 0u);
  EXPECT_EQ(messages_.size(), 12u);
  for (const auto& [id, message] : messages_) EXPECT_THAT(TitleOf(message), testing::StartsWith("Resolved"));
}

TEST_F(PlannerTest, RisesInAStormShareTheMessageToo) {
  for (int i = 0; i < 10; ++i) FireAlone(std::to_string(i));
  RunFor(9 * kSec);
  EXPECT_EQ(messages_.size(), 10u);
  for (int i = 0; i < 10; ++i) {
    auto incident = Alone(std::to_string(i));
    incident.severity = incident.peak_severity = Severity::kCritical;
    Add(incident, TransitionKind::kEscalated);
  }
  RunFor(10 * kSec);
  EXPECT_EQ(messages_.size(), 11u);
  EXPECT_EQ(Title("110"), "Critical: 10 more alerts");
  for (int i = 100; i < 110; ++i) EXPECT_EQ(messages_.at(std::to_string(i))["embeds"], Json::array());
}

TEST_F(PlannerTest, StormsCanBeSwitchedOff) {
  PlannerOptions options = WithUrl({});
  options.receiver.storm_messages = 0;
  planner_.SetOptions(options);
  for (int i = 0; i < 30; ++i) FireAlone(std::to_string(i));
  Send();
  EXPECT_EQ(Count(Method::kPost), 30u);
}

TEST_F(PlannerTest, AFloodOfThousandsStaysAFewMessages) {
  for (int i = 0; i < 4000; ++i) Fire("i" + std::to_string(i));
  RunFor(60 * kSec);
  EXPECT_EQ(messages_.size(), 4u);
  EXPECT_EQ(Title("103"), "Warning: 3997 more SlowOperation in gemini");
}

}  // namespace
}  // namespace spanwatch::notify
