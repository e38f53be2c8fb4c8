// The ledger as a checkpoint keeps it.
#include <algorithm>

#include "sidecar/core/ledger.h"

namespace spanwatch::core {
namespace {

constexpr std::size_t kMaxProcesses = 1u << 16;

template <typename Map>
void SaveReasons(const Map& reasons, CodecWriter* out) {
  out->U64(reasons.size());
  for (const auto& [reason, spans] : reasons) out->Text(reason).U64(spans);
}

template <typename Map>
void LoadReasons(CodecReader* in, Map* reasons) {
  for (std::size_t n = in->Count(); n > 0 && in->ok(); --n) {
    const std::string reason(in->Text());
    (*reasons)[reason] = in->U64();
  }
}

void SaveGauges(const std::vector<ProcessView::Gauge>& gauges, CodecWriter* out) {
  out->U64(gauges.size());
  for (const ProcessView::Gauge& gauge : gauges) {
    out->Text(gauge.name).F64(gauge.value).U64(gauge.labels.size());
    for (const NameValue& label : gauge.labels) out->Text(label.name).Text(label.value);
  }
}

void LoadGauges(CodecReader* in, std::vector<ProcessView::Gauge>* gauges) {
  for (std::size_t n = in->Count(); n > 0 && in->ok(); --n) {
    ProcessView::Gauge gauge;
    gauge.name = in->Text();
    gauge.value = in->F64();
    for (std::size_t labels = in->Count(); labels > 0 && in->ok(); --labels) {
      NameValue label;
      label.name = in->Text();
      label.value = in->Text();
      gauge.labels.push_back(std::move(label));
    }
    gauges->push_back(std::move(gauge));
  }
}

}  // namespace

void Ledger::SaveProcess(const ProcessId& id, const Process& p, CodecWriter* out) const {
  out->Text({reinterpret_cast<const char*>(id.data()), id.size()});
  out->U64(static_cast<std::uint64_t>(p.state)).Bool(p.tail_unknown).U64(p.serial).U64(p.connection);
  out->Text(p.service).Text(p.instance).I64(p.last_seen_ns);
  out->U64(p.judged_sequence).U64(p.judged_batched).U64(p.reported_batched);
  out->U64(p.base_batched).U64(p.base_sampled_out);
  SaveReasons(p.base_drops, out);
  out->U64(p.applied).U64(p.sampled_out).U64(p.dropped);
  SaveReasons(p.lost, out);
  out->U64(p.open_spans).U64(p.rss_bytes).U64(p.sdk_bytes).U64(p.sdk_cpu_ns);
  out->F64(p.sdk_ring_fill).F64(p.sdk_sample_rate);
  SaveGauges(p.gauges, out);
  out->U64(p.open.size());
  for (const OpenSpan& span : p.open) {
    out->Id(span.trace_id).Id(span.span_id).Id(span.parent_id).I64(span.start_ns).U64(span.operation);
    const auto it = open_index_.find(span.span_id.value);
    out->U64(static_cast<std::uint64_t>(span.kind)).Bool(it != open_index_.end() && it->second == &span);
  }
  out->U64(p.episodes.size());
  for (const Episode& episode : p.episodes)
    out->Text(episode.reason).I64(episode.first_ns).I64(episode.last_ns).U64(episode.spans);
  out->I64(p.first_heartbeat_ns);
  for (const auto* recent : {&p.recent_lost, &p.recent_rss}) {
    out->U64(recent->size());
    for (const Recent& each : *recent) out->I64(each.slot).U64(each.figure);
  }
}

bool Ledger::LoadProcess(CodecReader* in, std::size_t operations, Process* p) {
  p->state = static_cast<State>(in->Below(4));
  p->tail_unknown = in->Bool();
  p->serial = in->U64();
  p->connection = in->U64();
  p->service = in->Text();
  p->instance = in->Text();
  p->last_seen_ns = in->I64();
  p->judged_sequence = in->U64();
  p->judged_batched = in->U64();
  p->reported_batched = in->U64();
  p->base_batched = in->U64();
  p->base_sampled_out = in->U64();
  LoadReasons(in, &p->base_drops);
  p->applied = in->U64();
  p->sampled_out = in->U64();
  p->dropped = in->U64();
  LoadReasons(in, &p->lost);
  p->open_spans = in->U64();
  p->rss_bytes = in->U64();
  p->sdk_bytes = in->U64();
  p->sdk_cpu_ns = in->U64();
  p->sdk_ring_fill = in->F64();
  p->sdk_sample_rate = in->F64();
  LoadGauges(in, &p->gauges);
  std::vector<bool> known;
  for (std::size_t n = in->Count(); n > 0 && in->ok() && p->open.size() < kMaxOpenSpans; --n) {
    OpenSpan span;
    span.trace_id = in->TraceIdValue();
    span.span_id = in->SpanIdValue();
    span.parent_id = in->SpanIdValue();
    span.start_ns = in->I64();
    span.operation = static_cast<std::uint32_t>(in->Below(operations));
    span.kind = static_cast<SpanKind>(in->Below(6));
    known.push_back(in->Bool());
    p->open.push_back(span);
  }
  for (std::size_t i = 0; i < known.size(); ++i) {
    if (known[i]) open_index_.insert({p->open[i].span_id.value, &p->open[i]});
  }
  for (std::size_t n = in->Count(); n > 0 && in->ok() && p->episodes.size() < kMaxEpisodes; --n) {
    Episode episode;
    episode.reason = in->Text();
    episode.first_ns = in->I64();
    episode.last_ns = in->I64();
    episode.spans = in->U64();
    p->episodes.push_back(std::move(episode));
  }
  p->first_heartbeat_ns = in->I64();
  for (auto* recent : {&p->recent_lost, &p->recent_rss}) {
    for (std::size_t n = in->Count(); n > 0 && in->ok() && recent->size() <= kRecentNs / kRecentSlotNs; --n) {
      const std::int64_t slot = in->I64();
      recent->push_back({slot, in->U64()});
    }
  }
  return in->ok();
}

void Ledger::Save(CodecWriter* out) const {
  out->U64(serial_).U64(refused_processes_).U64(total_lost_).U64(past_emitted_).U64(past_applied_);
  out->U64(past_sampled_out_).I64(now_ns_).I64(next_due_);
  SaveReasons(past_lost_, out);
  out->U64(processes_.size());
  for (const auto& [id, process] : processes_) SaveProcess(id, process, out);
}

bool Ledger::Load(CodecReader* in, std::size_t operations) {
  serial_ = in->U64();
  refused_processes_ = in->U64();
  total_lost_ = in->U64();
  past_emitted_ = in->U64();
  past_applied_ = in->U64();
  past_sampled_out_ = in->U64();
  now_ns_ = in->I64();
  next_due_ = in->I64();
  LoadReasons(in, &past_lost_);
  const std::size_t count = in->Count();
  if (count > kMaxProcesses) return false;
  for (std::size_t i = 0; i < count && in->ok(); ++i) {
    ProcessId id{};
    const std::string_view name = in->Text();
    if (name.size() != id.size()) return false;
    std::copy(name.begin(), name.end(), id.begin());
    if (!LoadProcess(in, operations, &processes_[id])) return false;
  }
  return in->ok();
}

}  // namespace spanwatch::core
