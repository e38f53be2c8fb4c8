// The codec of docs/wire.proto: envelopes in, answers out, and the other direction for clients in tools and tests.
// Pure functions, any thread, no exceptions.
#ifndef SPANWATCH_SIDECAR_INGEST_ENVELOPE_H_
#define SPANWATCH_SIDECAR_INGEST_ENVELOPE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "sidecar/core/engine.h"
#include "sidecar/core/record.h"

namespace spanwatch::ingest {

inline constexpr std::uint32_t kWireVersion = 1;
inline constexpr std::size_t kMaxEnvelopeBytes = 256u << 10;
inline constexpr std::size_t kMaxDrops = 32;
inline constexpr std::size_t kMaxReasonBytes = 32;
inline constexpr std::size_t kMaxGauges = 64;
inline constexpr std::size_t kMaxLabels = 8;
inline constexpr std::size_t kMaxNameBytes = 128;                   // of a gauge or a label
inline constexpr std::size_t kMaxLabelBytes = 256;                  // of a label's value
inline constexpr std::uint64_t kMaxCount = std::uint64_t{1} << 56;  // of any count: sums of them cannot overflow

// Null: *out is filled, its views point into `bytes`. Else a short reason in [a-z_], and *out is unspecified:
//   too_large, bad_envelope (no such message), bad_version, bad_kind, bad_process_id, bad_sequence, bad_count,
//   bad_drops, bad_gauge.
const char* DecodeEnvelope(std::string_view bytes, core::EnvelopeView* out);
std::string EncodeEnvelope(const core::EnvelopeView& envelope);

// What answers carry besides the engine's words. Negative sample rate: the SDK keeps its own.
struct Settings {
  double sample_rate = -1;
  std::uint64_t slow_threshold_ns = 0;
  friend bool operator==(const Settings&, const Settings&) = default;
};
Settings SettingsOf(const core::Limits& limits);

// `settings` may be null.
std::string EncodeAnswer(const core::Answer& answer, const Settings* settings);

struct DecodedAnswer {
  core::AnswerKind kind = core::AnswerKind::kAck;
  core::ProcessId process_id{};
  std::uint64_t applied = 0;
  bool has_settings = false;
  Settings settings;
  std::string reason;
};
// False: not an answer of this version.
bool DecodeAnswer(std::string_view bytes, DecodedAnswer* out);

}  // namespace spanwatch::ingest

#endif  // SPANWATCH_SIDECAR_INGEST_ENVELOPE_H_
