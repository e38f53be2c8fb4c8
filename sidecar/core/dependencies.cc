#include "sidecar/core/dependencies.h"

#include <algorithm>

namespace spanwatch::core {
namespace {

constexpr std::int64_t kMinuteNs = 60'000'000'000, kFiveNs = 5 * kMinuteNs;
constexpr std::uint64_t kEdgeBytes = 64;  // of the index and malloc, by edge

void Observe(std::int64_t value, double weight, DurationHistogram* histogram) {
  std::size_t bucket = 0;
  while (bucket < kDurationBucketsNs.size() && value > kDurationBucketsNs[bucket]) ++bucket;
  histogram->buckets[bucket] += weight;
  histogram->sum += weight * static_cast<double>(value);
  histogram->count += weight;
}

std::uint32_t NumberOf(std::int64_t ns, std::int64_t length_ns) {
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(ns / length_ns, 0, UINT32_MAX));
}

}  // namespace

Dependencies::Edge& Dependencies::Obtain(std::uint32_t client, std::uint32_t server) {
  std::uint32_t number;
  if (free_.empty()) {
    number = static_cast<std::uint32_t>(edges_.size());
    edges_.Append();
  } else {
    number = free_.back();
    free_.pop_back();
  }
  Edge& edge = edges_[number];
  edge.live = true;
  edge.client = client;
  edge.server = server;
  index_[KeyOf(client, server)] = number;
  return edge;
}

// Service 0 calls itself: what found no room.
Dependencies::Edge& Dependencies::EdgeOf(std::uint32_t client, std::uint32_t server) {
  const auto it = index_.find(KeyOf(client, server));
  if (it != index_.end()) return edges_[it->second];
  if (index_.size() - index_.count(KeyOf(0, 0)) < kMaxEdges || (client == 0 && server == 0))
    return Obtain(client, server);
  return EdgeOf(0, 0);
}

void Dependencies::CountPair(std::int64_t now_ns, const Catalog& catalog, const StoredSpan& parent,
                             const StoredSpan& child) {
  if (parent.operation == child.operation) return;
  const std::uint32_t client = catalog.operation(parent.operation).service;
  const std::uint32_t server = catalog.operation(child.operation).service;
  if (client == server) return;
  const bool calls = parent.kind == SpanKind::kClient || parent.kind == SpanKind::kProducer;
  const bool failed = child.status == StatusCode::kError || (calls && parent.status == StatusCode::kError);
  const auto weight = static_cast<double>(child.weight);
  const std::int64_t server_ns = child.end_ns - child.start_ns;
  Edge& edge = EdgeOf(client, server);
  edge.totals.calls += weight;
  if (failed) edge.totals.failed += weight;
  Observe(calls ? parent.end_ns - parent.start_ns : server_ns, weight, &edge.totals.client_side);
  Observe(server_ns, weight, &edge.totals.server_side);
  Count(NumberOf(now_ns, kMinuteNs), child, failed, &edge.minutes);
  Count(NumberOf(now_ns, kFiveNs), child, failed, &edge.fives);
}

template <std::size_t N>
void Dependencies::Count(std::uint32_t number, const StoredSpan& child, bool failed, std::array<Slot, N>* slots) {
  Slot& slot = (*slots)[number % N];
  if (slot.number != number) slot = Slot{.number = number};
  slot.calls += child.weight;
  if (failed) slot.failed += child.weight;
  slot.duration_ms += child.weight * static_cast<float>(static_cast<double>(child.end_ns - child.start_ns) / 1e6);
}

// A pair is counted when the later of its two spans is new. Children mostly come before their parents.
bool Dependencies::OnTrace(std::int64_t now_ns, const Catalog& catalog, Trace* trace, std::uint32_t limit) {
  const auto size = static_cast<std::uint32_t>(trace->spans.size());
  const std::uint32_t first = trace->mapped;
  if (first < size && trace->several_services) {
    if (CountNew(now_ns, catalog, *trace, limit) || CountOld(now_ns, catalog, *trace, limit)) return true;
    progress_.new_spans = progress_.old_spans = 0;
    progress_.parents.clear();
  }
  trace->mapped = size;
  return false;
}

bool Dependencies::CountNew(std::int64_t now_ns, const Catalog& catalog, const Trace& trace, std::uint32_t limit) {
  const auto size = static_cast<std::uint32_t>(trace.spans.size());
  const std::uint32_t first = trace.mapped, begin = first + progress_.new_spans;
  const std::uint32_t end = begin + std::min(limit, size - begin);
  for (std::uint32_t i = begin; i < end; ++i) {
    const StoredSpan& span = trace.spans[i];
    if (first > 0 && span.levels_below > 1) progress_.parents.emplace_back(span.span_id.value, i);
    if (!span.parent_id.IsValid() || span.parent_id == span.span_id) continue;
    const std::uint32_t parent = span.parent != kNone ? span.parent : TraceStore::FindSpan(trace, span.parent_id);
    if (parent != kNone) CountPair(now_ns, catalog, trace.spans[parent], span);
  }
  progress_.new_spans = end - first;
  if (end < size) return true;
  if (begin < size) std::sort(progress_.parents.begin(), progress_.parents.end());
  return false;
}

// Children that were here before their parents.
bool Dependencies::CountOld(std::int64_t now_ns, const Catalog& catalog, const Trace& trace, std::uint32_t limit) {
  const auto& parents = progress_.parents;
  if (parents.empty()) return false;
  const std::uint32_t begin = progress_.old_spans, end = begin + std::min(limit, trace.mapped - begin);
  for (std::uint32_t i = begin; i < end; ++i) {
    const StoredSpan& span = trace.spans[i];
    const auto it = std::lower_bound(parents.begin(), parents.end(), std::pair{span.parent_id.value, 0u});
    if (it == parents.end() || it->first != span.parent_id.value) continue;
    CountPair(now_ns, catalog, trace.spans[it->second], span);
  }
  progress_.old_spans = end;
  return end < trace.mapped;
}

