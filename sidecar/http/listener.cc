#include "sidecar/http/listener.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "sidecar/http/listener_impl.h"

namespace spanwatch::http {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kDrainTime(1000);  // after our last answer: for the client to read it before we close
constexpr milliseconds kStopTime(1000);
constexpr milliseconds kAcceptPause(100);  // out of descriptors and nothing to close

}  // namespace

Listener::Impl::Impl(ListenerOptions options, Handler handler)
    : options_(std::move(options)), workers_(std::move(handler), [this] { wakeups_->Wake(); }) {}

tl::expected<void, std::string> Listener::Impl::Start() {
  auto fd = BindListener(options_);
  if (!fd) return tl::unexpected(fd.error());
  if (!wakeups_->Open()) {
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

void Listener::Impl::Stop() {
  if (!thread_.joinable()) return;
  stopping_ = true;
  wakeups_->Wake();
  thread_.join();
  workers_.Stop();
  wakeups_->Close();
}

ListenerCounts Listener::Impl::Counts() const {
  MutexLock lock(&counts_mutex_);
  return counts_;
}

void Listener::Impl::Count(std::uint64_t ListenerCounts::*member) {
  MutexLock lock(&counts_mutex_);
  ++(counts_.*member);
}

void Listener::Impl::Run() {
  Clock::time_point stop_at = Clock::time_point::max();
  for (;;) {
    TakeNews();
    if (stopping_ && stop_at == Clock::time_point::max()) {
      stop_at = Clock::now() + kStopTime;
      close(listen_fd_);
      listen_fd_ = -1;
      CloseIf([](const Connection& c) { return c.state == State::kReading || c.state == State::kStreaming; });
    }
    const Clock::time_point now = Clock::now();
    Expire(now);
    EaseBuffers();
    if (stopping_ && (connections_.empty() || now >= stop_at)) break;
    Poll(now, stop_at);
  }
  CloseIf([](const Connection&) { return true; });
}

// What the workers made, and who else wants to be looked at.
void Listener::Impl::TakeNews() {
  for (Finished& finished : workers_.TakeFinished()) {
    if (finished.is_piece) {
      TakePiece(std::move(finished));
    } else {
      Answer(finished.connection, std::move(finished.reply));
    }
  }
}

short Listener::Impl::EventsOf(const Connection& c) {
  switch (c.state) {
    case State::kReading:
    case State::kDraining:
      return POLLIN;
    case State::kHandling:
      return 0;
    case State::kWriting:
      return POLLOUT;
    case State::kStreaming:
      return static_cast<short>((c.Unsent() > 0 ? POLLOUT : 0) | (c.stream.waits ? POLLRDHUP : 0));
  }
  return 0;
}

// When something is to be done with a connection of which nothing is heard.
Connection::Clock::time_point Listener::Impl::TimeOf(const Connection& c) {
  if (c.state == State::kHandling) return Clock::time_point::max();
  if (c.state != State::kStreaming) return c.deadline;
  if (c.Unsent() > 0) return c.deadline;
  return c.stream.pulling ? Clock::time_point::max() : c.stream.pull_at;
}

// Waits for events and handles them.
void Listener::Impl::Poll(Clock::time_point now, Clock::time_point wake_at) {
  std::vector<pollfd> fds = {{wakeups_->fd(), POLLIN, 0}, {now < accept_after_ ? -1 : listen_fd_, POLLIN, 0}};
  std::vector<std::uint64_t> ids;
  if (now < accept_after_) wake_at = std::min(wake_at, accept_after_);
  for (const auto& [id, c] : connections_) {
    fds.push_back({c.fd, EventsOf(c), 0});
    ids.push_back(id);
    wake_at = std::min(wake_at, TimeOf(c));
  }
  int timeout = -1;
  if (wake_at != Clock::time_point::max()) {
    timeout = static_cast<int>(std::max<std::int64_t>(0, std::chrono::ceil<milliseconds>(wake_at - now).count()));
  }
  if (poll(fds.data(), fds.size(), timeout) <= 0) return;
  if (fds[0].revents != 0) {
    for (const std::uint64_t id : wakeups_->Take()) WakeStream(id);
  }
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (fds[i + 2].revents != 0) OnEvent(ids[i], fds[i + 2].revents);
  }
  if (fds[1].revents != 0) AcceptAll();
}

void Listener::Impl::OnEvent(std::uint64_t id, short events) {
  const auto it = connections_.find(id);
  if (it == connections_.end()) return;
  Connection& c = it->second;
  if ((events & (POLLERR | POLLNVAL)) != 0 || ((events & POLLHUP) != 0 && (events & POLLIN) == 0)) {
    Close(it);
  } else if (c.state == State::kReading) {
    Read(it);
  } else if (c.state == State::kWriting) {
    Write(it);
  } else if (c.state == State::kStreaming) {
    if (c.stream.waits && (events & POLLRDHUP) != 0) {
      Close(it);  // nobody is there to be told
    } else {
      Write(it);
    }
  } else if (c.state == State::kDraining) {
    char buffer[4096];
    const auto size = recv(c.fd, buffer, sizeof buffer, 0);
    if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR)) Close(it);
  }
}

