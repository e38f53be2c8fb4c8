#include "sdk/cpp/redact/siphash.h"

#include <cstring>

namespace spanwatch::redact {
namespace {

constexpr std::uint64_t Rotate(std::uint64_t value, int bits) noexcept { return value << bits | value >> (64 - bits); }

class State {
 public:
  explicit State(const HashKey& key) noexcept
      : v0_(key.k0 ^ 0x736f6d6570736575u),
        v1_(key.k1 ^ 0x646f72616e646f6du ^ kWide),
        v2_(key.k0 ^ 0x6c7967656e657261u),
        v3_(key.k1 ^ 0x7465646279746573u) {}

  void Add(std::uint64_t word) noexcept {
    v3_ ^= word;
    Rounds(2);
    v0_ ^= word;
  }
  Hash128 Finish() noexcept {
    Hash128 hash;
    v2_ ^= kWide;
    Rounds(4);
    hash.lo = v0_ ^ v1_ ^ v2_ ^ v3_;
    v1_ ^= 0xdd;
    Rounds(4);
    hash.hi = v0_ ^ v1_ ^ v2_ ^ v3_;
    return hash;
  }

 private:
  static constexpr std::uint64_t kWide = 0xee;  // 128 bits, not 64

  void Rounds(int count) noexcept {
    for (; count > 0; --count) {
      v0_ += v1_;
      v2_ += v3_;
      v1_ = Rotate(v1_, 13) ^ v0_;
      v3_ = Rotate(v3_, 16) ^ v2_;
      v0_ = Rotate(v0_, 32);
      v2_ += v1_;
      v0_ += v3_;
      v1_ = Rotate(v1_, 17) ^ v2_;
      v3_ = Rotate(v3_, 21) ^ v0_;
      v2_ = Rotate(v2_, 32);
    }
  }

  std::uint64_t v0_, v1_, v2_, v3_;
};

}  // namespace

Hash128 SipHash(const HashKey& key, std::string_view text) noexcept {
  State state(key);
  std::size_t at = 0;
  std::uint64_t word;
  for (; at + 8 <= text.size(); at += 8) {
    std::memcpy(&word, text.data() + at, 8);
    state.Add(word);
  }
  word = std::uint64_t{text.size()} << 56;
  for (std::size_t i = 0; at + i < text.size(); ++i)
    word |= std::uint64_t{static_cast<unsigned char>(text[at + i])} << (8 * i);
  state.Add(word);
  return state.Finish();
}

void PutHex(const Hash128& hash, char* out) noexcept {
  constexpr char kDigits[] = "0123456789abcdef";
  for (const std::uint64_t half : {hash.lo, hash.hi}) {
    for (int i = 0; i < 64; i += 8) {
      *out++ = kDigits[half >> (i + 4) & 15];
      *out++ = kDigits[half >> i & 15];
    }
  }
}

}  // namespace spanwatch::redact
