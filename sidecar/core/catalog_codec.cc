// The catalog as a checkpoint keeps it: the same names under the same numbers, free ones in the same order.
#include <algorithm>

#include "sidecar/core/catalog.h"

namespace spanwatch::core {
namespace {

void SaveNumbers(const std::vector<std::uint32_t>& numbers, CodecWriter* out) {
  out->U64(numbers.size());
  for (const std::uint32_t number : numbers) out->U64(number);
}

// Free numbers: each is that of an entry that is not live, and no entry twice.
template <typename Entries>
bool LoadFree(CodecReader* in, const Entries& entries, std::size_t dead, std::vector<std::uint32_t>* out) {
  const std::size_t count = in->Count();
  if (count != dead) return false;
  std::vector<bool> seen(entries.size(), false);
  for (std::size_t i = 0; i < count; ++i) {
    const auto number = static_cast<std::uint32_t>(in->Below(entries.size()));
    if (!in->ok() || entries[number].live || seen[number]) return false;
    seen[number] = true;
    out->push_back(number);
  }
  return true;
}

}  // namespace

void Catalog::Save(CodecWriter* out) const {
  out->U64(services_.size());
  for (std::size_t i = 0; i < services_.size(); ++i) {
    const ServiceEntry& service = services_[i];
    out->Bool(service.live);
    if (service.live) out->Text(service.name).I64(service.last_seen_ns);
  }
  SaveNumbers(free_services_, out);
  out->U64(scopes_.size());
  for (std::size_t i = 0; i < scopes_.size(); ++i) out->Text(scopes_[i]);
  out->U64(operations_.size());
  for (std::size_t i = 0; i < operations_.size(); ++i) {
    const Operation& operation = operations_[i];
    out->Bool(operation.live);
    if (!operation.live) continue;
    out->U64(operation.service).Text(operation.name).Bool(operation.other).Bool(operation.folds);
    out->I64(operation.last_seen_ns);
  }
  SaveNumbers(free_operations_, out);
  out->U64(resources_.size());
  for (std::size_t i = 1; i < resources_.size(); ++i) {
    const ResourceEntry& resource = resources_[i];
    out->Bool(resource.live);
    if (resource.live) out->Text(resource.bytes).I64(resource.last_seen_ns);
  }
  SaveNumbers(free_resources_, out);
}

bool Catalog::LoadServices(CodecReader* in) {
  const std::size_t count = in->Count();
  if (count == 0 || count > kMaxServices) return false;
  std::size_t dead = 0;
  for (std::size_t i = 0; i < count; ++i) {
    ServiceEntry& service = services_.Append();
    service.live = in->Bool();
    if (!service.live) {
      ++dead;
      continue;
    }
    service.name = in->Text();
    service.last_seen_ns = in->I64();
    if (service.name.size() > kMaxNameBytes) return false;
    if (!service_ids_.insert({service.name, static_cast<std::uint32_t>(i)}).second) return false;
    service_bytes_ += ServiceBytes(service.name);
  }
  return services_[0].live && services_[0].name == kOtherName && LoadFree(in, services_, dead, &free_services_);
}

bool Catalog::LoadScopes(CodecReader* in) {
  const std::size_t count = in->Count();
  if (count == 0 || count > kMaxScopes) return false;
  for (std::size_t i = 0; i < count; ++i) {
    std::string& scope = scopes_.Append();
    scope = in->Text();
    if (scope.size() > kMaxNameBytes || (i == 0 && !scope.empty())) return false;
    if (!scope_ids_.insert({scope, static_cast<std::uint32_t>(i)}).second) return false;
    if (i > 0) scope_bytes_ += kScopeEntryBytes + scope.size();
  }
  return true;
}

bool Catalog::LoadOperations(CodecReader* in) {
  const std::size_t count = in->Count();
  if (count > kMaxOperations + kMaxServices) return false;
  std::size_t dead = 0;
  for (std::size_t i = 0; i < count; ++i) {
    Operation& operation = operations_.Append();
    operation.cells.fill(kNoCell);
    operation.live = in->Bool();
    if (!operation.live) {
      ++dead;
      continue;
    }
    operation.service = static_cast<std::uint32_t>(in->Below(services_.size()));
    operation.name = in->Text();
    operation.other = in->Bool();
    operation.folds = in->Bool();
    operation.last_seen_ns = in->I64();
    if (!in->ok() || !services_[operation.service].live || operation.name.size() > kMaxNameBytes) return false;
    if (!operation_ids_.insert({OperationKey{operation.service, operation.name}, static_cast<std::uint32_t>(i)}).second)
      return false;
    ++services_[operation.service].operations;
    operation_bytes_ += OperationBytes(operation.name);
  }
  return LoadFree(in, operations_, dead, &free_operations_);
}

bool Catalog::LoadResources(CodecReader* in) {
  const std::uint64_t count = in->Below(kMaxResources + 1);
  if (count == 0) return false;
  std::size_t dead = 0;
  resources_.Append();
  resources_[0].live = true;  // never free
  for (std::uint64_t i = 1; i < count && in->ok(); ++i) {
    ResourceEntry& resource = resources_.Append();
    resource.live = in->Bool();
    if (!resource.live) {
      ++dead;
      continue;
    }
    resource.bytes = in->Text();
    resource.last_seen_ns = in->I64();
    if (resource.bytes.empty() || resource.bytes.size() > kMaxResourceBytes) return false;
    if (!resource_ids_.insert({resource.bytes, static_cast<std::uint32_t>(i)}).second) return false;
    resource_bytes_ += ResourceBytes(resource.bytes);
  }
  if (!in->ok() || resource_bytes_ > kMaxAllResourceBytes || !LoadFree(in, resources_, dead, &free_resources_))
    return false;
  resources_[0].live = false;
  return true;
}

bool Catalog::Load(CodecReader* in) {
  SpanNames names = std::move(names_);
  *this = Catalog();
  names_ = std::move(names);
  services_ = {};
  scopes_ = {};
  resources_ = {};
  service_ids_.clear();
  scope_ids_.clear();
  service_bytes_ = 0;
  if (!LoadServices(in) || !LoadScopes(in) || !LoadOperations(in) || !LoadResources(in) || !in->ok()) return false;
  MapOperations();
  return true;
}

bool Catalog::SameNames(const Catalog& other) const {
  for (std::size_t i = 0; i < std::min(services_.size(), other.services_.size()); ++i) {
    const ServiceEntry& a = services_[i];
    const ServiceEntry& b = other.services_[i];
    if (a.live && b.live && a.name != b.name) return false;
  }
  for (std::size_t i = 0; i < std::min(operations_.size(), other.operations_.size()); ++i) {
    const Operation& a = operations_[i];
    const Operation& b = other.operations_[i];
    if (a.live && b.live && (a.name != b.name || a.service != b.service)) return false;
  }
  for (std::size_t i = 0; i < std::min(scopes_.size(), other.scopes_.size()); ++i) {
    if (scopes_[i] != other.scopes_[i]) return false;
  }
  for (std::size_t i = 1; i < std::min(resources_.size(), other.resources_.size()); ++i) {
    const ResourceEntry& a = resources_[i];
    const ResourceEntry& b = other.resources_[i];
    if (a.live && b.live && a.bytes != b.bytes) return false;
  }
  return true;
}

}  // namespace spanwatch::core
