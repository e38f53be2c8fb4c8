// HTTP for the OTLP/HTTP receiver, on a listener of its own (otlp.listen): framing, limits, Host and Origin. What a
// request means is the handler's business. Every answer, also to what never becomes a request, is made by the handler,
// in the encoding that the client speaks.
//
// Threads: as Listener; the handler is called from several threads at once, and `refuse` also from the poll thread: it
// must be quick.
#ifndef SPANWATCH_SIDECAR_HTTP_OTLP_SERVER_H_
#define SPANWATCH_SIDECAR_HTTP_OTLP_SERVER_H_

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

#include "sidecar/http/access.h"
#include "sidecar/http/listener.h"

namespace spanwatch::http {

struct OtlpOptions {
  std::string host = "127.0.0.1";
  int port = 4318;  // 0: any free one
  std::string external_url;
  std::vector<std::string> allowed_hosts;
  std::size_t max_body_bytes = 64u << 20;  // as received
  int workers = 2;
};

struct OtlpRequest {
  std::string method;
  std::string path;
  std::string content_type;
  std::string content_encoding;
  std::string body;
};

struct OtlpAnswer {
  int status = 200;
  std::string content_type;
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
};

struct OtlpHandler {
  std::function<OtlpAnswer(OtlpRequest)> handle;
  std::function<OtlpAnswer(std::string_view content_type, int status, const std::string& message)> refuse;
};

class OtlpServer {
 public:
  OtlpServer(const OtlpOptions& options, OtlpHandler handler);

  tl::expected<void, std::string> Start() { return listener_.Start(); }
  void Stop() { listener_.Stop(); }
  int port() const { return listener_.port(); }
  ListenerCounts Counts() const { return listener_.Counts(); }

 private:
  Reply Handle(std::string request) const;
  Reply Refuse(int status, const std::string& message, std::string_view head) const;

  const OtlpHandler handler_;
  const Access access_;
  Listener listener_;  // last: its threads use the others
};

}  // namespace spanwatch::http

#endif  // SPANWATCH_SIDECAR_HTTP_OTLP_SERVER_H_
