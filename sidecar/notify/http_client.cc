#include "sidecar/notify/http_client.h"

#include <httplib.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>

namespace spanwatch::notify {
namespace {

constexpr std::size_t kMaxBody = 256 * 1024;

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

}  // namespace

class HttpClient::Impl {
 public:
  // The user agent has the form that Discord asks of every client.
  Impl(const std::string& origin, std::int64_t timeout_ns, const std::string& version)
      : timeout_(std::chrono::nanoseconds(timeout_ns)),
        user_agent_("DiscordBot (https://github.com/spanwatch/spanwatch, " + version + ")"),
        client_(origin) {
    const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(timeout_);
    const auto connect = std::min<std::chrono::microseconds>(microseconds, std::chrono::seconds(5));
    client_.set_connection_timeout(connect);
    client_.set_read_timeout(microseconds);
    client_.set_write_timeout(microseconds);
    client_.set_keep_alive(true);
    client_.set_tcp_nodelay(true);
    client_.set_follow_location(false);
    client_.enable_server_certificate_verification(true);
  }

  Reply Send(Method method, const std::string& target, const std::string& body) {
    if (aborted_.load()) return Failed("ended before sending", false);
    httplib::Request request;
    request.method = ToString(method);
    request.path = target;
    request.set_header("User-Agent", user_agent_);
    request.set_header("Accept", "application/json");
    if (method != Method::kGet) {
      request.set_header("Content-Type", "application/json");
      request.body = body;
    }
    Reply reply;
    const auto deadline = std::chrono::steady_clock::now() + timeout_;
    request.content_receiver = [&](const char* data, std::size_t size, std::uint64_t, std::uint64_t) {
      reply.body.append(data, std::min(size, kMaxBody - reply.body.size()));
      return reply.body.size() < kMaxBody && std::chrono::steady_clock::now() < deadline;
    };
    const httplib::Result result = client_.send(request);
    if (!result) return Failed(Explain(result.error()), !NeverLeft(result.error()));
    reply.status = result->status;
    reply.retry_after = result->get_header_value("Retry-After");
    reply.bucket = result->get_header_value("X-RateLimit-Bucket");
    reply.remaining = result->get_header_value("X-RateLimit-Remaining");
    reply.reset_after = result->get_header_value("X-RateLimit-Reset-After");
    reply.scope = result->get_header_value("X-RateLimit-Scope");
    reply.global = result->get_header_value("X-RateLimit-Global");
    return reply;
  }

  void Abort() {
    aborted_.store(true);
    client_.stop();
  }

  static Reply Failed(const std::string& why, bool maybe_sent) {
    Reply reply;
    reply.transport_error = why;
    reply.maybe_sent = maybe_sent;
    return reply;
  }

 private:
  const std::chrono::nanoseconds timeout_;
  const std::string user_agent_;
  httplib::Client client_;
  std::atomic<bool> aborted_{false};
};

HttpClient::HttpClient(const std::string& origin, std::int64_t timeout_ns, const std::string& version) {
  try {
    impl_ = std::make_unique<Impl>(origin, timeout_ns, version);
  } catch (const std::exception&) {
    impl_ = nullptr;
  }
}

HttpClient::~HttpClient() = default;

Reply HttpClient::Send(Method method, const std::string& target, const std::string& body) {
  if (impl_ == nullptr) return Impl::Failed("the HTTP client could not be set up", false);
  try {
    return impl_->Send(method, target, body);
  } catch (const std::exception&) {
    return Impl::Failed("the HTTP library failed", true);
  }
}

void HttpClient::Abort() {
  if (impl_ != nullptr) impl_->Abort();
}

}  // namespace spanwatch::notify
