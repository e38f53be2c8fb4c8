// The bytes of a checkpoint: numbers as varints, doubles and ids raw, texts with their length. A reader never reads
// beyond its bytes: what is missing or absurd reads as zero and leaves ok() false. Not thread-safe.
#ifndef SPANWATCH_SIDECAR_CORE_CODEC_H_
#define SPANWATCH_SIDECAR_CORE_CODEC_H_

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

#include "spanwatch/ids.h"

namespace spanwatch::core {

class CodecWriter {
 public:
  explicit CodecWriter(std::string* out) : out_(out) {}

  CodecWriter& U64(std::uint64_t value) {
    while (value >= 0x80) {
      out_->push_back(static_cast<char>(value | 0x80));
      value >>= 7;
    }
    out_->push_back(static_cast<char>(value));
    return *this;
  }
  CodecWriter& I64(std::int64_t value) {  // zigzag: small numbers of either sign are short
    return U64(static_cast<std::uint64_t>(value) << 1 ^ static_cast<std::uint64_t>(value >> 63));
  }
  CodecWriter& Bool(bool value) { return U64(value ? 1 : 0); }
  CodecWriter& F64(double value) { return Raw(std::bit_cast<std::uint64_t>(value)); }
  CodecWriter& Text(std::string_view text) {
    U64(text.size());
    out_->append(text);
    return *this;
  }
  CodecWriter& Id(const TraceId& id) { return Raw(id.hi).Raw(id.lo); }
  CodecWriter& Id(SpanId id) { return Raw(id.value); }

 private:
  CodecWriter& Raw(std::uint64_t value) {
    for (int i = 0; i < 8; ++i) out_->push_back(static_cast<char>(value >> (8 * i)));
    return *this;
  }
  std::string* out_;
};

class CodecReader {
 public:
  explicit CodecReader(std::string_view bytes) : rest_(bytes) {}

  bool ok() const { return ok_; }
  bool AtEnd() const { return ok_ && rest_.empty(); }
  std::size_t left() const { return rest_.size(); }

  std::uint64_t U64() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (rest_.empty()) return Fail();
      const auto byte = static_cast<std::uint8_t>(rest_.front());
      rest_.remove_prefix(1);
      value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    return Fail();
  }
  std::uint32_t U32() { return static_cast<std::uint32_t>(Below(1ull << 32)); }
  // A number that must be smaller than `limit`: enum values, indices.
  std::uint64_t Below(std::uint64_t limit) {
    const std::uint64_t value = U64();
    return value < limit ? value : Fail();
  }
  // How many elements follow. Each takes at least one byte, so a count can't ask for more memory than there are bytes.
  std::size_t Count() {
    const std::uint64_t value = U64();
    return static_cast<std::size_t>(value <= rest_.size() ? value : Fail());  // of what is left after the count
  }
  std::int64_t I64() {
    const std::uint64_t value = U64();
    return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
  }
  bool Bool() { return Below(2) != 0; }
  double F64() { return std::bit_cast<double>(Raw()); }
  std::string_view Text() {
    const std::size_t size = Count();
    const std::string_view text = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return text;
  }
  TraceId TraceIdValue() {
    TraceId id;
    id.hi = Raw();
    id.lo = Raw();
    return id;
  }
  SpanId SpanIdValue() { return SpanId{Raw()}; }

 private:
  std::uint64_t Fail() {
    ok_ = false;
    rest_ = {};
    return 0;
  }
  std::uint64_t Raw() {
    if (rest_.size() < 8) return Fail();
    std::uint64_t value = 0;
    for (int i = 7; i >= 0; --i) value = value << 8 | static_cast<std::uint8_t>(rest_[static_cast<std::size_t>(i)]);
    rest_.remove_prefix(8);
    return value;
  }
  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_CODEC_H_
