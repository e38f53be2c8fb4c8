// The one place that speaks HTTP to receivers: a kept-alive connection to one origin, certificates checked, every time
// bounded, no redirects followed, answers bounded in size. Never throws.
//
// Threads: Send by one thread; Abort by any, also while Send runs: it ends that exchange soon and all later ones at
// once.
#ifndef SPANWATCH_SIDECAR_NOTIFY_HTTP_CLIENT_H_
#define SPANWATCH_SIDECAR_NOTIFY_HTTP_CLIENT_H_

#include <cstdint>
#include <memory>
#include <string>

#include "sidecar/notify/discord_reply.h"

namespace spanwatch::notify {

class HttpClient {
 public:
  // `origin`: "https://discord.com". `timeout_ns` bounds connecting, and each wait for the peer. `version` is ours.
  HttpClient(const std::string& origin, std::int64_t timeout_ns, const std::string& version);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // `target`: path and query. `body`: JSON, unless kGet.
  Reply Send(Method method, const std::string& target, const std::string& body);
  void Abort();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace spanwatch::notify

#endif  // SPANWATCH_SIDECAR_NOTIFY_HTTP_CLIENT_H_
