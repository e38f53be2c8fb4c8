#include "sidecar/http/listener.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <map>
#include <optional>
#include <thread>
#include <utility>

#include "sidecar/http/chunked.h"
#include "sidecar/http/framing.h"
#include "sidecar/http/workers.h"

namespace spanwatch::http {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kDrainTime(1000);  // after our last answer: for the client to read it before we close
constexpr milliseconds kStopTime(1000);
constexpr milliseconds kAcceptPause(100);  // out of descriptors and nothing to close

std::string BindError(const ListenerOptions& options, int error) {
  const std::string port = std::to_string(options.port);
  std::string text = "cannot listen on " + options.host + ":" + port + ": " + std::strerror(error);
  if (error == EADDRINUSE) {
    return text + ". Another program, perhaps another sidecar, has this port: stop it (ss -ltnp 'sport = :" + port +
           "' names it) or set " + options.setting + " to another port";
  }
  if (error == EACCES) {
    return text + ". Ports below 1024 need the capability CAP_NET_BIND_SERVICE: set " + options.setting +
           " to a higher port";
  }
  if (error == EADDRNOTAVAIL)
    return text + ". No interface of this machine has this address: correct " + options.setting;
  return text + ". Check " + options.setting;
}

// A bound, listening, non-blocking socket.
tl::expected<int, std::string> Bind(const ListenerOptions& options) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
  std::string host = options.host == "localhost" ? "127.0.0.1" : options.host;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), std::to_string(options.port).c_str(), &hints, &found) != 0) {
    return tl::unexpected("cannot listen on \"" + options.host +
                          "\": not a numeric address or \"localhost\". Correct " + options.setting);
  }
  const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int error = fd < 0 ? errno : 0;
  if (fd >= 0) {
    // A port in TIME_WAIT may be taken again; one that somebody listens on may not. SO_REUSEPORT would share it
    // silently.
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, 512) != 0) error = errno;
  }
  freeaddrinfo(found);
  if (error == 0) return fd;
  if (fd >= 0) close(fd);
  return tl::unexpected(BindError(options, error));
}

int BoundPort(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
  if (address.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port);
  return ntohs(reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
}

enum class State : std::uint8_t { kReading, kHandling, kWriting, kDraining };

struct Connection {
  int fd = -1;
  State state = State::kReading;
  std::string in;
  std::string out;
  std::size_t written = 0;
  bool close_after = false;
  bool continued = false;              // "100 Continue" was sent for the request at hand
  std::optional<ChunkedBody> chunked;  // of the request at hand
  Clock::time_point since;             // kReading: of the request's first byte, or of the connection's idleness
  Clock::time_point deadline;          // unused in kHandling
};

void Free(std::string* text) { std::string().swap(*text); }  // clear() and `= {}` keep the memory

}  // namespace

class Listener::Impl {
 public:
  Impl(ListenerOptions options, Handler handler)
      : options_(std::move(options)), workers_(std::move(handler), [this] { Wake(); }) {}
  ~Impl() { Stop(); }

  tl::expected<void, std::string> Start() {
    auto fd = Bind(options_);
    if (!fd) return tl::unexpected(fd.error());
    wake_fd_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (wake_fd_ < 0) {
      const int error = errno;
      close(*fd);
      return tl::unexpected(std::string("cannot start the HTTP listener: eventfd: ") + std::strerror(error));
    }
    listen_fd_ = *fd;
    port_ = BoundPort(listen_fd_);
    workers_.Start(options_.workers, options_.urgent_workers);
    thread_ = std::thread([this] { Run(); });
    return {};
  }

  void Stop() {
    if (!thread_.joinable()) return;
    stopping_ = true;
    Wake();
    thread_.join();
    workers_.Stop();
    close(wake_fd_);
    wake_fd_ = -1;
  }

  int port() const { return port_; }

  ListenerCounts Counts() const {
    MutexLock lock(&counts_mutex_);
    return counts_;
  }

 private:
  using Connections = std::map<std::uint64_t, Connection>;

  void Wake() {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto ignored = write(wake_fd_, &one, sizeof one);
  }

  void Count(std::uint64_t ListenerCounts::*member) {
    MutexLock lock(&counts_mutex_);
    ++(counts_.*member);
  }

