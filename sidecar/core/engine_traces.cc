// Whole traces: copies for readers and for the forwarder.
#include <algorithm>
#include <map>

#include "sidecar/core/engine_impl.h"
#include "sidecar/core/span_detail.h"

namespace spanwatch::core {
namespace {

constexpr std::size_t kMaxCompleted = 4096;  // waiting for the forwarder
constexpr std::uint64_t kRatioBits = std::uint64_t{1} << 56;

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

struct Raw {
  Trace trace;  // spans and details alone
  std::string_view details() const { return {trace.details.data(), trace.details.size()}; }
};

Raw CopyRaw(const Trace& trace, std::uint32_t first) {
  Raw raw;
  if (first >= trace.spans.size()) return raw;
  const std::uint32_t text = trace.spans[first].detail_at;
  raw.trace.spans.Append(trace.spans.data() + first, trace.spans.size() - first);
  raw.trace.details.Append(trace.details.data() + text, trace.details.size() - text);
  return raw;
}

}  // namespace

std::optional<TraceCopy> Engine::Impl::GetTrace(const TraceId& id) const {
  TraceCopy copy;
  Raw raw;  // copied under the mutex, unpacked outside
  {
    MutexLock lock(&mutex_);
    const std::uint32_t slot = store_.Find(id);
    if (slot == kNone) return std::nullopt;
    const Trace& trace = store_.trace(slot);
    copy.summary = Summarise(trace);
    ExplainMissing(trace, &copy);
    raw = CopyRaw(trace, 0);
  }
  Names names = Collect(raw.trace.spans);
  {
    MutexLock lock(&mutex_);
    Fill(catalog_, &names);
  }
  Unpack(raw.trace.spans, raw.details(), names, &copy);
  raw.trace.index = std::make_unique<SpanIndex>();
  for (std::uint32_t i = 0; i < raw.trace.spans.size(); ++i)
    raw.trace.index->At(raw.trace.spans[i].span_id.value).span = i;
  const std::vector<std::uint32_t> depths = ExactDepths(raw.trace);
  for (std::uint32_t i = 0; i < raw.trace.spans.size(); ++i) {
    SpanCopy& shown = copy.spans[i];
    shown.orphan = shown.parent_id.IsValid() && TraceStore::FindSpan(raw.trace, shown.parent_id) == kNone;
    shown.depth = depths[i];
  }
  std::sort(copy.spans.begin(), copy.spans.end(), [](const SpanCopy& a, const SpanCopy& b) {
    return a.start_ns != b.start_ns ? a.start_ns < b.start_ns : a.span_id.value < b.span_id.value;
  });
  return copy;
}

std::optional<TraceCopy> Engine::Impl::GetSpans(const TraceId& id, std::uint32_t first_span) const {
  TraceCopy copy;
  Raw raw;
  {
    MutexLock lock(&mutex_);
    const std::uint32_t slot = store_.Find(id);
    if (slot == kNone) return std::nullopt;
    const Trace& trace = store_.trace(slot);
    copy.summary = Summarise(trace);
    raw = CopyRaw(trace, first_span);
  }
  Names names = Collect(raw.trace.spans);
  {
    MutexLock lock(&mutex_);
    Fill(catalog_, &names);
  }
  Unpack(raw.trace.spans, raw.details(), names, &copy);
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
    const Raw raw = CopyRaw(*trace, first);
    Names names = Collect(raw.trace.spans);
    Fill(catalog_, &names);
    Unpack(raw.trace.spans, raw.details(), names, copy.get());
    completed.copy = std::move(copy);
  }
  completed_.push_back(std::move(completed));
}

std::vector<Completed> Engine::Impl::TakeCompleted() {
  MutexLock lock(&mutex_);
  return std::exchange(completed_, {});
}

}  // namespace spanwatch::core
