#include "sidecar/core/engine.h"

#include <algorithm>

#include "sidecar/core/engine_impl.h"
#include "sidecar/core/span_detail.h"

namespace spanwatch::core {
namespace {

constexpr std::size_t kSlice =
    256;  // spans under one hold of the mutex: half a millisecond where each is of another service
constexpr std::size_t kTracesPerHold = 200;
constexpr std::size_t kLargeTrace = 4096;  // spans from which a trace is judged in several holds
constexpr std::size_t kMaxMalformedReasons = 32;
constexpr std::size_t kMaxWaiting = 1000;            // traces that wait for their root's name
constexpr std::int64_t kRootWaitNs = 3'000'000'000;  // SDKs report a span open after one to two seconds
constexpr int kMaxOpenWalk = 256;
// Statistics are weighed so rarely because some of them are lists of thousands.
constexpr std::uint64_t kRecordsPerWeighing = 32;
constexpr std::uint64_t kStatisticsMargin = 256u << 10;  // may come meanwhile

// Over a gap of months (a clock that was set right, a span of 1970 in a replay) ticks lie on whole hours: decades are
// caught up with in a moment.
constexpr std::int64_t kLongGapNs = 2'592'000'000'000'000, kLongTickNs = 3'600'000'000'000;

std::int64_t CeilToGrid(std::int64_t ns, std::int64_t grid_ns = kTickNs) {
  return ns > INT64_MAX - grid_ns ? INT64_MAX : (ns + grid_ns - 1) / grid_ns * grid_ns;
}

}  // namespace

Engine::Impl::Impl(const Limits& limits, std::shared_ptr<const RuleSet> rules)
    : alerts_(&catalog_), statistics_(&catalog_) {
  MutexLock lock(&mutex_);
  // Only called under mutex_.
  judge_ = [this](std::uint32_t slot, bool going) NO_THREAD_SAFETY_ANALYSIS { JudgeComplete(slot, going); };
  limits_ = limits;
  alerts_.Configure(0, limits, rules ? std::move(rules) : std::make_shared<RuleSet>());
  Configure();
}

// REQUIRES: limits_ and the rules are new.
void Engine::Impl::Configure() {
  store_.Configure(limits_);
  ledger_.Configure(limits_);
  catalog_.Configure(limits_.span_names);
  statistics_.Configure(limits_, alerts_.rules()->rules.size());
  overview_.Configure(limits_);
  health_.Configure(limits_);
}

void Engine::Impl::Apply(const RecordHeader& header, const Decoded& decoded) {
  RecordHeader record = header;
  const bool changes = AlwaysChanges(header, decoded);
  Mark before{};
  {
    MutexLock lock(&mutex_);
    if (!changes) before = TakeMark();
    record.now_ns = std::max(record.now_ns, now_ns_);
    if (records_ == 0 && started_ns_ == 0) {
      started_ns_ = record.now_ns;
      last_tick_ns_ = record.now_ns / kTickNs * kTickNs;
    }
    if (record.index != 0) ++records_;          // what no fold will see must not count: statistics are weighed by it
    if (record.kind == RecordKind::kRestart) {  // before the ticks that lie in between
      ledger_.Resume(record.now_ns);
      alerts_.Resume(now_ns_, record.now_ns);
    }
  }
  RunTicks(record.now_ns);
  ApplyRecord(record, decoded);
  if (!changes) {
    MutexLock lock(&mutex_);
    if (TakeMark() == before) return;
  }
  // After the change: nobody takes an older state for the new one.
  generation_.fetch_add(1, std::memory_order_release);
}

void Engine::Impl::ApplyRecord(const RecordHeader& record, const Decoded& decoded) {
  switch (record.kind) {
    case RecordKind::kTime:
    case RecordKind::kRestart:
    case RecordKind::kCheckpoint:
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
      alerts_.Configure(record.now_ns, limits_, decoded.rules != nullptr ? decoded.rules : alerts_.rules());
      Configure();
      while (store_.MakeRoom(judge_, kTracesPerHold)) Breathe();
      break;
    }
  }
}

