#include "sidecar/core/catalog.h"

#include <cstring>

namespace spanwatch::core {
namespace {
constexpr std::size_t kChunkBytes = 64 * 1024;
}  // namespace

Catalog::Catalog() {
  services_.push_back(kOtherName);
  service_ids_[kOtherName] = 0;
  scopes_.push_back("");
  scope_ids_[""] = 0;
}

std::string_view Catalog::Keep(std::string_view name) {
  if (name.empty()) return "";
  if (chunk_left_ < name.size()) {
    chunks_.push_back(std::make_unique<char[]>(kChunkBytes));
    chunk_left_ = kChunkBytes;
  }
  char* place = chunks_.back().get() + (kChunkBytes - chunk_left_);
  std::memcpy(place, name.data(), name.size());
  chunk_left_ -= name.size();
  return {place, name.size()};
}

std::uint32_t Catalog::Service(std::string_view name) {
  if (const auto it = service_ids_.find(name); it != service_ids_.end()) return it->second;
  if (services_.size() >= kMaxServices || name.size() > kMaxNameBytes) return 0;
  const auto id = static_cast<std::uint32_t>(services_.size());
  services_.push_back(Keep(name));
  service_ids_[services_.back()] = id;
  return id;
}

std::uint32_t Catalog::Scope(std::string_view name) {
  if (const auto it = scope_ids_.find(name); it != scope_ids_.end()) return it->second;
  if (scopes_.size() >= kMaxScopes || name.size() > kMaxNameBytes) return 0;
  const auto id = static_cast<std::uint32_t>(scopes_.size());
  scopes_.push_back(Keep(name));
  scope_ids_[scopes_.back()] = id;
  return id;
}

std::uint32_t Catalog::OperationOf(std::uint32_t service, std::string_view name) {
  if (const auto it = operation_ids_.find(OperationKey{service, name}); it != operation_ids_.end()) return it->second;
  // Each service may still get its "(other)" when the table is full; services are bounded themselves.
  const bool other = operations_.size() >= kMaxOperations || name.size() > kMaxNameBytes;
  if (other) {
    name = kOtherName;
    if (const auto it = operation_ids_.find(OperationKey{service, name}); it != operation_ids_.end()) return it->second;
  }
  const auto id = static_cast<std::uint32_t>(operations_.size());
  operations_.emplace_back(service, other ? kOtherName : Keep(name), other);
  operation_ids_[OperationKey{service, operations_.back().name}] = id;
  return id;
}

}  // namespace spanwatch::core
