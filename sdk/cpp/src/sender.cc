#include "sdk/cpp/src/sender.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <new>

namespace spanwatch::internal {
namespace {

constexpr std::int64_t kMs = 1000000;
constexpr std::int64_t kSecond = 1000 * kMs;
constexpr std::int64_t kDrainInterval = 20 * kMs;
constexpr std::int64_t kSoonInterval = 1 * kMs;     // between drains for failed and slow spans
constexpr std::int64_t kCalibrationTime = 5 * kMs;  // before the first times are converted
constexpr std::uint64_t kTailStep = 16 << 10;       // ring bytes between two releases of what was read

std::string ResourceId(const ProcessId& id) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < id.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += kDigits[id[i] >> 4];
    text += kDigits[id[i] & 15];
  }
  return text;
}

ProcessId NewUuid() noexcept {  // random (version 4)
  ProcessId id;
  FillRandom(id.data(), id.size());
  id[6] = static_cast<std::uint8_t>((id[6] & 0x0f) | 0x40);
  id[8] = static_cast<std::uint8_t>((id[8] & 0x3f) | 0x80);
  return id;
}

// Not the process id: that is shown nowhere, because who knows it can say HELLO in its name.
std::vector<std::pair<std::string, std::string>> WithInstance(
    std::vector<std::pair<std::string, std::string>> resource) {
  for (const auto& attribute : resource) {
    if (attribute.first == "service.instance.id") return resource;
  }
  resource.emplace_back("service.instance.id", ResourceId(NewUuid()));
  return resource;
}

}  // namespace

void SenderStatus::AddProblem(const std::string& problem) {
  MutexLock lock(&mutex);
  if (problems.size() + problem.size() < 4096 && problems.find(problem + "\n") == std::string::npos)
    problems += problem + "\n";
}

Sender::Sender(const Config& config, SenderStatus* status)
    : config_(config),
      status_(status),
      process_id_(NewUuid()),
      redactor_(config.redaction),
      encoder_(WithInstance(config.resource), &redactor_),
      slow_threshold_ns_(config.slow_threshold_ns) {
  Publish();
}

void Sender::Run() noexcept {
  // Times are converted with a rate that was measured over a little while at least.
  while (clock_.AgeNs() < kCalibrationTime) usleep(1000);
  clock_.Update();
  std::int64_t now = MonotonicNs();
  last_drain_ = now;
  last_sample_ = now;
  last_calibration_ = now;
  while (!Finished(now)) {
    try {
      Turn();
    } catch (const std::bad_alloc&) {
      NoteNoMemory();
    }
    now = MonotonicNs();
  }
  Goodbye(now);
  Publish();
}

void Sender::NoteNoMemory() noexcept {
  try {
    status_->AddProblem("out of memory in the sender thread");
  } catch (const std::bad_alloc&) {  // not even for that; what was lost is counted
  }
}

void Sender::Turn() {
  transport_.Wait(WakeDescriptor(), TimeoutMs(MonotonicNs()));
  std::uint64_t count;
  if (g_wake.load(std::memory_order_relaxed) != kAsleep && read(WakeDescriptor(), &count, sizeof(count)) < 0) count = 0;
  const std::int64_t now = MonotonicNs();
  if (!stopping_ && status_->stop_by_ns.load(std::memory_order_acquire) != 0) {
    stopping_ = true;
    if (state_ == State::kDown) retry_at_ = now;
  }
  ReceiveAnswers(now);
  StepConnection(now);
  if (DrainDue(now)) Drain(now);
  SendBatches();
  if (now >= next_second_) {
    next_second_ = now + kSecond;
    if (state_ == State::kUp) {
      SendHeartbeat();
      SendOpenSpans();
    }
  }
}

int Sender::TimeoutMs(std::int64_t now) const noexcept {
  if (stopping_ || wake_soon_) return 1;
  const std::int64_t wait = last_drain_ + kDrainInterval - now;
  return wait <= 0 ? 0 : static_cast<int>((wait + kMs - 1) / kMs);
}

bool Sender::DrainDue(std::int64_t now) noexcept {
  const std::uint32_t wake = g_wake.load(std::memory_order_acquire);
  wake_soon_ = wake == kWakeSoon;
  return stopping_ || wake == kWakeFull || now - last_drain_ >= kDrainInterval ||
         (wake_soon_ && now - last_drain_ >= kSoonInterval);
}

void Sender::Drain(std::int64_t now) {
  wake_soon_ = false;
  g_wake.exchange(kAsleep, std::memory_order_acq_rel);  // before reading: who writes later wakes again
  // By a time of its own: in a busy program each drain is due before the interval is over.
  if (now - last_sample_ >= kDrainInterval || stopping_) {
    memory_.Sample(Ticks(), clock_.TicksOf(kSecond));
    Publish();
    last_sample_ = now;
  }
  last_drain_ = now;
  // At first often, so that the rate gets better soon; then each second.
  if (now - last_calibration_ >= kSecond || clock_.AgeNs() < kSecond) {
    clock_.Update();
    last_calibration_ = now;
    g_slow_ticks.store(clock_.TicksOf(slow_threshold_ns_), std::memory_order_relaxed);
  }
  const std::uint32_t blocks = BlockCount();
  double fullest = 0;
  for (std::uint32_t i = 0; i < blocks; ++i) fullest = std::max(fullest, DrainBlock(BlockAt(i)));
  NoteRingFill(fullest);
  if (encoder_.span_count() > 0) CloseBatch();
}

