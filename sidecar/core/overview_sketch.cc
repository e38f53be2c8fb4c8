#include "sidecar/core/overview_sketch.h"

#include <algorithm>
#include <cmath>

namespace spanwatch::core {
namespace sketch {
namespace {

constexpr std::array<std::uint32_t, kParts + 1> MakeBounds() {
  std::array<std::uint32_t, kParts + 1> bounds{};
  std::uint32_t at = kSteps;
  for (std::uint32_t part = 0; part <= kParts; ++part, at = NextBound(at)) bounds[part] = at;
  return bounds;
}
constexpr std::array<std::uint32_t, kParts + 1> kBounds = MakeBounds();

}  // namespace

double ValueOf(std::uint32_t bucket) {
  const std::uint32_t power = bucket / kParts, part = bucket % kParts;
  if (power == 0) return 0;
  const double scale = std::ldexp(1.0, static_cast<int>(power) - 12);
  const double low = std::ceil(scale * kBounds[part]), high = scale * kBounds[part + 1];
  if (high - low <= 1) return low;  // one integer alone
  return 2 * low * high / (low + high);
}

void AppendBucket(std::uint32_t distance, double count, FlatBuffer<std::uint8_t>* out) {
  const auto whole = static_cast<std::uint32_t>(std::min(count, 65'536.0));
  const bool exact = whole < 65'536 && static_cast<double>(whole) == count;
  const std::uint32_t code = !exact ? 31 : whole < 31 ? whole : 0;
  const std::uint32_t near = distance < 8 ? distance : 0;
  out->Add() = static_cast<std::uint8_t>(near << 5 | code);
  const auto append = [&](std::uint32_t value, int bytes) {
    for (; bytes > 0; --bytes, value >>= 8) out->Add() = static_cast<std::uint8_t>(value);
  };
  if (near == 0) append(distance, 2);
  if (code == 0) append(whole, 2);
  if (code == 31) append(std::bit_cast<std::uint32_t>(static_cast<float>(count)), 4);
}

}  // namespace sketch

void Sketch::Add(const Sketch& other) {
  for (std::uint32_t i = other.begin_; i < other.end_; ++i) counts_[i] += other.counts_[i];
  total_ += other.total_;
  begin_ = std::min(begin_, other.begin_);
  end_ = std::max(end_, other.end_);
}

void Sketch::Clear() {
  if (begin_ < end_) std::fill(counts_.begin() + begin_, counts_.begin() + end_, 0.0);
  begin_ = sketch::kBuckets;
  end_ = 0;
  total_ = 0;
}

double Sketch::Quantile(double q) const {
  // q * n of whole numbers may come out a bit too high: 0.95 * 20 > 19.
  const double wanted = q * total_ - 1e-9 * total_;
  double sum = 0;
  std::uint32_t last = sketch::kBuckets;
  for (std::uint32_t i = begin_; i < end_; ++i) {
    if (!(counts_[i] > 0)) continue;
    last = i;
    sum += counts_[i];
    if (sum >= wanted) break;
  }
  return last == sketch::kBuckets ? 0 : sketch::ValueOf(last);
}

void Sketch::AppendTo(FlatBuffer<std::uint8_t>* out) const {
  std::uint32_t last = 0;
  for (std::uint32_t i = begin_; i < end_; ++i) {
    if (!(counts_[i] > 0)) continue;
    sketch::AppendBucket(i - last, counts_[i], out);
    last = i;
  }
}

double Sketch::ChanceLonger(const Sketch& a, const Sketch& b) {
  if (!(a.total_ > 0) || !(b.total_ > 0)) return 0.5;
  double below = 0, wins = 0;
  for (std::uint32_t i = std::min(a.begin_, b.begin_); i < std::max(a.end_, b.end_); ++i) {
    wins += a.counts_[i] * (below + b.counts_[i] / 2);
    below += b.counts_[i];
  }
  return wins / (a.total_ * b.total_);
}

}  // namespace spanwatch::core
