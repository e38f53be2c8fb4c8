// The receiving end of the wire protocol: one ZeroMQ ROUTER socket on any number of endpoints. No ZeroMQ type leaves
// socket.cc, and no exception.
//
// Threads: made and bound by one thread, then used by one thread (handing it over needs a barrier, as starting a thread
// is). Wake() may be called by any thread.
#ifndef SPANWATCH_SIDECAR_INGEST_SOCKET_H_
#define SPANWATCH_SIDECAR_INGEST_SOCKET_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "sidecar/ingest/endpoint.h"

namespace spanwatch::ingest {

class RouterSocket {
 public:
  // Views are valid until the next Receive().
  struct Message {
    std::string_view routing_id;  // who sent it; answers go there
    std::string_view envelope;
    std::string_view payload;
    std::uint64_t bytes = 0;      // of all frames
    const char* error = nullptr;  // bad_frames (not two), too_large; then there is no envelope
  };

  // A larger message is received and marked, up to twice the size; beyond that libzmq cuts the connection.
  static tl::expected<RouterSocket, std::string> Open(std::uint64_t max_message_bytes);
  RouterSocket(RouterSocket&&) noexcept;
  ~RouterSocket();

  // The endpoint as clients connect to it. Error: text with the endpoint and the cause.
  tl::expected<std::string, std::string> Bind(const Endpoint& endpoint);

  // Waits for a message, Wake(), or the time limit.
  void Wait(std::int64_t timeout_ms);
  void Wake();

  // False: none there. Never blocks.
  bool Receive(Message* message);
  // False: the peer is gone or does not read. Never blocks.
  bool Send(std::string_view routing_id, std::string_view bytes);

  // Gives what was sent at most this long to leave, then closes.
  void Close(int linger_ms);

 private:
  RouterSocket();
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// A traced process's end, for tools that speak to a sidecar: one connection. One thread.
class DealerSocket {
 public:
  // An endpoint where nobody listens is no error: then no answer comes.
  static tl::expected<DealerSocket, std::string> Connect(const std::string& uri);
  DealerSocket(DealerSocket&&) noexcept;
  ~DealerSocket();

  // False: not handed over. Never blocks.
  bool Send(std::string_view envelope, std::string_view payload);
  // The next answer. False: none came in time.
  bool Receive(std::int64_t timeout_ms, std::string* bytes);

 private:
  DealerSocket();
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace spanwatch::ingest

#endif  // SPANWATCH_SIDECAR_INGEST_SOCKET_H_
