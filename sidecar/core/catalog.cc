#include "sidecar/core/catalog.h"

namespace spanwatch::core {
namespace {

// Beside the text itself: the entry, its place in the table of names, malloc's share.
constexpr std::uint64_t kServiceEntryBytes = 160;
constexpr std::uint64_t kOperationEntryBytes = sizeof(Operation) + 112;
constexpr std::uint64_t kResourceEntryBytes = 160;

}  // namespace

std::uint64_t Catalog::OperationBytes(std::string_view name) { return kOperationEntryBytes + name.size(); }
std::uint64_t Catalog::ServiceBytes(std::string_view name) { return kServiceEntryBytes + name.size(); }
std::uint64_t Catalog::ResourceBytes(std::string_view bytes) { return kResourceEntryBytes + bytes.size(); }

Catalog::Catalog() {
  ServiceEntry& other = services_.Append();
  other.name = kOtherName;
  other.live = true;
  service_ids_[other.name] = 0;
  service_bytes_ = ServiceBytes(kOtherName);
  scope_ids_[scopes_.Append()] = 0;
  resources_.Append();
}

std::uint32_t Catalog::Service(std::string_view name, std::int64_t now_ns) {
  if (const auto it = service_ids_.find(name); it != service_ids_.end()) {
    services_[it->second].last_seen_ns = now_ns;
    return it->second;
  }
  const bool full = free_services_.empty() && services_.size() >= kMaxServices;
  if (full || name.size() > kMaxNameBytes) return 0;
  std::uint32_t id;
  if (free_services_.empty()) {
    id = static_cast<std::uint32_t>(services_.size());
    services_.Append();
  } else {
    id = free_services_.back();
    free_services_.pop_back();
  }
  ServiceEntry& service = services_[id];
  service.name = name;
  service.live = true;
  service.last_seen_ns = now_ns;
  service_bytes_ += ServiceBytes(name);
  service_ids_[service.name] = id;
  return id;
}

std::uint32_t Catalog::Scope(std::string_view name) {
  if (const auto it = scope_ids_.find(name); it != scope_ids_.end()) return it->second;
  if (scopes_.size() >= kMaxScopes || name.size() > kMaxNameBytes) return 0;
  const auto id = static_cast<std::uint32_t>(scopes_.size());
  std::string& kept = scopes_.Append();
  kept = name;
  scope_bytes_ += kScopeEntryBytes + name.size();
  return scope_ids_[kept] = id;
}

std::uint32_t Catalog::Resource(std::string_view encoded, std::int64_t now_ns) {
  if (encoded.empty()) return 0;
  if (const auto it = resource_ids_.find(encoded); it != resource_ids_.end()) {
    resources_[it->second].last_seen_ns = now_ns;
    return it->second;
  }
  const bool full = free_resources_.empty() && resources_.size() >= kMaxResources;
  if (full || resource_bytes_ + ResourceBytes(encoded) > kMaxAllResourceBytes) return 0;
  std::uint32_t id;
  if (free_resources_.empty()) {
    id = static_cast<std::uint32_t>(resources_.size());
    resources_.Append();
  } else {
    id = free_resources_.back();
    free_resources_.pop_back();
  }
  ResourceEntry& resource = resources_[id];
  resource.bytes = encoded;
  resource.live = true;
  resource.last_seen_ns = now_ns;
  resource_bytes_ += ResourceBytes(encoded);
  return resource_ids_[resource.bytes] = id;
}

std::uint32_t Catalog::Make(std::uint32_t service, std::string_view name, bool other, bool folds, std::int64_t now_ns) {
  std::uint32_t id;
  if (free_operations_.empty()) {
    id = static_cast<std::uint32_t>(operations_.size());
    operations_.Append();
  } else {
    id = free_operations_.back();
    free_operations_.pop_back();
  }
  Operation& operation = operations_[id];
  operation.name = name;
  operation.service = service;
  operation.live = true;
  operation.other = other;
  operation.folds = folds;
  operation.last_seen_ns = now_ns;
  operation.cells.fill(kNoCell);
  ++services_[service].operations;
  operation_bytes_ += OperationBytes(name);
  operation_ids_[OperationKey{service, operation.name}] = id;
  return id;
}

std::uint32_t Catalog::OtherOf(std::uint32_t service, std::int64_t now_ns) {
  const auto it = operation_ids_.find(OperationKey{service, kOtherName});
  if (it == operation_ids_.end()) return Make(service, kOtherName, true, true, now_ns);
  Operation& operation = operations_[it->second];
  operation.last_seen_ns = now_ns;
  operation.folds = true;  // also if a span is really called so
  return it->second;
}

std::uint32_t Catalog::FindOperation(std::string_view service, std::string_view name) const {
  const auto owner = service_ids_.find(service);
  if (owner == service_ids_.end()) return kNoCell;
  auto it = operation_ids_.find(OperationKey{owner->second, name});
  const std::string_view folded = names_.Match(name);
  if (it == operation_ids_.end() && !folded.empty()) it = operation_ids_.find(OperationKey{owner->second, folded});
  return it == operation_ids_.end() ? kNoCell : it->second;
}

std::uint32_t Catalog::NewOperation(std::uint32_t service, std::string_view name, std::int64_t now_ns) {
  const std::string_view folded = names_.Match(name);
  if (!folded.empty()) {
    name = folded;
    if (const auto it = operation_ids_.find(OperationKey{service, name}); it != operation_ids_.end()) {
      operations_[it->second].last_seen_ns = now_ns;
      return it->second;
    }
  }
  // Each service may still get its "(other)" when the table is full; services are bounded themselves.
  const bool full = live_operations() >= kMaxOperations || operation_bytes_ + OperationBytes(name) > kMaxOperationBytes;
  if (full || name.size() > kMaxNameBytes) return OtherOf(service, now_ns);
  return Make(service, name, false, !folded.empty(), now_ns);
}

void Catalog::Configure(const std::vector<std::string>& names) {
  if (names == names_.texts()) return;
  names_ = SpanNames(names);
  MapOperations();
}

// Which names lead to their operation: all but those for which a template stands. Those live on until they are idle.
void Catalog::MapOperations() {
  operation_ids_.clear();
  for (std::uint32_t id = 0; id < operations_.size(); ++id) {
    Operation& operation = operations_[id];
    if (!operation.live) continue;
    const std::string_view folded = names_.Match(operation.name);
    if (folded == operation.name) operation.folds = true;
    if (folded.empty() || folded == operation.name || operation.name == kOtherName)
      operation_ids_[OperationKey{operation.service, operation.name}] = id;
  }
}

void Catalog::FreeOperation(std::uint32_t id) {
  Operation& operation = operations_[id];
  const auto it = operation_ids_.find(OperationKey{operation.service, operation.name});
  if (it != operation_ids_.end() && it->second == id) operation_ids_.erase(it);
  --services_[operation.service].operations;
  operation_bytes_ -= OperationBytes(operation.name);
  operation = Operation();
  operation.cells.fill(kNoCell);
  free_operations_.push_back(id);
}

void Catalog::FreeServicesAndResources(std::int64_t before_ns, std::vector<std::uint32_t>* freed_services) {
  for (std::uint32_t id = 1; id < services_.size(); ++id) {
    ServiceEntry& service = services_[id];
    if (!service.live || service.operations != 0 || service.last_seen_ns >= before_ns) continue;
    service_ids_.erase(service.name);
    service_bytes_ -= ServiceBytes(service.name);
    service = ServiceEntry();
    free_services_.push_back(id);
    freed_services->push_back(id);
  }
  for (std::uint32_t id = 1; id < resources_.size(); ++id) {
    ResourceEntry& resource = resources_[id];
    if (!resource.live || resource.last_seen_ns >= before_ns) continue;
    resource_ids_.erase(resource.bytes);
    resource_bytes_ -= ResourceBytes(resource.bytes);
    resource = ResourceEntry();
    free_resources_.push_back(id);
  }
}

bool Catalog::FreeIdle(std::int64_t before_ns, const std::vector<bool>& pinned, std::size_t limit,
                       std::vector<std::uint32_t>* freed, std::vector<std::uint32_t>* freed_services) {
  for (std::uint32_t id = 0; id < operations_.size(); ++id) {
    const Operation& operation = operations_[id];
    if (!operation.live || operation.last_seen_ns >= before_ns || (id < pinned.size() && pinned[id])) continue;
    bool counted = false;
    for (const std::uint32_t cell : operation.cells) counted = counted || cell != kNoCell;
    if (counted) continue;
    if (freed->size() == limit) return true;
    FreeOperation(id);
    freed->push_back(id);
  }
  FreeServicesAndResources(before_ns, freed_services);
  return false;
}

}  // namespace spanwatch::core
