// One peer of the wire protocol: a DEALER socket that sends any frames and reads answers. Header only. One thread.
#ifndef SPANWATCH_TESTS_UNIT_INGEST_WIRE_CLIENT_H_
#define SPANWATCH_TESTS_UNIT_INGEST_WIRE_CLIENT_H_

#include <zmq.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sidecar/ingest/envelope.h"

namespace spanwatch::ingest::testing {

class WireClient {
 public:
  explicit WireClient(const std::string& endpoint, std::string_view routing_id = {}) {
    const int timeout_ms = 10'000, linger_ms = 0;
    zmq_setsockopt(socket_, ZMQ_RCVTIMEO, &timeout_ms, sizeof timeout_ms);
    zmq_setsockopt(socket_, ZMQ_SNDTIMEO, &timeout_ms, sizeof timeout_ms);
    zmq_setsockopt(socket_, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
    if (!routing_id.empty()) zmq_setsockopt(socket_, ZMQ_ROUTING_ID, routing_id.data(), routing_id.size());
    zmq_connect(socket_, endpoint.c_str());
  }
  ~WireClient() {
    zmq_close(socket_);
    zmq_ctx_term(context_);
  }
  WireClient(const WireClient&) = delete;
  WireClient& operator=(const WireClient&) = delete;

  bool SendFrames(const std::vector<std::string>& frames) {
    for (std::size_t i = 0; i < frames.size(); ++i) {
      const int flags = i + 1 < frames.size() ? ZMQ_SNDMORE : 0;
      if (zmq_send(socket_, frames[i].data(), frames[i].size(), flags) < 0) return false;
    }
    return true;
  }
  bool Send(const core::EnvelopeView& envelope, const std::string& payload = {}) {
    return SendFrames({EncodeEnvelope(envelope), payload});
  }

  // Nothing within the time: empty.
  std::optional<DecodedAnswer> Receive(int timeout_ms = 10'000) {
    zmq_setsockopt(socket_, ZMQ_RCVTIMEO, &timeout_ms, sizeof timeout_ms);
    char bytes[4096];
    const int size = zmq_recv(socket_, bytes, sizeof bytes, 0);
    DecodedAnswer answer;
    if (size < 0 || !DecodeAnswer({bytes, static_cast<std::size_t>(size)}, &answer)) return std::nullopt;
    return answer;
  }
  // Reads answers until one of this kind that covers `applied`.
  std::optional<DecodedAnswer> ReceiveUntil(core::AnswerKind kind, std::uint64_t applied = 0) {
    for (;;) {
      auto answer = Receive();
      if (!answer || (answer->kind == kind && answer->applied >= applied)) return answer;
    }
  }

 private:
  void* const context_ = zmq_ctx_new();
  void* const socket_ = zmq_socket(context_, ZMQ_DEALER);
};

// A process with one connection and a ledger of its own, as the SDK keeps it.
class WireProcess {
 public:
  WireProcess(const std::string& endpoint, std::uint8_t number) : client_(endpoint) { id_.fill(number); }

  WireClient& client() { return client_; }
  core::EnvelopeView Envelope(core::EnvelopeKind kind) const {
    core::EnvelopeView envelope;
    envelope.kind = kind;
    envelope.process_id = id_;
    envelope.oldest_held = sequence_ + 1;
    envelope.batched_before = batched_;
    return envelope;
  }
  std::optional<DecodedAnswer> Hello() {
    client_.Send(Envelope(core::EnvelopeKind::kHello));
    return client_.ReceiveUntil(core::AnswerKind::kWelcome);
  }
  // Sends one batch and waits for its acknowledgement.
  std::optional<DecodedAnswer> Spans(std::uint32_t count, const std::string& payload) {
    core::EnvelopeView envelope = Envelope(core::EnvelopeKind::kSpans);
    envelope.sequence = ++sequence_;
    envelope.span_count = count;
    batched_ += count;
    client_.Send(envelope, payload);
    return client_.ReceiveUntil(core::AnswerKind::kAck, sequence_);
  }

 private:
  core::ProcessId id_{};
  WireClient client_;
  std::uint64_t sequence_ = 0;
  std::uint64_t batched_ = 0;
};

}  // namespace spanwatch::ingest::testing

#endif  // SPANWATCH_TESTS_UNIT_INGEST_WIRE_CLIENT_H_
