#include "sidecar/notify/kept_index.h"

#include <algorithm>
#include <utility>

#include "sidecar/core/codec.h"

namespace spanwatch::notify {
namespace {

constexpr std::uint64_t kVersion = 1;
constexpr std::size_t kPartForCuts = 8;  // one of so many parts of the room is left to copies that are cut

}  // namespace

void KeptIndex::Put(const std::string& incident, const std::string& alertname, const TraceId& trace,
                    std::int64_t resolved_ns) {
  auto it = incidents_.find(incident);
  const bool is_new = it == incidents_.end();
  if (is_new) {
    MakeRoomForIncident();
    it = incidents_.emplace(incident, Incident{}).first;
    it->second.order = ++last_order_;
  }
  const std::string id = trace.ToHex();
  const std::string former = std::exchange(it->second.trace, id);
  it->second.alertname = alertname;
  it->second.resolved_ns = resolved_ns;
  Changed(&changed_incidents_, incident);
  const auto [entry, unknown] = traces_.try_emplace(id);
  if (unknown) {
    entry->second.order = ++last_order_;
    Changed(&changed_traces_, id);
  }
  entry->second.incidents.insert(incident);
  if (!is_new && former != id) Unlink(incident, former);
}

void KeptIndex::Resolve(const std::string& incident, std::int64_t resolved_ns) {
  const auto it = incidents_.find(incident);
  if (it == incidents_.end() || it->second.resolved_ns != 0) return;
  it->second.resolved_ns = resolved_ns;
  Changed(&changed_incidents_, incident);
}

// The trace goes with the last incident that refers to it.
void KeptIndex::Unlink(const std::string& incident, const std::string& trace) {
  const auto it = traces_.find(trace);
  if (it == traces_.end()) return;
  it->second.incidents.erase(incident);
  if (!it->second.incidents.empty()) return;
  DropCopy(trace, &it->second);
  Changed(&changed_traces_, trace);
  traces_.erase(it);
}

void KeptIndex::Erase(std::map<std::string, Incident>::iterator it) {
  const std::string incident = it->first, trace = it->second.trace;
  incidents_.erase(it);
  Changed(&changed_incidents_, incident);
  Unlink(incident, trace);
}

void KeptIndex::MakeRoomForIncident() {
  if (incidents_.size() < limits_.incidents || incidents_.empty()) return;
  const auto age = [](const Incident& each) { return Age{each.resolved_ns == 0, each.resolved_ns, each.order}; };
  Erase(std::min_element(incidents_.begin(), incidents_.end(),
                         [&](const auto& a, const auto& b) { return age(a.second) < age(b.second); }));
}

void KeptIndex::ForgetOld(std::int64_t wall_ns) {
  for (auto it = incidents_.begin(); it != incidents_.end();) {
    const auto next = std::next(it);
    if (it->second.resolved_ns != 0 && it->second.resolved_ns < wall_ns - limits_.keep_ns) Erase(it);
    it = next;
  }
}

const KeptIndex::Trace* KeptIndex::Find(const TraceId& id) const {
  const auto it = traces_.find(id.ToHex());
  return it == traces_.end() ? nullptr : &it->second;
}

const KeptIndex::Trace* KeptIndex::FindOf(const std::string& incident) const {
  const auto it = incidents_.find(incident);
  if (it == incidents_.end()) return nullptr;
  const auto trace = traces_.find(it->second.trace);
  return trace == traces_.end() ? nullptr : &trace->second;
}

bool KeptIndex::Fires(const std::string& incident) const {
  const auto it = incidents_.find(incident);
  return it != incidents_.end() && it->second.resolved_ns == 0;
}

std::vector<std::string> KeptIndex::Firing() const {
  std::vector<std::string> firing;
  for (const auto& [id, incident] : incidents_) {
    if (incident.resolved_ns == 0) firing.push_back(id);
  }
  return firing;
}

std::vector<std::string> KeptIndex::AlertNames(const Trace& trace) const {
  std::set<std::string> names;
  for (const std::string& incident : trace.incidents) {
    if (const auto it = incidents_.find(incident); it != incidents_.end()) names.insert(it->second.alertname);
  }
  return {names.begin(), names.end()};
}

bool KeptIndex::SetPath(const TraceId& id, CriticalPath path, std::uint32_t spans, bool complete) {
  const std::string key = id.ToHex();
  const auto it = traces_.find(key);
  if (it == traces_.end()) return false;
  Trace& trace = it->second;
  const bool differs = trace.path != path;
  if (differs || trace.spans != spans || trace.complete != complete) Changed(&changed_traces_, key);
  trace.path = std::move(path);
  trace.spans = spans;
  trace.complete = complete;
  return differs;
}

KeptIndex::Age KeptIndex::AgeOf(const Trace& trace) const {
  Age age{false, 0, trace.order};
  for (const std::string& id : trace.incidents) {
    const Incident& incident = incidents_.at(id);
    age.fires = age.fires || incident.resolved_ns == 0;
    age.resolved_ns = std::max(age.resolved_ns, incident.resolved_ns);
  }
  if (age.fires) age.resolved_ns = 0;
  return age;
}

std::size_t KeptIndex::RoomForWhole(const TraceId& id) const {
  const std::string self = id.ToHex();
  std::size_t taken = limits_.all_bytes / kPartForCuts;
  for (const auto& [key, trace] : traces_) {
    if (trace.bytes > 0 && key != self && AgeOf(trace).fires) taken += trace.bytes;
  }
  return std::min(limits_.each_bytes, taken >= limits_.all_bytes ? 0 : limits_.all_bytes - taken);
}

void KeptIndex::SetCopy(const TraceId& id, KeptBytes copy) {
  const std::string key = id.ToHex();
  const auto it = traces_.find(key);
  if (it == traces_.end()) return;
  Trace& trace = it->second;
  DropCopy(key, &trace);
  trace.cut = copy.cut;
  Changed(&changed_traces_, key);
  if (copy.bytes.empty() || copy.bytes.size() > std::min(limits_.each_bytes, limits_.all_bytes)) return;
  trace.bytes = copy.bytes.size();
  trace.body = std::move(copy.bytes);
  bytes_ += trace.bytes;
  ++copies_;
  DropCopiesBut(key);
}

void KeptIndex::DropCopy(const std::string& id, Trace* trace) {
  if (trace->bytes == 0) return;
  bytes_ -= std::exchange(trace->bytes, 0);
  --copies_;
  trace->body = {};
  Changed(&changed_traces_, id);
}

void KeptIndex::DropCopiesBut(const std::string& id) {
  while (bytes_ > limits_.all_bytes) {
    Age oldest;
    auto victim = traces_.end();
    for (auto it = traces_.begin(); it != traces_.end(); ++it) {
      if (it->second.bytes == 0 || it->first == id) continue;
      const Age age = AgeOf(it->second);
      if (victim != traces_.end() && oldest <= age) continue;
      victim = it;
      oldest = age;
    }
    if (victim == traces_.end()) return;
    DropCopy(victim->first, &victim->second);
  }
}

std::size_t KeptIndex::Load(const StoredKept& stored) {
  std::size_t unreadable = 0;
  for (const StoredKeptTrace& row : stored.traces) {
    core::CodecReader reader(row.info);
    Trace trace;
    TraceId id;
    const bool known = reader.U64() == kVersion;
    const bool good = known && notify::Load(&reader, &trace.path);
    trace.spans = reader.U32();
    trace.complete = reader.Bool();
    trace.cut = reader.Bool();
    trace.order = reader.Below(UINT64_MAX / 2);
    if (!good || !reader.AtEnd() || !TraceId::FromHex(row.id, &id) || id.ToHex() != row.id) {
      ++unreadable;
      changed_traces_.insert(row.id);
      continue;
    }
    trace.bytes = row.size <= limits_.each_bytes ? static_cast<std::size_t>(row.size) : 0;
    last_order_ = std::max(last_order_, trace.order);
    traces_.emplace(row.id, std::move(trace));
  }
  for (const StoredKeptIncident& row : stored.incidents) {
    core::CodecReader reader(row.info);
    Incident incident;
    const bool known = reader.U64() == kVersion;
    incident.alertname = reader.Text();
    incident.trace = reader.Text();
    incident.resolved_ns = reader.I64();
    incident.order = reader.Below(UINT64_MAX / 2);
    const auto trace = traces_.find(incident.trace);
    if (!known || !reader.AtEnd() || trace == traces_.end() || incidents_.size() >= limits_.incidents) {
      ++unreadable;
      changed_incidents_.insert(row.id);
      continue;
    }
    trace->second.incidents.insert(row.id);
    last_order_ = std::max(last_order_, incident.order);
    incidents_.emplace(row.id, std::move(incident));
  }
  // Traces that lost what they were kept for; only a damaged row can cause that.
  std::erase_if(traces_, [&](const auto& entry) {
    if (entry.second.incidents.empty()) changed_traces_.insert(entry.first);
    return entry.second.incidents.empty();
  });
  for (const auto& [id, trace] : traces_) {
    copies_ += trace.bytes > 0 ? 1 : 0;
    bytes_ += trace.bytes;
  }
  DropCopiesBut("");
  return unreadable;
}

KeptChanges KeptIndex::TakeChanges() {
  KeptChanges changes;
  changes.reset = std::exchange(reset_, false);
  for (const std::string& id : std::exchange(changed_incidents_, {})) {
    const auto it = incidents_.find(id);
    if (it == incidents_.end()) {
      changes.removed_incidents.push_back(id);
      continue;
    }
    StoredKeptIncident row{id, ""};
    const Incident& incident = it->second;
    core::CodecWriter(&row.info)
        .U64(kVersion)
        .Text(incident.alertname)
        .Text(incident.trace)
        .I64(incident.resolved_ns)
        .U64(incident.order);
    changes.incidents.push_back(std::move(row));
  }
  for (const std::string& id : std::exchange(changed_traces_, {})) {
    const auto it = traces_.find(id);
    if (it == traces_.end()) {
      changes.removed_traces.push_back(id);
      continue;
    }
    const Trace& trace = it->second;
    StoredKeptTrace row;
    row.id = id;
    core::CodecWriter writer(&row.info);
    writer.U64(kVersion);
    Save(trace.path, &writer);
    writer.U64(trace.spans).Bool(trace.complete).Bool(trace.cut).U64(trace.order);
    using Body = StoredKeptTrace::Body;
    row.change = !trace.body.empty() ? Body::kNew : trace.bytes == 0 ? Body::kNone : Body::kAsItWas;
    row.body = trace.body;
    changes.traces.push_back(std::move(row));
  }
  return changes;
}

void KeptIndex::Written(const KeptChanges& changes) {
  for (const StoredKeptTrace& row : changes.traces) {
    const auto it = traces_.find(row.id);
    if (row.change != StoredKeptTrace::Body::kNew || it == traces_.end()) continue;
    if (it->second.body == row.body) it->second.body = {};
  }
}

void KeptIndex::NotWritten(const KeptChanges& changes) {
  reset_ = reset_ || changes.reset;
  for (const auto& row : changes.incidents) changed_incidents_.insert(row.id);
  changed_incidents_.insert(changes.removed_incidents.begin(), changes.removed_incidents.end());
  for (const auto& row : changes.traces) changed_traces_.insert(row.id);
  changed_traces_.insert(changes.removed_traces.begin(), changes.removed_traces.end());
}

void KeptIndex::ForgetDisk() {
  reset_ = true;
  changed_incidents_.clear();
  changed_traces_.clear();
  for (const auto& [id, incident] : incidents_) changed_incidents_.insert(id);
  for (auto& [id, trace] : traces_) {
    if (trace.bytes > 0 && trace.body.empty()) {
      bytes_ -= std::exchange(trace.bytes, 0);
      --copies_;
    }
    changed_traces_.insert(id);
  }
}

}  // namespace spanwatch::notify
