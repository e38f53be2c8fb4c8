#include "sidecar/core/overview.h"

#include <algorithm>
#include <cstring>

#include "sidecar/core/timeouts.h"

namespace spanwatch::core {
namespace {

constexpr double kPackCalls = 1 << 23;  // a float counts single calls up to 2^24
constexpr std::size_t kTidyPerTick = 32;
constexpr std::uint64_t kMallocBytes = 16;
constexpr std::size_t kSlotHead = 7;
constexpr std::uint8_t kFiveMark = 0x80;
static_assert(kExtras <= 7 && sketch::kBuckets * 7 < 65'536, "a byte of marks, two of size");

template <typename T>
std::uint64_t BufferBytes(const FlatBuffer<T>& buffer) {
  return buffer.capacity() == 0 ? 0 : buffer.capacity() * sizeof(T) + kMallocBytes;
}

std::int32_t MinuteOf(std::int64_t now_ns) { return static_cast<std::int32_t>(now_ns / kMinuteNs); }

double Number(const SpanBatch& batch, const SpanView& span, std::string_view key) {
  for (std::uint32_t i = 0; i < span.attributes.count; ++i) {
    const AttributeView& attribute = batch.attributes[span.attributes.first + i];
    if (attribute.key != key) continue;
    if (attribute.type == AttributeType::kInt) return static_cast<double>(attribute.integer);
    if (attribute.type == AttributeType::kDouble) return attribute.number;
  }
  return 0;
}

std::int64_t HttpStatus(const SpanBatch& batch, const SpanView& span) {
  double status = Number(batch, span, "http.response.status_code");
  if (status == 0) status = Number(batch, span, "http.status_code");
  return status > 0 && status < 1000 ? static_cast<std::int64_t>(status) : 0;
}

std::int32_t FirstOfFive(std::int32_t minute) { return minute / kFiveMinutes * kFiveMinutes; }

}  // namespace

void WriteSlot(std::int32_t minute, bool five, const Extras& extras, const Sketch& sketch,
               FlatBuffer<std::uint8_t>* slots) {
  std::uint8_t mask = 0;
  std::array<float, kExtras> values{};
  std::size_t count = 0;
  for (std::size_t i = 0; i < kExtras; ++i) {
    if (!(extras[i] > 0)) continue;
    mask = static_cast<std::uint8_t>(mask | 1u << i);
    values[count++] = static_cast<float>(extras[i]);
  }
  const std::size_t head = slots->size();
  const std::array<std::uint8_t, kSlotHead> empty{};
  slots->Append(empty.data(), empty.size());
  slots->Append(reinterpret_cast<const std::uint8_t*>(values.data()), count * sizeof(float));
  const std::size_t first = slots->size();
  sketch.AppendTo(slots);
  const auto size = static_cast<std::uint16_t>(slots->size() - first);
  std::uint8_t* const at = slots->data() + head;
  std::memcpy(at, &minute, 4);
  at[4] = static_cast<std::uint8_t>(mask | (five ? kFiveMark : 0));
  std::memcpy(at + 5, &size, 2);
}

void AddExtras(const Extras& from, Extras* to) {
  for (std::size_t i = 0; i < kExtras; ++i) {
    (*to)[i] = i == static_cast<std::size_t>(Extra::kMemoryLargest) ? std::max((*to)[i], from[i]) : (*to)[i] + from[i];
  }
}

SketchSlot ReadSlot(const std::uint8_t* bytes) {
  SketchSlot slot;
  std::uint16_t size;
  std::memcpy(&slot.minute, bytes, 4);
  const std::uint8_t mask = bytes[4];
  std::memcpy(&size, bytes + 5, 2);
  slot.minutes = (mask & kFiveMark) != 0 ? kFiveMinutes : 1;
  std::size_t at = kSlotHead;
  for (std::size_t i = 0; i < kExtras; ++i) {
    if ((mask >> i & 1) == 0) continue;
    float value;
    std::memcpy(&value, bytes + at, sizeof value);
    slot.extras[i] = static_cast<double>(value);
    at += sizeof value;
  }
  slot.buckets = {bytes + at, size};
  slot.bytes = at + size;
  return slot;
}

void Overview::Configure(const Limits& limits) {
  slow_warning_ns_ = limits.slow_warning_ns;
  slow_critical_ns_ = limits.slow_critical_ns;
}

std::uint64_t Overview::bytes() const {
  return record_bytes_ + sizeof(Overview) + sketch::kBuckets * sizeof(double) + entries_.size() * 8 +
         first_.size() * 9 + other_.size() * 8;
}

void Overview::OnSpan(std::int64_t now_ns, std::uint32_t operation, std::uint32_t service, const SpanBatch& batch,
                      const SpanView& span) {
  if (now_ns >= minute_end_ns_) {
    minute_ = MinuteOf(now_ns);
    minute_end_ns_ = (minute_ + std::int64_t{1}) * kMinuteNs;
  }
  Entry* entry = operation < first_.size() ? first_[operation] : nullptr;
  if (entry == nullptr || entry->kind != span.kind) {
    if (since_ns_ == 0) since_ns_ = now_ns;
    entry = Obtain(operation, service, span.kind);
  }
  if (entry->minute != minute_ || entry->now.calls >= kPackCalls) Turn(entry);
  const std::int64_t duration = std::max<std::int64_t>(0, span.end_ns - span.start_ns);
  const double weight = span.weight;
  if (entry->operation == kOtherOperation) folded_calls_ += weight;
  OperationRecord::Now& now = entry->now;
  now.calls += weight;
  now.duration_ns += weight * static_cast<double>(duration);
  const auto add = [&](Extra extra, double value) { now.extras[static_cast<std::size_t>(extra)] += value; };
  if (weight != 1) add(Extra::kSquares, weight * weight - weight);
  if (duration > slow_warning_ns_) add(Extra::kSlowWarning, weight);
  if (duration > slow_critical_ns_) add(Extra::kSlowCritical, weight);
  if (span.memory_delta > 0) {
    const auto grown = static_cast<double>(span.memory_delta);
    double& largest = now.extras[static_cast<std::size_t>(Extra::kMemoryLargest)];
    largest = std::max(largest, grown);
    add(Extra::kMemoryGrowth, weight * grown);
    add(Extra::kMemorySpans, weight);
  }
  if (span.status == StatusCode::kError) OnError(batch, span, entry);
  const sketch::Place place = sketch::PlaceOf(duration);
  if (entry->block[place.power] == 0) AddBlock(entry, place.power);
  float* const cell = &entry->dense[(entry->block[place.power] - 1u) * sketch::kParts + place.part];
  __builtin_prefetch(cell, 1);
  Step& step = steps_[next_step_++ % steps_.size()];
  if (step.cell != nullptr) *step.cell += step.weight;
  step = {cell, static_cast<float>(weight)};
}

void Overview::Settle() {
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    Step& step = steps_[next_step_++ % steps_.size()];
    if (step.cell != nullptr) *step.cell += step.weight;
    step.cell = nullptr;
  }
}

void Overview::OnError(const SpanBatch& batch, const SpanView& span, Entry* entry) {
  entry->now.errors += span.weight;
  if (SaysTimeout(span.error_type, span.error_message, HttpStatus(batch, span)))
    entry->now.extras[static_cast<std::size_t>(Extra::kTimeouts)] += span.weight;
}

// The record of an operation and kind, made if there is room; else that of the service's "(other)".
Overview::Entry* Overview::Obtain(std::uint32_t operation, std::uint32_t service, SpanKind kind) {
  Settle();
  if (operation >= first_.size()) {
    first_.resize(operation + 1);
    folded_.resize(operation + 1);
  }
  for (Entry* entry = first_[operation]; entry != nullptr; entry = entry->next) {
    if (entry->kind == kind) return entry;
  }
  if (bytes() < max_bytes_ / 4 * 3) {  // above it no new operation gets a record
    MarkFolded(operation, false);
    return Make(operation, service, kind, &first_[operation]);
  }
  TidySome(1);
  MarkFolded(operation, true);
  Entry* const other = Other(service, kind);
  Shrink(other);
  return other;
}

Overview::Entry* Overview::Other(std::uint32_t service, SpanKind kind) {
  if (service >= other_.size()) other_.resize(service + 1);
  for (Entry* entry = other_[service]; entry != nullptr; entry = entry->next) {
    if (entry->kind == kind) return entry;
  }
  return Make(kOtherOperation, service, kind, &other_[service]);
}

Overview::Entry* Overview::Make(std::uint32_t operation, std::uint32_t service, SpanKind kind, Entry** list) {
  auto made = std::make_unique<Entry>();
  Entry* entry = made.get();
  entry->operation = operation;
  entry->service = service;
  entry->kind = kind;
  entry->minute = minute_;
  if (free_.empty()) {
    entry->number = static_cast<std::uint32_t>(entries_.size());
    entries_.push_back(std::move(made));
  } else {
    entry->number = free_.back();
    free_.pop_back();
    entries_[entry->number] = std::move(made);
  }
  while (*list != nullptr) list = &(*list)->next;  // the first kind stays in front: it is mostly the only one
  *list = entry;
  Weigh(entry);
  return entry;
}

void Overview::Free(Entry* entry) {
  Entry** link = entry->operation == kOtherOperation ? &other_[entry->service] : &first_[entry->operation];
  while (*link != entry) link = &(*link)->next;
  *link = entry->next;
  record_bytes_ -= entry->weighed;
  free_.push_back(entry->number);
  entries_[entry->number] = nullptr;
}

void Overview::Weigh(Entry* entry) {
  const std::uint64_t bytes = sizeof(Entry) + kMallocBytes + BufferBytes(entry->dense) + BufferBytes(entry->minutes) +
                              BufferBytes(entry->slots);
  record_bytes_ += bytes - entry->weighed;
  entry->weighed = bytes;
}

void Overview::AddBlock(Entry* entry, std::uint32_t power) {
  Settle();
  static constexpr std::array<float, sketch::kParts> kZeros{};
  entry->dense.Append(kZeros.data(), kZeros.size());
  entry->dense.Shrink();
  entry->block[power] = static_cast<std::uint8_t>(entry->dense.size() / sketch::kParts);
  Weigh(entry);
  Shrink(entry);
}

// The first span of another minute, or very many in one.
void Overview::Turn(Entry* entry) {
  Settle();
  Pack(entry);
  Tidy(entry);
  entry->minutes.Shrink();
  entry->slots.Shrink();
  Weigh(entry);
  TidySome(1);
  Shrink(entry);
}

// What came in `entry->minute` goes into its lists.
void Overview::Pack(Entry* entry) {
  if (entry->now.calls > 0) {
    const OperationRecord::Now& now = entry->now;
    entry->minutes.Add() = {entry->minute, static_cast<float>(now.calls), static_cast<float>(now.errors),
                            static_cast<float>(now.duration_ns)};
    sum_.Clear();
    for (std::uint32_t power = 0; power < sketch::kPowers; ++power) {
      if (entry->block[power] == 0) continue;
      float* counts = &entry->dense[(entry->block[power] - 1u) * sketch::kParts];
      for (std::uint32_t part = 0; part < sketch::kParts; ++part) {
        if (counts[part] > 0) sum_.Add(power * sketch::kParts + part, static_cast<double>(counts[part]));
        counts[part] = 0;
      }
    }
    WriteSlot(entry->minute, false, now.extras, sum_, &entry->slots);
    entry->now = {};
  }
  entry->minute = minute_;
}

// Drops what is over an hour old, joins one-minute slots once all of their five minutes are over five minutes old.
void Overview::Tidy(Entry* entry) {
  const std::int32_t begin = FirstOfFive(minute_ - kHourMinutes);
  std::size_t old = 0;
  while (old < entry->minutes.size() && entry->minutes[old].minute < begin) ++old;
  if (old > 0) {
    FlatBuffer<MinuteCounts> rest;
    rest.Append(entry->minutes.data() + old, entry->minutes.size() - old);
    entry->minutes = std::move(rest);
  }
  const std::int32_t joined = FirstOfFive(minute_ - kFiveMinutes);  // slots before it are of five minutes
  bool change = false;
  for (std::size_t at = 0; at < entry->slots.size() && !change;) {
    const SketchSlot slot = ReadSlot(&entry->slots[at]);
    change = slot.minute < begin || (slot.minutes == 1 && slot.minute < joined);
    at += slot.bytes;
  }
  if (!change) return;
  FlatBuffer<std::uint8_t> slots;
  for (std::size_t at = 0; at < entry->slots.size();) {
    SketchSlot slot = ReadSlot(&entry->slots[at]);
    if (slot.minute < begin || slot.minute >= joined || slot.minutes == kFiveMinutes) {
      if (slot.minute >= begin) slots.Append(&entry->slots[at], slot.bytes);
      at += slot.bytes;
      continue;
    }
    const std::int32_t first = FirstOfFive(slot.minute);
    Extras extras{};
    sum_.Clear();
    while (slot.minutes == 1 && FirstOfFive(slot.minute) == first) {
      sum_.Add(slot.buckets);
      AddExtras(slot.extras, &extras);
      at += slot.bytes;
      if (at == entry->slots.size()) break;
      slot = ReadSlot(&entry->slots[at]);
    }
    WriteSlot(first, true, extras, sum_, &slots);
  }
  slots.Shrink();
  entry->slots = std::move(slots);
}

// Of operations that nobody calls any more.
void Overview::TidySome(std::size_t count) {
  for (count = std::min(count, entries_.size()); count > 0; --count) {
    tidy_at_ = tidy_at_ + 1 < entries_.size() ? tidy_at_ + 1 : 0;
    Entry* entry = entries_[tidy_at_].get();
    if (entry == nullptr || entry->minute == minute_) continue;
    Pack(entry);
    Tidy(entry);
    entry->block.fill(0);
    entry->dense = {};
    Weigh(entry);
  }
}

void Overview::Advance(std::int64_t now_ns) {
  Settle();
  if (now_ns >= minute_end_ns_) {
    minute_ = MinuteOf(now_ns);
    minute_end_ns_ = (minute_ + std::int64_t{1}) * kMinuteNs;
  }
  TidySome(kTidyPerTick);
}

void Overview::MarkFolded(std::uint32_t operation, bool folded) {
  if (folded_[operation] == folded) return;
  folded_[operation] = folded;
  folded_now_ = folded ? folded_now_ + 1 : folded_now_ - 1;
}

std::vector<const OperationRecord*> Overview::RecordsOf(std::uint32_t operation) const {
  std::vector<const OperationRecord*> records;
  if (operation >= first_.size()) return records;
  for (const Entry* entry = first_[operation]; entry != nullptr; entry = entry->next) records.push_back(entry);
  return records;
}

void Overview::ForgetOperation(std::uint32_t operation) {
  Settle();
  if (operation >= first_.size()) return;
  while (first_[operation] != nullptr) Free(first_[operation]);
  MarkFolded(operation, false);
}

void Overview::ForgetService(std::uint32_t service) {
  Settle();
  if (service >= other_.size()) return;
  while (other_[service] != nullptr) Free(other_[service]);
}

}  // namespace spanwatch::core
