#include "sidecar/ingest/socket.h"

#include <sys/eventfd.h>
#include <unistd.h>
#include <zmq.h>

#include <algorithm>
#include <cerrno>
#include <climits>

namespace spanwatch::ingest {
namespace {

// Messages a peer may have waiting here; the rest waits in the kernel and at the sender. An SDK has at most 1 MiB under
// way, 16 full batches. It is messages of up to twice the limit that a peer can make this hold: 128 MiB, where 64 of
// them would be half a gigabyte. 8 would halve that, and double what small batches cost.
constexpr int kReceiveHighWater = 16;
constexpr int kSendHighWater = 256;
constexpr int kHandshakeMs = 5'000;
// A dead process closes its ipc connection by itself; a dead tcp peer must be asked.
constexpr int kHeartbeatMs = 5'000;
constexpr int kHeartbeatTimeoutMs = 30'000;

class Frame {
 public:
  Frame() { zmq_msg_init(&message_); }
  ~Frame() { zmq_msg_close(&message_); }
  Frame(const Frame&) = delete;
  Frame& operator=(const Frame&) = delete;

  zmq_msg_t* get() { return &message_; }
  std::string_view view() { return {static_cast<const char*>(zmq_msg_data(&message_)), zmq_msg_size(&message_)}; }

 private:
  zmq_msg_t message_;
};

}  // namespace

class RouterSocket::Impl {
 public:
  ~Impl() {
    Close(0);
    if (wake_fd_ >= 0) ::close(wake_fd_);
  }

  bool Open(std::uint64_t max_message_bytes) {
    max_message_bytes_ = max_message_bytes;
    wake_fd_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    context_ = zmq_ctx_new();
    if (wake_fd_ < 0 || context_ == nullptr) return false;
    socket_ = zmq_socket(context_, ZMQ_ROUTER);
    if (socket_ == nullptr) return false;
    const std::int64_t max = static_cast<std::int64_t>(std::min<std::uint64_t>(max_message_bytes, INT_MAX / 2)) * 2;
    // ROUTER_MANDATORY: a peer that is gone or full is an error of Send, not a silent loss. ROUTER_HANDOVER stays off:
    // a client that claims another's routing id is refused.
    return zmq_setsockopt(socket_, ZMQ_MAXMSGSIZE, &max, sizeof max) == 0 && Set(ZMQ_RCVHWM, kReceiveHighWater) &&
           Set(ZMQ_SNDHWM, kSendHighWater) && Set(ZMQ_ROUTER_MANDATORY, 1) && Set(ZMQ_HANDSHAKE_IVL, kHandshakeMs) &&
           Set(ZMQ_LINGER, 0);
  }

  tl::expected<std::string, std::string> Bind(const Endpoint& endpoint) {
    const bool tcp = endpoint.path.empty();
    // Only for those who ask for it: with it on, 127.0.0.1 would be reported as [::ffff:127.0.0.1].
    Set(ZMQ_IPV6, endpoint.uri.find("://[") != std::string::npos ? 1 : 0);
    Set(ZMQ_HEARTBEAT_IVL, tcp ? kHeartbeatMs : 0);
    Set(ZMQ_HEARTBEAT_TIMEOUT, tcp ? kHeartbeatTimeoutMs : 0);
    if (zmq_bind(socket_, endpoint.uri.c_str()) != 0) {
      const char* hint = errno == EADDRINUSE ? "; stop what listens there or choose another port" : "";
      return tl::unexpected(endpoint.uri + ": cannot listen: " + zmq_strerror(errno) + hint);
    }
    char bound[256] = {};
    std::size_t size = sizeof bound;
    if (zmq_getsockopt(socket_, ZMQ_LAST_ENDPOINT, bound, &size) != 0) return endpoint.uri;
    return std::string(bound);
  }

  void Wait(std::int64_t timeout_ms) {
    zmq_pollitem_t items[] = {{socket_, 0, ZMQ_POLLIN, 0}, {nullptr, wake_fd_, ZMQ_POLLIN, 0}};
    if (zmq_poll(items, 2, std::max<std::int64_t>(timeout_ms, 0)) <= 0) return;
    if ((items[1].revents & ZMQ_POLLIN) != 0) {
      std::uint64_t count;
      // Nothing to do about a failure: the next round waits again.
      [[maybe_unused]] const ssize_t n = ::read(wake_fd_, &count, sizeof count);
    }
  }

  void Wake() {
    const std::uint64_t one = 1;
    // It fails only when the counter is full, and then the reader is woken already.
    [[maybe_unused]] const ssize_t n = ::write(wake_fd_, &one, sizeof one);
  }

  bool Receive(Message* message) {
    *message = {};
    if (!ReceiveFrame(&routing_id_, ZMQ_DONTWAIT)) return false;
    int frames = 0;
    // The parts of a message arrive together: the others do not block.
    for (Frame* last = &routing_id_; zmq_msg_more(last->get()) != 0; ++frames) {
      last = frames == 0 ? &envelope_ : frames == 1 ? &payload_ : &extra_;
      if (!ReceiveFrame(last, 0)) break;
      message->bytes += last->view().size();
    }
    message->routing_id = routing_id_.view();
    if (frames != 2) {
      message->error = "bad_frames";
    } else if (message->bytes > max_message_bytes_) {
      message->error = "too_large";
    } else {
      message->envelope = envelope_.view();
      message->payload = payload_.view();
    }
    return true;
  }