void Listener::Impl::AcceptAll() {
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

void Listener::Impl::Answer(std::uint64_t id, Reply reply) {
  const auto it = connections_.find(id);
  if (it == connections_.end()) return;
  if (reply.stream == nullptr) {
    BeginWrite(it, std::move(reply));
  } else if (stopping_) {
    Close(it);
  } else {
    BeginStream(it, std::move(reply));
  }
}

void Listener::Impl::BeginWrite(Connections::iterator it, Reply reply) {
  Connection& c = it->second;
  c.out = std::move(reply.bytes);
  c.written = 0;
  c.close_after = reply.close || stopping_;
  c.state = State::kWriting;
  c.deadline = Clock::now() + milliseconds(options_.write_timeout_ms);
  Write(it);
}

// Sends what the socket takes. False: the connection is closed.
bool Listener::Impl::Send(Connections::iterator it) {
  Connection& c = it->second;
  while (c.Unsent() > 0) {
    const auto size = send(c.fd, c.out.data() + c.written, c.Unsent(), MSG_NOSIGNAL);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return true;
    if (size < 0) {
      Close(it);
      return false;
    }
    c.written += static_cast<std::size_t>(size);
    // A stream may last; that nothing is taken may not.
    if (c.state == State::kStreaming) c.deadline = Clock::now() + milliseconds(options_.write_timeout_ms);
  }
  std::string().swap(c.out);  // clear() and `= {}` keep the memory
  c.written = 0;
  return true;
}

void Listener::Impl::Write(Connections::iterator it) {
  if (!Send(it)) return;
  Connection& c = it->second;
  if (c.state == State::kStreaming && !c.stream.ended) {
    Pump(it);
  } else if (c.Unsent() == 0) {
    EndAnswer(it);
  }
}

void Listener::Impl::EndAnswer(Connections::iterator it) {
  Connection& c = it->second;
  if (c.state == State::kStreaming) {
    if (c.stream.broken && !c.stream.chunked) {
      // Where the end of the connection is the end of the body, only a reset says that it is cut.
      const linger reset{1, 0};
      setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    }
    if (c.stream.broken) {
      Close(it);
      return;
    }
    c.stream = {};
    --streams_;
  }
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

void Listener::Impl::Expire(Clock::time_point now) {
  for (auto it = connections_.begin(); it != connections_.end();) {
    const auto here = it++;
    Connection& c = here->second;
    if (now < TimeOf(c)) continue;
    if (c.state == State::kReading && !c.in.empty()) {
      Refuse(here, &ListenerCounts::timed_out, 408, "Request Timeout", "the request took too long to arrive");
    } else if (c.state == State::kStreaming && c.Unsent() == 0) {
      Pump(here);
    } else {
      if (c.state == State::kWriting || c.state == State::kStreaming) Count(&ListenerCounts::timed_out);
      Close(here);
    }
  }
  MutexLock lock(&counts_mutex_);
  counts_.streams = streams_;
}

// The connection that has waited longest for the end of its request, or for its beginning. False if there is none.
bool Listener::Impl::CloseOldestIncomplete() {
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

void Listener::Impl::Close(Connections::iterator it) {
  if (it->second.state == State::kStreaming) --streams_;
  close(it->second.fd);
  connections_.erase(it);
  MutexLock lock(&counts_mutex_);
  counts_.connections = connections_.size();
  counts_.streams = streams_;
}

template <typename Condition>
void Listener::Impl::CloseIf(Condition condition) {
  for (auto it = connections_.begin(); it != connections_.end();) {
    const auto here = it++;
    if (condition(here->second)) Close(here);
  }
}

Listener::Listener(ListenerOptions options, Handler handler)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(handler))) {}
Listener::~Listener() = default;

tl::expected<void, std::string> Listener::Start() { return impl_->Start(); }
void Listener::Stop() { impl_->Stop(); }
int Listener::port() const { return impl_->port(); }
ListenerCounts Listener::Counts() const { return impl_->Counts(); }

}  // namespace spanwatch::http
