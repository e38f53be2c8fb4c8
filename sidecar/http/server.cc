// The one place of cpp-httplib: it parses requests and writes answers. Sockets are the Listener's (its own accept loop
// gives a thread to every connection, so slow clients block all), and so are limits and timeouts.
#include "sidecar/http/server.h"

#include <httplib.h>

#include <map>
#include <utility>

#include "sidecar/core/mutex.h"
#include "sidecar/http/api_json.h"
#include "sidecar/http/listener.h"
#include "sidecar/http/message.h"
#include "sidecar/http/router.h"

namespace spanwatch::http {
namespace {

// A request that is complete in memory, and the answer to it.
class MemoryStream : public httplib::Stream {
 public:
  explicit MemoryStream(std::string in) : in_(std::move(in)) {}
  bool is_readable() const override { return at_ < in_.size(); }
  bool is_writable() const override { return true; }
  ssize_t read(char* out, std::size_t size) override {
    const std::size_t n = in_.copy(out, size, at_);
    at_ += n;
    return static_cast<ssize_t>(n);
  }
  ssize_t write(const char* data, std::size_t size) override {
    out_.append(data, size);
    return static_cast<ssize_t>(size);
  }
  void get_remote_ip_and_port(std::string&, int&) const override {}
  void get_local_ip_and_port(std::string&, int&) const override {}
  socket_t socket() const override { return INVALID_SOCKET; }
  std::string TakeOutput() { return std::move(out_); }

 private:
  std::string in_;
  std::size_t at_ = 0;
  std::string out_;
};

std::optional<std::string> Header(const httplib::Request& request, const char* name) {
  if (!request.has_header(name)) return std::nullopt;
  return request.get_header_value(name);
}

// What cpp-httplib would do with these is not wanted: brotli at its highest level takes seconds for a large answer, a
// list of ranges multiplies it.
void Simplify(httplib::Request& request) {
  const bool gzip = request.get_header_value("Accept-Encoding").find("gzip") != std::string::npos;
  request.headers.erase("Accept-Encoding");
  if (gzip) request.headers.emplace("Accept-Encoding", "gzip");
  request.headers.erase("Range");
  request.ranges.clear();
  request.headers.erase("Expect");
}

// What cpp-httplib cannot send: a body that is made while it is sent, and an answer that has none.
struct OwnAnswer {
  bool used = false;
  bool http10 = false, head = false;
  Response response;
};

// The answer's bytes, or those before its stream.
Reply MakeReply(OwnAnswer answer, bool close) {
  AnswerParts parts;
  parts.status = answer.response.status;
  parts.headers = std::move(answer.response.headers);
  const bool streams = answer.response.stream != nullptr;
  if (parts.status != 304) parts.content_type = std::move(answer.response.content_type);
  parts.streamed = streams;
  parts.chunked = streams && !answer.http10;
  parts.close = close || (streams && answer.http10);
  parts.without_body = answer.head;
  Reply reply;
  reply.bytes = AnswerBytes(parts);
  reply.close = parts.close;
  if (!answer.head) reply.stream = std::move(answer.response.stream);
  reply.chunked = parts.chunked;
  return reply;
}

class Protocol : private httplib::Server {
 public:
  using Handle = std::function<Response(const Request&)>;

  explicit Protocol(Handle handle) {
    set_keep_alive_timeout(60);
    set_keep_alive_max_count(1'000'000);
    set_pre_routing_handler([handle = std::move(handle)](const httplib::Request& in, httplib::Response& out) {
      Request request;
      request.method = in.method;
      request.path = in.path;
      request.params = in.params;
      request.accept = in.get_header_value("Accept");
      request.host = Header(in, "Host");
      request.origin = Header(in, "Origin");
      request.if_none_match = in.get_header_value("If-None-Match");
      request.last_event_id = in.get_header_value("Last-Event-ID");
      request.has_body = in.has_header("Content-Length") && in.get_header_value("Content-Length") != "0";
      request.body = body_;
      request.content_type = in.get_header_value("Content-Type");
      Response response = handle(request);
      out.status = response.status;
      if (response.stream != nullptr || response.status == 304) {
        *own_ = {true, in.version == "HTTP/1.0", in.method == "HEAD", std::move(response)};
        return HandlerResponse::Handled;
      }
      for (const auto& [name, value] : response.headers) out.set_header(name, value);
      out.set_content(std::move(response.body), response.content_type);
      return HandlerResponse::Handled;
    });
    set_error_handler([](const httplib::Request&, httplib::Response& out) {
      if (out.body.empty()) out.set_content(ErrorJson("the request could not be understood", {}), "application/json");
    });
    set_exception_handler([](const httplib::Request&, httplib::Response& out, std::exception_ptr) {
      out.status = 500;
      out.set_content(ErrorJson("internal error", {}), "application/json");
    });
  }

