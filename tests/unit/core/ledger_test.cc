// The loss ledger through the engine: sequences, repeats, gaps, restarts, hostile processes.
// The equation emitted = applied + sampled_out + sum(lost) is checked after every message.
#include <gtest/gtest.h>

#include <numeric>

#include "tests/support/engine_driver.h"

namespace spanwatch::core {
namespace {

ProcessId Process(std::uint8_t number) {
  ProcessId id{};
  id.fill(number);
  return id;
}

// A traced process as the sidecar sees it.
class Sender {
 public:
  explicit Sender(EngineDriver* driver, std::uint8_t number = 1, std::uint64_t connection = 1)
      : driver_(driver), number_(number), connection_(connection) {}

  EnvelopeView Envelope(EnvelopeKind kind) const {
    EnvelopeView envelope;
    envelope.kind = kind;
    envelope.process_id = Process(number_);
    envelope.oldest_held = oldest_held ? oldest_held : sequence + 1;
    envelope.batched_before = batched;
    envelope.sampled_out = sampled_out;
    envelope.drops = drops;
    envelope.has_acknowledged = acknowledged.sequence > 0;
    envelope.acknowledged = acknowledged;
    return envelope;
  }
  // Sends the next batch of `count` spans, or makes it and loses it.
  Answer Batch(std::uint32_t count, bool lost = false) {
    EnvelopeView envelope = Envelope(EnvelopeKind::kSpans);
    envelope.sequence = ++sequence;
    envelope.oldest_held = oldest_held ? oldest_held : sequence;
    envelope.span_count = count;
    batched += count;
    last_ = envelope;
    last_spans_.clear();
    for (std::uint32_t i = 0; i < count; ++i) last_spans_.push_back({.trace = 1000 + sequence, .id = i + 1});
    return lost ? Answer{} : Repeat();
  }
  Answer Repeat() { return Send(last_, last_spans_); }
  Answer Send(const EnvelopeView& envelope, const std::vector<TestSpan>& spans = {}) {
    const std::vector<Answer> answers = driver_->Message(connection_, envelope, spans);
    EXPECT_EQ(answers.size(), 1u);
    CheckEquation();
    return answers.empty() ? Answer{} : answers[0];
  }
  Answer Say(EnvelopeKind kind) { return Send(Envelope(kind)); }
  ProcessView View() const { return driver_->engine().Stats().processes.at(0); }
  void CheckEquation() const {
    for (const ProcessView& view : driver_->engine().Stats().processes) {
      std::uint64_t lost = 0;
      for (const ReasonCount& each : view.lost) lost += each.count;
      EXPECT_EQ(view.emitted, view.applied + view.sampled_out + lost) << view.id;
    }
  }
  std::uint64_t Lost(const std::string& reason) const {
    for (const ReasonCount& each : View().lost) {
      if (each.name == reason) return each.count;
    }
    return 0;
  }

  std::uint64_t sequence = 0, batched = 0, sampled_out = 0, oldest_held = 0;
  std::vector<Drop> drops;
  Totals acknowledged;

