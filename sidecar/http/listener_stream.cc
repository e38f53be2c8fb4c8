// Answers that are streams: pieces come from the workers, one at a time, when the client has taken the one before.
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "sidecar/http/listener_impl.h"

namespace spanwatch::http {
namespace {

using std::chrono::milliseconds;

// The next piece is asked for when no more than this waits to be sent.
constexpr std::size_t kLowWater = 16384;
constexpr milliseconds kAskAgain(1000);  // a stream that waits and is not woken

}  // namespace

void Listener::Impl::BeginStream(Connections::iterator it, Reply reply) {
  if (streams_ >= options_.max_streams) {
    Count(&ListenerCounts::streams_full);
    BeginWrite(it, {ErrorAnswer(503, "Service Unavailable",
                                "too many exports and event streams are open: try again when one has ended"),
                    true,
                    {},
                    false});
    return;
  }
  Connection& c = it->second;
  ++streams_;
  c.state = State::kStreaming;
  c.out = std::move(reply.bytes);
  c.written = 0;
  c.close_after = reply.close || !reply.chunked;
  c.deadline = Clock::now() + milliseconds(options_.write_timeout_ms);
  c.stream = {};
  c.stream.chunked = reply.chunked;
  c.stream.body = std::move(reply.stream);
  c.stream.body->SetWaker([wakeups = wakeups_, id = it->first] { wakeups->Wake(id); });
  Write(it);
}

// Asks for the next piece if it is time.
void Listener::Impl::Pump(Connections::iterator it) {
  Connection::Stream& stream = it->second.stream;
  if (stream.pulling || stream.ended || it->second.Unsent() > kLowWater || Clock::now() < stream.pull_at) return;
  stream.pulling = true;
  stream.woken = false;
  workers_.SubmitPull(it->first, stream.body, stream.chunked);
}

void Listener::Impl::TakePiece(Finished finished) {
  const auto it = connections_.find(finished.connection);
  if (it == connections_.end()) return;  // it was closed meanwhile
  Connection& c = it->second;
  Connection::Stream& stream = c.stream;
  stream.pulling = false;
  if (!finished.piece.empty()) {
    if (c.Unsent() == 0) c.deadline = Clock::now() + milliseconds(options_.write_timeout_ms);
    c.out.erase(0, c.written);
    c.written = 0;
    c.out += finished.piece;
  }
  stream.pull_at = {};
  if (finished.state == BodyStream::State::kWait) {
    stream.waits = true;
    if (!stream.woken) stream.pull_at = Clock::now() + kAskAgain;
  } else if (finished.state == BodyStream::State::kEnd) {
    stream.ended = true;
    stream.broken = finished.broken;
    stream.body.reset();
  }
  Write(it);
}

void Listener::Impl::WakeStream(std::uint64_t id) {
  const auto it = connections_.find(id);
  if (it == connections_.end() || it->second.state != State::kStreaming) return;
  it->second.stream.woken = true;
  it->second.stream.pull_at = {};
  Pump(it);
}

}  // namespace spanwatch::http