  void Run() {
    Clock::time_point stop_at = Clock::time_point::max();
    for (;;) {
      for (Finished& finished : workers_.TakeFinished()) Answer(finished.connection, std::move(finished.reply));
      if (stopping_ && stop_at == Clock::time_point::max()) {
        stop_at = Clock::now() + kStopTime;
        close(listen_fd_);
        listen_fd_ = -1;
        CloseIf([](const Connection& c) { return c.state == State::kReading; });
      }
      const Clock::time_point now = Clock::now();
      Expire(now);
      EaseBuffers();
      if (stopping_ && (connections_.empty() || now >= stop_at)) break;
      Poll(now, stop_at);
    }
    CloseIf([](const Connection&) { return true; });
  }

  // Waits for events and handles them.
  void Poll(Clock::time_point now, Clock::time_point wake_at) {
    std::vector<pollfd> fds = {{wake_fd_, POLLIN, 0}, {now < accept_after_ ? -1 : listen_fd_, POLLIN, 0}};
    std::vector<std::uint64_t> ids;
    if (now < accept_after_) wake_at = std::min(wake_at, accept_after_);
    for (const auto& [id, c] : connections_) {
      const short events = c.state == State::kWriting ? POLLOUT : c.state == State::kHandling ? 0 : POLLIN;
      fds.push_back({c.fd, events, 0});
      ids.push_back(id);
      if (c.state != State::kHandling) wake_at = std::min(wake_at, c.deadline);
    }
    int timeout = -1;
    if (wake_at != Clock::time_point::max()) {
      timeout = static_cast<int>(std::max<std::int64_t>(0, std::chrono::ceil<milliseconds>(wake_at - now).count()));
    }
    if (poll(fds.data(), fds.size(), timeout) <= 0) return;
    if (fds[0].revents != 0) {
      std::uint64_t ignored;
      [[maybe_unused]] const auto size = read(wake_fd_, &ignored, sizeof ignored);
    }
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (fds[i + 2].revents != 0) OnEvent(ids[i], fds[i + 2].revents);
    }
    if (fds[1].revents != 0) AcceptAll();
  }

  void OnEvent(std::uint64_t id, short events) {
    const auto it = connections_.find(id);
    if (it == connections_.end()) return;
    Connection& c = it->second;
    if ((events & (POLLERR | POLLNVAL)) != 0 || ((events & POLLHUP) != 0 && (events & POLLIN) == 0)) {
      Close(it);
    } else if (c.state == State::kReading) {
      Read(it);
    } else if (c.state == State::kWriting) {
      Write(it);
    } else if (c.state == State::kDraining) {
      char buffer[4096];
      const auto size = recv(c.fd, buffer, sizeof buffer, 0);
      if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR)) Close(it);
    }
  }

  void AcceptAll() {
    for (int i = 0; i < 64; ++i) {
      const int fd = accept4(listen_fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
          if (!CloseOldestIncomplete()) accept_after_ = Clock::now() + kAcceptPause;
        }
        return;
      }
      if (connections_.size() >= options_.max_connections && !CloseOldestIncomplete()) {
        Count(&ListenerCounts::full);
        close(fd);
        continue;
      }
      const int on = 1;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      Connection c;
      c.fd = fd;
      c.since = Clock::now();
      c.deadline = c.since + milliseconds(options_.head_timeout_ms);
      connections_.emplace(next_id_++, std::move(c));
      MutexLock lock(&counts_mutex_);
      ++counts_.accepted;
      counts_.connections = connections_.size();
    }
  }

  void Read(Connections::iterator it) {
    Connection& c = it->second;
    char buffer[16384];
    const auto size = recv(c.fd, buffer, sizeof buffer, 0);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (size <= 0) {
      Close(it);
      return;
    }
    if (c.in.empty()) {
      c.since = Clock::now();
      c.deadline = c.since + milliseconds(options_.head_timeout_ms);
    }
    c.in.append(buffer, static_cast<std::size_t>(size));
    TryDispatch(it);
  }

  // Looks for a whole request in c.in and acts on what it finds.
  void TryDispatch(Connections::iterator it) {
    Connection& c = it->second;
    c.in.erase(0, std::min(c.in.find_first_not_of("\r\n"), c.in.size()));  // RFC 9112: empty lines before a request
    Frame frame = FindFrame(c.in, options_.max_head_bytes, options_.max_body_bytes, options_.allow_chunked);
    if (frame.state == FrameState::kChunked) ReadChunks(&c, &frame);
    switch (frame.state) {
      case FrameState::kHead:
        return;
      case FrameState::kBody:
        WaitForBody(&c, frame);
        return;
      case FrameState::kComplete:
      case FrameState::kChunked:
        break;
      case FrameState::kHeadTooLarge:
        Refuse(it, &ListenerCounts::head_too_large, 431, "Request Header Fields Too Large",
               "the request's head is too large");
        return;
      case FrameState::kBodyTooLarge:
        Refuse(it, &ListenerCounts::body_too_large, 413, "Payload Too Large", "the request's body is too large");
        return;
      case FrameState::kBadLength:
        Refuse(it, &ListenerCounts::bad_request, 400, "Bad Request", "Content-Length or Transfer-Encoding is wrong");
        return;
      case FrameState::kNeedsLength:
        Refuse(it, &ListenerCounts::bad_request, 411, "Length Required", "send the body with a Content-Length");
        return;
    }
    if (buffered_ > options_.max_buffered_bytes) {
      Refuse(it, &ListenerCounts::buffers_full, 503, "Service Unavailable",
             "too many bytes are waiting for slow clients");
      return;
    }
    const bool urgent = options_.urgent && options_.urgent(frame.target);
    std::string request;
    if (c.in.size() == frame.size) {
      request.swap(c.in);
    } else {
      request = c.in.substr(0, frame.size);
      c.in.erase(0, frame.size);
    }
    c.chunked.reset();
    c.continued = false;
    c.state = State::kHandling;
    workers_.Submit(it->first, std::move(request), urgent);
  }

  void ReadChunks(Connection* c, Frame* frame) {
    if (!c->chunked) c->chunked.emplace(frame->head_size, options_.max_body_bytes);
    switch (c->chunked->Feed(&c->in)) {
      case ChunkedBody::State::kMore:
        frame->state = FrameState::kBody;
        break;
      case ChunkedBody::State::kComplete:
        frame->state = FrameState::kComplete;
        break;
      case ChunkedBody::State::kTooLarge:
        frame->state = FrameState::kBodyTooLarge;
        break;
      case ChunkedBody::State::kBad:
        frame->state = FrameState::kBadLength;
        break;
    }
    frame->size = c->chunked->end();
  }

  void WaitForBody(Connection* c, const Frame& frame) {
    c->deadline = c->since + milliseconds(options_.body_timeout_ms);
    if (c->in.size() >= frame.size / 4) c->in.reserve(frame.size);  // doubling would take up to twice the bytes
    if (!frame.expects_continue || c->continued) return;
    c->continued = true;
    constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    [[maybe_unused]] const auto ignored = send(c->fd, kContinue.data(), kContinue.size(), MSG_NOSIGNAL);
  }

  // Too many bytes are held for requests on their way: the largest goes.
  void EaseBuffers() {
    buffered_ = 0;
    auto largest = connections_.end();
    for (auto it = connections_.begin(); it != connections_.end(); ++it) {
      const Connection& c = it->second;
      buffered_ += c.in.capacity() + c.out.capacity();
      if (c.state != State::kReading || c.in.empty()) continue;
      if (largest == connections_.end() || c.in.capacity() > largest->second.in.capacity()) largest = it;
    }
    if (buffered_ <= options_.max_buffered_bytes || largest == connections_.end()) return;
    buffered_ -= largest->second.in.capacity();
    Refuse(largest, &ListenerCounts::buffers_full, 503, "Service Unavailable",
           "too many bytes are waiting for slow clients");
  }

  void Refuse(Connections::iterator it, std::uint64_t ListenerCounts::*reason, int status, std::string_view phrase,
              std::string_view message) {
    Count(reason);
    Connection& c = it->second;
    Reply reply;
    if (options_.refuse) {
      const std::string_view start = std::string_view(c.in).substr(0, options_.max_head_bytes);
      reply = options_.refuse(status, std::string(message), start.substr(0, start.find("\r\n\r\n")));
    } else {
      reply.bytes = ErrorAnswer(status, phrase, message);
    }
    reply.close = true;
    Free(&c.in);
    c.chunked.reset();
    BeginWrite(it, std::move(reply));
  }

  void Answer(std::uint64_t id, Reply reply) {
    const auto it = connections_.find(id);
    if (it != connections_.end()) BeginWrite(it, std::move(reply));
  }

  void BeginWrite(Connections::iterator it, Reply reply) {
    Connection& c = it->second;
    c.out = std::move(reply.bytes);
    c.written = 0;
    c.close_after = reply.close || stopping_;
    c.state = State::kWriting;
    c.deadline = Clock::now() + milliseconds(options_.write_timeout_ms);
    Write(it);
  }

  void Write(Connections::iterator it) {
    Connection& c = it->second;
    while (c.written < c.out.size()) {
      const auto size = send(c.fd, c.out.data() + c.written, c.out.size() - c.written, MSG_NOSIGNAL);
      if (size < 0 && errno == EINTR) continue;
      if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
      if (size < 0) {
        Close(it);
        return;
      }
      c.written += static_cast<std::size_t>(size);
    }
    Free(&c.out);
    c.since = Clock::now();
    if (c.close_after) {
      // Closing with unread input would reset the connection, and the client could lose the answer.
      shutdown(c.fd, SHUT_WR);
      c.state = State::kDraining;
      c.deadline = c.since + kDrainTime;
      return;
    }
    c.state = State::kReading;
    c.deadline = c.since + milliseconds(c.in.empty() ? options_.idle_timeout_ms : options_.head_timeout_ms);
    if (!c.in.empty()) TryDispatch(it);  // the next request came with the last one
  }

  void Expire(Clock::time_point now) {
    for (auto it = connections_.begin(); it != connections_.end();) {
      const auto here = it++;
      Connection& c = here->second;
      if (c.state == State::kHandling || now < c.deadline) continue;
      if (c.state == State::kReading && !c.in.empty()) {
        Refuse(here, &ListenerCounts::timed_out, 408, "Request Timeout", "the request took too long to arrive");
      } else {
        if (c.state == State::kWriting) Count(&ListenerCounts::timed_out);
        Close(here);
      }
    }
  }

  // The connection that has waited longest for the end of its request, or for its beginning. False if there is none.
  bool CloseOldestIncomplete() {
    auto oldest = connections_.end();
    for (auto it = connections_.begin(); it != connections_.end(); ++it) {
      if (it->second.state != State::kReading) continue;
      if (oldest == connections_.end() || it->second.since < oldest->second.since) oldest = it;
    }
    if (oldest == connections_.end()) return false;
    Count(&ListenerCounts::full);
    Close(oldest);
    return true;
  }

  void Close(Connections::iterator it) {
    close(it->second.fd);
    connections_.erase(it);
    MutexLock lock(&counts_mutex_);
    counts_.connections = connections_.size();
  }

  template <typename Condition>
  void CloseIf(Condition condition) {
    for (auto it = connections_.begin(); it != connections_.end();) {
      const auto here = it++;
      if (condition(here->second)) Close(here);
    }
  }

  const ListenerOptions options_;
  int port_ = 0;
  int wake_fd_ = -1;
  std::atomic<bool> stopping_{false};
  std::thread thread_;

  // The poll thread's alone once it runs.
  int listen_fd_ = -1;
  Connections connections_;
  std::uint64_t next_id_ = 1;
  std::size_t buffered_ = 0;
  Clock::time_point accept_after_{};

  mutable Mutex counts_mutex_;
  ListenerCounts counts_ GUARDED_BY(counts_mutex_);

  Workers workers_;
};

Listener::Listener(ListenerOptions options, Handler handler)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(handler))) {}
Listener::~Listener() = default;

tl::expected<void, std::string> Listener::Start() { return impl_->Start(); }
void Listener::Stop() { impl_->Stop(); }
int Listener::port() const { return impl_->port(); }
ListenerCounts Listener::Counts() const { return impl_->Counts(); }

}  // namespace spanwatch::http
