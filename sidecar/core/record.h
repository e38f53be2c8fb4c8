// The engine's input: records, in one order, with one clock. The ingest thread makes them; the journal keeps their
// bytes; live, restart and replay decode the same bytes by the same pure functions and call Engine::Apply.
#ifndef SPANWATCH_SIDECAR_CORE_RECORD_H_
#define SPANWATCH_SIDECAR_CORE_RECORD_H_

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sidecar/core/span_batch.h"

namespace spanwatch::core {

struct RuleSet;
struct Limits;

// Numbers are part of the journal's format: never reuse one.
enum class RecordKind : std::uint8_t {
  kTime = 0,        // time passed; journaled only at the end of a recording
  kMessage = 1,     // a ZeroMQ message: envelope and payload of one connection
  kOtlp = 2,        // an OTLP/HTTP body, protobuf
  kReload = 3,      // rules and limits, as the text they were read from
  kCheckpoint = 4,  // head of a journal's segment: not applied, but Engine::Restore() with it
  kRestart = 5,     // the sidecar was away until now: nobody's silence in between is judged
};
inline constexpr RecordKind kLastRecordKind = RecordKind::kRestart;

struct RecordHeader {
  std::uint64_t index = 0;  // 1, 2, 3, ... within a journal; 0 for a time record that is not journaled
  std::int64_t now_ns = 0;  // engine time, ns since the epoch; never goes back
  RecordKind kind = RecordKind::kTime;
  std::uint64_t connection = 0;  // kMessage: number of the connection, in the order the receiver saw them
};

using ProcessId = std::array<std::uint8_t, 16>;

enum class EnvelopeKind : std::uint8_t { kHello = 1, kSpans = 2, kOpenSpans = 3, kHeartbeat = 4, kGoodbye = 5 };

struct Drop {
  std::string_view reason;  // [a-z_]{1,32}, checked by the decoder
  std::uint64_t spans = 0;
};

// Cumulative since the process id was made. emitted = batched + sampled_out + sum(drops).
struct Totals {
  std::uint64_t sequence = 0;
  std::uint64_t batched = 0;
  std::uint64_t sampled_out = 0;
  std::vector<Drop> drops;
};

struct GaugeView {
  std::string_view name;
  std::vector<std::pair<std::string_view, std::string_view>> labels;
  double value = 0;
};

// docs/wire.proto, checked and bounded. Views point into the record's bytes.
struct EnvelopeView {
  EnvelopeKind kind = EnvelopeKind::kHello;
  ProcessId process_id{};
  std::uint64_t sequence = 0;
  std::uint64_t oldest_held = 0;
  bool has_acknowledged = false;
  Totals acknowledged;
  std::uint64_t batched_before = 0;
  std::uint32_t span_count = 0;
  std::vector<Drop> drops;
  std::uint64_t sampled_out = 0;
  std::int64_t send_time_ns = 0;
  std::uint64_t redaction_policy = 0;
  std::uint64_t rss_bytes = 0;
  std::uint64_t sdk_bytes = 0;
  std::uint64_t sdk_cpu_ns = 0;
  double sdk_ring_fill = 0;     // 0..1
  double sdk_sample_rate = -1;  // 0..1; negative: not told
  std::vector<GaugeView> gauges;
};

// What a record's bytes mean. Exactly one of the groups is set, by RecordHeader::kind.
struct Decoded {
  // kMessage: the envelope, and its spans (possibly none). Null envelope: the message was malformed, `error` says how.
  const EnvelopeView* envelope = nullptr;
  const SpanBatch* spans = nullptr;  // also kOtlp
  bool payload_malformed = false;    // the envelope is good, the payload is not (spans holds what could be read)
  const char* error = nullptr;       // a short reason in [a-z_]: bad_envelope, bad_version, too_large, ...
  // kReload:
  std::shared_ptr<const RuleSet> rules;
  std::shared_ptr<const Limits> limits;
};

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_RECORD_H_
