// The key of HashUserId.
#ifndef SPANWATCH_SDK_CPP_SRC_USER_HASH_H_
#define SPANWATCH_SDK_CPP_SRC_USER_HASH_H_

#include <optional>
#include <string_view>

#include "sdk/cpp/redact/siphash.h"

namespace spanwatch::internal {

using redact::HashKey;

inline constexpr std::size_t kUserHashBytes = 34;  // "u_" and 32 hex digits

// 32 hex digits are the key; any other text of 16 bytes and more is hashed to one. Nothing for shorter ones.
std::optional<HashKey> ParseHashKey(std::string_view text) noexcept;

// From now on; without a key the random one of this process. By Start alone, one at a time. May throw std::bad_alloc.
void UseHashKey(const std::optional<HashKey>& key);

// Whether a text is what HashUserId gives.
bool IsUserHash(std::string_view text) noexcept;

}  // namespace spanwatch::internal

#endif  // SPANWATCH_SDK_CPP_SRC_USER_HASH_H_