void Dependencies::ForgetService(std::uint32_t service) {
  for (std::uint32_t i = 0; i < edges_.size(); ++i) {
    Edge& edge = edges_[i];
    if (!edge.live || (edge.client != service && edge.server != service)) continue;
    index_.erase(KeyOf(edge.client, edge.server));
    edge = Edge();
    free_.push_back(i);
  }
}

std::uint64_t Dependencies::bytes() const {
  std::uint64_t total = edges_.size() * (sizeof(Edge) + kEdgeBytes);
  for (std::size_t i = 0; i < edges_.size(); ++i) total += edges_[i].at_mark == nullptr ? 0 : sizeof(Totals);
  return total;
}

void Dependencies::Mark() {
  for (std::size_t i = 0; i < edges_.size(); ++i) {
    if (edges_[i].live) edges_[i].at_mark = std::make_unique<Totals>(edges_[i].totals);
  }
}

// Over the running slot, `number`, and those before it.
template <std::size_t N>
Dependency::Window Dependencies::WindowOf(const std::array<Slot, N>& slots, std::uint32_t number) {
  Dependency::Window window;
  for (const Slot& each : slots) {
    if (each.number == 0 || each.number > number || number - each.number >= N) continue;
    window.calls += static_cast<double>(each.calls);
    window.failed += static_cast<double>(each.failed);
    window.duration_sum_ns += static_cast<double>(each.duration_ms) * 1e6;
  }
  return window;
}

bool Dependencies::Show(std::int64_t now_ns, std::size_t slot, const Catalog& catalog, Dependency* out) const {
  if (slot >= edges_.size() || !edges_[slot].live) return false;
  const Edge& edge = edges_[slot];
  out->client = catalog.service_name(edge.client);
  out->server = catalog.service_name(edge.server);
  out->calls = edge.totals.calls;
  out->failed = edge.totals.failed;
  out->client_side = edge.totals.client_side;
  out->server_side = edge.totals.server_side;
  out->last_5m = WindowOf(edge.minutes, NumberOf(now_ns, kMinuteNs));
  out->last_60m = WindowOf(edge.fives, NumberOf(now_ns, kFiveNs));
  if (edge.at_mark != nullptr) {
    out->calls_before = edge.at_mark->calls;
    out->failed_before = edge.at_mark->failed;
    out->client_before = edge.at_mark->client_side;
    out->server_before = edge.at_mark->server_side;
  }
  return true;
}

// In an order that every fold of the same records gives.
std::vector<const Dependencies::Edge*> Dependencies::Sorted() const {
  std::vector<const Edge*> sorted;
  for (std::size_t i = 0; i < edges_.size(); ++i) {
    if (edges_[i].live) sorted.push_back(&edges_[i]);
  }
  std::sort(sorted.begin(), sorted.end(),
            [](const Edge* a, const Edge* b) { return KeyOf(a->client, a->server) < KeyOf(b->client, b->server); });
  return sorted;
}

void Dependencies::Save(CodecWriter* out) const {
  const auto save = [&](const DurationHistogram& histogram) {
    for (const double bucket : histogram.buckets) out->F64(bucket);
    out->F64(histogram.sum).F64(histogram.count);
  };
  const auto save_slot = [&](const Slot& slot) {
    out->U64(slot.number);
    if (slot.number == 0) return;
    out->F64(static_cast<double>(slot.calls)).F64(static_cast<double>(slot.failed));
    out->F64(static_cast<double>(slot.duration_ms));
  };
  const std::vector<const Edge*> sorted = Sorted();
  out->U64(sorted.size());
  for (const Edge* edge : sorted) {
    out->U64(edge->client).U64(edge->server).F64(edge->totals.calls).F64(edge->totals.failed);
    save(edge->totals.client_side);
    save(edge->totals.server_side);
    for (const Slot& slot : edge->minutes) save_slot(slot);
    for (const Slot& slot : edge->fives) save_slot(slot);
  }
}

bool Dependencies::Load(CodecReader* in, std::size_t services) {
  const auto load = [&](DurationHistogram* histogram) {
    for (double& bucket : histogram->buckets) bucket = in->F64();
    histogram->sum = in->F64();
    histogram->count = in->F64();
  };
  const auto load_slot = [&](Slot* slot) {
    slot->number = in->U32();
    if (slot->number == 0) return;
    slot->calls = static_cast<float>(in->F64());
    slot->failed = static_cast<float>(in->F64());
    slot->duration_ms = static_cast<float>(in->F64());
  };
  const std::size_t count = in->Count();
  if (count > kMaxEdges + 1) return false;
  for (std::size_t i = 0; i < count && in->ok(); ++i) {
    const auto client = static_cast<std::uint32_t>(in->Below(services));
    const auto server = static_cast<std::uint32_t>(in->Below(services));
    if (!in->ok() || index_.contains(KeyOf(client, server))) return false;
    Edge& edge = Obtain(client, server);
    edge.totals.calls = in->F64();
    edge.totals.failed = in->F64();
    load(&edge.totals.client_side);
    load(&edge.totals.server_side);
    for (Slot& slot : edge.minutes) load_slot(&slot);
    for (Slot& slot : edge.fives) load_slot(&slot);
  }
  return in->ok();
}

}  // namespace spanwatch::core
