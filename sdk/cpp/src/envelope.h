// The envelope of the wire protocol (docs/wire.proto, docs/wire-protocol.md) and the sidecar's answers.
#ifndef SPANWATCH_SDK_CPP_SRC_ENVELOPE_H_
#define SPANWATCH_SDK_CPP_SRC_ENVELOPE_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sdk/cpp/src/protobuf.h"

namespace spanwatch::internal {

inline constexpr std::uint32_t kWireVersion = 1;

enum class EnvelopeKind : std::uint32_t { kHello = 1, kSpans = 2, kOpenSpans = 3, kHeartbeat = 4, kGoodbye = 5 };
enum class AnswerKind : std::uint32_t { kWelcome = 1, kAck = 2, kResend = 3, kClosed = 4, kRefused = 5 };

// Why a span never reached a numbered batch.
enum DropReason : std::uint32_t { kRingFull, kNoRing, kOpenLimit, kMemory, kAtShutdown, kDropReasons };
const char* DropReasonName(std::uint32_t reason) noexcept;

using DropCounts = std::array<std::uint64_t, kDropReasons>;
using ProcessId = std::array<std::uint8_t, 16>;

// Cumulative since the process id was made.
struct Counters {
  std::uint64_t sampled_out = 0;
  DropCounts drops{};
};

struct Totals {
  std::uint64_t sequence = 0;  // 0: none
  std::uint64_t batched = 0;
  Counters counters;
};

struct Gauge {
  std::string name;
  std::vector<std::pair<std::string, std::string>> labels;
  double value = 0;
};

struct Heartbeat {
  std::uint64_t rss_bytes = 0;
  std::uint64_t sdk_bytes = 0;
  std::uint64_t sdk_cpu_ns = 0;
  std::vector<Gauge> gauges;
  double ring_fill = 0;    // 0..1: the fullest ring since the last heartbeat
  double sample_rate = 1;  // in force
};

struct Envelope {
  EnvelopeKind kind = EnvelopeKind::kHello;
  ProcessId process_id{};
  std::uint64_t sequence = 0;
  std::uint64_t oldest_held = 0;
  Totals acknowledged;  // not written while its sequence is 0
  std::uint64_t batched_before = 0;
  std::uint32_t span_count = 0;
  Counters counters;
  std::int64_t send_time_ns = 0;
  std::uint64_t redaction_policy = 0;
  const Heartbeat* heartbeat = nullptr;
};

// Replaces what `out` holds. False without memory. Reasons with a count of 0 are not written.
bool EncodeEnvelope(const Envelope& envelope, ByteBuffer* out) noexcept;

struct Answer {
  AnswerKind kind = AnswerKind::kAck;
  ProcessId process_id{};
  std::uint64_t applied = 0;
  bool has_settings = false;
  bool has_sample_rate = false;
  double sample_rate = 1;  // 0..1
  bool has_slow_threshold = false;
  std::uint64_t slow_threshold_ns = 0;
  std::string_view reason;  // of the bytes that were decoded, at most 256
};

// False if the bytes are not an answer of this version. Settings out of range are left out.
bool DecodeAnswer(std::string_view bytes, Answer* answer) noexcept;

}  // namespace spanwatch::internal

#endif  // SPANWATCH_SDK_CPP_SRC_ENVELOPE_H_
