#include "sidecar/ingest/envelope.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "sidecar/core/utf8.h"
#include "sidecar/ingest/pbf.h"

namespace spanwatch::ingest {
namespace {

using core::EnvelopeKind;
using core::EnvelopeView;

constexpr std::uint64_t kMaxTimeNs = std::uint64_t{1} << 62;

bool IsReason(std::string_view text) {
  return !text.empty() && text.size() <= kMaxReasonBytes &&
         std::all_of(text.begin(), text.end(), [](char c) { return c == '_' || (c >= 'a' && c <= 'z'); });
}

bool IsText(std::string_view text, std::size_t max_bytes) {
  return text.size() <= max_bytes && (core::IsAscii(text) || core::IsUtf8(text));
}

bool IsName(std::string_view text) { return !text.empty() && IsText(text, kMaxNameBytes); }

// Null or the reason. protozero's exceptions pass through.
const char* DecodeDrop(std::string_view bytes, std::vector<core::Drop>* out) {
  core::Drop drop;
  protozero::pbf_reader reader(bytes);
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case Bytes(1):
        drop.reason = reader.get_view();
        break;
      case Varint(2):
        drop.spans = reader.get_uint64();
        break;
      default:
        reader.skip();
    }
  }
  if (out->size() >= kMaxDrops || !IsReason(drop.reason)) return "bad_drops";
  if (drop.spans > kMaxCount) return "bad_count";
  for (const core::Drop& other : *out) {
    if (other.reason == drop.reason) return "bad_drops";
  }
  out->push_back(drop);
  return nullptr;
}

const char* DecodeTotals(std::string_view bytes, core::Totals* out) {
  protozero::pbf_reader reader(bytes);
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case Varint(1):
        out->sequence = reader.get_uint64();
        break;
      case Varint(2):
        out->batched = reader.get_uint64();
        break;
      case Varint(3):
        out->sampled_out = reader.get_uint64();
        break;
      case Bytes(4):
        if (const char* error = DecodeDrop(reader.get_view(), &out->drops)) return error;
        break;
      default:
        reader.skip();
    }
  }
  if (out->sequence > kMaxCount) return "bad_sequence";
  return std::max(out->batched, out->sampled_out) > kMaxCount ? "bad_count" : nullptr;
}

bool DecodeLabel(std::string_view bytes, core::GaugeView* out) {
  std::pair<std::string_view, std::string_view> label;
  protozero::pbf_reader reader(bytes);
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case Bytes(1):
        label.first = reader.get_view();
        break;
      case Bytes(2):
        label.second = reader.get_view();
        break;
      default:
        reader.skip();
    }
  }
  if (out->labels.size() >= kMaxLabels || !IsName(label.first) || !IsText(label.second, kMaxLabelBytes)) return false;
  out->labels.push_back(label);
  return true;
}

bool DecodeGauge(std::string_view bytes, std::vector<core::GaugeView>* out) {
  if (out->size() >= kMaxGauges) return false;
  core::GaugeView& gauge = out->emplace_back();
  protozero::pbf_reader reader(bytes);
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case Bytes(1):
        gauge.name = reader.get_view();
        break;
      case Bytes(2):
        if (!DecodeLabel(reader.get_view(), &gauge)) return false;
        break;
      case Fixed64(3):
        gauge.value = reader.get_double();
        break;
      default:
        reader.skip();
    }
  }
  return IsName(gauge.name);
}

// A value in 0..1, or what stands for none: NaN and the like must not reach the engine.
double Share(double value, double none) { return value >= 0 && value <= 1 ? value : none; }

bool DecodeHeartbeat(std::string_view bytes, EnvelopeView* out) {
  protozero::pbf_reader reader(bytes);
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case Varint(1):
        out->rss_bytes = std::min(reader.get_uint64(), kMaxCount);
        break;
      case Varint(2):
        out->sdk_bytes = std::min(reader.get_uint64(), kMaxCount);
        break;
      case Varint(3):
        out->sdk_cpu_ns = std::min(reader.get_uint64(), kMaxTimeNs);
        break;
      case Bytes(4):
        if (!DecodeGauge(reader.get_view(), &out->gauges)) return false;
        break;
      case Fixed64(5):
        out->sdk_ring_fill = Share(reader.get_double(), 0);
        break;
      case Fixed64(6):
        out->sdk_sample_rate = Share(reader.get_double(), -1);
        break;
      default:
        reader.skip();
    }
  }
  return true;
}