std::int64_t Engine::Impl::NextTickDue() const {
  const std::int64_t waiting = waiting_.empty() ? INT64_MAX : waiting_.front().until_ns;
  return std::min({store_.NextDue(), alerts_.NextDue(), ledger_.NextDue(), health_.NextDue(), waiting, NextSweep()});
}

// The ticks of the grid up to `now_ns`; those with nothing due are skipped at once.
void Engine::Impl::RunTicks(std::int64_t now_ns) {
  std::int64_t grid_ns = 0;
  for (;;) {
    MutexLock lock(&mutex_);
    if (grid_ns == 0) grid_ns = now_ns - last_tick_ns_ > kLongGapNs ? kLongTickNs : kTickNs;
    if (alerts_.InPass()) {  // the rest of this tick in this hold and the next
      if (!alerts_.Advance(now_ns_, {store_.counts(), ledger_, health_})) last_tick_ns_ = now_ns_;
      continue;
    }
    const std::int64_t latest = now_ns / kTickNs * kTickNs;
    const std::int64_t due = std::max(last_tick_ns_ + kTickNs, CeilToGrid(NextTickDue()));
    if (due > latest) {
      last_tick_ns_ = std::max(last_tick_ns_, latest);
      now_ns_ = now_ns;
      return;
    }
    const std::int64_t tick = std::min(CeilToGrid(due, grid_ns), latest);
    now_ns_ = tick;
    alerts_.NoteLost(ledger_.total_lost());
    if (store_.Advance(tick, kTracesPerHold, judge_)) continue;  // the rest of this tick in the next hold
    if (tick >= NextSweep() && Sweep(tick)) continue;
    JudgeOverdue();
    ledger_.Advance(tick);
    overview_.Advance(tick);
    while (health_.Advance(tick, catalog_, ledger_)) Breathe();
    alerts_.NoteLost(ledger_.total_lost());
    if (!alerts_.Advance(tick, {store_.counts(), ledger_, health_})) last_tick_ns_ = tick;
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
      if (records_ % kRecordsPerWeighing == 0) WeighStatistics();
    }
    for (std::size_t i = begin; i < end; ++i) ApplySpan(batch, batch.spans[i], &last);
    overview_.Settle();
    spans_applied_ += end - begin;
    JudgeCrossings();
  }
}

// The overview takes what the others leave of the budget.
void Engine::Impl::WeighStatistics() {
  const std::uint64_t used = statistics_.bytes() + OtherStatisticsBytes() + kStatisticsMargin;
  overview_.SetRoom(used < kMaxStatisticsBytes ? kMaxStatisticsBytes - used : 0);
  const std::uint64_t others = used - alerts_.group_bytes();
  alerts_.SetRoom(others < kMaxStatisticsBytes ? kMaxStatisticsBytes - others : 0);
}

void Engine::Impl::ResolveResource(const SpanBatch& batch, const SpanView& span, Neighbour* last) {
  const ResourceView& resource = batch.resources[span.resource];
  const std::uint32_t service = catalog_.Service(resource.service_name, now_ns_);
  if (service != last->service) last->operation = kNone;
  last->service = service;
  EncodeAttributes(batch, resource.attributes, kMaxResourceBytes, &encoded_);
  last->resource_number = catalog_.Resource(encoded_, now_ns_);
  last->resource = span.resource;
}

