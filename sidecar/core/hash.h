// Hashes. Table hashes are seeded at random once a process, so that nobody outside can aim at a table's weak spot; that
// is why no output may depend on them. Stable hashes (ids, digests) use no seed and are equal in every process.
#ifndef SPANWATCH_SIDECAR_CORE_HASH_H_
#define SPANWATCH_SIDECAR_CORE_HASH_H_

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>

#include "spanwatch/ids.h"

namespace spanwatch::core {

std::uint64_t TableSeed();  // random, constant within a process

struct StringHash {
  std::size_t operator()(std::string_view text) const { return XXH3_64bits_withSeed(text.data(), text.size(), seed); }
  std::uint64_t seed = TableSeed();
};

struct TraceIdHash {
  std::size_t operator()(const TraceId& id) const { return XXH3_64bits_withSeed(&id, sizeof id, seed); }
  std::uint64_t seed = TableSeed();
};

struct U64Hash {
  std::size_t operator()(std::uint64_t value) const { return XXH3_64bits_withSeed(&value, sizeof value, seed); }
  std::uint64_t seed = TableSeed();
};

// A stable streaming hash: fields in order, lengths included.
class Hasher {
 public:
  Hasher() { XXH3_128bits_reset(&state_); }
  template <typename T>
  requires std::is_arithmetic_v<T> || std::is_enum_v<T> Hasher& Add(T value) {
    XXH3_128bits_update(&state_, &value, sizeof value);
    return *this;
  }
  Hasher& Add(std::string_view text) {
    Add<std::uint64_t>(text.size());
    XXH3_128bits_update(&state_, text.data(), text.size());
    return *this;
  }
  Hasher& Add(const TraceId& id) { return Add(id.hi).Add(id.lo); }
  std::uint64_t Digest64() const { return XXH3_128bits_digest(&state_).low64; }
  TraceId Digest128() const {
    const XXH128_hash_t hash = XXH3_128bits_digest(&state_);
    return {hash.high64, hash.low64};
  }

 private:
  XXH3_state_t state_{};
};

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_HASH_H_