// What the fields say before they are judged together.
struct Raw {
  std::uint32_t version = 0;
  std::uint64_t kind = 0;
  std::string_view process_id;
};

const char* DecodeFields(std::string_view bytes, EnvelopeView* out, Raw* raw) {
  const char* error = nullptr;
  protozero::pbf_reader reader(bytes);
  while (error == nullptr && reader.next()) {
    switch (reader.tag_and_type()) {
      case Varint(1):
        raw->version = reader.get_uint32();
        break;
      case Varint(2):
        raw->kind = reader.get_uint64();
        break;
      case Bytes(3):
        raw->process_id = reader.get_view();
        break;
      case Varint(4):
        out->sequence = reader.get_uint64();
        break;
      case Varint(5):
        out->oldest_held = reader.get_uint64();
        break;
      case Bytes(6):
        out->has_acknowledged = true;
        error = DecodeTotals(reader.get_view(), &out->acknowledged);
        break;
      case Varint(7):
        out->batched_before = reader.get_uint64();
        break;
      case Varint(8):
        out->span_count = reader.get_uint32();
        break;
      case Bytes(9):
        error = DecodeDrop(reader.get_view(), &out->drops);
        break;
      case Varint(10):
        out->sampled_out = reader.get_uint64();
        break;
      case Fixed64(11):
        out->send_time_ns = static_cast<std::int64_t>(std::min(reader.get_fixed64(), kMaxTimeNs));
        break;
      case Fixed64(12):
        out->redaction_policy = reader.get_fixed64();
        break;
      case Bytes(13):
        if (!DecodeHeartbeat(reader.get_view(), out)) error = "bad_gauge";
        break;
      default:
        reader.skip();
    }
  }
  return error;
}

const char* Judge(const Raw& raw, EnvelopeView* out) {
  if (raw.version != kWireVersion) return "bad_version";
  if (raw.kind < 1 || raw.kind > 5) return "bad_kind";
  out->kind = static_cast<EnvelopeKind>(raw.kind);
  if (raw.process_id.size() != out->process_id.size()) return "bad_process_id";
  std::memcpy(out->process_id.data(), raw.process_id.data(), out->process_id.size());
  if (out->process_id == core::ProcessId{}) return "bad_process_id";
  if (out->sequence > kMaxCount || out->oldest_held > kMaxCount) return "bad_sequence";
  if (out->kind == EnvelopeKind::kSpans) {
    // The batch itself is held until it is acknowledged.
    if (out->sequence == 0 || out->oldest_held > out->sequence) return "bad_sequence";
  } else {
    out->sequence = 0;
  }
  return std::max(out->batched_before, out->sampled_out) > kMaxCount ? "bad_count" : nullptr;
}

std::string EncodeDrop(const core::Drop& drop) {
  std::string bytes;
  protozero::pbf_writer writer(bytes);
  writer.add_bytes(1, drop.reason);
  writer.add_uint64(2, drop.spans);
  return bytes;
}

std::string EncodeTotals(const core::Totals& totals) {
  std::string bytes;
  protozero::pbf_writer writer(bytes);
  writer.add_uint64(1, totals.sequence);
  writer.add_uint64(2, totals.batched);
  writer.add_uint64(3, totals.sampled_out);
  for (const core::Drop& drop : totals.drops) writer.add_message(4, EncodeDrop(drop));
  return bytes;
}

std::string EncodeHeartbeat(const EnvelopeView& envelope) {
  std::string bytes;
  protozero::pbf_writer writer(bytes);
  writer.add_uint64(1, envelope.rss_bytes);
  writer.add_uint64(2, envelope.sdk_bytes);
  writer.add_uint64(3, envelope.sdk_cpu_ns);
  for (const core::GaugeView& gauge : envelope.gauges) {
    protozero::pbf_writer gauge_writer(writer, 4);
    gauge_writer.add_bytes(1, gauge.name);
    for (const auto& [name, value] : gauge.labels) {
      protozero::pbf_writer label_writer(gauge_writer, 2);
      label_writer.add_bytes(1, name);
      label_writer.add_bytes(2, value);
    }
    gauge_writer.add_double(3, gauge.value);
  }
  writer.add_double(5, envelope.sdk_ring_fill);
  if (envelope.sdk_sample_rate >= 0) writer.add_double(6, envelope.sdk_sample_rate);
  return bytes;
}