// Names are looked up where they differ from those of the span before.
void Engine::Impl::ApplySpan(const SpanBatch& batch, const SpanView& span, Neighbour* last) {
  if (span.resource != last->resource) ResolveResource(batch, span, last);
  if (span.name != last->name || last->operation == kNone) {
    last->operation = catalog_.OperationOf(last->service, span.name, now_ns_);
    last->folds = catalog_.operation(last->operation).folds;
    last->name = span.name;
  }
  if (span.scope_name != last->scope_name) {
    last->scope = catalog_.Scope(span.scope_name);
    last->scope_name = span.scope_name;
  }
  std::uint32_t slot;
  const TraceStore::Added added =
      store_.Add(now_ns_, batch, span, last->operation, last->folds, last->scope, last->resource_number, &slot);
  if (added == TraceStore::Added::kDuplicate) return;
  Statistics::Cell& cell = statistics_.CellOf(now_ns_, last->operation, span.kind, span.status);
  if (cell.generation != alerts_.generation()) {
    cell.binding = alerts_.Bind({cell.operation, span.kind, span.status});
    cell.generation = alerts_.generation();
  }
  statistics_.Count(now_ns_, &cell, last->service, span);
  overview_.OnSpan(now_ns_, last->operation, last->service, batch, span);
  health_.OnSpan(now_ns_, last->service, span);
  if (store_.last_tells_model()) gen_ai_.OnSpan(now_ns_, last->service, batch, span, limits_.prices.get());
  if (span.status == StatusCode::kError) {
    const std::uint32_t group = errors_.OnSpan(now_ns_, last->operation, span);
    if (added == TraceStore::Added::kStored) store_.NoteFailure(slot, group);
  }
  if (last->service == 0) statistics_.CountOtherService(now_ns_, batch.resources[span.resource].service_name);
  const Subject subject{cell.operation, span.kind, span.status};
  if (!cell.binding.windows.empty()) alerts_.OnWindows(now_ns_, subject, batch, span, &cell.binding);
  if (span.end_ns - span.start_ns > cell.binding.min_duration_ns &&
      alerts_.OnSpan(now_ns_, cell.binding, subject, batch, span)) {
    store_.MarkAlerted(slot);
  }
  Trace& trace = store_.trace(slot);
  if (trace.service == kNone) trace.service = last->service;
  if (trace.service != last->service) trace.several_services = true;
  if (alerts_.MayCross(trace) && (crossings_.empty() || crossings_.back().first != slot))
    crossings_.emplace_back(slot, trace.serial);
  store_.MakeRoom(judge_);
}

void Engine::Impl::ApplyOpenSpans(const EnvelopeView& envelope, const SpanBatch& batch) {
  std::vector<OpenSpan> open;
  open.reserve(std::min(batch.spans.size(), kMaxOpenSpans));
  for (const SpanView& span : batch.spans) {
    const std::uint32_t service = catalog_.Service(batch.resources[span.resource].service_name, now_ns_);
    const std::uint32_t operation = catalog_.OperationOf(service, span.name, now_ns_);
    if (open.size() < kMaxOpenSpans)
      open.push_back({span.trace_id, span.span_id, span.parent_id, span.start_ns, operation, span.kind});
    alerts_.OnOpenSpan(now_ns_, {operation, span.kind, span.status}, batch, span,
                       std::max<std::int64_t>(0, envelope.send_time_ns - span.start_ns));
  }
  ledger_.OnOpenSpans(envelope, batch.spans.size(), std::move(open));
  JudgeWaiting();
}

// After the record, not in its middle: then the root of a trace that came whole is known, and names the incident.
void Engine::Impl::JudgeCrossings() {
  for (const auto& [slot, serial] : crossings_) {
    const Trace& trace = store_.trace(slot);
    if (trace.live && trace.serial == serial) JudgeCrossing(slot, false);
  }
  crossings_.clear();
}

// One incident must not have two names, so one that crosses before its root is known waits for it a little: the root
// ends, or its process tells (each second) that it is open.
void Engine::Impl::JudgeCrossing(std::uint32_t slot, bool told_open) {
  Trace& trace = store_.trace(slot);
  const bool nameless = trace.root == kNone && trace.verdicts.empty();
  const OpenSpan* root = nameless && !(trace.awaits_root && !told_open) ? OpenRoot(trace) : nullptr;
  if (nameless && root == nullptr && (trace.awaits_root || waiting_.size() < kMaxWaiting)) {
    if (trace.awaits_root) return;
    trace.awaits_root = true;
    waiting_.push_back({now_ns_ + kRootWaitNs, slot, trace.serial});
    return;
  }
  trace.awaits_root = false;
  if (alerts_.OnTrace(now_ns_, false, root, &trace)) store_.MarkAlerted(slot);
}