 private:
  EngineDriver* driver_;
  std::uint8_t number_;
  std::uint64_t connection_;
  EnvelopeView last_;
  std::vector<TestSpan> last_spans_;
};

TEST(Ledger, AppliesInOrderAcknowledgesAndDropsRepeats) {
  EngineDriver driver;
  Sender sender(&driver);
  EXPECT_EQ(sender.Say(EnvelopeKind::kHello).kind, AnswerKind::kWelcome);
  for (int i = 1; i <= 3; ++i) {
    const Answer answer = sender.Batch(10);
    EXPECT_EQ(answer.kind, AnswerKind::kAck);
    EXPECT_EQ(answer.applied, static_cast<std::uint64_t>(i));
  }
  EXPECT_EQ(sender.Repeat().applied, 3u);
  EXPECT_EQ(sender.View().applied, 30u);
  EXPECT_EQ(driver.engine().Stats().spans_applied, 30u);
}

TEST(Ledger, CountsDropsAndSampledOutAsTheyAreReported) {
  EngineDriver driver;
  Sender sender(&driver);
  sender.Say(EnvelopeKind::kHello);
  sender.drops = {{"ring_full", 7}};
  sender.sampled_out = 90;
  sender.Batch(10);
  sender.drops = {{"ring_full", 5}};  // counters never fall
  sender.Say(EnvelopeKind::kHeartbeat);
  sender.drops = {{"ring_full", 9}, {"no_ring", 1}};
  sender.Say(EnvelopeKind::kHeartbeat);
  EXPECT_EQ(sender.View().emitted, 110u);
  EXPECT_EQ(sender.View().sampled_out, 90u);
  EXPECT_EQ(sender.Lost("ring_full"), 9u);
  EXPECT_EQ(sender.Lost("no_ring"), 1u);
}

TEST(Ledger, AGapBelowTheOldestHeldIsLostToTheUnit) {
  EngineDriver driver;
  Sender sender(&driver);
  sender.Batch(10);
  sender.Batch(20, true);
  sender.Batch(30, true);
  sender.oldest_held = 4;
  EXPECT_EQ(sender.Batch(40).applied, 4u);
  EXPECT_EQ(sender.Lost("buffer_full"), 50u);
  EXPECT_EQ(sender.View().emitted, 100u);
}

TEST(Ledger, AGapThatIsStillHeldIsAskedForAgain) {
  EngineDriver driver;
  Sender sender(&driver);
  sender.Batch(10);
  sender.Batch(20, true);
  sender.oldest_held = 2;
  const Answer answer = sender.Batch(30);
  EXPECT_EQ(answer.kind, AnswerKind::kResend);
  EXPECT_EQ(answer.applied, 1u);
  EXPECT_EQ(sender.View().applied, 10u);
  EXPECT_EQ(sender.View().emitted, 10u) << "judged by nobody yet";
}

TEST(Ledger, ARestartedSidecarStartsAtWhatWasAcknowledged) {
  EngineDriver driver;
  Sender sender(&driver);
  sender.sequence = 50;
  sender.batched = 5000;
  sender.drops = {{"ring_full", 17}};
  sender.sampled_out = 300;
  sender.acknowledged = {48, 4900, 200, {{"ring_full", 10}}};
  EXPECT_EQ(sender.Say(EnvelopeKind::kHello).applied, 48u);
  EXPECT_EQ(sender.View().emitted, 107u) << "7 drops and 100 sampled out since then";
  sender.oldest_held = 51;
  sender.Batch(5);
  EXPECT_EQ(sender.Lost("buffer_full"), 100u);
  EXPECT_EQ(sender.View().applied, 5u);
}

// Its journal knows the process, but not all that was acknowledged to it.
TEST(Ledger, WhatWasAcknowledgedAndIsNotInTheJournalIsLostUnderItsOwnReason) {
  EngineDriver driver;
  Sender sender(&driver);
  sender.Batch(10);
  sender.Batch(20, true);
  sender.Batch(30, true);
  sender.acknowledged = {3, 60, 0, {}};
  EXPECT_EQ(sender.Say(EnvelopeKind::kHello).applied, 3u);
  EXPECT_EQ(sender.Lost("journal_gap"), 50u);
  sender.Batch(5);
  EXPECT_EQ(sender.View().applied, 15u);
  EXPECT_EQ(sender.View().emitted, 65u);
  EXPECT_EQ(sender.Lost("buffer_full"), 0u);
  sender.acknowledged = {1000, 3, 0, {}};
  EXPECT_EQ(sender.Say(EnvelopeKind::kHeartbeat).applied, 4u) << "more batches with fewer spans";
  sender.acknowledged = {1000, ~0ull, 0, {}};
  EXPECT_EQ(sender.Say(EnvelopeKind::kHeartbeat).applied, 4u) << "absurd";
  EXPECT_EQ(sender.Lost("journal_gap"), 50u);
}

TEST(Ledger, ASilentProcessIsShownAndAfterAMinuteClosed) {
  EngineDriver driver;
  Sender sender(&driver);
  sender.Batch(10);
  sender.batched += 25;  // batched, reported, never arrived
  sender.Say(EnvelopeKind::kHeartbeat);
  driver.At(4'900 * kMs);
  EXPECT_EQ(sender.View().state, "alive");
  driver.At(5'000 * kMs);
  EXPECT_EQ(sender.View().state, "silent");
  driver.At(59'900 * kMs);
  EXPECT_EQ(sender.View().state, "silent");
  driver.At(60'000 * kMs);
  EXPECT_EQ(sender.View().state, "died");
  EXPECT_TRUE(sender.View().tail_unknown);
  EXPECT_EQ(sender.Lost("died"), 25u);
  sender.CheckEquation();
  EXPECT_EQ(sender.Batch(1).kind, AnswerKind::kClosed) << "a closed id is not reopened";
  EXPECT_EQ(sender.View().emitted, 35u);
}

TEST(Ledger, GoodbyeClosesAndCountsWhatWasNotDelivered) {
  EngineDriver driver;
  Sender sender(&driver);
  sender.Batch(10);
  sender.batched += 3;
  sender.Say(EnvelopeKind::kGoodbye);
  EXPECT_EQ(sender.View().state, "closed");
  EXPECT_EQ(sender.View().emitted, 13u);
  EXPECT_EQ(sender.Lost("shutdown") + sender.Lost("buffer_full"), 3u);
  EXPECT_FALSE(sender.View().tail_unknown);
}

TEST(Ledger, MalformedAndRejectedSpansOfABatchAreLostNotForgotten) {
  EngineDriver driver;
  Sender sender(&driver);
  EnvelopeView envelope = sender.Envelope(EnvelopeKind::kSpans);
  envelope.sequence = 1;
  envelope.span_count = 10;
  TestBatch batch({{.id = 1}, {.id = 2}});
  batch.batch().rejected.invalid_id = 3;
  Decoded decoded;
  decoded.envelope = &envelope;
  decoded.spans = &batch.batch();
  decoded.payload_malformed = true;
  driver.engine().Apply({1, driver.now_ns(), RecordKind::kMessage, 1}, decoded);
  EXPECT_EQ(sender.View().applied, 2u);
  EXPECT_EQ(sender.Lost("rejected"), 3u);
  EXPECT_EQ(sender.Lost("malformed"), 5u);
  sender.CheckEquation();
  EXPECT_EQ(driver.engine().Stats().malformed_messages.at(0).name, "bad_payload");
}

TEST(Ledger, ABatchWithMoreSpansThanItSaysIsNotApplied) {
  EngineDriver driver;
  Sender sender(&driver);
  EnvelopeView envelope = sender.Envelope(EnvelopeKind::kSpans);
  envelope.sequence = 1;
  envelope.span_count = 1;
  sender.Send(envelope, {{.id = 1}, {.id = 2}});
  EXPECT_EQ(sender.View().applied, 0u);
  EXPECT_EQ(sender.View().emitted, 1u);
}

TEST(Ledger, OneProcessCannotTouchAnother) {
  EngineDriver driver;
  Sender honest(&driver, 1, 1);
  honest.Say(EnvelopeKind::kHello);
  honest.Batch(10);
  Sender thief(&driver, 1, 2);  // the same id from another connection, without a hello
  thief.sequence = 7;
  EXPECT_EQ(thief.Batch(1000).kind, AnswerKind::kRefused);
  EXPECT_EQ(thief.Say(EnvelopeKind::kGoodbye).kind, AnswerKind::kRefused);
  EXPECT_EQ(honest.Batch(10).applied, 2u);
  EXPECT_EQ(honest.View().applied, 20u);
}

TEST(Ledger, AbsurdCountersAreNotBelieved) {
  EngineDriver driver;
  Sender sender(&driver);
  sender.Batch(10);
  sender.drops = {{"ring_full", UINT64_MAX}};
  sender.sampled_out = UINT64_MAX;
  sender.batched = UINT64_MAX - 5;
  sender.oldest_held = UINT64_MAX;
  EXPECT_EQ(sender.Batch(1).kind, AnswerKind::kRefused);
  sender.Say(EnvelopeKind::kHeartbeat);
  sender.Say(EnvelopeKind::kGoodbye);
  EXPECT_EQ(sender.View().emitted, 10u);
}

TEST(Ledger, ItsTableIsBoundedAndTheSumsSurviveForgetting) {
  Limits limits;
  limits.max_processes = 8;
  EngineDriver driver(limits);
  for (std::uint8_t number = 1; number <= 20; ++number) {
    Sender sender(&driver, number, number);
    sender.drops = {{"ring_full", 2}};
    EXPECT_EQ(sender.Batch(10).kind, AnswerKind::kAck);
    sender.Say(EnvelopeKind::kGoodbye);
  }
  StatsView stats = driver.engine().Stats();
  EXPECT_EQ(stats.processes.size(), 8u);
  EXPECT_EQ(stats.applied, 200u);
  EXPECT_EQ(stats.emitted, 240u);
  EXPECT_EQ(stats.lost.at(0).count, 40u);
  for (std::uint8_t number = 30; number < 40; ++number) Sender(&driver, number, number).Batch(1);
  stats = driver.engine().Stats();
  EXPECT_EQ(stats.processes.size(), 8u);
  EXPECT_EQ(stats.processes_dropped, 2u) << "live ones are not pushed out";
}

TEST(Ledger, AFloodOfNamesKeepsNobodyOut) {
  Limits limits;
  limits.max_processes = 8;
  EngineDriver driver(limits);
  Sender busy(&driver, 200, 200);
  busy.Batch(5);
  Sender idle(&driver, 201, 201);
  idle.Say(EnvelopeKind::kHello);
  for (std::uint8_t number = 1; number <= 50; ++number) Sender(&driver, number, number).Say(EnvelopeKind::kHello);
  Sender late(&driver, 202, 202);
  EXPECT_EQ(late.Say(EnvelopeKind::kHello).kind, AnswerKind::kWelcome);
  EXPECT_EQ(late.Batch(3).kind, AnswerKind::kAck);
  EXPECT_EQ(idle.Batch(2).kind, AnswerKind::kAck) << "it was forgotten, and nothing with it";
  EXPECT_EQ(busy.Batch(4).applied, 2u);
  const StatsView stats = driver.engine().Stats();
  EXPECT_EQ(stats.processes.size(), 8u);
  EXPECT_EQ(stats.processes_dropped, 0u);
  EXPECT_EQ(stats.applied, 14u);
  EXPECT_EQ(stats.emitted, 14u);
}

TEST(Ledger, OneConnectionHasAFewLivingProcessesAtMost) {
  EngineDriver driver;
  for (std::uint8_t number = 1; number <= 4; ++number) {
    EXPECT_EQ(Sender(&driver, number, 7).Batch(1).kind, AnswerKind::kAck);
  }
  EXPECT_EQ(Sender(&driver, 5, 7).Batch(1).kind, AnswerKind::kRefused);
  EXPECT_EQ(Sender(&driver, 5, 8).Batch(1).kind, AnswerKind::kAck) << "another connection is not held back";
  EXPECT_EQ(driver.engine().Stats().processes_dropped, 1u);
  Sender(&driver, 1, 7).Say(EnvelopeKind::kGoodbye);
  EXPECT_EQ(Sender(&driver, 6, 7).Batch(1).kind, AnswerKind::kAck);
}

TEST(Ledger, HeartbeatsAndOpenSpansAreShown) {
  EngineDriver driver;
  Sender sender(&driver);
  EnvelopeView beat = sender.Envelope(EnvelopeKind::kHeartbeat);
  beat.rss_bytes = 100;
  beat.sdk_bytes = 5;
  beat.sdk_cpu_ns = 2'000'000'000;
  beat.sdk_ring_fill = 0.75;
  beat.sdk_sample_rate = 0.1;
  beat.gauges = {{"circuit_breaker_state", {{"name", "model"}}, 1}};
  sender.Send(beat);
  EnvelopeView open = sender.Envelope(EnvelopeKind::kOpenSpans);
  open.send_time_ns = kStart + 90 * kSecond;
  sender.Send(open, {{.id = 1, .duration_ns = -kStart}, {.id = 2, .duration_ns = -kStart}});
  const ProcessView view = sender.View();
  EXPECT_EQ(view.open_spans, 2u);
  EXPECT_EQ(view.rss_bytes, 100u);
  EXPECT_EQ(view.sdk_cpu_seconds, 2);
  EXPECT_EQ(view.sdk_ring_fill, 0.75);
  EXPECT_EQ(view.sdk_sample_rate, 0.1);
  ASSERT_EQ(view.gauges.size(), 1u);
  EXPECT_EQ(view.gauges[0].labels[0].value, "model");
  EXPECT_TRUE(driver.engine().Metrics().series.empty()) << "open spans never count in metrics";
  EXPECT_EQ(driver.engine().Stats().store.traces, 0u);
}

}  // namespace
}  // namespace spanwatch::core
