// A planner, virtual time and a Discord of twenty lines: what it is sent is kept, what it answers can be scripted.
#ifndef SPANWATCH_TESTS_UNIT_NOTIFY_PLANNER_HARNESS_H_
#define SPANWATCH_TESTS_UNIT_NOTIFY_PLANNER_HARNESS_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sidecar/notify/discord_planner.h"
#include "tests/unit/notify/discord_check.h"
#include "tests/unit/notify/incidents.h"

namespace spanwatch::notify {

using core::Severity;
using core::TransitionKind;
using Json = nlohmann::json;

inline Reply Status(int status, const std::string& body = "{}") {
  Reply reply;
  reply.status = status;
  reply.body = body;
  return reply;
}

inline Reply Lost() {
  Reply reply;
  reply.maybe_sent = true;
  reply.transport_error = "no answer";
  return reply;
}

class PlannerTest : public testing::Test {
 protected:
  struct Sent {
    std::int64_t at_ns;
    Method method;
    std::string message_id;  // for a post: the one it got
    Json body;
    int status;
  };

  PlannerTest() : PlannerTest(PlannerOptions{}) {}
  explicit PlannerTest(PlannerOptions options) : planner_(WithUrl(std::move(options))) {
    planner_.SetTarget(true, false, now_);
  }

  static PlannerOptions WithUrl(PlannerOptions options) {
    options.external_url = "http://localhost:9464";
    return options;
  }

  void Add(const core::Incident& incident, TransitionKind kind) { planner_.Add(MakeTransition(incident, kind), now_); }
  void Fire(const std::string& id, Severity severity = Severity::kWarning) {
    Add(MakeIncident(id, severity), TransitionKind::kFiring);
  }
  // One of its own group.
  void FireAlone(const std::string& id) { Add(Alone(id), TransitionKind::kFiring); }
  static core::Incident Alone(const std::string& id) {
    core::Incident incident = MakeIncident(id);
    incident.alertname = "Alert" + id;
    return incident;
  }
  void Update(const std::string& id, double value) {
    core::Incident incident = MakeIncident(id);
    incident.value = incident.worst_value = value;
    Add(incident, TransitionKind::kUpdated);
  }
  void Escalate(const std::string& id) { Add(MakeIncident(id, Severity::kCritical), TransitionKind::kEscalated); }
  void Resolve(const std::string& id) { Add(MakeIncident(id), TransitionKind::kResolved); }

  // Sends all that may be sent now.
  void Send() {
    for (int i = 0; i < 100000; ++i) {
      const auto request = planner_.Next(now_);
      if (!request) return;
      Answer(*request);
    }
    FAIL() << "the planner never rests";
  }
  void RunFor(std::int64_t length_ns) {
    const std::int64_t end = now_ + length_ns;
    for (int i = 0; i < 100000; ++i) {
      Send();
      const std::int64_t due = planner_.NextDue();
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
    if (request.method != Method::kGet) {
      ASSERT_THAT(DiscordCheck(request.body).problems(), testing::IsEmpty()) << request.body;
    }
    Sent sent{now_, request.method, request.message_id, Json::parse(request.body, nullptr, false), 200};
    Reply reply;
    if (!script_.empty()) {
      reply = script_.front();
      script_.pop_front();
    } else if (fault_) {
      reply = fault_(request);
    } else {
      reply = Good(request);
    }
    if (reply.status >= 200 && reply.status < 300) Store(request, reply, &sent);
    sent.status = reply.status;
    sent_.push_back(sent);
    if (during_) std::exchange(during_, nullptr)();
    planner_.OnReply(reply, now_, kEpoch + now_);
  }
  Reply Good(const Request& request) {
    if (request.method == Method::kGet) return Status(200, R"({"guild_id":"77","channel_id":"88"})");
    if (request.method == Method::kPatch && !messages_.contains(request.message_id))
      return Status(404, R"({"code":10008})");
    const std::string id = request.method == Method::kPost ? std::to_string(next_id_++) : request.message_id;
    return Status(200, R"({"id":")" + id + R"(","channel_id":"88"})");
  }
  void Store(const Request& request, const Reply& reply, Sent* sent) {
    if (request.method == Method::kGet) return;
    if (request.method == Method::kPost) sent->message_id = Json::parse(reply.body).value("id", "");
    Json& message = messages_[sent->message_id];
    for (const char* key : {"content", "embeds"}) {
      if (sent->body.contains(key)) message[key] = sent->body[key];
    }
  }

  std::size_t Count(Method method) const {
    return static_cast<std::size_t>(
        std::count_if(sent_.begin(), sent_.end(), [&](const Sent& s) { return s.method == method; }));
  }
  static std::string TitleOf(const Json& message) {
    const auto embeds = message.value("embeds", Json::array());
    return embeds.empty() ? message.value("content", "") : embeds[0].value("title", "");
  }
  std::string Title(const std::string& id) const { return TitleOf(messages_.at(id)); }
  static std::string FieldOf(const Json& message, const std::string& name) {
    for (const auto& field : message["embeds"][0]["fields"]) {
      if (field["name"] == name) return field["value"];
    }
    return "(none)";
  }

  std::int64_t now_ = 1000 * kSec;
  DiscordPlanner planner_;
  std::vector<Sent> sent_;
  std::map<std::string, Json> messages_;
  std::deque<Reply> script_;
  std::function<Reply(const Request&)> fault_;
  std::function<void()> during_;  // runs once while a request is under way
  int next_id_ = 100;
};

}  // namespace spanwatch::notify

#endif  // SPANWATCH_TESTS_UNIT_NOTIFY_PLANNER_HARNESS_H_
