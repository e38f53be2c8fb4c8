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

Json JournalToJson(const ingest::Status& ingest) {
  const ingest::JournalStatus& journal = ingest.journal;
  return {{"on", ingest.journal_configured && journal.on},
          {"problem", journal.problem},
          {"bytes", journal.bytes},
          {"segments", journal.segments},
          {"oldest", TimeToJson(journal.oldest_ns)},
          {"records", journal.records},
          {"droppedRecords", journal.dropped_records},
          {"failures", journal.failures},
          {"checkpoints", journal.checkpoints}};
}

Json ForwardToJson(const forward::Status& status, const forward::Counters& counters) {
  Json dropped = Json::object();
  for (std::size_t i = 0; i < forward::kReasonCount; ++i) {
    dropped[forward::ToString(static_cast<forward::Reason>(i))] = {{"traces", counters.dropped_traces[i]},
                                                                   {"spans", counters.dropped_spans[i]}};
  }
  return {{"configured", status.configured},
          {"endpoint", status.endpoint},
          {"unencrypted", status.unencrypted},
          {"queuedTraces", status.queued_traces},
          {"queuedBytes", status.queued_bytes},
          {"lastForwarded", TimeToJson(status.last_forwarded_ns)},
          {"lastError", status.last_error},
          {"forwardedTraces", counters.forwarded_traces},
          {"forwardedSpans", counters.forwarded_spans},
          {"bytes", counters.bytes},
          {"requests", counters.requests},
          {"retries", counters.retries},
          {"dropped", std::move(dropped)}};
}

Json WatchdogToJson(const config::Watchdog& watchdog, const notify::WatchdogStatus& status) {
  return {{"configured", status.configured},
          {"source", watchdog.url_source},
          {"interval", static_cast<double>(watchdog.interval_ns) / 1e6},
          {"pings", status.sent},
          {"failures", status.failed},
          {"withheld", status.withheld},
          {"lastPing", TimeToJson(status.last_sent_ns)},
          {"lastError", status.last_error},
          {"problem", status.problem}};
}

