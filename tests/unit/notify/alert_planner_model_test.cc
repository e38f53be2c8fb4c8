// Webhooks and Alertmanager against a simple reference: however incidents begin, rise, fall and end, however they are
// muted and routed, whatever fails and whenever the sidecar is killed, in the end the other side believes what is so.
#include <random>

#include "tests/unit/notify/alert_harness.h"

namespace spanwatch::notify {
namespace {

core::Receiver Of(core::ReceiverKind kind, core::WebhookFormat format) {
  core::Receiver receiver;
  receiver.name = "other";
  receiver.kind = kind;
  receiver.format = format;
  receiver.url = core::Secret("http://127.0.0.1:1");
  return receiver;
}

class AlertPlannerModelTest : public AlertHarness {
 protected:
  explicit AlertPlannerModelTest(core::Receiver receiver) : AlertHarness(std::move(receiver)) {
    direction_.group_wait_ns = 10 * kSec;
    direction_.group_interval_ns = 60 * kSec;
    direction_.repeat_interval_ns = 4000 * kSec;
  }

  struct Alert {
    std::string id;
    int episode = 0;
    Severity severity = Severity::kNone;  // kNone: it does not fire
    std::int64_t fired_ns = 0;
  };

  void Run(unsigned seed) {
    random_.seed(seed);
    for (auto* ids : {&muted_, &unrouted_}) ids->clear();
    sent_.clear();
    heard_ = 0;
    alerts_.clear();
    ForgetAll();
    Begin();
    for (int i = 0; i < 5; ++i) alerts_["s" + std::to_string(i)] = {};
    for (int i = 0; i < 150; ++i) Step();
    script_.clear();
    RunFor(7200 * kSec);
    HearAll();
    for (const auto& [name, alert] : alerts_) Check(name, alert, "seed " + std::to_string(seed) + ", " + name);
  }

 private:
  virtual Reply Fault() = 0;
  virtual void ForgetAll() = 0;
  virtual void Hear(const Json& body) = 0;
  virtual void Check(const std::string& name, const Alert& alert, const std::string& where) = 0;

  int Below(int n) { return static_cast<int>(random_() % static_cast<unsigned>(n)); }
  void HearAll() {
    for (; heard_ < sent_.size(); ++heard_) {
      const bool came = sent_[heard_].status == 200 || (sent_[heard_].status == 0 && Below(2) == 0);
      if (came) Hear(sent_[heard_].body);
    }
  }

  core::Incident IncidentOf(const std::string& name, const Alert& alert) {
    core::Incident incident = Named(alert.id, alert.severity);
    incident.labels = {{"service", name}};
    incident.fingerprint = "fp-" + name;
    incident.fired_at_ns = alert.fired_ns;
    incident.severity = alert.severity;
    incident.peak_severity = std::max(alert.severity, Severity::kWarning);
    return incident;
  }
  void Change(const std::string& name, Alert* alert) {
    const Severity before = alert->severity;
    alert->severity = static_cast<Severity>(Below(3));
    if (before == Severity::kNone && alert->severity == Severity::kNone) return;
    if (before == alert->severity) return Add(IncidentOf(name, *alert), TransitionKind::kUpdated);
    if (before == Severity::kNone) {
      alert->id = name + "#" + std::to_string(++alert->episode);
      alert->fired_ns = kEpoch + now_;
    }
    core::Incident incident = IncidentOf(name, *alert);
    if (alert->severity == Severity::kNone) {
      incident.state = core::AlertState::kResolved;
      return Add(incident, TransitionKind::kResolved);
    }
    Add(incident, before == Severity::kNone  ? TransitionKind::kFiring
                  : before < alert->severity ? TransitionKind::kEscalated
                                             : TransitionKind::kDeescalated);
  }
  void Toggle(std::set<std::string>* ids, const std::string& id) {
    if (!ids->erase(id)) ids->insert(id);
    planner_->Redirect(now_);
  }
  // Killed: what was under way has no answer, and what ended meanwhile is not told.
  void Kill() {
    std::vector<core::Incident> living;
    for (auto& [name, alert] : alerts_) {
      if (alert.severity != Severity::kNone && Below(8) == 0) alert.severity = Severity::kNone;
      if (alert.severity != Severity::kNone) living.push_back(IncidentOf(name, alert));
    }
    if (Below(3) == 0) {
      if (const auto request = planner_->Next(now_)) {
        if (Below(2) == 0) Hear(Json::parse(request->body));
      }
    }
    Restart();
    planner_->Reconcile(living, false, now_);
  }
  void Step() {
    auto it = alerts_.begin();
    std::advance(it, Below(static_cast<int>(alerts_.size())));
    switch (Below(8)) {
      case 0:
        Toggle(&muted_, it->second.id);
        break;
      case 1:
        Toggle(&unrouted_, it->second.id);
        break;
      case 2:
        Kill();
        break;
      case 3:
        for (int i = Below(6); i > 0; --i) script_.push_back(Fault());
        break;
      default:
        if (it->second.severity != Severity::kNone || Below(2) == 0) Change(it->first, &it->second);
    }
    if (Below(2) == 0) RunFor(Below(120) * kSec);
    HearAll();
  }

