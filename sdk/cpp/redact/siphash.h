// SipHash-2-4 with a 128-bit result: a keyed hash for short texts (Aumasson and Bernstein, 2012). Pure; any thread.
#ifndef SPANWATCH_SDK_CPP_REDACT_SIPHASH_H_
#define SPANWATCH_SDK_CPP_REDACT_SIPHASH_H_

#include <cstdint>
#include <string_view>

namespace spanwatch::redact {

struct HashKey {
  std::uint64_t k0 = 0, k1 = 0;  // bytes 0..7 and 8..15, little endian
};
inline bool operator==(const HashKey& a, const HashKey& b) noexcept { return a.k0 == b.k0 && a.k1 == b.k1; }

struct Hash128 {
  std::uint64_t lo = 0, hi = 0;  // bytes 0..7 and 8..15, little endian
};

Hash128 SipHash(const HashKey& key, std::string_view text) noexcept;

// Writes 32 hex digits, the bytes in order.
void PutHex(const Hash128& hash, char* out) noexcept;

}  // namespace spanwatch::redact

#endif  // SPANWATCH_SDK_CPP_REDACT_SIPHASH_H_
