#include "sidecar/core/window_slots.h"

#include <algorithm>

namespace spanwatch::core {
namespace {

constexpr std::uint64_t kPieceBytes = 16;  // of malloc
// Of the first number of a past slot: how its total and its part are written, and whether a sketch follows.
constexpr std::uint64_t kTotalIsRaw = 0, kWhole = 1, kFloating = 2, kWays = 3;
constexpr std::int64_t kMostNumber = 1ll << 62;
constexpr double kMostWhole = 9e15;  // below 2^53: every whole number is exact

bool IsWhole(double value) {
  return value >= 0 && value < kMostWhole && static_cast<double>(static_cast<std::uint64_t>(value)) == value;
}

void WriteNumber(double value, std::uint64_t way, CodecWriter* out) {
  if (way == kWhole) out->U64(static_cast<std::uint64_t>(value));
  if (way == kFloating) out->F64(value);
}

}  // namespace

// Appends the current slot.
void WindowSlots::Append(std::int64_t before, bool with_sketch, std::string* out) const {
  CodecWriter writer(out);
  const std::uint64_t total = current_.total == static_cast<double>(current_.raw) ? kTotalIsRaw
                              : IsWhole(current_.total)                           ? kWhole
                                                                                  : kFloating;
  const std::uint64_t part = current_.part == 0 ? kTotalIsRaw : IsWhole(current_.part) ? kWhole : kFloating;
  const std::uint64_t how = total + kWays * (part + kWays * (with_sketch ? 1 : 0));
  writer.U64(how + 2 * kWays * kWays * static_cast<std::uint64_t>(number_ - before)).U64(current_.raw);
  WriteNumber(current_.total, total, &writer);
  WriteNumber(current_.part, part, &writer);
  if (!with_sketch) return;
  FlatBuffer<std::uint8_t> bytes;
  std::uint32_t last = 0;
  for (const Bucket& bucket : *durations_) {
    sketch::AppendBucket(bucket.bucket - last, bucket.count, &bytes);
    last = bucket.bucket;
  }
  writer.Text({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

bool WindowSlots::Read(CodecReader* in, std::int64_t before, Past* past) {
  std::uint64_t how = in->U64();
  const std::uint64_t total = how % kWays, part = how / kWays % kWays, sketch = how / (kWays * kWays) % 2;
  // Damaged bytes may hold any distance.
  past->number = static_cast<std::int64_t>(static_cast<std::uint64_t>(before) + how / (2 * kWays * kWays));
  past->counts.raw = in->U64();
  const auto number = [in](std::uint64_t way, double otherwise) {
    return way == kWhole ? static_cast<double>(in->U64()) : way == kFloating ? in->F64() : otherwise;
  };
  past->counts.total = number(total, static_cast<double>(past->counts.raw));
  past->counts.part = number(part, 0);
  past->sketch = sketch != 0 ? in->Text() : std::string_view();
  return in->ok();
}

bool WindowSlots::Turn(std::int64_t now_ns, std::uint64_t room) {
  const std::int64_t number = now_ns / slot_ns_;
  bool whole = true;
  const bool worth = number_ >= 0 && number_ > number - slots_ && (current_.raw > 0 || current_.total != 0);
  // Those of the past that the new window still has.
  std::size_t gone = 0;
  CodecReader in(past_);
  for (std::int64_t before = base_; gone < past_.size();) {
    const std::size_t left = in.left();
    Past past;
    if (!Read(&in, before, &past)) break;
    if (past.number > number - slots_) break;
    gone += left - in.left();
    base_ = before = past.number;
  }
  std::string slot;
  if (worth) {
    if (gone == past_.size()) base_ = last_ = number_ - 1;
    const bool sketch = durations_ != nullptr && !durations_->empty();
    Append(last_, sketch, &slot);
    if (sketch && slot.size() > room + gone) {
      whole = false;
      slot.clear();
      Append(last_, false, &slot);
    }
    last_ = number_;
  }
  if (gone > 0 || worth) {
    std::string past;
    past.reserve(past_.size() - gone + slot.size());
    past.append(past_, gone).append(slot);
    past_ = std::move(past);
  }
  number_ = number;
  end_ns_ = (number + 1) * slot_ns_;
  current_ = {};
  if (durations_ != nullptr) durations_->clear();
  return whole;
}

void WindowSlots::AddDuration(std::int64_t duration_ns, double weight) {
  const std::uint32_t bucket = sketch::BucketOf(duration_ns);
  if (durations_ == nullptr) durations_ = std::make_unique<std::vector<Bucket>>();
  const auto at = std::lower_bound(durations_->begin(), durations_->end(), bucket,
                                   [](const Bucket& known, std::uint32_t wanted) { return known.bucket < wanted; });
  if (at != durations_->end() && at->bucket == bucket) {
    at->count += weight;
  } else {
    durations_->insert(at, {bucket, weight});
  }
}

WindowSlots::Counts WindowSlots::Sum(std::int64_t now_ns, std::int64_t slots, Sketch* sketch) const {
  const std::int64_t newest = now_ns / slot_ns_, oldest = newest - std::min(slots, slots_) + 1;
  Counts sum;
  const auto add = [&sum](const Counts& counts) {
    sum.total += counts.total;
    sum.part += counts.part;
    sum.raw += counts.raw;
  };
  CodecReader in(past_);
  Past past;
  for (std::int64_t before = base_; !in.AtEnd() && Read(&in, before, &past); before = past.number) {
    if (past.number < oldest || past.number > newest) continue;
    add(past.counts);
    if (sketch != nullptr) sketch->Add({reinterpret_cast<const std::uint8_t*>(past.sketch.data()), past.sketch.size()});
  }
  if (number_ >= oldest && number_ <= newest) {
    add(current_);
    if (sketch != nullptr && durations_ != nullptr) {
      for (const Bucket& bucket : *durations_) sketch->Add(bucket.bucket, bucket.count);
    }
  }
  return sum;
}

std::uint64_t WindowSlots::bytes() const {
  const std::uint64_t past = past_.empty() ? 0 : past_.size() + kPieceBytes;
  return past +
         (durations_ == nullptr ? 0 : durations_->size() * sizeof(Bucket) + 2 * kPieceBytes + sizeof(*durations_));
}

void WindowSlots::Save(CodecWriter* out) const {
  out->I64(number_).F64(current_.total).F64(current_.part).U64(current_.raw).I64(base_).I64(last_).Text(past_);
  out->U64(durations_ == nullptr ? 0 : durations_->size());
  if (durations_ == nullptr) return;
  for (const Bucket& bucket : *durations_) out->U64(bucket.bucket).F64(bucket.count);
}

// Whether the bytes are buckets, to the last.
bool WindowSlots::IsSketch(std::string_view bytes) {
  std::uint32_t bucket = 0;
  const auto byte = [&](std::size_t at) { return static_cast<std::uint32_t>(static_cast<std::uint8_t>(bytes[at])); };
  for (std::size_t at = 0; at < bytes.size();) {
    const std::uint32_t distance = byte(at) >> 5, count = byte(at) & 31;
    ++at;
    if (distance == 0 && at + 2 > bytes.size()) return false;
    bucket += distance != 0 ? distance : byte(at) | byte(at + 1) << 8;
    at += (distance == 0 ? 2u : 0u) + (count == 0 ? 2u : count == 31 ? 4u : 0u);
    if (at > bytes.size() || bucket >= sketch::kBuckets) return false;
  }
  return true;
}

bool WindowSlots::CanRead() const {
  CodecReader in(past_);
  Past past;
  for (std::int64_t before = base_; in.ok() && !in.AtEnd(); before = past.number) {
    if (!Read(&in, before, &past) || past.number < 0 || past.number > kMostNumber || !IsSketch(past.sketch))
      return false;
  }
  return in.ok();
}

bool WindowSlots::Load(CodecReader* in) {
  number_ = in->I64();
  current_.total = in->F64();
  current_.part = in->F64();
  current_.raw = in->U64();
  base_ = in->I64();
  last_ = in->I64();
  past_ = in->Text();
  for (const std::int64_t number : {number_, base_, last_}) {
    if (number < -1 || number > kMostNumber) return false;
  }
  end_ns_ = number_ < 0 || number_ > INT64_MAX / slot_ns_ - 1 ? INT64_MIN : (number_ + 1) * slot_ns_;
  for (std::size_t n = in->Count(); n > 0 && in->ok(); --n) {
    if (durations_ == nullptr) durations_ = std::make_unique<std::vector<Bucket>>();
    const auto bucket = static_cast<std::uint32_t>(in->Below(sketch::kBuckets));
    durations_->push_back({bucket, in->F64()});
    if (durations_->size() > 1 && bucket <= (*durations_)[durations_->size() - 2].bucket) return false;
  }
  return in->ok() && CanRead();
}

}  // namespace spanwatch::core
