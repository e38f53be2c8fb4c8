// What the app tells about itself: /api/v1/status, and the notifier's and server's counts for /metrics.
#include <array>
#include <ctime>
#include <nlohmann/json.hpp>

#include "sidecar/app.h"

namespace spanwatch::app {
namespace {

using Json = nlohmann::ordered_json;

// RFC 3339 in UTC, or null for 0.
Json TimeToJson(std::int64_t ns) {
  if (ns == 0) return nullptr;
  const std::time_t seconds = static_cast<std::time_t>(ns / 1'000'000'000);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text.data();
}

Json ReceiverToJson(const config::Config& config, const config::Receiver& receiver,
                    const std::vector<notify::TargetStatus>& targets) {
  const bool routed = receiver.name == config.route.receiver;
  Json json = {{"name", receiver.name}, {"kind", "discord"}, {"source", receiver.url_source}, {"used", routed}};
  if (!routed) return json;
  const std::string why = WhyNothingIsPosted(config);
  json["posting"] = why.empty();
  for (const notify::TargetStatus& target : targets) {
    if (target.name != receiver.name) continue;
    if (target.given_up) json["posting"] = false;
    json["givenUp"] = target.given_up;
    json["queued"] = target.queued;
    json["lastDelivered"] = TimeToJson(target.last_delivered_ns);
    json["lastError"] = target.last_error;
  }
  if (!why.empty()) json["message"] = why;
  return json;
}

}  // namespace

std::string App::StatusJson() const {
  config::Config config;
  ReloadState reload;
  {
    MutexLock lock(&mutex_);
    config = config_;
    reload = reload_;
  }
  const ingest::Status ingest = ingest_->GetStatus();
  const std::vector<notify::TargetStatus> targets = notifier_->Status();
  Json json = {{"version", SPANWATCH_VERSION},
               {"ready", ready_.load()},
               {"started", TimeToJson(started_ns_)},
               {"configFile", config.source_path.empty() ? Json(nullptr) : Json(config.source_path)},
               {"rules", config.rules->rules.size()},
               {"listen", ListenUrl(config.http, port())},
               {"insecureListen", config.http_insecure_listen},
               {"otlpListen", otlp_server_ == nullptr ? Json(nullptr) : Json(ListenUrl(config.otlp, otlp_port()))},
               {"externalUrl", ExternalUrl(config)},
               {"endpoints", ingest_->BoundEndpoints()},
               {"state", "memory only"}};
  json["reload"] = {{"successful", reload.successful},
                    {"at", TimeToJson(reload.at_ns)},
                    {"error", reload.error},
                    {"needsRestart", reload.needs_restart}};
  json["receivers"] = Json::array();
  for (const config::Receiver& receiver : config.receivers) {
    json["receivers"].push_back(ReceiverToJson(config, receiver, targets));
  }
  if (config.receivers.empty()) json["message"] = WhyNothingIsPosted(config);
  json["ingest"] = {{"records", ingest.records},
                    {"messages", ingest.messages},
                    {"bytes", ingest.bytes},
                    {"connections", ingest.connections},
                    {"messagesRefused", ingest.messages_refused},
                    {"answersDropped", ingest.answers_dropped},
                    {"submitsRefused", ingest.submits_refused}};
  json["recorder"] = nullptr;
  if (!record_path_.empty()) {
    json["recorder"] = {{"file", record_path_}, {"bytes", ingest.recorded_bytes}, {"failed", ingest.recorder_failed}};
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::vector<metrics::NotificationCounts> App::NotificationCounts() const {
  std::vector<metrics::NotificationCounts> result;
  const std::vector<notify::TargetStatus> targets = notifier_->Status();
  for (const notify::Counters& counters : notifier_->Counts()) {
    metrics::NotificationCounts counts;
    counts.receiver = counters.receiver;
    counts.posted = counters.posted;
    counts.edited = counters.edited;
    counts.failed = counters.failed;
    counts.retried = counters.retried;
    counts.rate_limited = counters.rate_limited;
    counts.fallbacks = counters.fallbacks;
    counts.dropped = counters.dropped;
    for (const notify::TargetStatus& target : targets) {
      if (target.name != counters.receiver) continue;
      counts.queued = target.queued;
      counts.configured = target.configured;
      counts.given_up = target.given_up;
    }
    result.push_back(std::move(counts));
  }
  return result;
}

metrics::HttpCounts App::HttpCounts() const {
  metrics::HttpCounts result;
  http::Server::Counts counts = server_->GetCounts();
  for (http::Server::Counts::Requests& requests : counts.requests) {
    result.requests.push_back({std::move(requests.handler), requests.code, requests.count});
  }
  result.rejected_connections = std::move(counts.rejected_connections);
  result.connections = counts.connections;
  AddOtlpCounts(&result);
  return result;
}

}  // namespace spanwatch::app
