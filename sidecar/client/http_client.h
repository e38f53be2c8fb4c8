// The one place that speaks HTTP to others: a kept-alive connection to one origin, certificates checked, every time
// bounded, no redirects followed, answers bounded in size. Never throws; logs nothing.
//
// Threads: Send by one thread; Abort by any, also while Send runs: it ends that exchange soon and all later ones at
// once.
#ifndef SPANWATCH_SIDECAR_CLIENT_HTTP_CLIENT_H_
#define SPANWATCH_SIDECAR_CLIENT_HTTP_CLIENT_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace spanwatch::client {

using Headers = std::vector<std::pair<std::string, std::string>>;

struct Options {
  std::string origin;  // "https://discord.com", "http://127.0.0.1:4318"
  std::int64_t connect_timeout_ns = 5'000'000'000;
  std::int64_t timeout_ns = 10'000'000'000;   // each wait for the peer, and the whole of an answer's body
  std::size_t max_answer_bytes = 256 * 1024;  // of the body; a longer answer is a failed exchange
};

struct Request {
  std::string method = "POST";
  std::string target = "/";  // path and query
  Headers headers;           // Content-Type among them if there is a body
  std::string body;
};

struct Response {
  int status = 0;               // 0: no answer
  bool maybe_sent = false;      // no answer, but the request may have been carried out
  std::string transport_error;  // why there is no answer; names no part of the request
  std::string body;
  Headers headers;  // as they came

  // The first of that name, in whatever case; empty if there is none.
  std::string Header(std::string_view name) const;
};

class HttpClient {
 public:
  explicit HttpClient(const Options& options);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  Response Send(const Request& request);
  void Abort();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace spanwatch::client

#endif  // SPANWATCH_SIDECAR_CLIENT_HTTP_CLIENT_H_
