// A traced process as the sidecar sees it: a DEALER socket, numbered batches that are held until they are acknowledged
// and sent again when the protocol says so (docs/wire-protocol.md). For generators and tests that want many of them, or
// their pace, in one program. It takes no new id after CLOSED: that is for the caller to call a failure.
// Header only. One thread. `context` (of ZeroMQ) outlives it.
#ifndef SPANWATCH_TESTS_SUPPORT_WIRE_PROCESS_H_
#define SPANWATCH_TESTS_SUPPORT_WIRE_PROCESS_H_

#include <zmq.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sidecar/ingest/envelope.h"

namespace spanwatch::testing {

inline std::uint64_t WallNs() {
  return static_cast<std::uint64_t>(
      std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count());
}
inline std::uint64_t SteadyNs() {
  return static_cast<std::uint64_t>(
      std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count());
}

class WireProcess {
 public:
  static constexpr std::uint64_t kWindowBytes = 1u << 20;      // given to ZeroMQ and not acknowledged
  static constexpr std::uint64_t kHeldBytes = 3u << 20;        // held; above it the oldest batch goes
  static constexpr std::uint64_t kPatienceNs = 3'000'000'000;  // without an answer, then a new connection

  WireProcess(void* context, std::string endpoint, const core::ProcessId& id, std::string resource)
      : context_(context), endpoint_(std::move(endpoint)), id_(id), resource_(std::move(resource)) {}
  ~WireProcess() { Close(1000); }
  WireProcess(const WireProcess&) = delete;
  WireProcess& operator=(const WireProcess&) = delete;

  // A new socket, HELLO. Batches wait for WELCOME.
  bool Connect() {
    Close(0);
    socket_ = zmq_socket(context_, ZMQ_DEALER);
    if (socket_ == nullptr) return false;
    const int unlimited = 0;
    zmq_setsockopt(socket_, ZMQ_SNDHWM, &unlimited, sizeof unlimited);
    zmq_setsockopt(socket_, ZMQ_RCVHWM, &unlimited, sizeof unlimited);
    ++connects_;
    welcome_ = false;
    Rewind();
    heard_ns_ = SteadyNs();
    if (zmq_connect(socket_, endpoint_.c_str()) != 0) return false;
    SendPlain(core::EnvelopeKind::kHello, resource_, {}, 0);
    return true;
  }

  // A batch of `size` bytes that `write(char*)` fills. When more than kHeldBytes are held, the oldest is given up.
  template <typename Write>
  void Add(std::uint32_t spans, std::size_t size, const Write& write) {
    Batch& batch = held_.emplace_back(++sequence_, batched_, spans, size);
    write(static_cast<char*>(zmq_msg_data(&batch.payload)));
    batched_ += spans;
    held_bytes_ += size;
    while (held_bytes_ > kHeldBytes && held_.size() > 1) GiveUpOldest();
    Push();
  }
  // `size` more bytes can be on their way at once.
  bool HasRoom(std::size_t size) const {
    return next_ == held_.size() && (way_bytes_ == 0 || way_bytes_ + size <= kWindowBytes);
  }

  void Heartbeat(std::vector<core::GaugeView> gauges = {}) {
    SendPlain(core::EnvelopeKind::kHeartbeat, {}, std::move(gauges), 0);
  }
  void OpenSpans(std::string_view payload, std::uint32_t count) {
    SendPlain(core::EnvelopeKind::kOpenSpans, payload, {}, count);
  }
  void Goodbye() { SendPlain(core::EnvelopeKind::kGoodbye, {}, {}, 0); }

  // Takes the answers that are there. False: none.
  bool Take() {
    char bytes[1024];
    bool any = false;
    for (int size; (size = zmq_recv(socket_, bytes, sizeof bytes, ZMQ_DONTWAIT)) >= 0; any = true) {
      ingest::DecodedAnswer answer;
      const std::string_view view(bytes, std::min(static_cast<std::size_t>(size), sizeof bytes));
      if (ingest::DecodeAnswer(view, &answer) && TakeAnswer(answer)) return true;
    }
    return any;
  }
  // A new connection when an answer is owed for too long.
  void Maintain() {
    if ((welcome_ && way_.empty()) || SteadyNs() - heard_ns_ < kPatienceNs) return;
    Connect();
  }

  void* socket() const { return socket_; }
  bool welcome() const { return welcome_; }
  bool closed() const { return closed_; }
  bool all_acknowledged() const { return held_.empty() && way_.empty(); }
  std::uint64_t answers() const { return answers_; }
  std::uint64_t spans() const { return batched_; }
  std::uint64_t spans_acknowledged() const { return spans_acknowledged_; }
  std::uint64_t spans_given_up() const { return given_up_; }
  std::uint64_t connects() const { return connects_; }
  std::uint64_t resends() const { return resends_; }
  const std::map<std::string, std::uint64_t>& refused() const { return refused_; }
  // From Add() to the acknowledgement, of each batch.
  const std::vector<std::uint64_t>& ack_ns() const { return ack_ns_; }

 private:
  struct Batch {
    Batch(std::uint64_t s, std::uint64_t b, std::uint32_t n, std::size_t size)
        : sequence(s), batched_before(b), spans(n), made_ns(SteadyNs()) {
      zmq_msg_init_size(&payload, size);
    }
    ~Batch() { zmq_msg_close(&payload); }
    Batch(const Batch&) = delete;
    Batch& operator=(const Batch&) = delete;

    const std::uint64_t sequence, batched_before;
    const std::uint32_t spans;
    const std::uint64_t made_ns;
    zmq_msg_t payload;
  };
  struct Sent {
    std::uint64_t sequence, batched, spans, bytes, made_ns;
  };