  std::mt19937 random_;
  std::map<std::string, Alert> alerts_;
  std::size_t heard_ = 0;
};

class AlertmanagerModelTest : public AlertPlannerModelTest {
 protected:
  AlertmanagerModelTest()
      : AlertPlannerModelTest(Of(core::ReceiverKind::kAlertmanager, core::WebhookFormat::kAlertmanager)) {}

 private:
  Reply Fault() override { return sent_.size() % 3 == 0 ? Status(503) : sent_.size() % 3 == 1 ? Lost() : Status(400); }
  void ForgetAll() override { ends_.clear(); }
  void Hear(const Json& body) override {
    for (const Json& alert : body) {
      tm parts{};
      const std::string ends = alert["endsAt"];
      ::strptime(ends.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
      ends_[alert["labels"]["service"].get<std::string>() + "/" + alert["labels"]["severity"].get<std::string>()] =
          ::timegm(&parts);
    }
  }
  void Check(const std::string& name, const Alert& alert, const std::string& where) override {
    const bool told = !muted_.contains(alert.id) && !unrouted_.contains(alert.id);
    for (const Severity severity : {Severity::kWarning, Severity::kCritical}) {
      const bool fires = ends_[name + "/" + core::ToString(severity)] > (kEpoch + now_) / kSec;
      if (told || alert.severity != severity) {
        EXPECT_EQ(fires, alert.severity == severity) << where;
      }
      if (muted_.contains(alert.id)) {
        EXPECT_FALSE(fires) << where;
      }
    }
  }

  std::map<std::string, std::int64_t> ends_;
};

class WebhookModelTest : public AlertPlannerModelTest {
 protected:
  WebhookModelTest() : WebhookModelTest(core::WebhookFormat::kAlertmanager) {}
  explicit WebhookModelTest(core::WebhookFormat format)
      : AlertPlannerModelTest(Of(core::ReceiverKind::kWebhook, format)) {}

  std::map<std::string, bool> fires_;

 private:
  Reply Fault() override { return sent_.size() % 3 == 0 ? Status(503) : sent_.size() % 3 == 1 ? Lost() : Status(429); }
  void ForgetAll() override { fires_.clear(); }
  void Hear(const Json& body) override {
    for (const Json& alert : body["alerts"]) {
      fires_[alert["labels"]["service"].get<std::string>() + "/" + alert["labels"]["severity"].get<std::string>()] =
          alert["status"] == "firing";
    }
  }
  void Check(const std::string& name, const Alert& alert, const std::string& where) override {
    const bool told = !muted_.contains(alert.id) && !unrouted_.contains(alert.id);
    for (const Severity severity : {Severity::kWarning, Severity::kCritical}) {
      const bool fires = fires_[name + "/" + core::ToString(severity)];
      if (told || alert.severity != severity) {
        EXPECT_EQ(fires, alert.severity == severity) << where;
      }
    }
  }
};

class JsonModelTest : public WebhookModelTest {
 protected:
  JsonModelTest() : WebhookModelTest(core::WebhookFormat::kJson) {}

 private:
  void Hear(const Json& body) override {
    const std::string service = body["labels"]["service"];
    if (body["status"] == "firing" || episode_[service] == body["incident"]) {
      episode_[service] = body["incident"];
      for (const char* severity : {"warning", "critical"}) {
        fires_[service + "/" + severity] = body["status"] == "firing" && body["severity"] == severity;
      }
    }
  }
  std::map<std::string, std::string> episode_;
};

TEST_F(AlertmanagerModelTest, InTheEndItBelievesWhatIsSo) {
  for (unsigned seed = 1; seed <= 15 && !HasFailure(); ++seed) Run(seed);
}

TEST_F(WebhookModelTest, InTheEndItBelievesWhatIsSo) {
  for (unsigned seed = 1; seed <= 15 && !HasFailure(); ++seed) Run(seed);
}

TEST_F(JsonModelTest, InTheEndItBelievesWhatIsSo) {
  for (unsigned seed = 1; seed <= 15 && !HasFailure(); ++seed) Run(seed);
}

// RunFor fails if something is due and nothing is sent: a worker would never sleep.
TEST_F(JsonModelTest, WhatIsNeverRepeatedRests) {
  core::Incident budget = Named("a", Severity::kWarning);
  budget.measure = "tokens";
  Add(budget, TransitionKind::kFiring);
  Fire("b");
  Send();
  muted_ = {"b"};
  planner_->Redirect(now_);
  RunFor(9000 * kSec);
  EXPECT_EQ(sent_.size(), 2u);
  EXPECT_EQ(planner_->NextDue(), INT64_MAX);
  muted_.clear();
  planner_->Redirect(now_);
  Send();
  EXPECT_EQ(sent_.size(), 3u) << "the muting is over";
}

TEST_F(WebhookModelTest, WhatIsRoutedElsewhereWhenARestartComesRestsUntilItsEnd) {
  Fire("a");
  RunFor(10 * kSec);
  unrouted_ = {"a"};
  Restart();
  RunFor(3000 * kSec);
  EXPECT_EQ(sent_.size(), 1u);
  Resolve("a");
  RunFor(60 * kSec);
  ASSERT_EQ(sent_.size(), 2u);
  EXPECT_EQ(sent_[1].body["status"], "resolved");
}

}  // namespace
}  // namespace spanwatch::notify
