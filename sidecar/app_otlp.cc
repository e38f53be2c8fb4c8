// The OTLP/HTTP receiver between its two halves: http/ has the sockets, ingest/ knows what a request means.
#include <string>
#include <utility>

#include "sidecar/app.h"

namespace spanwatch::app {
namespace {

http::OtlpAnswer ToAnswer(ingest::OtlpHttpResponse response) {
  return {response.status, std::move(response.content_type), std::move(response.body), std::move(response.headers)};
}

}  // namespace

tl::expected<void, std::string> App::StartOtlp(const config::Config& config) {
  if (!config.otlp_enabled) return {};
  otlp_ = std::make_unique<ingest::OtlpHttp>(ingest::OtlpHttpOptions{}, [ingest = ingest_.get()](std::string record) {
    return ingest->Submit(core::RecordKind::kOtlp, std::move(record));
  });
  http::OtlpOptions options;
  options.host = config.otlp.host;
  options.port = config.otlp.port;
  options.external_url = config.external_url;
  options.allowed_hosts = config.http_allowed_hosts;
  http::OtlpHandler handler;
  handler.handle = [otlp = otlp_.get()](http::OtlpRequest request) {
    return ToAnswer(otlp->Handle({std::move(request.method), std::move(request.path), std::move(request.content_type),
                                  std::move(request.content_encoding), std::move(request.body)}));
  };
  handler.refuse = [otlp = otlp_.get()](std::string_view content_type, int status, const std::string& message) {
    return ToAnswer(otlp->Refuse(content_type, status, message));
  };
  otlp_server_ = std::make_unique<http::OtlpServer>(options, std::move(handler));
  return otlp_server_->Start();
}

void App::AddOtlpCounts(metrics::HttpCounts* counts) const {
  if (otlp_server_ == nullptr) return;
  const ingest::OtlpHttpCounts otlp = otlp_->GetCounts();
  for (const auto& [code, count] : otlp.requests) counts->requests.push_back({"/v1/traces", code, count});
  for (std::size_t i = 0; i < ingest::kRedactedKinds; ++i) {
    counts->redactions.push_back(
        {std::string(ingest::RedactedName(static_cast<ingest::Redacted>(i))), otlp.redacted[i]});
  }
  const http::ListenerCounts listener = otlp_server_->Counts();
  counts->connections += listener.connections;
  for (core::ReasonCount& reason : counts->rejected_connections) {
    if (reason.name == "full") reason.count += listener.full;
    if (reason.name == "timeout") reason.count += listener.timed_out;
    if (reason.name == "head_too_large") reason.count += listener.head_too_large;
    if (reason.name == "body_too_large") reason.count += listener.body_too_large;
    if (reason.name == "bad_request") reason.count += listener.bad_request;
    if (reason.name == "buffers_full") reason.count += listener.buffers_full;
  }
}

}  // namespace spanwatch::app
