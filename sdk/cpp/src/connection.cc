// The sender's side of the wire protocol: connecting, messages, answers.
#include <unistd.h>

#include <cerrno>
#include <new>
#include <string>

#include "sdk/cpp/src/gauges.h"
#include "sdk/cpp/src/sender.h"

namespace spanwatch::internal {
namespace {

constexpr std::int64_t kMs = 1000000;
constexpr std::int64_t kSecond = 1000 * kMs;
constexpr std::int64_t kSilence = 3 * kSecond;  // without an answer: a new connection
constexpr std::int64_t kFirstBackoff = 100 * kMs;
constexpr std::int64_t kLastBackoff = 2 * kSecond;
constexpr std::int64_t kResendInterval = 1 * kSecond;
constexpr std::uint64_t kOpenThresholdNs = 1000000000;

ProcessId NextProcessId() noexcept {
  ProcessId id;
  FillRandom(id.data(), id.size());
  return id;
}

// One line: ZeroMQ tries again and again and never says why; of a socket in the file system the file tells.
std::string NoAnswer(const std::string& endpoint) {
  const std::string text = "no answer from " + endpoint;
  const bool file = endpoint.compare(0, 6, "ipc://") == 0 && endpoint.compare(6, 1, "@") != 0;
  if (!file || access(endpoint.c_str() + 6, W_OK) == 0) return text + ": does the sidecar run?\n";
  if (errno == EACCES) return text + ": this user may not use it; is it in the sidecar's group?\n";
  return text + ": there is no such socket; does the sidecar run, with this endpoint?\n";
}

}  // namespace

void Sender::StepConnection(std::int64_t now) {
  if (state_ == State::kDown) {
    if (now >= retry_at_) Connect(now);
    return;
  }
  const bool silent = state_ == State::kHello ? now >= hello_deadline_ : now - last_answer_ > kSilence;
  if (!silent && !transport_.Broken()) return;
  if (state_ == State::kHello) {
    MutexLock lock(&status_->mutex);
    status_->no_answer = NoAnswer(status_->endpoint);
  }
  Disconnect(now);
}

void Sender::SetAnswered() noexcept {
  MutexLock lock(&status_->mutex);
  status_->no_answer.clear();
}

void Sender::Connect(std::int64_t now) {
  const std::string endpoint = config_.endpoint.empty() ? FindEndpoint() : config_.endpoint;
  {
    MutexLock lock(&status_->mutex);
    status_->endpoint = endpoint;
  }
  if (!AreDescriptorsLeft(Transport::kDescriptors)) {
    status_->no_descriptors.fetch_add(1, std::memory_order_relaxed);
    status_->AddProblem("the process has no descriptors left: connecting waits until it has");
    return Disconnect(now);
  }
  if (endpoint.empty()) {
    MutexLock lock(&status_->mutex);
    status_->no_answer = "no sidecar found: there is no socket at the usual places, and TRACING_ENDPOINT names none\n";
    return Disconnect(now);
  }
  const char* error = nullptr;
  if (!transport_.Open(endpoint.c_str(), &error)) {
    if (error != nullptr) status_->AddProblem("cannot connect to " + endpoint + ": " + error);
    return Disconnect(now);
  }
  Payload* const resource = encoder_.Finish();  // nothing is in it: batches are closed before
  state_ = State::kHello;
  hello_deadline_ = now + kSilence;
  Envelope envelope = MakeEnvelope(EnvelopeKind::kHello);
  envelope.counters = CurrentCounters();
  const bool sent = resource != nullptr && Send(envelope, resource);
  Payload::Unref(resource);
  if (!sent) Disconnect(now);
}

void Sender::Disconnect(std::int64_t now) {
  if (state_ != State::kDown) status_->reconnects.fetch_add(1, std::memory_order_relaxed);
  transport_.Close(0);
  // At the end, a sidecar that was there is worth waiting for; one that never was is not.
  gave_up_ = gave_up_ || (stopping_ && !was_up_);
  state_ = State::kDown;
  status_->connected.store(false, std::memory_order_relaxed);
  backoff_ns_ = backoff_ns_ == 0 ? kFirstBackoff : backoff_ns_ * 2;
  const std::int64_t longest = stopping_ ? kFirstBackoff : kLastBackoff;
  if (backoff_ns_ > longest) backoff_ns_ = longest;
  retry_at_ = now + backoff_ns_;
}

void Sender::ReceiveAnswers(std::int64_t now) {
  for (int i = 0; i < 1000 && transport_.Receive(&answer_bytes_); ++i) {
    Answer answer;
    if (!DecodeAnswer(answer_bytes_, &answer)) {
      status_->AddProblem("an answer of the sidecar could not be read");
      continue;
    }
    OnAnswer(answer, now);
  }
}

void Sender::OnAnswer(const Answer& answer, std::int64_t now) {
  if (answer.kind != AnswerKind::kRefused && answer.process_id != process_id_) return;  // to an id given up
  last_answer_ = now;
  AdoptSettings(answer);
  switch (answer.kind) {
    case AnswerKind::kWelcome:
      if (state_ != State::kHello) return;
      outbox_.Acknowledge(answer.applied);
      outbox_.Rewind();
      state_ = State::kUp;
      was_up_ = true;
      backoff_ns_ = 0;
      closed_in_a_row_ = 0;
      next_second_ = now;
      resent_above_ = UINT64_MAX;
      status_->connected.store(true, std::memory_order_relaxed);
      SetAnswered();
      break;
    case AnswerKind::kAck:
      outbox_.Acknowledge(answer.applied);
      break;
    case AnswerKind::kResend:
      OnResend(answer.applied, now);
      break;
    case AnswerKind::kClosed:
      outbox_.Acknowledge(answer.applied);
      return OnClosed(now);
    case AnswerKind::kRefused:
      return OnRefused(answer, now);
  }
  status_->delivered.store(outbox_.delivered(), std::memory_order_relaxed);
  status_->evicted.store(outbox_.evicted(), std::memory_order_relaxed);
}

// Each batch that follows a lost one is answered like this; one resending answers them all.
void Sender::OnResend(std::uint64_t applied, std::int64_t now) {
  if (!outbox_.Acknowledge(applied)) return;
  if (applied == resent_above_ && now - resent_at_ < kResendInterval) return;
  resent_above_ = applied;
  resent_at_ = now;
  outbox_.Rewind();
}

// What the old id reported stays with it, whether or not it arrived: so nothing is counted twice.
void Sender::OnClosed(std::int64_t now) {
  outbox_.Renumber(reported_);
  base_.sampled_out += reported_.sampled_out;
  for (std::uint32_t i = 0; i < kDropReasons; ++i) base_.drops[i] += reported_.drops[i];
  reported_ = {};
  process_id_ = NextProcessId();
  Disconnect(now);
  if (++closed_in_a_row_ == 1) retry_at_ = now;
}

void Sender::OnRefused(const Answer& answer, std::int64_t now) {
  status_->refused.fetch_add(1, std::memory_order_relaxed);
  status_->AddProblem("the sidecar refused a message: " + std::string(answer.reason));
  // Twice with the same oldest batch on its way: it may be the one, and would block all others for ever.
  if (state_ == State::kUp && outbox_.window_bytes() > 0 && answer.reason != "other_connection") {
    if (refused_oldest_ == outbox_.oldest_held()) outbox_.EvictOldest();
    refused_oldest_ = outbox_.oldest_held();
  }
  backoff_ns_ = kLastBackoff;
  Disconnect(now);
}

// The sidecar may lower the rate, never raise it above the program's own; without one in the settings that holds again.
void Sender::AdoptSettings(const Answer& answer) noexcept {
  if (answer.has_settings) {
    const bool lower = answer.has_sample_rate && answer.sample_rate < config_.sample_rate;
    g_sampling.store(SamplingPolicy(lower ? answer.sample_rate : config_.sample_rate), std::memory_order_relaxed);
  }
  if (answer.has_slow_threshold) {
    slow_threshold_ns_ = answer.slow_threshold_ns;
    g_slow_ticks.store(clock_.TicksOf(slow_threshold_ns_), std::memory_order_relaxed);
  }
}

Envelope Sender::MakeEnvelope(EnvelopeKind kind) const noexcept {
  Envelope envelope;
  envelope.kind = kind;
  envelope.process_id = process_id_;
  envelope.oldest_held = outbox_.oldest_held();
  envelope.acknowledged = outbox_.acknowledged();
  envelope.batched_before = outbox_.batched();
  envelope.redaction_policy = redactor_.policy_hash();
  return envelope;
}

bool Sender::Send(const Envelope& envelope, Payload* payload) noexcept {
  Envelope stamped = envelope;
  stamped.send_time_ns = WallNs();
  if (!EncodeEnvelope(stamped, &envelope_bytes_) || !transport_.Send(envelope_bytes_.view(), payload)) return false;
  const auto raise = [](std::uint64_t* value, std::uint64_t to) {
    if (to > *value) *value = to;
  };
  raise(&reported_.sampled_out, envelope.counters.sampled_out);
  for (std::uint32_t i = 0; i < kDropReasons; ++i) raise(&reported_.drops[i], envelope.counters.drops[i]);
  return true;
}

void Sender::SendBatches() {
  if (state_ != State::kUp) return;
  while (const Batch* const batch = outbox_.NextToSend()) {
    Envelope envelope = MakeEnvelope(EnvelopeKind::kSpans);
    envelope.sequence = batch->sequence;
    envelope.span_count = batch->span_count;
    envelope.batched_before = batch->batched_before;
    envelope.counters = batch->counters;
    if (!Send(envelope, batch->payload)) return;
    outbox_.MarkSent();
  }
}

void Sender::SendHeartbeat() {
  Heartbeat heartbeat;
  Publish();
  heartbeat.rss_bytes = static_cast<std::uint64_t>(memory_.last_rss());
  heartbeat.sdk_bytes = status_->own_bytes.load(std::memory_order_relaxed);
  heartbeat.sdk_cpu_ns = status_->cpu_ns.load(std::memory_order_relaxed);
  heartbeat.ring_fill = ring_fill_;
  ring_fill_ = 0;
  heartbeat.sample_rate = RateOf(g_sampling.load(std::memory_order_relaxed));
  heartbeat.gauges = CopyGauges();
  redactor_.Redact(&heartbeat.gauges);
  if (!AddBreakers(&redactor_, &heartbeat.gauges))
    status_->AddProblem("more than 64 gauges: some circuit breakers are not reported to the sidecar");
  MakeUtf8(&heartbeat.gauges);
  Envelope envelope = MakeEnvelope(EnvelopeKind::kHeartbeat);
  envelope.counters = CurrentCounters();
  envelope.heartbeat = &heartbeat;
  Send(envelope, nullptr);
  ResendIfStalled();
}

// Batches on their way for three heartbeats without any progress got lost (the answers to the heartbeats, else, would
// have ended the connection): send them again. Repeats do no harm.
void Sender::ResendIfStalled() noexcept {
  const std::uint64_t acknowledged = outbox_.acknowledged().sequence;
  stalled_seconds_ = outbox_.window_bytes() > 0 && acknowledged == progress_ ? stalled_seconds_ + 1 : 0;
  progress_ = acknowledged;
  if (stalled_seconds_ < 3) return;
  stalled_seconds_ = 0;
  outbox_.Rewind();
}

void Sender::CollectOpenSpans() {
  const std::uint64_t started_before = Ticks() - clock_.TicksOf(kOpenThresholdNs);
  const std::uint32_t blocks = BlockCount();
  for (std::uint32_t i = 0; i < blocks; ++i) {
    const ThreadBlock& block = *BlockAt(i);
    const std::uint32_t chunks = block.chunk_count.load(std::memory_order_acquire);
    for (std::uint32_t c = 0; c < chunks; ++c) {
      const Slot* const chunk = block.chunks[c].load(std::memory_order_relaxed);
      for (std::uint32_t j = 0; j < kSlotsPerChunk; ++j) {
        if (!AddOpenSpan(chunk[j], started_before)) return;
      }
    }
  }
}

// What has been open for more than a second; an empty list once after that, so that the former one ends.
void Sender::SendOpenSpans() {
  CollectOpenSpans();
  const std::uint32_t count = encoder_.span_count();
  if (count == 0 && !open_list_sent_) return;
  Payload* const payload = encoder_.Finish();
  if (payload == nullptr) return;
  Envelope envelope = MakeEnvelope(EnvelopeKind::kOpenSpans);
  envelope.counters = CurrentCounters();
  envelope.span_count = count;
  open_list_sent_ = Send(envelope, payload) && count > 0;
  Payload::Unref(payload);
}

// False: the list is full.
bool Sender::AddOpenSpan(const Slot& slot, std::uint64_t started_before) {
  constexpr auto kRelaxed = std::memory_order_relaxed;
  const std::uint64_t generation = slot.generation.load(std::memory_order_acquire);
  if ((generation & 1) != 0) return true;
  OpenSpan span;
  span.trace_hi = slot.trace_hi.load(kRelaxed);
  span.trace_lo = slot.trace_lo.load(kRelaxed);
  span.span_id = slot.span_id.load(kRelaxed);
  span.parent_id = slot.parent_id.load(kRelaxed);
  span.start = slot.start.load(kRelaxed);
  const std::uint64_t meta = slot.meta.load(kRelaxed);
  const auto* const constant = reinterpret_cast<const char*>(slot.name.load(kRelaxed));
  const std::size_t name_bytes = meta & kMetaNameMask;
  std::uint64_t copy[kMaxNameBytes / 8] = {};
  if (constant == nullptr) {
    for (std::size_t i = 0; i * 8 < name_bytes && i < kMaxNameBytes / 8; ++i) {
      copy[i] = __atomic_load_n(slot.inline_body + i, __ATOMIC_RELAXED);
    }
  }
  std::atomic_thread_fence(std::memory_order_acquire);
  if (slot.generation.load(kRelaxed) != generation) return true;  // ended meanwhile
  if (static_cast<std::uint32_t>(meta >> kMetaEpochShift) != g_epoch.load(kRelaxed)) return true;
  if (static_cast<std::int64_t>(started_before - span.start) < 0) return true;
  span.kind = meta >> kMetaKindShift & 15;
  span.name = {constant != nullptr ? constant : reinterpret_cast<const char*>(copy), name_bytes};
  return encoder_.AddOpen(span, clock_) == OtlpEncoder::Result::kAdded;
}

}  // namespace spanwatch::internal
