// The listener's inside: its connections and the poll thread that owns them. Included by listener*.cc alone.
#ifndef SPANWATCH_SIDECAR_HTTP_LISTENER_IMPL_H_
#define SPANWATCH_SIDECAR_HTTP_LISTENER_IMPL_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "sidecar/core/mutex.h"
#include "sidecar/http/chunked.h"
#include "sidecar/http/framing.h"
#include "sidecar/http/listener.h"
#include "sidecar/http/wakeups.h"
#include "sidecar/http/workers.h"

namespace spanwatch::http {

// A bound, listening, non-blocking socket.
tl::expected<int, std::string> BindListener(const ListenerOptions& options);
int BoundPort(int fd);

struct Connection {
  using Clock = std::chrono::steady_clock;
  enum class State : std::uint8_t { kReading, kHandling, kWriting, kStreaming, kDraining };

  // kStreaming. At most one call of Next() is out, and only while little waits to be sent.
  struct Stream {
    std::shared_ptr<BodyStream> body;
    bool chunked = false;
    bool pulling = false;       // a worker has it
    bool woken = false;         // while it had it
    bool waits = false;         // it is one that waits: then a client that ends its side is gone
    bool ended = false;         // all that there will be is in `out`
    bool broken = false;        // and that is not the whole
    Clock::time_point pull_at;  // not earlier
  };

  int fd = -1;
  State state = State::kReading;
  std::string in;
  std::string out;
  std::size_t written = 0;
  bool close_after = false;
  bool continued = false;              // "100 Continue" was sent for the request at hand
  std::optional<ChunkedBody> chunked;  // of the request at hand
  Stream stream;
  Clock::time_point since;     // kReading: of the request's first byte, or of the connection's idleness
  Clock::time_point deadline;  // unused in kHandling, and in kStreaming while nothing waits to be sent

  std::size_t Unsent() const { return out.size() - written; }
};

class Listener::Impl {
 public:
  Impl(ListenerOptions options, Handler handler);
  ~Impl() { Stop(); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  tl::expected<void, std::string> Start();
  void Stop();
  int port() const { return port_; }
  ListenerCounts Counts() const EXCLUDES(counts_mutex_);

 private:
  using Clock = Connection::Clock;
  using State = Connection::State;
  using Connections = std::map<std::uint64_t, Connection>;

  // listener.cc
  void Count(std::uint64_t ListenerCounts::*member) EXCLUDES(counts_mutex_);
  void Run();
  void TakeNews();
  void Poll(Clock::time_point now, Clock::time_point wake_at);
  static short EventsOf(const Connection& c);
  static Clock::time_point TimeOf(const Connection& c);
  void OnEvent(std::uint64_t id, short events);
  void AcceptAll();
  void Answer(std::uint64_t id, Reply reply);
  void BeginWrite(Connections::iterator it, Reply reply);
  bool Send(Connections::iterator it);
  void Write(Connections::iterator it);
  void EndAnswer(Connections::iterator it);
  void Expire(Clock::time_point now);
  bool CloseOldestIncomplete();
  void Close(Connections::iterator it);
  template <typename Condition>
  void CloseIf(Condition condition);

  // listener_read.cc
  void Read(Connections::iterator it);
  void TryDispatch(Connections::iterator it);
  void Dispatch(Connections::iterator it, const Frame& frame);
  void ReadChunks(Connection* c, Frame* frame);
  void WaitForBody(Connection* c, const Frame& frame);
  void EaseBuffers();
  void Refuse(Connections::iterator it, std::uint64_t ListenerCounts::*reason, int status, std::string_view phrase,
              std::string_view message);

  // listener_stream.cc
  void BeginStream(Connections::iterator it, Reply reply);
  void Pump(Connections::iterator it);
  void TakePiece(Finished finished);
  void WakeStream(std::uint64_t id);

  const ListenerOptions options_;
  int port_ = 0;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
  const std::shared_ptr<Wakeups> wakeups_ = std::make_shared<Wakeups>();

  // The poll thread's alone once it runs.
  int listen_fd_ = -1;
  Connections connections_;
  std::size_t streams_ = 0;  // connections in kStreaming
  std::uint64_t next_id_ = 1;
  std::size_t buffered_ = 0;
  Clock::time_point accept_after_{};

  mutable Mutex counts_mutex_;
  ListenerCounts counts_ GUARDED_BY(counts_mutex_);

  Workers workers_;
};

}  // namespace spanwatch::http

#endif  // SPANWATCH_SIDECAR_HTTP_LISTENER_IMPL_H_
