#include "sdk/cpp/src/user_hash.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <new>
#include <string>

#include "sdk/cpp/src/thread_block.h"
#include "spanwatch/ids.h"
#include "spanwatch/redaction.h"

namespace spanwatch {
namespace internal {
namespace {

// Immutable and never freed: another thread may be hashing with a former key.
struct KeyNode {
  HashKey key;
  const KeyNode* former;
};
std::atomic<const KeyNode*> g_given{nullptr};  // null: the random key
const KeyNode* g_nodes = nullptr;              // all that were given; written by UseHashKey alone
HashKey g_random;

HashKey CurrentKey() noexcept {
  if (const KeyNode* const given = g_given.load(std::memory_order_acquire)) return given->key;
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, [] { FillRandom(&g_random, sizeof(g_random)); });
  return g_random;
}

}  // namespace

std::optional<HashKey> ParseHashKey(std::string_view text) noexcept {
  HashKey key;
  if (text.size() == 32 && ids_internal::ParseHex(text.substr(0, 16), &key.k0) &&
      ids_internal::ParseHex(text.substr(16), &key.k1)) {
    key = {__builtin_bswap64(key.k0), __builtin_bswap64(key.k1)};  // the first digits are the first byte
    return key;
  }
  if (text.size() < 16) return std::nullopt;
  const redact::Hash128 hash = redact::SipHash({}, text);
  return HashKey{hash.lo, hash.hi};
}

void UseHashKey(const std::optional<HashKey>& key) {
  const KeyNode* node = nullptr;
  if (key.has_value()) {
    node = g_nodes;
    while (node != nullptr && !(node->key == *key)) node = node->former;
    if (node == nullptr) g_nodes = node = new KeyNode{*key, g_nodes};
  }
  g_given.store(node, std::memory_order_release);
}

bool IsUserHash(std::string_view text) noexcept {
  const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  return text.size() == kUserHashBytes && text.starts_with("u_") && std::all_of(text.begin() + 2, text.end(), is_hex);
}

}  // namespace internal

std::string HashUserId(std::string_view id) noexcept {
  try {
    std::string text(internal::kUserHashBytes, '_');
    text[0] = 'u';
    redact::PutHex(redact::SipHash(internal::CurrentKey(), id), text.data() + 2);
    return text;
  } catch (const std::bad_alloc&) {
    return {};
  }
}

std::string HashUserId(std::uint64_t id) noexcept {
  char digits[20];
  char* begin = digits + sizeof(digits);
  do {
    *--begin = static_cast<char>('0' + id % 10);
    id /= 10;
  } while (id != 0);
  return HashUserId(std::string_view(begin, static_cast<std::size_t>(digits + sizeof(digits) - begin)));
}

}  // namespace spanwatch
