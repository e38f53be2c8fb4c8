// The receivers: can they be reached, and does a sample get through? Of Discord's webhook the address itself is asked;
// a sample goes the way of every alert, by the planner and the channel of its kind.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "sidecar/app.h"
#include "sidecar/doctor.h"
#include "sidecar/notify/channel.h"
#include "sidecar/notify/discord_text.h"
#include "sidecar/notify/planner.h"

namespace spanwatch::app {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::json;

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kLongestTestNs = 20 * kSecond;

std::int64_t WallNs() { return std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count(); }

// What an answer to the question for the webhook means, and what to do. Empty: it is well.
struct Meaning {
  std::string text, advice;
};
Meaning MeaningOf(const notify::Reply& reply) {
  const std::string advice = "copy the webhook's URL anew: in Discord, channel settings, Integrations, Webhooks";
  switch (reply.status) {
    case 200:
      return {};
    case 0:
      return {"does not answer: " + reply.transport_error, "is the network there, is a proxy or firewall in between?"};
    case 401:
      return {"refuses the token (401): the URL is not complete, or not the right one", advice};
    case 403:
      return {"forbids it (403)", advice};
    case 404:
      return {"does not know this webhook (404): it was deleted, or the URL is wrong", advice};
    case 429:
      return {"limits the rate (429): too many requests from here" +
                  (reply.retry_after.empty() ? "" : ", again in " + reply.retry_after + " s"),
              "wait; the sidecar obeys such answers by itself"};
    default:
      return {"answers with status " + std::to_string(reply.status),
              reply.status >= 500 ? "its servers have trouble; the sidecar tries again by itself" : advice};
  }
}

std::string HostName() {
  std::array<char, 256> name{};
  ::gethostname(name.data(), name.size() - 1);
  return name.data();
}

core::Transition Sample(core::TransitionKind kind, std::int64_t began_ns, std::int64_t now_ns) {
  core::Incident incident;
  incident.id = "d0c7000000000000" + std::string(16, '0');
  std::snprintf(incident.id.data() + 16, 17, "%016llx", static_cast<unsigned long long>(began_ns));
  incident.fingerprint = incident.id.substr(16);
  incident.alertname = "SpanwatchTest";
  incident.rule_group = "doctor";
  incident.labels = {{"service", "spanwatch-doctor"}, {"test", "true"}};
  incident.annotations = {{"summary", "This is a test, sent by `spanwatch doctor --send-test` on " + HostName() +
                                          ". Nothing is wrong; nobody has to do anything."}};
  incident.measure = "rate";
  const bool over = kind == core::TransitionKind::kResolved;
  incident.state = over ? core::AlertState::kResolved : core::AlertState::kFiring;
  incident.severity = over ? core::Severity::kNone : core::Severity::kWarning;
  incident.peak_severity = core::Severity::kWarning;
  incident.value = incident.worst_value = 1;
  incident.active_at_ns = incident.fired_at_ns = began_ns;
  incident.resolved_at_ns = over ? now_ns : 0;
  incident.last_match_ns = began_ns;
  incident.count = 1;
  core::Transition transition;
  transition.id = incident.id + "/" + (over ? "2" : "1") + "/" + core::ToString(kind);
  transition.kind = kind;
  transition.at_ns = now_ns;
  transition.incident = std::move(incident);
  return transition;
}

// A sample alert, from its begin to its end, on its way to one receiver.
class SampleAlert {
 public:
  SampleAlert(const core::Receiver& receiver, const std::string& external_url, const notify::Channel& channel)
      : channel_(channel), http_(HttpOptions(channel)) {
    notify::PlannerOptions options;
    options.receiver = receiver;
    options.receiver.discord.role_id.clear();  // a test wakes nobody
    options.external_url = external_url;
    options.direct = [](const core::Incident& incident) {
      notify::Direction direction;
      direction.routed = true;
      direction.group_key = "doctor";
      direction.group_labels = {{"alertname", incident.alertname}};
      direction.group_interval_ns = kSecond / 10;  // its end does not wait for a minute
      direction.repeat_interval_ns = 0;
      return direction;
    };
    planner_ = notify::MakePlanner(std::move(options));
    planner_->SetTarget(true, true, WallNs());
  }

  // Sends until everything is through, given up, or the time is over.
  void Send() {
    began_ns_ = WallNs();
    planner_->Add(Sample(core::TransitionKind::kFiring, began_ns_, began_ns_), began_ns_);
    Drain();
    if (!Delivered()) return;
    fired_ = true;
    const std::int64_t now_ns = WallNs();
    planner_->Add(Sample(core::TransitionKind::kResolved, began_ns_, now_ns), now_ns);
    Drain();
  }

  bool Delivered() const { return delivered_ && planner_->Waiting(false) == 0 && !planner_->given_up(); }
  bool Fired() const { return fired_; }
  std::string error() const { return channel_.RemoveSecrets(planner_->last_error()); }
  const std::string& where() const { return where_; }
  std::uint64_t rate_limited() const { return planner_->counters().rate_limited; }

 private:
  static client::Options HttpOptions(const notify::Channel& channel) {
    client::Options options;
    options.origin = channel.Origin();
    return options;
  }

