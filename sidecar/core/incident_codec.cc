#include "sidecar/core/incident_codec.h"

namespace spanwatch::core {
namespace {

constexpr std::uint64_t kUnits = static_cast<std::uint64_t>(Unit::kFactor) + 1, kDirections = 2, kStates = 4,
                        kSeverities = 3, kTransitionKinds = 5;

template <typename Enum>
std::uint64_t Number(Enum value) {
  return static_cast<std::uint64_t>(value);
}

void SaveNames(const std::vector<NameValue>& values, CodecWriter* out) {
  out->U64(values.size());
  for (const NameValue& each : values) out->Text(each.name).Text(each.value);
}

void LoadNames(CodecReader* in, std::vector<NameValue>* values) {
  values->clear();
  for (std::size_t n = in->Count(); n > 0 && in->ok(); --n) {
    NameValue each;
    each.name = in->Text();
    each.value = in->Text();
    values->push_back(std::move(each));
  }
}

}  // namespace

void Save(const Incident& i, CodecWriter* out) {
  out->Text(i.id).Text(i.fingerprint).Text(i.alertname).Text(i.rule_group);
  SaveNames(i.labels, out);
  SaveNames(i.annotations, out);
  out->Text(i.measure).U64(Number(i.unit)).U64(Number(i.direction)).U64(Number(i.state));
  out->U64(Number(i.severity)).U64(Number(i.peak_severity));
  out->F64(i.value).F64(i.worst_value).F64(i.threshold);
  out->I64(i.active_at_ns).I64(i.fired_at_ns).I64(i.resolved_at_ns).I64(i.last_match_ns);
  out->U64(i.count).I64(i.window_ns).Id(i.worst_trace).Id(i.worst_span).F64(i.worst_trace_duration_ns);
  out->Text(i.last_error).U64(i.lost_spans);
}

bool Load(CodecReader* in, Incident* out) {
  out->id = in->Text();
  out->fingerprint = in->Text();
  out->alertname = in->Text();
  out->rule_group = in->Text();
  LoadNames(in, &out->labels);
  LoadNames(in, &out->annotations);
  out->measure = in->Text();
  out->unit = static_cast<Unit>(in->Below(kUnits));
  out->direction = static_cast<Direction>(in->Below(kDirections));
  out->state = static_cast<AlertState>(in->Below(kStates));
  out->severity = static_cast<Severity>(in->Below(kSeverities));
  out->peak_severity = static_cast<Severity>(in->Below(kSeverities));
  out->value = in->F64();
  out->worst_value = in->F64();
  out->threshold = in->F64();
  out->active_at_ns = in->I64();
  out->fired_at_ns = in->I64();
  out->resolved_at_ns = in->I64();
  out->last_match_ns = in->I64();
  out->count = in->U64();
  out->window_ns = in->I64();
  out->worst_trace = in->TraceIdValue();
  out->worst_span = in->SpanIdValue();
  out->worst_trace_duration_ns = in->F64();
  out->last_error = in->Text();
  out->lost_spans = in->U64();
  return in->ok();
}

void Save(const Transition& transition, CodecWriter* out) {
  out->Text(transition.id).U64(Number(transition.kind)).I64(transition.at_ns);
  Save(transition.incident, out);
}

bool Load(CodecReader* in, Transition* out) {
  out->id = in->Text();
  out->kind = static_cast<TransitionKind>(in->Below(kTransitionKinds));
  out->at_ns = in->I64();
  return Load(in, &out->incident);
}

}  // namespace spanwatch::core
