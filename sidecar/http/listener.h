// A TCP listener for HTTP/1.1: one poll thread accepts, reads whole requests and writes the answers; workers make the
// answers. A slow or silent client costs a descriptor and its buffer, never a thread. Everything is bounded:
// connections, head, body, bytes buffered in all, and the time that each may take.
//
// What a request means is the handler's business: it gets the request's bytes (head and body, exactly one request) and
// returns the answer's bytes. Urgent requests (see Options::urgent) have workers of their own.
//
// Threads: Start once, Stop by one thread at a time; Counts and port may be called from any thread. The handler is
// called from several threads at once; an exception out of it gives a plain 500.
#ifndef SPANWATCH_SIDECAR_HTTP_LISTENER_H_
#define SPANWATCH_SIDECAR_HTTP_LISTENER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "sidecar/http/body_stream.h"

namespace spanwatch::http {

struct Reply {
  std::string bytes;
  bool close = false;  // after this answer
  // What follows `bytes`, which are then the head alone. Taken piece by piece by the workers, at the pace of the
  // client: a connection holds at most some 128 KiB of it, and no worker while it waits.
  std::shared_ptr<BodyStream> stream = nullptr;
  bool chunked =
      false;  // the stream's pieces are sent as chunks; else the answer ends with the connection: set `close`
};

struct ListenerOptions {
  std::string host = "127.0.0.1";       // numeric, or "localhost" (127.0.0.1)
  int port = 0;                         // 0: any free one
  std::string setting = "http.listen";  // what to name in errors
  std::size_t max_connections = 2048;   // when full, the oldest incomplete one is closed
  std::size_t max_head_bytes = 8192;
  std::size_t max_body_bytes = 65536;
  std::size_t max_buffered_bytes = 64u << 20;  // requests and answers, all connections
  std::int64_t head_timeout_ms = 5'000;        // from a request's first byte to the end of its head
  std::int64_t body_timeout_ms = 30'000;
  std::int64_t idle_timeout_ms = 75'000;   // a connection between requests
  std::int64_t write_timeout_ms = 30'000;  // for an answer; of a stream: in which nothing at all was taken
  std::size_t max_streams = 128;           // at once; then 503
  int workers = 3;
  int urgent_workers = 2;
  std::function<bool(std::string_view target)> urgent;  // may be null: nothing is urgent
  bool allow_chunked = false;  // the handler then gets a chunked body without its framing, the head as it was sent
  // The answer to what never becomes a whole request; `head` as far as it came. Called on the poll thread. Null: JSON.
  std::function<Reply(int status, const std::string& message, std::string_view head)> refuse;
};

struct ListenerCounts {
  std::uint64_t connections = 0;  // open now
  std::uint64_t streams = 0;      // of these: with an answer that is a stream
  std::uint64_t accepted = 0;
  // Ended by us before a request was complete.
  std::uint64_t full = 0, timed_out = 0, head_too_large = 0, body_too_large = 0, bad_request = 0, buffers_full = 0;
  std::uint64_t streams_full = 0;  // answers that were to be streams, refused
};

class Listener {
 public:
  using Handler = std::function<Reply(std::string request)>;

  Listener(ListenerOptions options, Handler handler);
  ~Listener();  // Stop()
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // Binds (SO_REUSEADDR alone: a second listener on the port is refused) and starts the threads. The error says what,
  // why, and what to do.
  tl::expected<void, std::string> Start();
  // Accepts nothing more, ends streams at once, lets running requests end and their answers leave for up to a second,
  // then closes everything.
  void Stop();
  int port() const;
  ListenerCounts Counts() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace spanwatch::http

#endif  // SPANWATCH_SIDECAR_HTTP_LISTENER_H_
