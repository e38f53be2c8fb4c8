// Names and their numbers: services, operations (a service and a span name), scopes, and the attribute sets of
// resources. Every table has a maximum; what is over it becomes "(other)". Numbers of what was idle long enough are
// used again, the latest freed first, so that every fold of the same records gives the same numbers. Views on a name
// are valid until its number is freed. Bytes are counted by formula. Not thread-safe: the engine's mutex guards it.
#ifndef SPANWATCH_SIDECAR_CORE_CATALOG_H_
#define SPANWATCH_SIDECAR_CORE_CATALOG_H_

#include <tsl/robin_map.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sidecar/core/blocks.h"
#include "sidecar/core/codec.h"
#include "sidecar/core/hash.h"
#include "sidecar/core/span_batch.h"
#include "sidecar/core/span_names.h"

namespace spanwatch::core {

inline constexpr std::size_t kMaxServices = 1000;
inline constexpr std::size_t kMaxOperations = 8192;
inline constexpr std::size_t kMaxScopes = 1000;
inline constexpr std::size_t kMaxResources = 1024;
inline constexpr std::size_t kMaxResourceBytes = 64 * 1024;       // of one set; attributes beyond are left out
inline constexpr std::size_t kMaxAllResourceBytes = 1536 * 1024;  // of all sets; beyond: only service.name is kept
inline constexpr std::size_t kMaxNameBytes = 512;                 // longer names become "(other)" in statistics
// Operations take no more than this; further names become "(other)" of their service.
inline constexpr std::size_t kMaxOperationBytes = 4500 * 1024;
inline constexpr std::string_view kOtherName = "(other)";
inline constexpr std::uint32_t kNoCell = UINT32_MAX;

// Kinds x statuses of one operation.
inline constexpr std::size_t kCellsPerOperation = 18;
inline constexpr std::size_t CellSlot(SpanKind kind, StatusCode status) {
  return static_cast<std::size_t>(kind) * 3 + static_cast<std::size_t>(status);
}

struct Operation {
  std::string name;  // empty once freed
  std::uint32_t service = 0;
  bool live = false;
  bool other = false;  // the overflow operation of its service
  bool folds = false;  // stands for several names ("(other)", a template): the span's own name is kept elsewhere
  std::int64_t last_seen_ns = 0;
  std::array<std::uint32_t, kCellsPerOperation> cells{};  // Statistics' numbers, or kNoCell
};

class Catalog {
 public:
  Catalog();
  Catalog(Catalog&&) = default;
  Catalog& operator=(Catalog&&) = default;

  // Names that match one of `names` are counted under its text from now on.
  void Configure(const std::vector<std::string>& names);

  // The number of a name, made if it is new; `now_ns` is when it was seen. Service 0: there are too many.
  std::uint32_t Service(std::string_view name, std::int64_t now_ns);
  std::uint32_t OperationOf(std::uint32_t service, std::string_view name, std::int64_t now_ns) {
    const auto it = operation_ids_.find(OperationKey{service, name});
    if (it == operation_ids_.end()) return NewOperation(service, name, now_ns);
    operations_[it->second].last_seen_ns = now_ns;
    return it->second;
  }
  // The number of an operation under which spans of that name are counted; kNoCell: none.
  std::uint32_t FindOperation(std::string_view service, std::string_view name) const;
  std::uint32_t OtherOf(std::uint32_t service, std::int64_t now_ns);
  std::uint32_t Scope(std::string_view name);
  // `encoded`: AppendAttributes() of span_detail.h. 0: no attributes, or too many sets.
  std::uint32_t Resource(std::string_view encoded, std::int64_t now_ns);

  // Frees operations without cells, then services without operations and resources, all last seen before `before_ns`;
  // not those that are `pinned` (by number; may be shorter). At most `limit` operations; their numbers go to *freed.
  // True: there are more.
  bool FreeIdle(std::int64_t before_ns, const std::vector<bool>& pinned, std::size_t limit,
                std::vector<std::uint32_t>* freed, std::vector<std::uint32_t>* freed_services);

  std::string_view service_name(std::uint32_t id) const { return services_[id].name; }
  bool service_live(std::uint32_t id) const { return services_[id].live; }
  std::string_view scope_name(std::uint32_t id) const { return scopes_[id]; }
  std::string_view resource(std::uint32_t id) const { return resources_[id].bytes; }
  Operation& operation(std::uint32_t id) { return operations_[id]; }
  const Operation& operation(std::uint32_t id) const { return operations_[id]; }
  // Numbers run below these; some of them may be free.
  std::size_t service_count() const { return services_.size(); }
  std::size_t operation_count() const { return operations_.size(); }
  std::size_t live_operations() const { return operations_.size() - free_operations_.size(); }
  std::uint64_t bytes() const { return service_bytes_ + operation_bytes_ + scope_bytes_ + resource_bytes_; }

  // As a checkpoint keeps it, numbers and free lists included; without cells and templates. Load() replaces everything;
  // false: not such bytes (then the catalog is of no use). REQUIRES of Load: Configure() was called.
  void Save(CodecWriter* out) const;
  bool Load(CodecReader* in);
  // True if no number means one thing here and another there.
  bool SameNames(const Catalog& other) const;

 private:
  struct ServiceEntry {
    std::string name;
    bool live = false;
    std::uint32_t operations = 0;  // live ones
    std::int64_t last_seen_ns = 0;
  };
  struct ResourceEntry {
    std::string bytes;
    bool live = false;
    std::int64_t last_seen_ns = 0;
  };
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

  static constexpr std::uint64_t kScopeEntryBytes = 144;
  static std::uint64_t OperationBytes(std::string_view name);
  static std::uint64_t ServiceBytes(std::string_view name);
  static std::uint64_t ResourceBytes(std::string_view bytes);
  std::uint32_t NewOperation(std::uint32_t service, std::string_view name, std::int64_t now_ns);
  std::uint32_t Make(std::uint32_t service, std::string_view name, bool other, bool folds, std::int64_t now_ns);
  void FreeOperation(std::uint32_t id);
  void FreeServicesAndResources(std::int64_t before_ns, std::vector<std::uint32_t>* freed_services);
  void MapOperations();
  bool LoadServices(CodecReader* in);
  bool LoadOperations(CodecReader* in);
  bool LoadScopes(CodecReader* in);
  bool LoadResources(CodecReader* in);

  SpanNames names_;
  Blocks<ServiceEntry> services_;  // 0 = "(other)"
  Blocks<std::string> scopes_;     // 0 = ""
  Blocks<Operation> operations_;
  Blocks<ResourceEntry> resources_;  // 0 = none
  std::vector<std::uint32_t> free_services_, free_operations_, free_resources_;
  tsl::robin_map<std::string_view, std::uint32_t, StringHash> service_ids_;
  tsl::robin_map<std::string_view, std::uint32_t, StringHash> scope_ids_;
  tsl::robin_map<std::string_view, std::uint32_t, StringHash> resource_ids_;
  tsl::robin_map<OperationKey, std::uint32_t, OperationKeyHash> operation_ids_;
  std::uint64_t service_bytes_ = 0, operation_bytes_ = 0, scope_bytes_ = 0, resource_bytes_ = 0;
};

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_CATALOG_H_