  core::EnvelopeView Envelope(core::EnvelopeKind kind) const {
    core::EnvelopeView envelope;
    envelope.kind = kind;
    envelope.process_id = id_;
    envelope.oldest_held = OldestHeld();
    envelope.has_acknowledged = acknowledged_.sequence > 0;
    envelope.acknowledged = acknowledged_;
    envelope.batched_before = batched_;
    envelope.send_time_ns = static_cast<std::int64_t>(WallNs());
    return envelope;
  }
  std::uint64_t OldestHeld() const { return held_.empty() ? sequence_ + 1 : held_.front().sequence; }

  void SendPlain(core::EnvelopeKind kind, std::string_view payload, std::vector<core::GaugeView> gauges,
                 std::uint32_t spans) {
    core::EnvelopeView envelope = Envelope(kind);
    envelope.gauges = std::move(gauges);
    envelope.span_count = spans;
    const std::string head = ingest::EncodeEnvelope(envelope);
    zmq_send(socket_, head.data(), head.size(), ZMQ_SNDMORE);
    zmq_send(socket_, payload.data(), payload.size(), 0);
  }

  // Hands over what fits into the window.
  void Push() {
    for (; welcome_ && next_ < held_.size(); ++next_) {
      Batch& batch = held_[next_];
      const std::uint64_t bytes = zmq_msg_size(&batch.payload);
      if (way_bytes_ > 0 && way_bytes_ + bytes > kWindowBytes) return;
      core::EnvelopeView envelope = Envelope(core::EnvelopeKind::kSpans);
      envelope.sequence = batch.sequence;
      envelope.span_count = batch.spans;
      envelope.batched_before = batch.batched_before;
      const std::string head = ingest::EncodeEnvelope(envelope);
      zmq_msg_t copy;  // shares the bytes
      zmq_msg_init(&copy);
      zmq_msg_copy(&copy, &batch.payload);
      zmq_send(socket_, head.data(), head.size(), ZMQ_SNDMORE);
      if (zmq_msg_send(&copy, socket_, 0) < 0) zmq_msg_close(&copy);
      if (batch.sequence <= highest_sent_) ++resends_;
      highest_sent_ = std::max(highest_sent_, batch.sequence);
      if (way_.empty()) heard_ns_ = SteadyNs();
      way_.push_back({batch.sequence, batch.batched_before + batch.spans, batch.spans, bytes, batch.made_ns});
      way_bytes_ += bytes;
    }
  }

  void GiveUpOldest() {
    given_up_ += held_.front().spans;
    PopHeld();
  }
  void PopHeld() {
    held_bytes_ -= zmq_msg_size(&held_.front().payload);
    held_.pop_front();
    if (next_ > 0) --next_;
  }
  void Rewind() {
    next_ = 0;
    way_.clear();
    way_bytes_ = 0;
  }

  void Acknowledge(std::uint64_t applied) {
    for (; !way_.empty() && way_.front().sequence <= applied; way_.pop_front()) {
      const Sent& sent = way_.front();
      way_bytes_ -= sent.bytes;
      if (sent.sequence >= OldestHeld()) continue;
      // Given up while it was on its way, and arrived all the same.
      ack_ns_.push_back(SteadyNs() - sent.made_ns);
      given_up_ -= sent.spans;
      spans_acknowledged_ += sent.spans;
      acknowledged_ = {sent.sequence, sent.batched, 0, {}};
    }
    for (; !held_.empty() && held_.front().sequence <= applied; PopHeld()) {
      const Batch& batch = held_.front();
      ack_ns_.push_back(SteadyNs() - batch.made_ns);
      spans_acknowledged_ += batch.spans;
      acknowledged_ = {batch.sequence, batch.batched_before + batch.spans, 0, {}};
    }
  }

  // True: this was the last answer of its socket.
  bool TakeAnswer(const ingest::DecodedAnswer& answer) {
    ++answers_;
    heard_ns_ = SteadyNs();
    if (answer.kind == core::AnswerKind::kRefused) {
      ++refused_[answer.reason];
      Connect();
      return true;
    }
    if (answer.kind == core::AnswerKind::kClosed) closed_ = true;
    if (answer.kind == core::AnswerKind::kWelcome) welcome_ = true;
    Acknowledge(answer.applied);
    if (answer.kind == core::AnswerKind::kResend) Rewind();
    Push();
    return false;
  }

  void Close(int linger_ms) {
    if (socket_ == nullptr) return;
    zmq_setsockopt(socket_, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
    zmq_close(socket_);
    socket_ = nullptr;
  }

  void* const context_;
  const std::string endpoint_;
  const core::ProcessId id_;
  const std::string resource_;
  void* socket_ = nullptr;
  bool welcome_ = false;
  bool closed_ = false;
  std::deque<Batch> held_;
  std::size_t next_ = 0;  // of held_, to be sent
  std::uint64_t held_bytes_ = 0;
  std::deque<Sent> way_;
  std::uint64_t way_bytes_ = 0;
  std::uint64_t sequence_ = 0, highest_sent_ = 0, batched_ = 0;
  core::Totals acknowledged_;
  std::uint64_t heard_ns_ = 0;
  std::uint64_t answers_ = 0, connects_ = 0, resends_ = 0, spans_acknowledged_ = 0, given_up_ = 0;
  std::map<std::string, std::uint64_t> refused_;
  std::vector<std::uint64_t> ack_ns_;
};

}  // namespace spanwatch::testing

#endif  // SPANWATCH_TESTS_SUPPORT_WIRE_PROCESS_H_
