#include "sidecar/core/engine.h"

#include <algorithm>

#include "sidecar/core/engine_impl.h"

namespace spanwatch::core {
namespace {

constexpr std::size_t kSlice = 512;  // spans under one hold of the mutex
constexpr std::size_t kTracesPerHold = 200;
constexpr std::size_t kMaxMalformedReasons = 32;

std::int64_t CeilToGrid(std::int64_t ns) {
  return ns > INT64_MAX - kTickNs ? INT64_MAX : (ns + kTickNs - 1) / kTickNs * kTickNs;
}

}  // namespace

Engine::Impl::Impl(const Limits& limits, std::shared_ptr<const RuleSet> rules) : alerts_(&catalog_) {
  MutexLock lock(&mutex_);
  judge_ = [this](std::uint32_t slot) NO_THREAD_SAFETY_ANALYSIS { JudgeComplete(slot); };  // only called under mutex_
  limits_ = limits;
  store_.Configure(limits);
  ledger_.Configure(limits);
  alerts_.Configure(0, limits, rules ? std::move(rules) : std::make_shared<RuleSet>());
  series_.emplace_back();
}

void Engine::Impl::Apply(const RecordHeader& header, const Decoded& decoded) {
  RecordHeader record = header;
  {
    MutexLock lock(&mutex_);
    record.now_ns = std::max(record.now_ns, now_ns_);
    if (records_++ == 0) {
      started_ns_ = record.now_ns;
      last_tick_ns_ = record.now_ns / kTickNs * kTickNs;
    }
  }
  RunTicks(record.now_ns);
  switch (record.kind) {
    case RecordKind::kTime:
      break;
    case RecordKind::kMessage:
      ApplyMessage(record, decoded);
      break;
    case RecordKind::kOtlp:
      if (decoded.spans != nullptr) ApplyBatch(record.now_ns, *decoded.spans);
      break;
    case RecordKind::kReload: {
      MutexLock lock(&mutex_);
      if (decoded.limits != nullptr) limits_ = *decoded.limits;
      store_.Configure(limits_);
      ledger_.Configure(limits_);
      alerts_.Configure(record.now_ns, limits_, decoded.rules != nullptr ? decoded.rules : alerts_.rules());
      store_.MakeRoom(judge_);
      break;
    }
  }
}

// The ticks of the grid up to `now_ns`; those with nothing due are skipped at once.
void Engine::Impl::RunTicks(std::int64_t now_ns) {
  for (;;) {
    MutexLock lock(&mutex_);
    const std::int64_t due = std::min({store_.NextDue(), alerts_.NextDue(), ledger_.NextDue()});
    const std::int64_t tick = std::max(last_tick_ns_ + kTickNs, CeilToGrid(due));
    if (tick > now_ns) {
      last_tick_ns_ = std::max(last_tick_ns_, now_ns / kTickNs * kTickNs);
      now_ns_ = now_ns;
      return;
    }
    now_ns_ = tick;
    alerts_.NoteLost(ledger_.total_lost());
    if (store_.Advance(tick, kTracesPerHold, judge_)) continue;  // the rest of this tick in the next hold
    ledger_.Advance(tick);
    alerts_.Advance(tick, store_.counts(), ledger_.total_lost());
    last_tick_ns_ = tick;
  }
}

void Engine::Impl::ApplyMessage(const RecordHeader& header, const Decoded& decoded) {
  bool apply = false;
  {
    MutexLock lock(&mutex_);
    const char* error = decoded.envelope == nullptr ? (decoded.error != nullptr ? decoded.error : "bad_envelope")
                        : decoded.payload_malformed ? "bad_payload"
                                                    : nullptr;
    if (error != nullptr && (malformed_.size() < kMaxMalformedReasons || malformed_.contains(error)))
      ++malformed_[error];
    if (decoded.envelope == nullptr) return;
    apply = ledger_.OnEnvelope(header, *decoded.envelope, decoded, &answers_);
    const bool open = decoded.envelope->kind == EnvelopeKind::kOpenSpans && decoded.spans != nullptr;
    if (open && answers_.back().kind == AnswerKind::kAck) ApplyOpenSpans(*decoded.envelope, *decoded.spans);
    alerts_.NoteLost(ledger_.total_lost());
  }
  if (!apply) return;
  const SpanBatch empty;
  const SpanBatch& batch = decoded.spans != nullptr ? *decoded.spans : empty;
  // A batch that holds more spans than its envelope counted is a lie: what is over would break the ledger.
  if (batch.spans.size() <= decoded.envelope->span_count) ApplyBatch(header.now_ns, batch);
  MutexLock lock(&mutex_);
  ledger_.Applied(*decoded.envelope, batch.spans.size() <= decoded.envelope->span_count ? batch.spans.size() : 0,
                  batch.rejected);
}

void Engine::Impl::ApplyBatch(std::int64_t now_ns, const SpanBatch& batch) {
  Neighbour last;
  for (std::size_t begin = 0; begin < batch.spans.size() || begin == 0; begin += kSlice) {
    const std::size_t end = std::min(begin + kSlice, batch.spans.size());
    MutexLock lock(&mutex_);
    if (begin == 0) {
      now_ns_ = std::max(now_ns_, now_ns);
      rejected_.invalid_id += batch.rejected.invalid_id;
      rejected_.malformed += batch.rejected.malformed;
      rejected_.limit += batch.rejected.limit;
    }
    for (std::size_t i = begin; i < end; ++i) ApplySpan(batch, batch.spans[i], &last);
    spans_applied_ += end - begin;
    JudgeCrossings();
  }
}

Engine::Impl::Cell& Engine::Impl::CellOf(std::uint32_t operation, SpanKind kind, StatusCode status) {
  std::uint32_t& number = catalog_.operation(operation).cells[CellSlot(kind, status)];
  if (number == kNoCell) {
    number = static_cast<std::uint32_t>(cells_.size());
    cells_.emplace_back();
    if (series_.size() <= limits_.max_series) {
      cells_.back().series = static_cast<std::uint32_t>(series_.size());
      series_.push_back({operation, kind, status, {}});
    }
  }
  Cell& cell = cells_[number];
  if (cell.generation != alerts_.generation()) {
    cell.binding = alerts_.Bind({operation, kind, status});
    cell.generation = alerts_.generation();
  }
  return cell;
}

void Engine::Impl::Count(const Cell& cell, std::uint32_t service, const SpanView& span) {
  const std::int64_t duration = std::max<std::int64_t>(0, span.end_ns - span.start_ns);
  Observe(&series_[cell.series].durations, kDurationBucketsNs, duration, span.weight);
  if (services_.size() <= service) services_.resize(service + 1);
  Totals& totals = services_[service];
  totals.spans += span.weight;
  totals.duration_sum_ns += span.weight * static_cast<double>(duration);
  if (span.status == StatusCode::kError) totals.errors += span.weight;
  if (duration > limits_.slow_warning_ns) totals.slow_warning += span.weight;
  if (duration > limits_.slow_critical_ns) totals.slow_critical += span.weight;
}

void Engine::Impl::ApplySpan(const SpanBatch& batch, const SpanView& span, Neighbour* last) {
  const std::uint32_t service = last->service != kNone && span.resource == last->resource
                                    ? last->service
                                    : catalog_.Service(batch.resources[span.resource].service_name);
  if (service != last->service || span.name != last->name) {
    last->operation = catalog_.OperationOf(service, span.name);
    last->name = span.name;
    last->service = service;
  }
  last->resource = span.resource;
  if (span.scope_name != last->scope_name) {
    last->scope = catalog_.Scope(span.scope_name);
    last->scope_name = span.scope_name;
  }
  std::uint32_t slot;
  const bool folded = catalog_.operation(last->operation).other;
  const TraceStore::Added added = store_.Add(now_ns_, batch, span, last->operation, folded, last->scope, &slot);
  if (added == TraceStore::Added::kDuplicate) return;
  const Cell& cell = CellOf(last->operation, span.kind, span.status);
  Count(cell, service, span);
  if (!cell.binding.windows.empty()) alerts_.OnWindows(now_ns_, cell.binding, span);
  if (span.end_ns - span.start_ns > cell.binding.min_duration_ns) {
    if (alerts_.OnSpan(now_ns_, cell.binding, {last->operation, span.kind, span.status}, span))
      store_.MarkAlerted(slot);
  }
  const Trace& trace = store_.trace(slot);
  if (alerts_.MayCross(trace) && (crossings_.empty() || crossings_.back().first != slot))
    crossings_.emplace_back(slot, trace.serial);
  store_.MakeRoom(judge_);
}

void Engine::Impl::ApplyOpenSpans(const EnvelopeView& envelope, const SpanBatch& batch) {
  ledger_.OnOpenSpans(envelope, batch.spans.size());
  for (const SpanView& span : batch.spans) {
    const std::uint32_t service = catalog_.Service(batch.resources[span.resource].service_name);
    const std::uint32_t operation = catalog_.OperationOf(service, span.name);
    alerts_.OnOpenSpan(now_ns_, {operation, span.kind, span.status}, span,
                       std::max<std::int64_t>(0, envelope.send_time_ns - span.start_ns));
  }
}

// After the record, not in its middle: then the root of a trace that came whole is known, and names the incident.
void Engine::Impl::JudgeCrossings() {
  for (const auto& [slot, serial] : crossings_) {
    Trace& trace = store_.trace(slot);
    if (trace.live && trace.serial == serial && alerts_.OnTrace(now_ns_, false, &trace)) store_.MarkAlerted(slot);
  }
  crossings_.clear();
}

void Engine::Impl::JudgeComplete(std::uint32_t slot) {
  Trace& trace = store_.trace(slot);
  if (trace.spans.empty()) return;
  if (alerts_.OnTrace(now_ns_, true, &trace)) store_.MarkAlerted(slot);
  Observe(&trace_depth_, kDepthBuckets, trace.depth, 1);
  Observe(&trace_spans_, kSpanCountBuckets, static_cast<std::int64_t>(trace.spans.size() + trace.truncated), 1);
  Observe(&trace_duration_, kDurationBucketsNs, trace.DurationNs(), 1);
}

std::vector<Answer> Engine::Impl::TakeAnswers() {
  MutexLock lock(&mutex_);
  return std::exchange(answers_, {});
}

std::vector<Transition> Engine::Impl::TakeTransitions() {
  MutexLock lock(&mutex_);
  return alerts_.TakeTransitions();
}

Engine::Engine(Limits limits, std::shared_ptr<const RuleSet> rules)
    : impl_(std::make_unique<Impl>(limits, std::move(rules))) {}
Engine::~Engine() = default;
void Engine::Apply(const RecordHeader& header, const Decoded& decoded) { impl_->Apply(header, decoded); }
std::vector<Answer> Engine::TakeAnswers() { return impl_->TakeAnswers(); }
std::vector<Transition> Engine::TakeTransitions() { return impl_->TakeTransitions(); }
StatsView Engine::Stats() const { return impl_->Stats(); }
MetricsView Engine::Metrics() const { return impl_->Metrics(); }
std::vector<Incident> Engine::Incidents() const { return impl_->Incidents(); }
std::shared_ptr<const RuleSet> Engine::Rules() const { return impl_->Rules(); }
std::vector<TraceSummary> Engine::FindTraces(const TraceQuery& query) const { return impl_->FindTraces(query); }
std::optional<TraceCopy> Engine::GetTrace(const TraceId& id) const { return impl_->GetTrace(id); }
bool Engine::HasTrace(const TraceId& id) const { return impl_->HasTrace(id); }
std::uint64_t Engine::Digest() const { return impl_->Digest(); }

}  // namespace spanwatch::core
