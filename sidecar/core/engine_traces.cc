// Whole traces: copies for readers and for the forwarder.
#include <algorithm>
#include <map>

#include "sidecar/core/engine_impl.h"
#include "sidecar/core/span_detail.h"
#include "sidecar/core/trace_summary.h"

namespace spanwatch::core {
namespace {

constexpr std::size_t kMaxCompleted = 4096;  // waiting for the forwarder
constexpr std::uint64_t kRatioBits = std::uint64_t{1} << 56;
// What of a trace is copied in one hold of the mutex.
constexpr std::size_t kSpansPerHold = 1024, kDetailsPerHold = 128 << 10;

// The names that the spans of a copy use. Numbers are collected without the engine's mutex, names under it.
struct Names {
  struct Operation {
    std::uint32_t service;
    std::string service_name, name;
  };
  std::map<std::uint32_t, Operation> operations;
  std::map<std::uint16_t, std::string> scopes;
  std::map<std::uint16_t, std::string> resources;  // encoded
};

Names Collect(const FlatBuffer<StoredSpan>& spans) {
  Names names;
  std::uint32_t operation = kNone;
  std::uint32_t scope = kNone, resource = kNone;
  for (const StoredSpan& span : spans) {
    if (span.operation != operation) names.operations[operation = span.operation];
    if (span.scope != scope) names.scopes[static_cast<std::uint16_t>(scope = span.scope)];
    if (span.resource != resource) names.resources[static_cast<std::uint16_t>(resource = span.resource)];
  }
  return names;
}

void Fill(const Catalog& catalog, Names* names) {
  for (auto& [number, operation] : names->operations) {
    const auto& source = catalog.operation(number);
    operation = {source.service, std::string(catalog.service_name(source.service)), source.name};
  }
  for (auto& [number, scope] : names->scopes) scope = catalog.scope_name(number);
  for (auto& [number, resource] : names->resources) resource = catalog.resource(number);
}

// Resources are numbered in the order of their first span. One that is not known by its attributes is its service's
// name.
class Resources {
 public:
  Resources(const Names* names, TraceCopy* copy) : names_(names), copy_(copy) {}
  std::uint32_t Of(const StoredSpan& span, const Names::Operation& operation) {
    const auto [it, added] = known_.insert({{span.resource, span.resource == 0 ? operation.service : 0},
                                            static_cast<std::uint32_t>(copy_->resources.size())});
    if (!added) return it->second;
    std::vector<AttributeCopy> attributes = DecodeAttributes(names_->resources.at(span.resource));
    const bool named = std::any_of(attributes.begin(), attributes.end(),
                                   [](const AttributeCopy& a) { return a.key == "service.name"; });
    if (!named) {
      attributes.insert(attributes.begin(),
                        AttributeCopy{"service.name", AttributeType::kString, 0, 0, operation.service_name});
    }
    copy_->resources.push_back(std::move(attributes));
    return it->second;
  }

 private:
  const Names* names_;
  TraceCopy* copy_;
  std::map<std::pair<std::uint16_t, std::uint32_t>, std::uint32_t> known_;
};

// In order of arrival. Depth and orphan as the store keeps them while spans come.
void Unpack(const FlatBuffer<StoredSpan>& spans, std::string_view details, const Names& names, TraceCopy* copy) {
  Resources resources(&names, copy);
  copy->spans.reserve(spans.size());
  const std::uint32_t base = spans.empty() ? 0 : spans[0].detail_at;
  for (const StoredSpan& span : spans) {
    const Names::Operation& operation = names.operations.at(span.operation);
    SpanCopy& shown = copy->spans.emplace_back();
    shown.span_id = span.span_id;
    shown.parent_id = span.parent_id;
    shown.start_ns = span.start_ns;
    shown.end_ns = span.end_ns;
    shown.service = operation.service_name;
    shown.name = operation.name;
    shown.scope = names.scopes.at(span.scope);
    shown.kind = span.kind;
    shown.status = span.status;
    shown.orphan = span.parent_id.IsValid() && span.parent == kNone;
    shown.depth = span.levels_above;
    shown.resource = resources.Of(span, operation);
    ReadDetail(details.substr(span.detail_at - base, span.detail_size), &shown);
  }
}

std::string_view Details(const Trace& trace) { return {trace.details.data(), trace.details.size()}; }

// The trace's own figures. Spans, details and index are left out.
void CopyHead(const Trace& trace, Trace* raw) {
  raw->id = trace.id;
  raw->serial = trace.serial;
  raw->first_arrival_ns = trace.first_arrival_ns;
  raw->last_arrival_ns = trace.last_arrival_ns;
  raw->min_start_ns = trace.min_start_ns;
  raw->max_end_ns = trace.max_end_ns;
  raw->live = true;
}

// Copies a range of a buffer that only grows, a part a hold. The part goes to memory that is there already, and from
// there, without the mutex, to its place: fresh pages take longer than the copying.
template <typename T>
class SlicedCopy {
 public:
  SlicedCopy(std::size_t begin, std::size_t end, std::size_t per_hold)
      : at_(begin), end_(end), part_(std::min(per_hold, end - begin)) {}
  bool done() const { return at_ == end_; }
  void Take(const FlatBuffer<T>& from) {
    taken_ = std::min(part_.size(), end_ - at_);
    std::copy_n(from.data() + at_, taken_, part_.data());
    at_ += taken_;
  }
  void Put(FlatBuffer<T>* to) { to->Append(part_.data(), std::exchange(taken_, 0)); }

