#include "sdk/cpp/src/transport.h"

#include <poll.h>
#include <zmq.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>

namespace spanwatch::internal {
namespace {

constexpr int kMaxAnswerBytes = 64 << 10;

void SetInt(void* socket, int option, int value) noexcept { zmq_setsockopt(socket, option, &value, sizeof(value)); }

void FreePayload(void*, void* hint) { Payload::Unref(static_cast<Payload*>(hint)); }

}  // namespace

Transport::~Transport() {
  if (context_ == nullptr) return;
  Close(0);
  while (zmq_ctx_term(context_) != 0 && zmq_errno() == EINTR) {
  }
}

bool Transport::Open(const char* endpoint, const char** error) noexcept {
  Close(0);
  broken_ = false;
  if (context_ == nullptr) {
    context_ = zmq_ctx_new();
    if (context_ != nullptr) {
      zmq_ctx_set(context_, ZMQ_IO_THREADS, 1);
      zmq_ctx_set(context_, ZMQ_MAX_SOCKETS, 16);
      zmq_ctx_set(context_, ZMQ_BLOCKY, 0);  // no socket lingers for ever
    }
  }
  socket_ = context_ == nullptr ? nullptr : zmq_socket(context_, ZMQ_DEALER);
  if (socket_ == nullptr) {
    *error = zmq_strerror(zmq_errno());
    return false;
  }
  SetInt(socket_, ZMQ_LINGER, 0);
  SetInt(socket_, ZMQ_SNDHWM, 0);          // the outbox's window is the bound
  SetInt(socket_, ZMQ_RECONNECT_IVL, -1);  // each connection is a new socket: nothing old goes out on it
  SetInt(socket_, ZMQ_CONNECT_TIMEOUT, 3000);
  SetInt(socket_, ZMQ_HANDSHAKE_IVL, 3000);
  const std::int64_t max_answer = kMaxAnswerBytes;
  zmq_setsockopt(socket_, ZMQ_MAXMSGSIZE, &max_answer, sizeof(max_answer));
  char name[48];
  std::snprintf(name, sizeof(name), "inproc://spanwatch-monitor-%u", ++opened_);
  constexpr int kBroken = ZMQ_EVENT_CLOSED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                          ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;
  if (zmq_socket_monitor(socket_, name, kBroken) == 0) {
    monitor_ = zmq_socket(context_, ZMQ_PAIR);
    if (monitor_ != nullptr) {
      SetInt(monitor_, ZMQ_LINGER, 0);
      zmq_connect(monitor_, name);
    }
  }
  if (zmq_connect(socket_, endpoint) == 0) return true;
  *error = zmq_strerror(zmq_errno());
  Close(0);
  return false;
}

void Transport::Close(int linger_ms) noexcept {
  if (socket_ != nullptr) {
    zmq_socket_monitor(socket_, nullptr, 0);
    SetInt(socket_, ZMQ_LINGER, linger_ms);
    zmq_close(socket_);
  }
  if (monitor_ != nullptr) zmq_close(monitor_);
  socket_ = monitor_ = nullptr;
}

bool Transport::Send(std::string_view envelope, Payload* payload) noexcept {
  if (socket_ == nullptr) return false;
  if (zmq_send(socket_, envelope.data(), envelope.size(), ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0) return false;
  zmq_msg_t frame;
  if (payload == nullptr) {
    zmq_msg_init(&frame);
  } else {
    payload->refs.fetch_add(1, std::memory_order_relaxed);
    if (zmq_msg_init_data(&frame, payload->data(), payload->size, FreePayload, payload) != 0) {
      Payload::Unref(payload);
      zmq_msg_init(&frame);  // an envelope without its payload is refused there, and sent again
    }
  }
  if (zmq_msg_send(&frame, socket_, ZMQ_DONTWAIT) >= 0) return true;
  zmq_msg_close(&frame);
  broken_ = true;  // half a message: only a new connection helps
  return false;
}

bool Transport::Receive(std::string* out) noexcept {
  if (socket_ == nullptr) return false;
  zmq_msg_t frame;
  zmq_msg_init(&frame);
  if (zmq_msg_recv(&frame, socket_, ZMQ_DONTWAIT) < 0) {
    zmq_msg_close(&frame);
    return false;
  }
  try {
    out->assign(static_cast<const char*>(zmq_msg_data(&frame)), zmq_msg_size(&frame));
  } catch (const std::bad_alloc&) {
    out->clear();
  }
  bool more = zmq_msg_more(&frame) != 0;
  zmq_msg_close(&frame);
  while (more) {  // frames that no answer has
    zmq_msg_init(&frame);
    more = zmq_msg_recv(&frame, socket_, ZMQ_DONTWAIT) >= 0 && zmq_msg_more(&frame) != 0;
    zmq_msg_close(&frame);
  }
  return true;
}

bool Transport::Broken() noexcept {
  while (monitor_ != nullptr) {
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    const bool received = zmq_msg_recv(&frame, monitor_, ZMQ_DONTWAIT) >= 0;
    const bool is_event = received && zmq_msg_more(&frame) != 0;
    zmq_msg_close(&frame);
    if (!received) break;
    if (is_event) broken_ = true;
  }
  return broken_;
}

void Transport::Wait(int descriptor, int timeout_ms) noexcept {
  zmq_pollitem_t items[3] = {
      {nullptr, descriptor, ZMQ_POLLIN, 0}, {socket_, 0, ZMQ_POLLIN, 0}, {monitor_, 0, ZMQ_POLLIN, 0}};
  if (socket_ == nullptr) {
    pollfd item = {descriptor, POLLIN, 0};
    poll(&item, descriptor >= 0 ? 1 : 0, timeout_ms);
    return;
  }
  zmq_poll(descriptor >= 0 ? items : items + 1, (descriptor >= 0 ? 2 : 1) + (monitor_ != nullptr ? 1 : 0), timeout_ms);
}

}  // namespace spanwatch::internal
