// Names and their numbers: services, operations (a service and a span name), scopes. Names are never freed, so views on
// them live as long as the catalog; therefore every table has a maximum, and what is over it becomes "(other)".
// Not thread-safe: the engine's mutex guards it.
#ifndef SPANWATCH_SIDECAR_CORE_CATALOG_H_
#define SPANWATCH_SIDECAR_CORE_CATALOG_H_

#include <tsl/robin_map.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "sidecar/core/hash.h"
#include "sidecar/core/span_batch.h"

namespace spanwatch::core {

inline constexpr std::size_t kMaxServices = 1000;
inline constexpr std::size_t kMaxOperations = 8192;
inline constexpr std::size_t kMaxScopes = 1000;
inline constexpr std::size_t kMaxNameBytes = 512;  // longer names become "(other)" in statistics
inline constexpr std::string_view kOtherName = "(other)";
inline constexpr std::uint32_t kNoCell = UINT32_MAX;

// Kinds x statuses of one operation.
inline constexpr std::size_t kCellsPerOperation = 18;
inline constexpr std::size_t CellSlot(SpanKind kind, StatusCode status) {
  return static_cast<std::size_t>(kind) * 3 + static_cast<std::size_t>(status);
}

struct Operation {
  std::uint32_t service = 0;
  std::string_view name;
  bool other = false;  // the overflow operation of its service: the span's own name is kept elsewhere
  std::array<std::uint32_t, kCellsPerOperation> cells;
  Operation(std::uint32_t s, std::string_view n, bool o) : service(s), name(n), other(o) { cells.fill(kNoCell); }
};

class Catalog {
 public:
  Catalog();

  std::uint32_t Service(std::string_view name);
  std::uint32_t Scope(std::string_view name);
  std::uint32_t OperationOf(std::uint32_t service, std::string_view name);

  std::string_view service_name(std::uint32_t id) const { return services_[id]; }
  std::string_view scope_name(std::uint32_t id) const { return scopes_[id]; }
  Operation& operation(std::uint32_t id) { return operations_[id]; }
  const Operation& operation(std::uint32_t id) const { return operations_[id]; }
  std::size_t service_count() const { return services_.size(); }
  std::size_t operation_count() const { return operations_.size(); }

 private:
  struct OperationKey {
    std::uint32_t service;
    std::string_view name;
    friend bool operator==(const OperationKey&, const OperationKey&) = default;
  };
  struct OperationKeyHash {
    std::size_t operator()(const OperationKey& key) const {
      return XXH3_64bits_withSeed(key.name.data(), key.name.size(), seed + key.service);
    }
    std::uint64_t seed = TableSeed();
  };

  std::string_view Keep(std::string_view name);

  std::vector<std::unique_ptr<char[]>> chunks_;
  std::size_t chunk_left_ = 0;
  std::vector<std::string_view> services_;  // 0 = "(other)"
  std::vector<std::string_view> scopes_;    // 0 = ""
  std::vector<Operation> operations_;
  tsl::robin_map<std::string_view, std::uint32_t, StringHash> service_ids_;
  tsl::robin_map<std::string_view, std::uint32_t, StringHash> scope_ids_;
  tsl::robin_map<OperationKey, std::uint32_t, OperationKeyHash> operation_ids_;
};

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_CATALOG_H_