  void Drain() {
    while (WallNs() - began_ns_ < kLongestTestNs && !planner_->given_up()) {
      if (const auto request = planner_->Next(WallNs())) {
        notify::Reply reply = notify::ReadReply(http_.Send(channel_.ToHttp(*request)));
        Note(reply);
        planner_->OnReply(reply, WallNs(), WallNs());
        continue;
      }
      const std::int64_t due = planner_->NextDue();
      if (planner_->Waiting(false) == 0 || due - began_ns_ > kLongestTestNs) return;
      std::this_thread::sleep_for(
          std::chrono::nanoseconds(std::clamp<std::int64_t>(due - WallNs(), 1'000'000, kSecond)));
    }
  }

  // Discord's answers say where the message stands.
  void Note(const notify::Reply& reply) {
    if (reply.status < 200 || reply.status >= 300) return;
    const Json json = Json::parse(reply.body, nullptr, false);
    const auto text = [&](const char* key) {
      return json.is_object() && json.contains(key) && json[key].is_string() ? json[key].get<std::string>() : "";
    };
    if (!text("channel_id").empty() && !text("id").empty() && where_.empty()) {
      where_ = "channel " + text("channel_id") + ", message " + text("id");
    }
    delivered_ = true;
  }

  const notify::Channel& channel_;
  client::HttpClient http_;
  std::unique_ptr<notify::Planner> planner_;
  std::int64_t began_ns_ = 0;
  bool delivered_ = false, fired_ = false;
  std::string where_;
};

}  // namespace

// This command's environment may differ from the sidecar's.
void Doctor::CheckWithoutAddress(const core::Receiver& receiver, const std::string& name) {
  const auto known = std::find_if(sidecar_.receivers.begin(), sidecar_.receivers.end(),
                                  [&](const RunningReceiver& each) { return each.name == receiver.name; });
  const std::string unset = name + ": " + receiver.url_source + " is not set";
  if (known == sidecar_.receivers.end() || !known->posting) {
    return Warn("receiver", unset + ": nothing is sent there", "set it for the sidecar, and for this command");
  }
  if (!known->last_error.empty()) {
    return Fail("receiver", name + ": the running sidecar has trouble: " + known->last_error,
                "set " + receiver.url_source + " for this command too, and it tells more");
  }
  Ok("receiver", unset + " here, but the running sidecar has it and posts there");
}

// False: it cannot take alerts.
bool Doctor::AskDiscord(const notify::Channel& channel, const std::string& name) {
  client::Options options;
  options.origin = channel.Origin();
  client::HttpClient http(options);
  const notify::Reply reply = notify::ReadReply(http.Send(channel.ToHttp({notify::Method::kGet, "", ""})));
  const Meaning meaning = MeaningOf(reply);
  if (reply.status == 429) {
    Warn("receiver", name + ": Discord " + meaning.text, meaning.advice);
    return true;
  }
  if (!meaning.text.empty()) {
    Fail("receiver", name + ": Discord " + channel.RemoveSecrets(meaning.text), meaning.advice);
    return false;
  }
  const Json json = Json::parse(reply.body, nullptr, false);
  const bool named = json.is_object() && json.contains("name") && json["name"].is_string();
  Ok("receiver", name + ": Discord knows the webhook" +
                     (named ? " \"" + notify::CleanText(json["name"].get<std::string>(), 80) + "\"" : ""));
  return true;
}

void Doctor::CheckReceiver(const core::Receiver& receiver, bool send_test) {
  const std::string name = "receiver \"" + receiver.name + "\" (" + core::ToString(receiver.kind) + ")";
  if (receiver.url.empty()) return CheckWithoutAddress(receiver, name);
  const auto channel = notify::MakeChannel(receiver, config_.external_url, SPANWATCH_VERSION);
  if (!channel) return Fail("receiver", name + ", " + receiver.url_source + ": " + channel.error(), "correct the URL");
  if (receiver.kind == core::ReceiverKind::kDiscord) {
    if (!AskDiscord(**channel, name)) return;
  } else if (!send_test) {
    Ok("receiver", name + ": has an address; --send-test tells whether it takes alerts");
  }
  if (!send_test) return;
  SampleAlert sample(receiver, config_.external_url, **channel);
  sample.Send();
  const std::string error = sample.error().empty() ? "no answer in time" : sample.error();
  if (!sample.Fired()) {
    return Fail("send-test", name + ": the sample did not get through: " + error,
                "docs/operations.md, \"Doctor\", says what such answers mean");
  }
  if (!sample.Delivered()) {
    return Warn("send-test", name + ": a sample alert was sent, but not its end: " + error, "run it again");
  }
  const std::string waited = sample.rate_limited() > 0 ? ", after a wait that the receiver asked for (429)" : "";
  const std::string where = sample.where().empty() ? "" : " to " + sample.where();
  Ok("send-test", name + ": a sample alert, marked as a test, was sent" + where + waited + ", and ended again");
}

void Doctor::CheckReceivers(bool send_test) {
  if (config_.routing.receivers.empty()) {
    return Warn("receiver", "there is none: alerts are shown on the page only", "add one under `receivers`");
  }
  for (const core::Receiver& receiver : config_.routing.receivers) CheckReceiver(receiver, send_test);
}

}  // namespace spanwatch::app
