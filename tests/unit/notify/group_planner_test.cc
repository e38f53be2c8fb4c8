// Webhooks: Alertmanager's groups and payload, version 4; one JSON object a change.
#include "sidecar/notify/group_planner.h"

#include <set>

#include "tests/unit/notify/alert_harness.h"

namespace spanwatch::notify {
namespace {

core::Receiver Webhook(core::WebhookFormat format) {
  core::Receiver receiver;
  receiver.name = "hook";
  receiver.kind = core::ReceiverKind::kWebhook;
  receiver.url = core::Secret("http://127.0.0.1:1/x");
  receiver.format = format;
  return receiver;
}

class GroupTest : public AlertHarness {
 protected:
  GroupTest() : AlertHarness(Webhook(core::WebhookFormat::kAlertmanager)) {
    direction_.group_wait_ns = 30 * kSec;
    direction_.group_interval_ns = 300 * kSec;
    direction_.repeat_interval_ns = 3600 * kSec;
  }
  // "firing a/warning, resolved b/critical" of the message `i`.
  std::string Alerts(std::size_t i) const {
    std::string text;
    for (const Json& alert : sent_.at(i).body["alerts"]) {
      const std::string each = alert["status"].get<std::string>() + " " +
                               alert["labels"]["service"].get<std::string>() + "/" +
                               alert["labels"]["severity"].get<std::string>();
      text += (text.empty() ? "" : ", ") + each;
    }
    return text;
  }
};

TEST_F(GroupTest, PayloadIsVersionFour) {
  Fire("a");
  RunFor(30 * kSec);
  ASSERT_EQ(sent_.size(), 1u);
  const Json& body = sent_[0].body;
  std::set<std::string> keys;
  for (const auto& [key, value] : body.items()) keys.insert(key);
  EXPECT_EQ(keys, (std::set<std::string>{"alerts", "commonAnnotations", "commonLabels", "externalURL", "groupKey",
                                         "groupLabels", "receiver", "status", "truncatedAlerts", "version"}));
  EXPECT_EQ(body["version"], "4");
  EXPECT_EQ(body["status"], "firing");
  EXPECT_EQ(body["receiver"], "hook");
  EXPECT_EQ(body["truncatedAlerts"], 0);
  EXPECT_EQ(body["groupKey"], "{}:{alertname=\"SlowOperation\"}");
  EXPECT_EQ(body["groupLabels"], Json({{"alertname", "SlowOperation"}}));
  EXPECT_EQ(body["externalURL"], "http://localhost:9464");
  const Json& alert = body["alerts"][0];
  EXPECT_EQ(
      alert["labels"],
      Json({{"alertname", "SlowOperation"}, {"severity", "warning"}, {"service", "a"}, {"http_route", "/users"}}));
  EXPECT_EQ(body["commonLabels"], alert["labels"]);
  EXPECT_EQ(alert["annotations"]["summary"], "GeminiService.generate took 3.2 s");
  EXPECT_EQ(alert["annotations"]["value"], "3.2 s");
  EXPECT_EQ(alert["endsAt"], "0001-01-01T00:00:00Z");
  EXPECT_EQ(alert["startsAt"], "2023-11-14T22:30:00.000Z");
  EXPECT_EQ(alert["generatorURL"], "http://localhost:9464/trace/0123456789abcdeffedcba9876543210");
  EXPECT_EQ(alert["fingerprint"].get<std::string>().size(), 16u);
}

TEST_F(GroupTest, WaitsForTheGroupThenLooksEveryInterval) {
  Fire("a");
  RunFor(10 * kSec);
  Fire("b");
  RunFor(19 * kSec);
  EXPECT_TRUE(sent_.empty());
  RunFor(1 * kSec);
  ASSERT_EQ(sent_.size(), 1u);
  EXPECT_EQ(Alerts(0), "firing a/warning, firing b/warning");
  Fire("c");
  RunFor(299 * kSec);
  EXPECT_EQ(sent_.size(), 1u);
  RunFor(1 * kSec);
  ASSERT_EQ(sent_.size(), 2u);
  EXPECT_EQ(Alerts(1), "firing a/warning, firing b/warning, firing c/warning");
}

TEST_F(GroupTest, ResolvedOnceThenDropped) {
  Fire("a");
  Fire("b");
  RunFor(30 * kSec);
  Resolve("a");
  RunFor(300 * kSec);
  ASSERT_EQ(sent_.size(), 2u);
  EXPECT_EQ(Alerts(1), "firing b/warning, resolved a/warning");
  EXPECT_EQ(sent_[1].body["status"], "firing");
  EXPECT_NE(sent_[1].body["alerts"][1]["endsAt"], "0001-01-01T00:00:00Z");
  Resolve("b");
  RunFor(300 * kSec);
  ASSERT_EQ(sent_.size(), 3u);
  EXPECT_EQ(Alerts(2), "resolved b/warning");
  EXPECT_EQ(sent_[2].body["status"], "resolved");
  RunFor(10'000 * kSec);
  EXPECT_EQ(sent_.size(), 3u);
  EXPECT_EQ(planner_->NextDue(), INT64_MAX);
}

TEST_F(GroupTest, WhatEndsWithinTheWaitIsNeverTold) {
  Fire("a");
  RunFor(5 * kSec);
  Resolve("a");
  RunFor(1000 * kSec);
  EXPECT_TRUE(sent_.empty());
}

TEST_F(GroupTest, WithoutWaitItIsToldAtOnceAndSoIsItsEnd) {
  direction_.group_wait_ns = 0;
  Fire("a");
  Resolve("a");
  Send();
  ASSERT_EQ(sent_.size(), 1u);
  EXPECT_EQ(Alerts(0), "resolved a/warning");
}

TEST_F(GroupTest, RepeatsAtAMultipleOfTheInterval) {
  direction_.repeat_interval_ns = 700 * kSec;
  Fire("a");
  RunFor(30 * kSec + 899 * kSec);
  EXPECT_EQ(sent_.size(), 1u);
  RunFor(1 * kSec);
  EXPECT_EQ(sent_.size(), 2u);  // 900 s: three intervals
}

TEST_F(GroupTest, BudgetsAreNotRepeated) {
  core::Incident incident = Named("a", Severity::kWarning);
  incident.measure = "cost";
  Add(incident, TransitionKind::kFiring);
  RunFor(10 * 3600 * kSec);
  EXPECT_EQ(sent_.size(), 1u);
}

TEST_F(GroupTest, RiseResolvesTheLowerAndFiresTheHigher) {
  Fire("a");
  RunFor(30 * kSec);
  Change("a", Severity::kCritical, TransitionKind::kEscalated);
  RunFor(300 * kSec);
  ASSERT_EQ(sent_.size(), 2u);
  EXPECT_EQ(Alerts(1), "firing a/critical, resolved a/warning");
  EXPECT_EQ(sent_[1].body["alerts"][0]["startsAt"], sent_[1].body["alerts"][1]["endsAt"]);
  Resolve("a", Severity::kCritical);
  RunFor(300 * kSec);
  EXPECT_EQ(Alerts(2), "resolved a/critical");
}

TEST_F(GroupTest, SendResolvedOff) {
  options_.receiver.send_resolved = false;
  Begin();
  Fire("a");
  Fire("b");
  RunFor(30 * kSec);
  Resolve("a");
  RunFor(300 * kSec);
  EXPECT_EQ(sent_.size(), 1u);
  Fire("c");
  RunFor(300 * kSec);
  ASSERT_EQ(sent_.size(), 2u);
  EXPECT_EQ(Alerts(1), "firing b/warning, firing c/warning");
}

TEST_F(GroupTest, MutedIsLeftOutAndToldWhenTheMutingEnds) {
  muted_.insert("a");
  Fire("a");
  RunFor(400 * kSec);
  EXPECT_TRUE(sent_.empty());
  EXPECT_EQ(StateOf("a"), "muted");
  muted_.clear();
  planner_->Redirect(now_);
  RunFor(300 * kSec);
  ASSERT_EQ(sent_.size(), 1u);
  EXPECT_EQ(StateOf("a"), "posted");
  // One that was told: quiet while muted, its end is told.
  muted_.insert("a");
  planner_->Redirect(now_);
  RunFor(4000 * kSec);
  EXPECT_EQ(sent_.size(), 1u);
  Resolve("a");
  RunFor(300 * kSec);
  ASSERT_EQ(sent_.size(), 2u);
  EXPECT_EQ(Alerts(1), "resolved a/warning");
}

TEST_F(GroupTest, NotRoutedIsNotTold) {
  unrouted_.insert("a");
  Fire("a");
  RunFor(400 * kSec);
  EXPECT_TRUE(sent_.empty());
  EXPECT_EQ(StateOf("a"), "not_routed");
  Resolve("a");
  EXPECT_EQ(StateOf("a"), "(unknown)");
}

TEST_F(GroupTest, ServerErrorsAreRepeatedWithBackOff) {
  script_ = {Status(500), Lost(), Status(503, "20"), Status(429, "7")};
  Fire("a");
  RunFor(90 * kSec);
  ASSERT_EQ(sent_.size(), 5u);
  EXPECT_EQ(sent_[4].status, 200);
  EXPECT_GE(sent_[1].at_ns - sent_[0].at_ns, kSec / 2);
  EXPECT_GE(sent_[2].at_ns - sent_[1].at_ns, kSec);
  EXPECT_GE(sent_[3].at_ns - sent_[2].at_ns, 20 * kSec);
  EXPECT_GE(sent_[4].at_ns - sent_[3].at_ns, 7 * kSec);
  EXPECT_EQ(planner_->counters().retried, 3u);
  EXPECT_EQ(planner_->counters().rate_limited, 1u);
  EXPECT_EQ(planner_->counters().possible_duplicates, 1u);
  EXPECT_EQ(planner_->counters().posted, 1u);
  EXPECT_EQ(planner_->last_error(), "");
}

TEST_F(GroupTest, EndWhileItFailsIsTold) {
  script_ = {Status(500)};
  Fire("a");
  RunFor(30 * kSec);
  ASSERT_EQ(sent_.size(), 1u);
  Resolve("a");
  RunFor(60 * kSec);
  ASSERT_EQ(sent_.size(), 2u);
  EXPECT_EQ(Alerts(1), "resolved a/warning");
}

TEST_F(GroupTest, WhatIsOverIsGivenUpAfterTheMaximumAgeWhatFiresIsNot) {
  Fire("a");
  Fire("b");
  RunFor(30 * kSec);
  for (int i = 0; i < 200; ++i) script_.push_back(Status(i % 2 == 0 ? 503 : 429));
  Resolve("a");
  Fire("c");
  RunFor(300 * kSec + 3700 * kSec);
  EXPECT_EQ(planner_->counters().failed, 1u);
  EXPECT_EQ(StateOf("a"), "(unknown)");
  script_.clear();
  RunFor(120 * kSec);
  EXPECT_EQ(Alerts(sent_.size() - 1), "firing b/warning, firing c/warning");
  EXPECT_EQ(planner_->counters().failed, 1u);
}

TEST_F(GroupTest, RefusedWaitsForTheNextInterval) {
  script_ = {Status(400), Status(200), Status(422)};
  Fire("a");
  RunFor(30 * kSec + 299 * kSec);
  EXPECT_EQ(sent_.size(), 1u);
  EXPECT_EQ(planner_->counters().failed, 1u);
  EXPECT_NE(planner_->last_error().find("400"), std::string::npos);
  RunFor(1 * kSec);
  ASSERT_EQ(sent_.size(), 2u);
  EXPECT_EQ(Alerts(1), "firing a/warning");
  Resolve("a");
  RunFor(3000 * kSec);
  EXPECT_EQ(sent_.size(), 3u);  // an end that is refused is not told again
  EXPECT_EQ(planner_->counters().failed, 2u);
}

TEST_F(GroupTest, WhatChangesWhileItIsUnderWayIsToldNext) {
  during_ = [this] { Resolve("a"); };
  Fire("a");
  RunFor(30 * kSec);
  EXPECT_EQ(Alerts(0), "firing a/warning");
  RunFor(300 * kSec);
  ASSERT_EQ(sent_.size(), 2u);
  EXPECT_EQ(Alerts(1), "resolved a/warning");
}

TEST_F(GroupTest, GoesOnAfterARestart) {
  Fire("a");
  Fire("b");
  RunFor(30 * kSec);
  RunFor(100 * kSec);
  Restart();
  RunFor(200 * kSec);
  EXPECT_EQ(sent_.size(), 1u);  // nothing is told twice
  Resolve("a");
  RunFor(300 * kSec);
  ASSERT_EQ(sent_.size(), 2u);
  EXPECT_EQ(Alerts(1), "firing b/warning, resolved a/warning");
  EXPECT_EQ(planner_->counters().possible_duplicates, 0u);
  // Another URL knows nothing.
  Restart(false);
  RunFor(30 * kSec);
  ASSERT_EQ(sent_.size(), 3u);
  EXPECT_EQ(Alerts(2), "firing b/warning");
}

TEST_F(GroupTest, DiedBetweenPostAndAnswer) {
  Fire("a");
  now_ += 30 * kSec;
  ASSERT_TRUE(planner_->Next(now_).has_value());
  Restart();
  EXPECT_EQ(planner_->counters().possible_duplicates, 1u);
  Send();
  ASSERT_EQ(sent_.size(), 1u);
  EXPECT_EQ(Alerts(0), "firing a/warning");
}

TEST_F(GroupTest, NobodyWatchesItAnyMore) {
  Fire("a");
  RunFor(30 * kSec);
  Restart();
  planner_->Reconcile({}, false, now_);
  RunFor(300 * kSec);
  ASSERT_EQ(sent_.size(), 2u);
  EXPECT_EQ(Alerts(1), "resolved a/warning");
}

TEST_F(GroupTest, TheSameAlertAgainIsOneAlert) {
  Fire("a");
  RunFor(30 * kSec);
  Resolve("a");
  core::Incident again = Named("a", Severity::kWarning);
  again.id = "a2";
  Add(again, TransitionKind::kFiring);
  RunFor(300 * kSec);
  ASSERT_EQ(sent_.size(), 2u);
  EXPECT_EQ(Alerts(1), "firing a/warning");
  RunFor(1000 * kSec);
  EXPECT_EQ(sent_.size(), 2u);
}

TEST_F(GroupTest, LongMessagesAreCutAndSaySo) {
  options_.max_incidents = 3000;
  Begin();
  for (int i = 0; i < 1500; ++i) Fire("s" + std::to_string(i));
  RunFor(30 * kSec);
  ASSERT_EQ(sent_.size(), 1u);
  EXPECT_EQ(sent_[0].body["alerts"].size(), kMaxAlerts);
  EXPECT_EQ(sent_[0].body["truncatedAlerts"], 1500 - kMaxAlerts);
}

TEST_F(GroupTest, BoundedInIncidents) {
  options_.max_incidents = 10;
  Begin();
  for (int i = 0; i < 30; ++i) Fire("s" + std::to_string(i));
  EXPECT_EQ(planner_->counters().dropped, 20u);
  RunFor(30 * kSec);
  EXPECT_EQ(sent_.at(0).body["alerts"].size(), 10u);
}

TEST_F(GroupTest, WhatFiresHasRoomThoughTheEndsOfOthersWait) {
  options_.max_incidents = 3;
  Begin();
  for (const char* id : {"a", "b", "c"}) Fire(id);
  RunFor(30 * kSec);
  for (const char* id : {"b", "a", "c"}) Resolve(id);
  Fire("d");
  EXPECT_EQ(planner_->counters().dropped, 1u);
  RunFor(300 * kSec);
  EXPECT_EQ(Alerts(1), "firing d/warning, resolved b/warning, resolved c/warning");
}

TEST_F(GroupTest, WaitingIsWhatIsDue) {
  Fire("a");
  EXPECT_EQ(planner_->Waiting(true), 0u);
  EXPECT_EQ(planner_->Waiting(false), 1u);
  script_ = {Status(500)};
  RunFor(30 * kSec);
  EXPECT_EQ(planner_->Waiting(true), 1u);
  RunFor(10 * kSec);
  EXPECT_EQ(planner_->Waiting(false), 0u);
}

TEST_F(GroupTest, HostileTextsGiveValidJson) {
  core::Incident incident = Named("a", Severity::kWarning);
  incident.labels.push_back({"1 x\xff\"", "v\xff\x01\"\\"});
  incident.labels.push_back({"http_route", "second"});
  incident.annotations = {{"summary", "\xf0\x9f"}};
  Add(incident, TransitionKind::kFiring);
  RunFor(30 * kSec);
  ASSERT_EQ(sent_.size(), 1u);
  for (const auto& [name, value] : sent_[0].body["alerts"][0]["labels"].items()) EXPECT_EQ(LabelName(name), name);
  EXPECT_EQ(sent_[0].body["alerts"][0]["labels"]["http_route_2"], "second");
}

class JsonTest : public AlertHarness {
 protected:
  JsonTest() : AlertHarness(Webhook(core::WebhookFormat::kJson)) {
    direction_.group_wait_ns = 30 * kSec;  // means nothing here
    direction_.repeat_interval_ns = 3600 * kSec;
  }
  std::string Transitions() const {
    std::string text;
    for (const Sent& sent : sent_) {
      text += (text.empty() ? "" : " ") + sent.body["transition"].get<std::string>() + "/" +
              sent.body["severity"].get<std::string>();
    }
    return text;
  }
};

TEST_F(JsonTest, OneObjectAChange) {
  Fire("a");
  Send();
  Change("a", Severity::kWarning, TransitionKind::kUpdated);
  Send();
  Change("a", Severity::kCritical, TransitionKind::kEscalated);
  Send();
  Change("a", Severity::kWarning, TransitionKind::kDeescalated);
  Send();
  RunFor(3600 * kSec);
  Resolve("a");
  RunFor(10'000 * kSec);
  EXPECT_EQ(Transitions(), "firing/warning escalated/critical deescalated/warning repeated/warning resolved/warning");
  std::set<std::string> ids;
  for (const Sent& sent : sent_) ids.insert(sent.body["id"].get<std::string>());
  EXPECT_EQ(ids.size(), sent_.size());
  const Json& first = sent_[0].body;
  EXPECT_EQ(first["status"], "firing");
  EXPECT_EQ(first["value"], 3200);
  EXPECT_EQ(first["unit"], "ms");
  EXPECT_EQ(first["endsAt"], nullptr);
  EXPECT_EQ(first["previousSeverity"], nullptr);
  EXPECT_EQ(sent_[1].body["previousSeverity"], "warning");
  EXPECT_EQ(first["trace"]["url"], "http://localhost:9464/trace/0123456789abcdeffedcba9876543210");
  EXPECT_NE(sent_.back().body["endsAt"], nullptr);
  EXPECT_EQ(planner_->NextDue(), INT64_MAX);
}

TEST_F(JsonTest, AttemptsHaveTheSameId) {
  script_ = {Status(500), Lost()};
  Fire("a");
  Send();
  Change("a", Severity::kWarning, TransitionKind::kUpdated);
  RunFor(60 * kSec);
  ASSERT_EQ(sent_.size(), 3u);
  EXPECT_EQ(sent_[0].body["id"], "a/1/firing");
  EXPECT_EQ(sent_[2].body["id"], "a/1/firing");
}

TEST_F(JsonTest, RefusedIsDropped) {
  script_ = {Status(400)};
  Fire("a");
  RunFor(7200 * kSec);
  EXPECT_EQ(sent_.size(), 1u);
  Resolve("a");
  Send();
  EXPECT_EQ(Transitions(), "firing/warning resolved/warning");
}

TEST_F(JsonTest, WhatIsOverIsGivenUpAfterTheMaximumAge) {
  for (int i = 0; i < 400; ++i) script_.push_back(Status(503));
  Fire("a");
  Fire("b");
  Send();
  Resolve("a");
  RunFor(3800 * kSec);
  EXPECT_EQ(planner_->counters().failed, 1u);
  EXPECT_EQ(StateOf("a"), "(unknown)");
  script_.clear();
  RunFor(120 * kSec);
  EXPECT_EQ(sent_.back().body["transition"], "firing");
  EXPECT_EQ(sent_.back().body["incident"], "b");
}

TEST_F(JsonTest, MutedThenTold) {
  muted_.insert("a");
  Fire("a");
  Send();
  EXPECT_TRUE(sent_.empty());
  muted_.clear();
  planner_->Redirect(now_);
  Send();
  EXPECT_EQ(Transitions(), "firing/warning");
}

TEST_F(JsonTest, ShortOnesAreToldAsOver) {
  Fire("a");
  Resolve("a");
  Send();
  EXPECT_EQ(Transitions(), "resolved/warning");
  Restart();
  EXPECT_EQ(planner_->Waiting(false), 0u);
}

TEST_F(JsonTest, AnotherFormatGoesOnWithWhatFires) {
  Fire("a");
  Send();
  options_.receiver.format = core::WebhookFormat::kAlertmanager;
  planner_ = Planner::Adapt(std::move(planner_), options_, now_, kEpoch + now_);
  planner_->SetTarget(true, false, now_);
  RunFor(30 * kSec);
  ASSERT_EQ(sent_.size(), 2u);
  EXPECT_EQ(sent_[1].body["version"], "4");
  options_.receiver.kind = core::ReceiverKind::kDiscord;
  planner_ = Planner::Adapt(std::move(planner_), options_, now_, kEpoch + now_);
  planner_->SetTarget(true, false, now_);
  now_ += 30 * kSec;
  const auto request = planner_->Next(now_);
  ASSERT_TRUE(request.has_value());
  EXPECT_TRUE(Json::parse(request->body).contains("embeds"));
}

}  // namespace
}  // namespace spanwatch::notify
