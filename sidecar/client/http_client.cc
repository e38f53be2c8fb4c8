#include "sidecar/client/http_client.h"

#include <httplib.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>

namespace spanwatch::client {
namespace {

bool NeverLeft(httplib::Error error) {
  switch (error) {
    case httplib::Error::Connection:
    case httplib::Error::BindIPAddress:
    case httplib::Error::SSLConnection:
    case httplib::Error::SSLLoadingCerts:
    case httplib::Error::SSLServerVerification:
    case httplib::Error::ConnectionTimeout:
      return true;
    default:
      return false;
  }
}

const char* Explain(httplib::Error error) {
  switch (error) {
    case httplib::Error::Connection:
      return "could not connect (name, route or port)";
    case httplib::Error::ConnectionTimeout:
      return "connecting took too long";
    case httplib::Error::SSLConnection:
      return "TLS handshake failed";
    case httplib::Error::SSLLoadingCerts:
      return "the system's certificates could not be loaded (package ca-certificates)";
    case httplib::Error::SSLServerVerification:
      return "the server's certificate is not trusted";
    case httplib::Error::Read:
      return "no answer: the connection broke or the time was over";
    case httplib::Error::Write:
      return "the connection broke while sending";
    case httplib::Error::Canceled:
      return "the exchange was ended by us";
    default:
      return "the exchange failed";
  }
}

Response Failed(const std::string& why, bool maybe_sent) {
  Response response;
  response.transport_error = why;
  response.maybe_sent = maybe_sent;
  return response;
}

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

}  // namespace

std::string Response::Header(std::string_view name) const {
  const auto same = [](char a, char b) { return Lower(a) == Lower(b); };
  for (const auto& [key, value] : headers) {
    if (std::equal(key.begin(), key.end(), name.begin(), name.end(), same)) return value;
  }
  return "";
}

class HttpClient::Impl {
 public:
  explicit Impl(const Options& options)
      : timeout_(std::chrono::nanoseconds(options.timeout_ns)),
        max_answer_bytes_(options.max_answer_bytes),
        client_(options.origin) {
    const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(timeout_);
    const auto connect = std::chrono::duration_cast<std::chrono::microseconds>(
        std::chrono::nanoseconds(std::min(options.connect_timeout_ns, options.timeout_ns)));
    client_.set_connection_timeout(connect);
    client_.set_read_timeout(microseconds);
    client_.set_write_timeout(microseconds);
    client_.set_keep_alive(true);
    client_.set_tcp_nodelay(true);
    client_.set_follow_location(false);
    client_.enable_server_certificate_verification(true);
  }

  Response Send(const Request& from) {
    if (aborted_.load()) return Failed("ended before sending", false);
    httplib::Request request;
    request.method = from.method;
    request.path = from.target;
    for (const auto& [name, value] : from.headers) request.set_header(name, value);
    request.body = from.body;
    Response response;
    const auto deadline = std::chrono::steady_clock::now() + timeout_;
    request.content_receiver = [&](const char* data, std::size_t size, std::uint64_t, std::uint64_t) {
      response.body.append(data, std::min(size, max_answer_bytes_ - response.body.size()));
      return response.body.size() < max_answer_bytes_ && std::chrono::steady_clock::now() < deadline;
    };
    const httplib::Result result = client_.send(request);
    if (!result) return Failed(Explain(result.error()), !NeverLeft(result.error()));
    response.status = result->status;
    response.headers.assign(result->headers.begin(), result->headers.end());
    return response;
  }

  void Abort() {
    aborted_.store(true);
    client_.stop();
  }

 private:
  const std::chrono::nanoseconds timeout_;
  const std::size_t max_answer_bytes_;
  httplib::Client client_;
  std::atomic<bool> aborted_{false};
};

HttpClient::HttpClient(const Options& options) {
  try {
    impl_ = std::make_unique<Impl>(options);
  } catch (const std::exception&) {
    impl_ = nullptr;
  }
}

HttpClient::~HttpClient() = default;

Response HttpClient::Send(const Request& request) {
  if (impl_ == nullptr) return Failed("the HTTP client could not be set up", false);
  try {
    return impl_->Send(request);
  } catch (const std::exception&) {
    return Failed("the HTTP library failed", true);
  }
}

void HttpClient::Abort() {
  if (impl_ != nullptr) impl_->Abort();
}

}  // namespace spanwatch::client
