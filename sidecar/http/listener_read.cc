// Requests: from bytes to the workers.
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "sidecar/http/listener_impl.h"

namespace spanwatch::http {

using std::chrono::milliseconds;

void Listener::Impl::Read(Connections::iterator it) {
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
void Listener::Impl::TryDispatch(Connections::iterator it) {
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
  Dispatch(it, frame);
}

void Listener::Impl::Dispatch(Connections::iterator it, const Frame& frame) {
  Connection& c = it->second;
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

void Listener::Impl::ReadChunks(Connection* c, Frame* frame) {
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

void Listener::Impl::WaitForBody(Connection* c, const Frame& frame) {
  c->deadline = c->since + milliseconds(options_.body_timeout_ms);
  if (c->in.size() >= frame.size / 4) c->in.reserve(frame.size);  // doubling would take up to twice the bytes
  if (!frame.expects_continue || c->continued) return;
  c->continued = true;
  constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  [[maybe_unused]] const auto ignored = send(c->fd, kContinue.data(), kContinue.size(), MSG_NOSIGNAL);
}

// Too many bytes are held for requests on their way: the largest goes.
void Listener::Impl::EaseBuffers() {
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

void Listener::Impl::Refuse(Connections::iterator it, std::uint64_t ListenerCounts::*reason, int status,
                            std::string_view phrase, std::string_view message) {
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
  std::string().swap(c.in);  // clear() keeps the memory
  c.chunked.reset();
  BeginWrite(it, std::move(reply));
}

}  // namespace spanwatch::http
