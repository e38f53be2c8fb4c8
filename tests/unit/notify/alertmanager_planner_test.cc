#include "sidecar/notify/alertmanager_planner.h"

#include "tests/unit/notify/alert_harness.h"

namespace spanwatch::notify {
namespace {

constexpr std::int64_t kMinute = 60 * kSec;

core::Receiver Alertmanager() {
  core::Receiver receiver;
  receiver.name = "am";
  receiver.kind = core::ReceiverKind::kAlertmanager;
  receiver.url = core::Secret("http://127.0.0.1:1");
  return receiver;
}

class AlertmanagerTest : public AlertHarness {
 protected:
  AlertmanagerTest() : AlertHarness(Alertmanager()) { direction_.group_wait_ns = 30 * kSec; }  // means nothing here

  // "a/warning+240 b/critical-5": ends in 240 s, ended 5 s ago.
  std::string Alerts(std::size_t i) const {
    std::string text;
    for (const Json& alert : sent_.at(i).body) {
      const std::string ends = alert["endsAt"];
      tm parts{};
      EXPECT_NE(::strptime(ends.c_str(), "%Y-%m-%dT%H:%M:%S", &parts), nullptr) << ends;
      const std::int64_t left = ::timegm(&parts) - (kEpoch + sent_[i].at_ns) / kSec;
      text += (text.empty() ? "" : " ") + alert["labels"]["service"].get<std::string>() + "/" +
              alert["labels"]["severity"].get<std::string>() + (left > 0 ? "+" : "") + std::to_string(left);
    }
    return text;
  }
};

TEST_F(AlertmanagerTest, SentAtOnceAndAgainEveryMinute) {
  Fire("a");
  Send();
  ASSERT_EQ(sent_.size(), 1u);
  EXPECT_EQ(Alerts(0), "a/warning+240");
  std::set<std::string> keys;
  for (const auto& [key, value] : sent_[0].body[0].items()) keys.insert(key);
  EXPECT_EQ(keys, (std::set<std::string>{"annotations", "endsAt", "generatorURL", "labels", "startsAt"}));
  Change("a", Severity::kWarning, TransitionKind::kUpdated);
  RunFor(5 * kMinute);
  EXPECT_EQ(sent_.size(), 6u);
  EXPECT_EQ(Alerts(5), "a/warning+240");
  EXPECT_EQ(sent_[5].body[0]["startsAt"], sent_[0].body[0]["startsAt"]);
}

TEST_F(AlertmanagerTest, EndIsToldForAQuarterOfAnHour) {
  Fire("a");
  Send();
  now_ += 10 * kSec;
  Resolve("a");
  Send();
  ASSERT_EQ(sent_.size(), 2u);
  EXPECT_EQ(Alerts(1), "a/warning0");
  RunFor(60 * kMinute);
  EXPECT_EQ(sent_.size(), 2u + 14u);
  EXPECT_EQ(planner_->NextDue(), INT64_MAX);
}

TEST_F(AlertmanagerTest, RiseResolvesTheLowerAndFiresTheHigher) {
  Fire("a");
  Send();
  now_ += 10 * kSec;
  Change("a", Severity::kCritical, TransitionKind::kEscalated);
  Send();
  ASSERT_EQ(sent_.size(), 2u);
  EXPECT_EQ(Alerts(1), "a/warning0 a/critical+240");
  now_ += 10 * kSec;
  Change("a", Severity::kWarning, TransitionKind::kDeescalated);
  Send();
  EXPECT_EQ(Alerts(2), "a/critical0 a/warning+240");
}

TEST_F(AlertmanagerTest, FailuresBackOffAndNothingIsLost) {
  script_ = {Status(500), Lost(), Status(429, "9")};
  Fire("a");
  RunFor(30 * kSec);
  EXPECT_EQ(sent_.size(), 4u);
  EXPECT_EQ(planner_->counters().possible_duplicates, 0u);  // the same alert twice is one
  script_ = {Status(502)};
  Resolve("a");
  RunFor(5 * kSec);
  ASSERT_EQ(sent_.size(), 6u);
  EXPECT_EQ(sent_[5].status, 200);
}

TEST_F(AlertmanagerTest, WhatIsOverIsGivenUpAfterTheMaximumAgeWhatFiresIsNot) {
  Fire("a");
  Fire("b");
  Send();
  for (int i = 0; i < 200; ++i) script_.push_back(Status(503));
  Resolve("a");
  RunFor(59 * kMinute);
  EXPECT_EQ(planner_->counters().failed, 0u);
  EXPECT_EQ(StateOf("a"), "waiting");
  RunFor(3 * kMinute);
  EXPECT_EQ(planner_->counters().failed, 1u);
  EXPECT_EQ(StateOf("a"), "(unknown)");
  script_.clear();
  RunFor(2 * kMinute);
  EXPECT_EQ(Alerts(sent_.size() - 1), "b/warning+240");
}

TEST_F(AlertmanagerTest, WhatFiresHasRoomThoughTheEndsOfOthersWait) {
  options_.max_incidents = 3;
  Begin();
  for (const char* id : {"a", "b", "c"}) Fire(id);
  Send();
  script_ = {Status(503)};
  for (const char* id : {"b", "a", "c"}) {
    now_ += kSec;
    Resolve(id);
  }
  Fire("d");
  EXPECT_EQ(planner_->counters().dropped, 1u);
  RunFor(kMinute);
  EXPECT_EQ(Alerts(sent_.size() - 1).substr(0, 11), "a/warning-1") << "b, which was over first, made room";
}

TEST_F(AlertmanagerTest, RefusedIsCountedAndTriedWithTheNextInterval) {
  script_ = {Status(400), Status(400)};
  Fire("a");
  Send();
  EXPECT_EQ(sent_.size(), 1u);
  EXPECT_EQ(planner_->counters().failed, 1u);
  RunFor(2 * kMinute);
  EXPECT_EQ(sent_.size(), 3u);
  EXPECT_EQ(planner_->last_error(), "");
}

TEST_F(AlertmanagerTest, MutedEndsThereAndFiresAnew) {
  Fire("a");
  Send();
  now_ += 10 * kSec;
  muted_.insert("a");
  planner_->Redirect(now_);
  RunFor(10 * kMinute);
  ASSERT_EQ(sent_.size(), 3u);
  EXPECT_EQ(Alerts(1), "a/warning0");
  EXPECT_EQ(StateOf("a"), "muted");
  muted_.clear();
  planner_->Redirect(now_);
  Send();
  EXPECT_EQ(Alerts(3), "a/warning+240");
}

TEST_F(AlertmanagerTest, MutedFromTheStartIsNotTold) {
  muted_.insert("a");
  Fire("a");
  RunFor(5 * kMinute);
  Resolve("a");
  RunFor(5 * kMinute);
  EXPECT_TRUE(sent_.empty());
}

TEST_F(AlertmanagerTest, GoesOnAfterARestart) {
  Fire("a");
  Fire("b");
  Send();
  now_ += 30 * kSec;
  Restart();
  Send();
  ASSERT_EQ(sent_.size(), 2u);
  EXPECT_EQ(Alerts(1), "a/warning+240 b/warning+240");
  Resolve("a");
  Restart();
  Send();
  EXPECT_EQ(Alerts(2), "a/warning0 b/warning+240");
  planner_->Reconcile({}, false, now_);
  now_ += 1 * kSec;
  Send();
  EXPECT_EQ(Alerts(3), "b/warning-1");
}

TEST_F(AlertmanagerTest, TheSameAlertAgainIsNotEndedByTheFormer) {
  Fire("a");
  Send();
  Resolve("a");
  Send();
  core::Incident again = Named("a", Severity::kWarning);
  again.id = "a2";
  again.fired_at_ns = kEpoch + now_;
  Add(again, TransitionKind::kFiring);
  RunFor(5 * kMinute);
  for (std::size_t i = 2; i < sent_.size(); ++i) EXPECT_EQ(Alerts(i), "a/warning+240") << i;
  EXPECT_GE(sent_.size(), 7u);
}

TEST_F(AlertmanagerTest, BatchesAreBounded) {
  options_.max_incidents = 3000;
  Begin();
  for (int i = 0; i < 1000; ++i) Fire("s" + std::to_string(i));
  EXPECT_EQ(planner_->Waiting(true), 1000u);
  Send();
  ASSERT_EQ(sent_.size(), 4u);
  EXPECT_EQ(sent_[0].body.size(), AlertmanagerPlanner::kMaxBatch);
  EXPECT_EQ(planner_->Waiting(true), 0u);
}

TEST_F(AlertmanagerTest, SendResolvedOffLetsItEndByItself) {
  options_.receiver.send_resolved = false;
  Begin();
  Fire("a");
  Send();
  Resolve("a");
  RunFor(10 * kMinute);
  EXPECT_EQ(sent_.size(), 1u);
}

// amtool and Prometheus count so: FNV-1a over names and values, each followed by 0xff.
TEST(FingerprintTest, IsPrometheus) {
  EXPECT_EQ(FingerprintText(LabelsFingerprint({})), "cbf29ce484222325");
  EXPECT_NE(LabelsFingerprint({{"a", "bc"}}), LabelsFingerprint({{"ab", "c"}}));
}

}  // namespace
}  // namespace spanwatch::notify