// Open spans were told: roots among them.
void Engine::Impl::JudgeWaiting() {
  for (const Waiting& waiting : waiting_) {
    const Trace& trace = store_.trace(waiting.slot);
    if (trace.live && trace.serial == waiting.serial && trace.awaits_root) JudgeCrossing(waiting.slot, true);
  }
}

void Engine::Impl::JudgeOverdue() {
  for (; !waiting_.empty() && waiting_.front().until_ns <= now_ns_; waiting_.pop_front()) {
    const Waiting waiting = waiting_.front();
    Trace& trace = store_.trace(waiting.slot);
    if (!trace.live || trace.serial != waiting.serial || !trace.awaits_root) continue;
    trace.awaits_root = false;
    if (alerts_.OnTrace(now_ns_, false, OpenRoot(trace), &trace)) store_.MarkAlerted(waiting.slot);
  }
}

// The highest ancestor of the tallest chain that its process told to be open.
const OpenSpan* Engine::Impl::OpenRoot(const Trace& trace) const {
  if (trace.root != kNone) return nullptr;
  const OpenSpan* root = nullptr;
  SpanId above = trace.spans[Alerts::TopOf(trace)].parent_id;
  for (int steps = 0; above.IsValid() && steps < kMaxOpenWalk; ++steps) {
    const OpenSpan* open = ledger_.FindOpen(trace.id, above);
    if (open == nullptr) break;
    root = open;
    above = open->parent_id;
  }
  return root;
}

void Engine::Impl::JudgeComplete(std::uint32_t slot, bool going) {
  Trace& trace = store_.trace(slot);
  if (trace.spans.empty()) return;
  if (alerts_.OnTrace(now_ns_, true, OpenRoot(trace), &trace)) store_.MarkAlerted(slot);
  if (!trace.complete) statistics_.CountTrace(trace.depth, trace.spans.size() + trace.truncated, trace.DurationNs());
  const bool large = trace.spans.size() > kLargeTrace;
  if (large) Breathe();
  while (dependencies_.OnTrace(now_ns_, catalog_, &trace, kLargeTrace)) Breathe();
  while (trace.errors > 0 && errors_.OnTrace(&trace, kLargeTrace)) Breathe();
  if (large) Breathe();
  if (!trace.complete) NoteCompleted(trace.id);
  if (limits_.forward.Any()) Offer(&trace, going);
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
std::string Engine::Checkpoint() const { return impl_->Checkpoint(); }
bool Engine::Restore(const Decoded& reload, std::string_view checkpoint) { return impl_->Restore(reload, checkpoint); }
void Engine::MarkStart() { impl_->MarkStart(); }
StatsView Engine::StatsAtStart() const { return impl_->StatsAtStart(); }
StatsView Engine::Stats() const { return impl_->Stats(); }
MetricsView Engine::Metrics() const { return impl_->Metrics(); }
std::vector<Incident> Engine::Incidents() const { return impl_->Incidents(); }
std::shared_ptr<const RuleSet> Engine::Rules() const { return impl_->Rules(); }
std::vector<TraceSummary> Engine::FindTraces(const TraceQuery& query, std::size_t* total) const {
  return impl_->FindTraces(query, total);
}
std::optional<TraceCopy> Engine::GetTrace(const TraceId& id) const { return impl_->GetTrace(id); }
std::vector<std::string> Engine::TakeNotices() { return impl_->TakeNotices(); }
std::vector<Completed> Engine::TakeCompleted() { return impl_->TakeCompleted(); }
std::optional<TraceCopy> Engine::GetSpans(const TraceId& id, std::uint32_t first_span) const {
  return impl_->GetSpans(id, first_span);
}
bool Engine::HasTrace(const TraceId& id) const { return impl_->HasTrace(id); }
std::uint64_t Engine::Digest() const { return impl_->Digest(); }

}  // namespace spanwatch::core