void Sender::NoteRingFill(double fullest) noexcept {
  ring_fill_ = std::max(ring_fill_, fullest);
  const auto millionths = static_cast<std::uint32_t>(fullest * 1e6);
  status_->ring_fill.store(millionths, std::memory_order_relaxed);
  if (millionths > status_->highest_ring_fill.load(std::memory_order_relaxed))
    status_->highest_ring_fill.store(millionths, std::memory_order_relaxed);
}

double Sender::DrainBlock(ThreadBlock* block) {
  const std::uint64_t head = block->head.load(std::memory_order_acquire);
  std::uint64_t tail = block->tail.load(std::memory_order_relaxed);
  const double fill = static_cast<double>(head - tail) / static_cast<double>(block->capacity);
  std::uint64_t released = tail;
  while (tail != head) {
    const RecordView record(block->ring + (tail & (block->capacity - 1)) / 8);
    tail += std::uint64_t{record.Words()} * 8;
    if (!record.Padding()) AddRecord(record);
    if (tail - released < kTailStep) continue;
    released = tail;
    block->tail.store(tail, std::memory_order_release);
  }
  block->tail.store(tail, std::memory_order_release);
  return fill;
}

void Sender::AddRecord(const RecordView& record) {
  OtlpEncoder::Result result = encoder_.Add(record, clock_, memory_);
  if (result == OtlpEncoder::Result::kFull) {
    CloseBatch();
    result = encoder_.Add(record, clock_, memory_);
  }
  if (result != OtlpEncoder::Result::kAdded) ++memory_drops_;
  Unref(record.State());
}

void Sender::CloseBatch() {
  const std::uint32_t spans = encoder_.span_count();
  Payload* const payload = encoder_.Finish();
  if (payload == nullptr) {
    memory_drops_ += spans;
    return;
  }
  try {
    outbox_.Add(payload, spans, CurrentCounters());
  } catch (const std::bad_alloc&) {
    Payload::Unref(payload);
    memory_drops_ += spans;
  }
  SendBatches();
  status_->batched.store(outbox_.total_batched(), std::memory_order_relaxed);
}

// Spans that ended since Start() and under this process id.
Counters Sender::CurrentCounters() const noexcept {
  const BlockCounts sums = SumCounts();
  Counters counters;
  counters.sampled_out = sums.sampled_out - base_.sampled_out;
  counters.drops[kRingFull] = sums.ring_full - base_.drops[kRingFull];
  counters.drops[kNoRing] = sums.no_ring - base_.drops[kNoRing];
  counters.drops[kOpenLimit] = sums.no_slot - base_.drops[kOpenLimit];
  counters.drops[kMemory] = memory_drops_ - base_.drops[kMemory];
  return counters;
}

void Sender::Publish() noexcept {
  status_->batched.store(outbox_.total_batched(), std::memory_order_relaxed);
  status_->evicted.store(outbox_.evicted(), std::memory_order_relaxed);
  status_->delivered.store(outbox_.delivered(), std::memory_order_relaxed);
  status_->memory_drops.store(memory_drops_, std::memory_order_relaxed);
  status_->redacted.store(redactor_.marks(), std::memory_order_relaxed);
  status_->connected.store(state_ == State::kUp, std::memory_order_relaxed);
  status_->cpu_ns.store(static_cast<std::uint64_t>(ThreadCpuNs()), std::memory_order_relaxed);
  status_->own_bytes.store(
      BlockBytes() + outbox_.held_bytes() + encoder_.OwnBytes() + envelope_bytes_.capacity() + sizeof(Sender),
      std::memory_order_relaxed);
}

bool Sender::Finished(std::int64_t now) const noexcept {
  if (!stopping_) return false;
  // A little of the time is kept for the last message to leave.
  const std::int64_t stop_by = status_->stop_by_ns.load(std::memory_order_relaxed);
  if (outbox_.empty() && state_ != State::kHello) return true;
  return now >= stop_by - 50 * kMs || gave_up_;
}

void Sender::Goodbye(std::int64_t now) noexcept {
  // What ended after the last look at the rings, or just now.
  const BlockCounts sums = SumCounts();
  const std::uint64_t known =
      outbox_.total_batched() + sums.sampled_out + sums.ring_full + sums.no_ring + sums.no_slot + memory_drops_;
  const std::uint64_t left = sums.ended > known ? sums.ended - known : 0;
  status_->shutdown_drops.store(left, std::memory_order_relaxed);
  if (state_ != State::kUp) return;
  Envelope envelope = MakeEnvelope(EnvelopeKind::kGoodbye);
  envelope.counters = CurrentCounters();
  envelope.counters.drops[kAtShutdown] = left;
  Send(envelope, nullptr);
  const std::int64_t remaining = (status_->stop_by_ns.load(std::memory_order_relaxed) - now) / kMs;
  transport_.Close(remaining <= 0 ? 0 : static_cast<int>(remaining < 250 ? remaining : 250));
}

}  // namespace spanwatch::internal
