#include "sdk/cpp/src/envelope.h"

namespace spanwatch::internal {
namespace {

constexpr const char* kReasonNames[kDropReasons] = {"ring_full", "no_ring", "open_limit", "memory", "shutdown"};

std::string_view AsText(const ProcessId& id) noexcept { return {reinterpret_cast<const char*>(id.data()), id.size()}; }

std::uint8_t* PutDrops(std::uint8_t* out, std::uint32_t field, const DropCounts& drops) noexcept {
  for (std::uint32_t i = 0; i < kDropReasons; ++i) {
    if (drops[i] == 0) continue;
    const std::string_view reason = kReasonNames[i];
    out = PutHead(out, field, 2 + reason.size() + 1 + VarintSize(drops[i]));
    out = PutNumber(PutBytes(out, 1, reason), 2, drops[i]);
  }
  return out;
}

std::uint8_t* PutTotals(std::uint8_t* out, const Totals& totals) noexcept {
  std::uint8_t* const body = PutTag(out, 6, kBytes) + 2;
  out = PutNumber(body, 1, totals.sequence);
  out = PutNumber(out, 2, totals.batched);
  out = PutNumber(out, 3, totals.counters.sampled_out);
  return CloseMessage(body, PutDrops(out, 4, totals.counters.drops));
}

std::size_t Size(const Gauge& gauge) noexcept {
  std::size_t size = 64 + gauge.name.size();
  for (const auto& [name, value] : gauge.labels) size += 32 + name.size() + value.size();
  return size;
}

std::uint64_t BitsOf(double value) noexcept {
  std::uint64_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}

std::uint8_t* PutDouble(std::uint8_t* out, std::uint32_t field, double value) noexcept {
  const std::uint64_t bits = BitsOf(value);
  return bits == 0 ? out : PutFixed64(out, field, bits);
}

std::uint8_t* PutGauge(std::uint8_t* out, const Gauge& gauge) noexcept {
  std::uint8_t* const body = PutTag(out, 4, kBytes) + 2;
  out = PutBytes(body, 1, gauge.name);
  for (const auto& [name, value] : gauge.labels) {
    std::uint8_t* const label = PutTag(out, 2, kBytes) + 2;
    out = CloseMessage(label, PutBytes(PutBytes(label, 1, name), 2, value));
  }
  return CloseMessage(body, PutDouble(out, 3, gauge.value));
}

std::uint8_t* PutHeartbeat(std::uint8_t* out, const Heartbeat& heartbeat) noexcept {
  std::uint8_t* const body = PutTag(out, 13, kBytes) + 2;
  out = PutNumber(body, 1, heartbeat.rss_bytes);
  out = PutNumber(out, 2, heartbeat.sdk_bytes);
  out = PutNumber(out, 3, heartbeat.sdk_cpu_ns);
  for (const Gauge& gauge : heartbeat.gauges) out = PutGauge(out, gauge);
  out = PutDouble(out, 5, heartbeat.ring_fill);
  // Told even if it is 0, which means something.
  out = PutFixed64(out, 6, BitsOf(heartbeat.sample_rate));
  return CloseMessage(body, out);
}

void DecodeSettings(std::string_view bytes, Answer* answer) noexcept {
  answer->has_settings = true;
  for (ProtobufReader reader(bytes); reader.Next();) {
    if (reader.Is(1, kFixed64)) {
      const std::uint64_t bits = reader.number();
      double rate;
      std::memcpy(&rate, &bits, sizeof(rate));
      answer->has_sample_rate = rate >= 0 && rate <= 1;
      answer->sample_rate = rate;
    } else if (reader.Is(2, kVarint)) {
      answer->has_slow_threshold = reader.number() > 0;
      answer->slow_threshold_ns = reader.number();
    }
  }
}

}  // namespace

const char* DropReasonName(std::uint32_t reason) noexcept { return kReasonNames[reason]; }

bool EncodeEnvelope(const Envelope& envelope, ByteBuffer* out) noexcept {
  std::size_t bound = 1024;
  if (envelope.heartbeat != nullptr) {
    for (const Gauge& gauge : envelope.heartbeat->gauges) bound += Size(gauge);
  }
  out->Clear();
  std::uint8_t* at = out->Room(bound);
  if (at == nullptr) return false;
  at = PutNumber(at, 1, kWireVersion);
  at = PutNumber(at, 2, static_cast<std::uint64_t>(envelope.kind));
  at = PutBytes(at, 3, AsText(envelope.process_id));
  at = PutNumber(at, 4, envelope.sequence);
  at = PutNumber(at, 5, envelope.oldest_held);
  if (envelope.acknowledged.sequence != 0) at = PutTotals(at, envelope.acknowledged);
  at = PutNumber(at, 7, envelope.batched_before);
  at = PutNumber(at, 8, envelope.span_count);
  at = PutDrops(at, 9, envelope.counters.drops);
  at = PutNumber(at, 10, envelope.counters.sampled_out);
  at = PutFixed64(at, 11, static_cast<std::uint64_t>(envelope.send_time_ns));
  if (envelope.redaction_policy != 0) at = PutFixed64(at, 12, envelope.redaction_policy);
  if (envelope.heartbeat != nullptr) at = PutHeartbeat(at, *envelope.heartbeat);
  out->SetEnd(at);
  return true;
}

bool DecodeAnswer(std::string_view bytes, Answer* answer) noexcept {
  *answer = Answer();
  std::uint64_t version = 0;
  std::uint64_t kind = 0;
  bool has_id = false;
  ProtobufReader reader(bytes);
  while (reader.Next()) {
    if (reader.Is(1, kVarint)) {
      version = reader.number();
    } else if (reader.Is(2, kVarint)) {
      kind = reader.number();
    } else if (reader.Is(3, kBytes)) {
      has_id = reader.bytes().size() == answer->process_id.size();
      if (has_id) std::memcpy(answer->process_id.data(), reader.bytes().data(), answer->process_id.size());
    } else if (reader.Is(4, kVarint)) {
      answer->applied = reader.number();
    } else if (reader.Is(5, kBytes)) {
      DecodeSettings(reader.bytes(), answer);
    } else if (reader.Is(6, kBytes)) {
      answer->reason = reader.bytes().substr(0, 256);
    }
  }
  answer->kind = static_cast<AnswerKind>(kind);
  // A refusal may not know the id: the message it refuses was malformed.
  return reader.ok() && version == kWireVersion && kind >= 1 && kind <= 5 &&
         (has_id || answer->kind == AnswerKind::kRefused);
}

}  // namespace spanwatch::internal