  bool Send(std::string_view routing_id, std::string_view bytes) {
    // ROUTER_MANDATORY makes the first part fail if the peer cannot take the message; the second part then always goes.
    return Part(routing_id, ZMQ_SNDMORE | ZMQ_DONTWAIT) && Part(bytes, ZMQ_DONTWAIT);
  }

  void Close(int linger_ms) {
    if (socket_ != nullptr) {
      Set(ZMQ_LINGER, linger_ms);
      zmq_close(socket_);
      socket_ = nullptr;
    }
    if (context_ != nullptr) {
      while (zmq_ctx_term(context_) != 0 && errno == EINTR) {
      }
      context_ = nullptr;
    }
  }

 private:
  bool Set(int option, int value) { return zmq_setsockopt(socket_, option, &value, sizeof value) == 0; }

  bool ReceiveFrame(Frame* frame, int flags) {
    int result;
    do {
      result = zmq_msg_recv(frame->get(), socket_, flags);
    } while (result < 0 && errno == EINTR);
    return result >= 0;
  }

  bool Part(std::string_view bytes, int flags) {
    int result;
    do {
      result = zmq_send(socket_, bytes.data(), bytes.size(), flags);
    } while (result < 0 && errno == EINTR);
    return result >= 0;
  }

  void* context_ = nullptr;
  void* socket_ = nullptr;
  int wake_fd_ = -1;  // as long as this lives: Wake() may come from another thread during Close()
  std::uint64_t max_message_bytes_ = 0;
  Frame routing_id_, envelope_, payload_, extra_;
};

RouterSocket::RouterSocket() : impl_(std::make_unique<Impl>()) {}
RouterSocket::RouterSocket(RouterSocket&&) noexcept = default;
RouterSocket::~RouterSocket() = default;

tl::expected<RouterSocket, std::string> RouterSocket::Open(std::uint64_t max_message_bytes) {
  RouterSocket socket;
  if (!socket.impl_->Open(max_message_bytes)) {
    return tl::unexpected(std::string("cannot open the receiving socket: ") + zmq_strerror(errno));
  }
  return socket;
}

tl::expected<std::string, std::string> RouterSocket::Bind(const Endpoint& endpoint) { return impl_->Bind(endpoint); }
void RouterSocket::Wait(std::int64_t timeout_ms) { impl_->Wait(timeout_ms); }
void RouterSocket::Wake() { impl_->Wake(); }
bool RouterSocket::Receive(Message* message) { return impl_->Receive(message); }
bool RouterSocket::Send(std::string_view routing_id, std::string_view bytes) { return impl_->Send(routing_id, bytes); }
void RouterSocket::Close(int linger_ms) { impl_->Close(linger_ms); }

class DealerSocket::Impl {
 public:
  ~Impl() {
    if (socket != nullptr) zmq_close(socket);
    while (context != nullptr && zmq_ctx_term(context) != 0 && errno == EINTR) {
    }
  }
  void* context = nullptr;
  void* socket = nullptr;
};

DealerSocket::DealerSocket() : impl_(std::make_unique<Impl>()) {}
DealerSocket::DealerSocket(DealerSocket&&) noexcept = default;
DealerSocket::~DealerSocket() = default;

tl::expected<DealerSocket, std::string> DealerSocket::Connect(const std::string& uri) {
  constexpr int kLingerMs = 500;
  constexpr std::int64_t kMaxAnswerBytes = 64 << 10;
  DealerSocket dealer;
  Impl& impl = *dealer.impl_;
  impl.context = zmq_ctx_new();
  if (impl.context != nullptr) impl.socket = zmq_socket(impl.context, ZMQ_DEALER);
  if (impl.socket == nullptr || zmq_setsockopt(impl.socket, ZMQ_LINGER, &kLingerMs, sizeof kLingerMs) != 0 ||
      zmq_setsockopt(impl.socket, ZMQ_MAXMSGSIZE, &kMaxAnswerBytes, sizeof kMaxAnswerBytes) != 0 ||
      zmq_connect(impl.socket, uri.c_str()) != 0) {
    return tl::unexpected(uri + ": cannot connect: " + zmq_strerror(errno));
  }
  return dealer;
}

bool DealerSocket::Send(std::string_view envelope, std::string_view payload) {
  return zmq_send(impl_->socket, envelope.data(), envelope.size(), ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0 &&
         zmq_send(impl_->socket, payload.data(), payload.size(), ZMQ_DONTWAIT) >= 0;
}

bool DealerSocket::Receive(std::int64_t timeout_ms, std::string* bytes) {
  zmq_pollitem_t item = {impl_->socket, 0, ZMQ_POLLIN, 0};
  if (zmq_poll(&item, 1, std::max<std::int64_t>(timeout_ms, 0)) <= 0) return false;
  Frame frame;
  if (zmq_msg_recv(frame.get(), impl_->socket, ZMQ_DONTWAIT) < 0) return false;
  bytes->assign(frame.view());
  return true;
}

}  // namespace spanwatch::ingest