 private:
  std::size_t at_, end_, taken_ = 0;
  std::vector<T> part_;
};

}  // namespace

// What came after the first hold is left out: the copy is the trace as it was then.
bool Engine::Impl::CopyTrace(const TraceId& id, std::uint32_t first, Trace* raw, TraceSummary* summary) const {
  std::optional<TraceSummariser> summariser;
  std::size_t spans_end = 0, details_begin = 0, details_end = 0;
  {
    MutexLock lock(&mutex_);
    const std::uint32_t slot = store_.Find(id);
    if (slot == kNone) return false;
    const Trace& trace = store_.trace(slot);
    CopyHead(trace, raw);
    summariser.emplace(trace);
    spans_end = trace.spans.size();
    details_begin = details_end = trace.details.size();
    if (first < spans_end) details_begin = trace.spans[first].detail_at;
  }
  SlicedCopy<StoredSpan> spans(std::min<std::size_t>(first, spans_end), spans_end, kSpansPerHold);
  SlicedCopy<char> details(details_begin, details_end, kDetailsPerHold);
  for (bool more = true; more;) {
    {
      MutexLock lock(&mutex_);
      if (!StillStored(*raw)) return false;
      const Trace& trace = store_.trace(store_.Find(id));
      spans.Take(trace.spans);
      details.Take(trace.details);
      summariser->Add(trace, catalog_, kSpansPerHold);
      more = !spans.done() || !details.done() || !summariser->done();
      if (!more) *summary = summariser->Take(trace, catalog_);
    }
    spans.Put(&raw->spans);
    details.Put(&raw->details);
  }
  return true;
}

bool Engine::Impl::StillStored(const Trace& raw) const {
  const std::uint32_t slot = store_.Find(raw.id);
  return slot != kNone && store_.trace(slot).serial == raw.serial;
}

std::optional<TraceCopy> Engine::Impl::GetTrace(const TraceId& id) const {
  TraceCopy copy;
  Trace raw;  // copied under the mutex, unpacked outside
  if (!CopyTrace(id, 0, &raw, &copy.summary)) return std::nullopt;
  raw.index = std::make_unique<SpanIndex>();
  for (std::uint32_t i = 0; i < raw.spans.size(); ++i) raw.index->At(raw.spans[i].span_id.value).span = i;
  CollectMissing(raw, &copy);
  Names names = Collect(raw.spans);
  {
    MutexLock lock(&mutex_);
    if (!StillStored(raw)) return std::nullopt;
    Fill(catalog_, &names);
    ExplainMissing(raw, &copy);
  }
  Unpack(raw.spans, Details(raw), names, &copy);
  const std::vector<std::uint32_t> depths = ExactDepths(raw);
  for (std::uint32_t i = 0; i < raw.spans.size(); ++i) {
    SpanCopy& shown = copy.spans[i];
    shown.orphan = shown.parent_id.IsValid() && TraceStore::FindSpan(raw, shown.parent_id) == kNone;
    shown.depth = depths[i];
  }
  std::sort(copy.spans.begin(), copy.spans.end(), [](const SpanCopy& a, const SpanCopy& b) {
    return a.start_ns != b.start_ns ? a.start_ns < b.start_ns : a.span_id.value < b.span_id.value;
  });
  return copy;
}

std::optional<TraceCopy> Engine::Impl::GetSpans(const TraceId& id, std::uint32_t first_span) const {
  TraceCopy copy;
  Trace raw;
  if (!CopyTrace(id, first_span, &raw, &copy.summary)) return std::nullopt;
  Names names = Collect(raw.spans);
  {
    MutexLock lock(&mutex_);
    if (!StillStored(raw)) return std::nullopt;
    Fill(catalog_, &names);
  }
  Unpack(raw.spans, Details(raw), names, &copy);
  return copy;
}

// Gives what is new of a completed trace to the forwarder, if it is one of those that leave.
void Engine::Impl::Offer(Trace* trace, bool going) {
  const ForwardChoice& choice = limits_.forward;
  const bool chosen = choice.all || (choice.slow && trace->DurationNs() > limits_.slow_warning_ns) ||
                      (choice.failed && trace->errors > 0) || (choice.alerted && trace->alerted) ||
                      (choice.sample_ratio > 0 && static_cast<double>(trace->id.lo & (kRatioBits - 1)) <
                                                      choice.sample_ratio * static_cast<double>(kRatioBits));
  if (!chosen || trace->reported >= trace->spans.size()) return;
  const std::uint32_t first = std::exchange(trace->reported, static_cast<std::uint32_t>(trace->spans.size()));
  if (completed_.size() >= kMaxCompleted) {
    ++forward_dropped_;
    return;
  }
  Completed completed{trace->id, first, nullptr};
  if (going) {
    auto copy = std::make_shared<TraceCopy>();
    copy->summary = Summarise(*trace);
    FlatBuffer<StoredSpan> spans;
    spans.Append(trace->spans.data() + first, trace->spans.size() - first);
    Names names = Collect(spans);
    Fill(catalog_, &names);
    Unpack(spans, Details(*trace).substr(spans[0].detail_at), names, copy.get());
    completed.copy = std::move(copy);
  }
  completed_.push_back(std::move(completed));
}

std::vector<Completed> Engine::Impl::TakeCompleted() {
  MutexLock lock(&mutex_);
  return std::exchange(completed_, {});
}

}  // namespace spanwatch::core