Json ReceiverToJson(const config::Config& config, const core::Receiver& receiver,
                    const std::vector<notify::TargetStatus>& targets) {
  const bool routed = IsReached(config, receiver);
  Json json = {{"name", receiver.name},
               {"kind", core::ToString(receiver.kind)},
               {"source", receiver.url_source},
               {"used", routed}};
  if (!routed) return json;
  const std::string why = WhyNothingIsPosted(receiver);
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

// What failed, and what to do about it.
std::string TargetNotice(const config::Config& config, const notify::TargetStatus& target) {
  const std::string name = "receiver \"" + target.name + "\"";
  if (!target.given_up) return name + ": the last message failed: " + target.last_error;
  std::string text = name + " is sent nothing any more: " + target.last_error;
  for (const core::Receiver& receiver : config.routing.receivers) {
    if (receiver.name != target.name) continue;
    text += ". Correct " + receiver.url_source +
            (receiver.url_source.starts_with("environment") ? ", then restart the sidecar" : ", then reload");
  }
  return text;
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
               {"generation", engine_->Generation()},
               {"ready", ready_.load()},
               {"started", TimeToJson(started_ns_)},
               {"configFile", config.source_path.empty() ? Json(nullptr) : Json(config.source_path)},
               {"rules", config.rules->rules.size()},
               {"listen", ListenUrl(config.http, port())},
               {"insecureListen", config.http_insecure_listen},
               {"otlpListen", otlp_server_ == nullptr ? Json(nullptr) : Json(ListenUrl(config.otlp, otlp_port()))},
               {"externalUrl", ExternalUrl(config)},
               {"endpoints", ingest_->BoundEndpoints()},
               {"stateDir", state_ == nullptr ? Json(nullptr) : Json(config.state_dir)}};
  json["journal"] = JournalToJson(ingest);
  if (!no_state_.empty()) json["journal"]["problem"] = no_state_;
  json["reload"] = {{"successful", reload.successful},
                    {"at", TimeToJson(reload.at_ns)},
                    {"error", reload.error},
                    {"needsRestart", reload.needs_restart}};
  json["receivers"] = Json::array();
  for (const core::Receiver& receiver : config.routing.receivers) {
    json["receivers"].push_back(ReceiverToJson(config, receiver, targets));
  }
  if (config.routing.receivers.empty()) json["message"] = WhyNothingIsPosted(config);
  const notify::OutboxStatus outbox = notifier_->GetOutboxStatus();
  json["outbox"] = {{"on", outbox.enabled},      {"writable", outbox.writable}, {"problem", outbox.problem},
                    {"note", outbox.note},       {"bytes", outbox.bytes},       {"pending", outbox.pending},
                    {"givenUp", outbox.given_up}};
  json["forward"] = ForwardToJson(forwarder_->GetStatus(), forwarder_->Counts());
  json["watchdog"] =
      WatchdogToJson(config.watchdog, watchdog_ == nullptr ? notify::WatchdogStatus{} : watchdog_->GetStatus());
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

std::vector<std::string> App::Notices() const {
  std::vector<std::string> notices;
  config::Config config;
  ReloadState reload;
  {
    MutexLock lock(&mutex_);
    config = config_;
    reload = reload_;
  }
  if (std::string nobody = WhyNothingIsPosted(config); !nobody.empty()) {
    notices.push_back(std::move(nobody));
  } else {
    for (const core::Receiver& receiver : config.routing.receivers) {
      const std::string why = IsReached(config, receiver) ? WhyNothingIsPosted(receiver) : "";
      if (!why.empty()) notices.push_back("receiver \"" + receiver.name + "\": " + why);
    }
  }
  if (!reload.successful) {
    notices.push_back("the last reload was refused, the configuration before it holds: " + reload.error);
  }
  if (!reload.needs_restart.empty()) {
    std::string keys;
    for (const std::string& key : reload.needs_restart) keys += (keys.empty() ? "" : ", ") + key;
    notices.push_back("changed in the configuration, but in force only after a restart: " + keys);
  }
  for (const notify::TargetStatus& target : notifier_->Status()) {
    if (!target.last_error.empty()) notices.push_back(TargetNotice(config, target));
  }
  const ingest::Status ingest = ingest_->GetStatus();
  if (!no_state_.empty()) {
    notices.push_back(no_state_);
  } else if (ingest.journal_configured && !ingest.journal.on) {
    notices.push_back("the journal is off, a restart would forget: " + ingest.journal.problem);
  }
  if (const notify::OutboxStatus outbox = notifier_->GetOutboxStatus(); outbox.enabled && !outbox.writable) {
    notices.push_back("alerts are delivered from memory, the disk does not take them: " + outbox.problem);
  }
  return notices;
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
    counts.possible_duplicates = counters.possible_duplicates;
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

metrics::JournalCounts App::JournalCounts() const {
  const ingest::JournalStatus journal = ingest_->GetStatus().journal;
  const ingest::Folded& folded = ingest_->folded();
  metrics::JournalCounts counts;
  counts.on = journal.on;
  counts.bytes = journal.bytes;
  counts.records = journal.records;
  counts.dropped_records = journal.dropped_records;
  counts.failures = journal.failures;
  counts.written_bytes = journal.written_bytes;
  counts.checkpoints = journal.checkpoints;
  counts.oldest_ns = journal.oldest_ns;
  counts.replayed_records = folded.records;
  counts.replay_ns = folded.duration_ns;
  return counts;
}

core::AnalysisOptions App::AnalysisOptions() const {
  MutexLock lock(&mutex_);
  const config::Thresholds& thresholds = config_.thresholds;
  core::AnalysisOptions options;
  options.slow_warning_ns = static_cast<std::int64_t>(thresholds.slow_ns[0]);
  options.slow_critical_ns = static_cast<std::int64_t>(thresholds.slow_ns[1]);
  options.depth_warning = static_cast<std::uint32_t>(thresholds.depth[0]);
  options.depth_critical = static_cast<std::uint32_t>(thresholds.depth[1]);
  options.memory_warning_bytes = static_cast<std::int64_t>(thresholds.memory_bytes[0]);
  options.memory_critical_bytes = static_cast<std::int64_t>(thresholds.memory_bytes[1]);
  options.prices = config_.limits.prices;
  return options;
}

metrics::OutboxCounts App::OutboxCounts() const {
  const notify::OutboxStatus status = notifier_->GetOutboxStatus();
  metrics::OutboxCounts counts;
  counts.enabled = status.enabled;
  counts.writable = status.writable;
  counts.bytes = status.bytes;
  counts.pending = status.pending;
  counts.committed = status.committed;
  counts.repeats = status.repeats;
  counts.write_errors = status.write_errors;
  counts.corruptions = status.corruptions;
  counts.given_up = status.given_up;
  counts.unreadable = status.unreadable;
  counts.kept_traces = status.kept_traces;
  counts.kept_trace_bytes = status.kept_trace_bytes;
  counts.kept_write_errors = status.kept_write_errors;
  return counts;
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
