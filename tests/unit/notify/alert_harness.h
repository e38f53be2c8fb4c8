// A planner of alerts, virtual time and an other side of ten lines: what it is sent is kept, what it answers can be
// scripted.
#ifndef SPANWATCH_TESTS_UNIT_NOTIFY_ALERT_HARNESS_H_
#define SPANWATCH_TESTS_UNIT_NOTIFY_ALERT_HARNESS_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sidecar/notify/planner.h"
#include "tests/unit/notify/incidents.h"

namespace spanwatch::notify {

using core::Severity;
using core::TransitionKind;
using Json = nlohmann::json;

class AlertHarness : public testing::Test {
 protected:
  struct Sent {
    std::int64_t at_ns;
    Json body;
    int status;
  };

  explicit AlertHarness(core::Receiver receiver) {
    options_.receiver = std::move(receiver);
    options_.external_url = "http://localhost:9464";
    options_.to_wall_ns = kEpoch;
    options_.direct = [this](const core::Incident& incident) {
      Direction direction = direction_;
      if (muted_.contains(incident.id)) direction.muted = true;
      if (unrouted_.contains(incident.id)) direction.routed = false;
      return direction;
    };
    direction_.routed = true;
    direction_.group_key = "{}:{alertname=\"SlowOperation\"}";
    direction_.group_labels = {{"alertname", "SlowOperation"}};
    Begin();
  }

  void Begin() {
    planner_ = MakePlanner(options_);
    planner_->SetTarget(true, false, now_);
  }
  // Stores everything, and goes on in another process.
  void Restart(bool same_target = true) {
    planner_->ForgetSaved();
    const Changes changes = planner_->TakeChanges();
    StoredReceiver stored;
    stored.incidents = changes.incidents;
    stored.slots = changes.slots;
    planner_ = MakePlanner(options_);
    EXPECT_EQ(planner_->Load(stored, now_, kEpoch + now_), 0u);
    planner_->SetTarget(true, same_target, now_);
  }

  static core::Incident Named(const std::string& id, Severity severity) {
    core::Incident incident = MakeIncident(id, severity);
    incident.labels = {{"service", id}, {"http.route", "/users"}, {"empty", ""}};
    incident.fingerprint = "fp-" + id;
    return incident;
  }
  void Add(core::Incident incident, TransitionKind kind) {
    core::Transition transition = MakeTransition(std::move(incident), kind);
    transition.at_ns = kEpoch + now_;
    transition.id = transition.incident.id + "/" + std::to_string(++number_) + "/" + core::ToString(kind);
    if (kind == TransitionKind::kResolved) transition.incident.resolved_at_ns = kEpoch + now_;
    planner_->Add(transition, now_);
  }
  void Fire(const std::string& id, Severity severity = Severity::kWarning) {
    core::Incident incident = Named(id, severity);
    incident.fired_at_ns = kEpoch + now_;
    Add(incident, TransitionKind::kFiring);
  }
  void Change(const std::string& id, Severity severity, TransitionKind kind) { Add(Named(id, severity), kind); }
  void Resolve(const std::string& id, Severity severity = Severity::kWarning) {
    Add(Named(id, severity), TransitionKind::kResolved);
  }

  void Send() {
    for (int i = 0; i < 1000; ++i) {
      const auto request = planner_->Next(now_);
      if (!request) return;
      Answer(*request);
    }
    FAIL() << "the planner never rests";
  }
  void RunFor(std::int64_t length_ns) {
    const std::int64_t end = now_ + length_ns;
    for (int i = 0; i < 100000; ++i) {
      Send();
      const std::int64_t due = planner_->NextDue();
      if (due > end) {
        now_ = end;
        return Send();
      }
      ASSERT_GT(due, now_) << "due, but nothing was sent";
      now_ = due;
    }
    FAIL() << "time stands still";
  }
  void Answer(const Request& request) {
    EXPECT_EQ(request.method, Method::kPost);
    Reply reply;
    reply.status = 200;
    if (!script_.empty()) {
      reply = script_.front();
      script_.pop_front();
    }
    sent_.push_back({now_, Json::parse(request.body), reply.status});
    if (during_) std::exchange(during_, nullptr)();
    planner_->OnReply(reply, now_, kEpoch + now_);
  }
  static Reply Status(int status, const std::string& retry_after = "") {
    Reply reply;
    reply.status = status;
    reply.body = "no";
    reply.retry_after = retry_after;
    return reply;
  }
  static Reply Lost() {
    Reply reply;
    reply.maybe_sent = true;
    reply.transport_error = "no answer";
    return reply;
  }
  std::string StateOf(const std::string& id) {
    for (const auto& [incident, delivery] : planner_->Explain(1000, now_, kEpoch + now_)) {
      if (incident == id) return delivery.state;
    }
    return "(unknown)";
  }

  PlannerOptions options_;
  Direction direction_;
  std::set<std::string> muted_, unrouted_;
  std::int64_t now_ = 1000 * kSec;
  std::unique_ptr<Planner> planner_;
  std::vector<Sent> sent_;
  std::deque<Reply> script_;
  std::function<void()> during_;  // runs once while a request is under way
  int number_ = 0;
};

}  // namespace spanwatch::notify

#endif  // SPANWATCH_TESTS_UNIT_NOTIFY_ALERT_HARNESS_H_
