#include "sidecar/forward/sender.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "sidecar/forward/gzip.h"

namespace spanwatch::forward {
namespace {

constexpr std::size_t kMaxAnswerBytes = 64u << 10;
constexpr std::int64_t kConnectTimeoutNs = 5'000'000'000;

}  // namespace

void Sender::Run() {
  while (true) {
    Shared::Work work = shared_->WaitForWork(!batch_.has_value(), policy_ ? policy_->not_before_ns() : INT64_MIN);
    if (work.options.has_value()) {
      Adopt(std::move(*work.options));
      continue;
    }
    if (work.end) break;
    if (work.batch.has_value()) {
      batch_ = std::move(work.batch);
      wire_.clear();
      tried_ = false;
    }
    if (!target_.has_value()) {
      End(Reason::kOff, 0);
    } else {
      Attempt();
    }
  }
  if (batch_.has_value()) End(Reason::kShutdown, 0);
  shared_->SenderDone();
}

void Sender::Adopt(Options options) {
  const bool same = client_ != nullptr && options.endpoint == options_.endpoint &&
                    options.headers == options_.headers && options.timeout_ns == options_.timeout_ns;
  options_ = std::move(options);
  if (same) return;
  policy_.emplace(options_.retry);
  target_ = SplitEndpoint(options_.endpoint);
  client_ = nullptr;
  told_failing_ = false;
  if (target_.has_value()) {
    client::Options http;
    http.origin = target_->origin;
    http.connect_timeout_ns = kConnectTimeoutNs;
    http.timeout_ns = options_.timeout_ns;
    http.max_answer_bytes = kMaxAnswerBytes;
    client_ = std::make_shared<client::HttpClient>(http);
    if (target_->unencrypted) {
      spdlog::warn("forward.endpoint {} is plain http: spans leave this machine unencrypted", options_.endpoint);
    }
  } else if (!options_.endpoint.empty()) {
    spdlog::error("forward.endpoint cannot be used; nothing is forwarded");
  }
  shared_->SetTarget(target_ ? options_.endpoint : "", target_ && target_->unencrypted, client_);
}

void Sender::Attempt() {
  if (wire_.empty()) {
    wire_ = options_.gzip ? Gzip(batch_->body) : std::string();
    zipped_ = !wire_.empty();
    if (!zipped_) wire_ = batch_->body;
  }
  if (!tried_) policy_->Begin(SteadyNow());
  client::Request request;
  request.target = target_->path;
  request.headers = options_.headers;
  request.headers.emplace_back("Content-Type", "application/x-protobuf");
  request.headers.emplace_back("Accept", "application/x-protobuf");
  request.headers.emplace_back("User-Agent", "Spanwatch-Forwarder/" + options_.version);
  if (zipped_) request.headers.emplace_back("Content-Encoding", "gzip");
  request.body = wire_;
  shared_->CountRequest(wire_.size(), std::exchange(tried_, true));
  const client::Response response = client_->Send(request);
  if (!shared_->abandoned()) OnReply(response);
}

void Sender::OnReply(const client::Response& response) {
  Judgement judgement = Judge(response, WallNow());
  judgement.text = RemoveSecrets(std::move(judgement.text), options_.headers);
  switch (judgement.verdict) {
    case Verdict::kAccepted:
      policy_->Answered();
      End(std::nullopt, judgement.rejected_spans);
      break;
    case Verdict::kRejected:
      policy_->Answered();
      End(Reason::kRejected, 0);
      break;
    case Verdict::kRetry:
      if (!policy_->Failed(SteadyNow(), judgement.retry_after_ns)) End(Reason::kTimeout, 0);
  }
  Tell(judgement.text, judgement.verdict != Verdict::kAccepted);
}

void Sender::End(std::optional<Reason> dropped, std::uint64_t rejected_spans) {
  if (!shared_->abandoned()) shared_->Finish(*batch_, dropped, rejected_spans);
  batch_.reset();
  wire_.clear();
}

// Status always; the log once for each change of state, not for each request.
void Sender::Tell(const std::string& error, bool failed) {
  shared_->SetError(error);
  if (failed && !told_failing_) {
    spdlog::warn("forwarding to {} fails: {}", options_.endpoint, error);
  } else if (!failed && told_failing_) {
    spdlog::info("forwarding to {} works again", options_.endpoint);
  }
  told_failing_ = failed;
}

}  // namespace spanwatch::forward