  // Any thread.
  Reply Answer(std::string request) {
    // The handler is called before cpp-httplib reads a body, so it gets it from here.
    const std::size_t head = request.find("\r\n\r\n");
    const std::string body = head == std::string::npos ? std::string() : request.substr(head + 4);
    body_ = body;
    MemoryStream stream(std::move(request));
    bool closed = false;
    OwnAnswer own;
    own_ = &own;
    const bool good = process_request(stream, false, closed, Simplify);
    own_ = nullptr;
    body_ = {};
    if (own.used) return MakeReply(std::move(own), !good || closed);
    return {stream.TakeOutput(), !good || closed, nullptr, false};
  }

 private:
  // cpp-httplib hands nothing of ours to its handlers.
  static thread_local OwnAnswer* own_;
  static thread_local std::string_view body_;
};

thread_local OwnAnswer* Protocol::own_ = nullptr;
thread_local std::string_view Protocol::body_;

ListenerOptions MakeListenerOptions(const Options& options) {
  ListenerOptions result;
  result.host = options.host;
  result.port = options.port;
  result.urgent = IsUrgent;
  return result;
}

}  // namespace

class Server::Impl {
 public:
  Impl(Options options, Hooks hooks)
      : router_(options, std::move(hooks)),
        protocol_([this](const Request& request) { return Handle(request); }),
        listener_(MakeListenerOptions(options),
                  [this](std::string request) { return protocol_.Answer(std::move(request)); }) {}

  Listener& listener() { return listener_; }

  Counts GetCounts() const {
    Counts counts;
    const ListenerCounts connections = listener_.Counts();
    counts.connections = connections.connections;
    counts.streams = connections.streams;
    counts.rejected_connections = {{"full", connections.full},
                                   {"timeout", connections.timed_out},
                                   {"head_too_large", connections.head_too_large},
                                   {"body_too_large", connections.body_too_large},
                                   {"bad_request", connections.bad_request},
                                   {"buffers_full", connections.buffers_full},
                                   {"streams_full", connections.streams_full}};
    MutexLock lock(&mutex_);
    for (const auto& [key, count] : requests_) counts.requests.push_back({key.first, key.second, count});
    return counts;
  }

 private:
  Response Handle(const Request& request) {
    Response response;
    try {
      response = router_.Handle(request);
    } catch (...) {  // out of memory, a hook that throws: this request fails, the sidecar does not
      response = {};
      response.status = 500;
      response.body = ErrorJson("internal error", {});
    }
    MutexLock lock(&mutex_);
    ++requests_[{response.handler, response.status}];  // both of a small set
    return response;
  }

  const Router router_;
  mutable Mutex mutex_;
  std::map<std::pair<std::string, int>, std::uint64_t> requests_ GUARDED_BY(mutex_);
  Protocol protocol_;
  Listener listener_;  // last: its threads use all the others
};

Server::Server(Options options, Hooks hooks) : impl_(std::make_unique<Impl>(std::move(options), std::move(hooks))) {}
Server::~Server() = default;

tl::expected<void, std::string> Server::Start() { return impl_->listener().Start(); }
void Server::Stop() { impl_->listener().Stop(); }
int Server::port() const { return impl_->listener().port(); }
Server::Counts Server::GetCounts() const { return impl_->GetCounts(); }

}  // namespace spanwatch::http
