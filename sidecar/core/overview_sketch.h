// Durations counted in buckets, for quantiles within 1 %. The bounds of the buckets come from the bits of the integer
// alone: each power of two is cut into kParts parts, none wider than 2 % of its middle. No state, no logarithm: equal
// in every process. Any thread.
#ifndef SPANWATCH_SIDECAR_CORE_OVERVIEW_SKETCH_H_
#define SPANWATCH_SIDECAR_CORE_OVERVIEW_SKETCH_H_

#include <array>
#include <bit>
#include <cstdint>
#include <span>
#include <vector>

#include "sidecar/core/flat_buffer.h"

namespace spanwatch::core {

// |shown - true| / true of a quantile by nearest rank.
inline constexpr double kQuantileError = 0.01;

namespace sketch {

inline constexpr std::uint32_t kSteps = 2048;  // bounds lie on 1/2048 of a power of two

// The largest bound b so that the harmonic middle of [a, b) is off by at most 0.99 % at either end.
constexpr std::uint32_t NextBound(std::uint32_t a) {
  const std::uint32_t b = a * 10'099 / 9'901;
  return b < 2 * kSteps ? b : 2 * kSteps;
}
constexpr std::uint32_t CountParts() {
  std::uint32_t parts = 0;
  for (std::uint32_t at = kSteps; at < 2 * kSteps; at = NextBound(at)) ++parts;
  return parts;
}
inline constexpr std::uint32_t kParts = CountParts();
inline constexpr std::uint32_t kPowers = 64;  // 0, [1, 2), [2, 4), ...
inline constexpr std::uint32_t kBuckets = kPowers * kParts;
static_assert(kBuckets < 65'536, "two bytes of distance");

constexpr std::array<std::uint8_t, kSteps> MakePartOf() {
  std::array<std::uint8_t, kSteps> part_of{};
  std::uint32_t part = 0, end = NextBound(kSteps);
  for (std::uint32_t at = kSteps; at < 2 * kSteps; ++at) {
    if (at == end) {
      end = NextBound(at);
      ++part;
    }
    part_of[at - kSteps] = static_cast<std::uint8_t>(part);
  }
  return part_of;
}
inline constexpr std::array<std::uint8_t, kSteps> kPartOf = MakePartOf();

struct Place {
  std::uint32_t power, part;
};
inline Place PlaceOf(std::int64_t duration_ns) {
  if (duration_ns <= 0) return {0, 0};
  const auto bits = static_cast<std::uint64_t>(duration_ns);
  const auto zeros = static_cast<std::uint32_t>(std::countl_zero(bits));
  return {64 - zeros, kPartOf[(bits << zeros) >> 52 & (kSteps - 1)]};
}
inline std::uint32_t BucketOf(std::int64_t duration_ns) {
  const Place place = PlaceOf(duration_ns);
  return place.power * kParts + place.part;
}
double ValueOf(std::uint32_t bucket);  // what stands for the durations of a bucket

// Buckets as bytes, in order: three bits of distance to the one before (0: two bytes follow), five bits of count (0:
// two bytes follow; 31: a float follows). Most take one byte. Whole counts up to 65,535 are exact, others within 1e-7.
void AppendBucket(std::uint32_t distance, double count, FlatBuffer<std::uint8_t>* out);
template <typename F>
void ForEachBucket(std::span<const std::uint8_t> bytes, const F& f) {
  std::uint32_t bucket = 0;
  const auto two = [&](std::size_t at) { return static_cast<std::uint32_t>(bytes[at] | bytes[at + 1] << 8); };
  for (std::size_t at = 0; at < bytes.size();) {
    const std::uint32_t distance = bytes[at] >> 5, count = bytes[at] & 31;
    ++at;
    bucket += distance != 0 ? distance : two(at);
    if (distance == 0) at += 2;
    if (count == 0) {
      f(bucket, static_cast<double>(two(at)));
      at += 2;
    } else if (count == 31) {
      f(bucket, static_cast<double>(std::bit_cast<float>(two(at) | two(at + 2) << 16)));
      at += 4;
    } else {
      f(bucket, static_cast<double>(count));
    }
  }
}

}  // namespace sketch

// Adds up buckets; is read, emptied and used again.
class Sketch {
 public:
  Sketch() : counts_(sketch::kBuckets) {}

  void Add(std::uint32_t bucket, double count) {
    counts_[bucket] += count;
    total_ += count;
    if (bucket < begin_) begin_ = bucket;
    if (bucket >= end_) end_ = bucket + 1;
  }
  void Add(std::span<const std::uint8_t> bytes) {
    sketch::ForEachBucket(bytes, [this](std::uint32_t bucket, double count) { Add(bucket, count); });
  }
  void Add(const Sketch& other);
  void Clear();

  double total() const { return total_; }
  // By nearest rank, 0 <= q <= 1; 0 if it is empty.
  double Quantile(double q) const;
  void AppendTo(FlatBuffer<std::uint8_t>* out) const;

  // The chance that a call of `a` took longer than one of `b`; of equal buckets half. 0.5 if one is empty.
  static double ChanceLonger(const Sketch& a, const Sketch& b);

 private:
  std::vector<double> counts_;
  std::uint32_t begin_ = sketch::kBuckets, end_ = 0;  // what is not 0 lies within
  double total_ = 0;
};

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_OVERVIEW_SKETCH_H_