std::string_view View(const core::ProcessId& id) { return {reinterpret_cast<const char*>(id.data()), id.size()}; }

}  // namespace

const char* DecodeEnvelope(std::string_view bytes, EnvelopeView* out) {
  *out = EnvelopeView{};
  if (bytes.size() > kMaxEnvelopeBytes) return "too_large";
  Raw raw;
  try {
    if (const char* error = DecodeFields(bytes, out, &raw)) return error;
  } catch (const protozero::exception&) {
    return "bad_envelope";
  }
  return Judge(raw, out);
}

std::string EncodeEnvelope(const EnvelopeView& envelope) {
  std::string bytes;
  protozero::pbf_writer writer(bytes);
  writer.add_uint32(1, kWireVersion);
  writer.add_enum(2, static_cast<std::int32_t>(envelope.kind));
  writer.add_bytes(3, View(envelope.process_id));
  if (envelope.sequence != 0) writer.add_uint64(4, envelope.sequence);
  writer.add_uint64(5, envelope.oldest_held);
  if (envelope.has_acknowledged) writer.add_message(6, EncodeTotals(envelope.acknowledged));
  writer.add_uint64(7, envelope.batched_before);
  writer.add_uint32(8, envelope.span_count);
  for (const core::Drop& drop : envelope.drops) writer.add_message(9, EncodeDrop(drop));
  writer.add_uint64(10, envelope.sampled_out);
  writer.add_fixed64(11, static_cast<std::uint64_t>(envelope.send_time_ns));
  writer.add_fixed64(12, envelope.redaction_policy);
  if (envelope.kind == EnvelopeKind::kHeartbeat) writer.add_message(13, EncodeHeartbeat(envelope));
  return bytes;
}

Settings SettingsOf(const core::Limits& limits) {
  return {limits.sample_rate, static_cast<std::uint64_t>(std::max<std::int64_t>(limits.slow_warning_ns, 0))};
}

std::string EncodeAnswer(const core::Answer& answer, const Settings* settings) {
  std::string bytes;
  protozero::pbf_writer writer(bytes);
  writer.add_uint32(1, kWireVersion);
  writer.add_enum(2, static_cast<std::int32_t>(answer.kind));
  writer.add_bytes(3, View(answer.process_id));
  writer.add_uint64(4, answer.applied);
  if (settings != nullptr) {
    protozero::pbf_writer inner(writer, 5);
    if (settings->sample_rate >= 0) inner.add_double(1, std::min(settings->sample_rate, 1.0));
    if (settings->slow_threshold_ns > 0) inner.add_uint64(2, settings->slow_threshold_ns);
  }
  if (answer.reason != nullptr && answer.reason[0] != '\0') writer.add_string(6, answer.reason);
  return bytes;
}

bool DecodeAnswer(std::string_view bytes, DecodedAnswer* out) {
  *out = DecodedAnswer{};
  std::uint32_t version = 0;
  std::uint64_t kind = 0;
  try {
    protozero::pbf_reader reader(bytes);
    while (reader.next()) {
      switch (reader.tag_and_type()) {
        case Varint(1):
          version = reader.get_uint32();
          break;
        case Varint(2):
          kind = reader.get_uint64();
          break;
        case Bytes(3): {
          const std::string_view id = reader.get_view();
          if (id.size() != out->process_id.size()) return false;
          std::memcpy(out->process_id.data(), id.data(), id.size());
          break;
        }
        case Varint(4):
          out->applied = reader.get_uint64();
          break;
        case Bytes(5): {
          out->has_settings = true;
          protozero::pbf_reader inner(reader.get_view());
          while (inner.next()) {
            switch (inner.tag_and_type()) {
              case Fixed64(1):
                out->settings.sample_rate = inner.get_double();
                break;
              case Varint(2):
                out->settings.slow_threshold_ns = inner.get_uint64();
                break;
              default:
                inner.skip();
            }
          }
          break;
        }
        case Bytes(6):
          out->reason = std::string(reader.get_view());
          break;
        default:
          reader.skip();
      }
    }
  } catch (const protozero::exception&) {
    return false;
  }
  if (version != kWireVersion || kind < 1 || kind > 5) return false;
  out->kind = static_cast<core::AnswerKind>(kind);
  return true;
}

}  // namespace spanwatch::ingest
