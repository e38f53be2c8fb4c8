// The runtime's parts by themselves: outbox, envelope, memory sampler, protobuf reader, clock.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "sdk/cpp/src/clock.h"
#include "sdk/cpp/src/envelope.h"
#include "sdk/cpp/src/memory_sampler.h"
#include "sdk/cpp/src/outbox.h"
#include "sdk/cpp/src/record.h"

namespace spanwatch::internal {
namespace {

Counters Counted(std::uint64_t sampled_out, std::uint64_t ring_full) {
  Counters counters;
  counters.sampled_out = sampled_out;
  counters.drops[kRingFull] = ring_full;
  return counters;
}

TEST(OutboxTest, NumbersSendsAndAcknowledges) {
  Outbox outbox;
  EXPECT_EQ(outbox.oldest_held(), 1u);
  for (std::uint64_t i = 1; i <= 3; ++i) outbox.Add(Payload::Make(100), 10, Counted(i, i * 2));
  ASSERT_NE(outbox.NextToSend(), nullptr);
  EXPECT_EQ(outbox.NextToSend()->sequence, 1u);
  EXPECT_FALSE(outbox.Acknowledge(1));  // was never sent
  outbox.MarkSent();
  outbox.MarkSent();
  EXPECT_EQ(outbox.NextToSend()->batched_before, 20u);
  EXPECT_TRUE(outbox.Acknowledge(2));
  EXPECT_TRUE(outbox.Acknowledge(1));  // late
  EXPECT_EQ(outbox.acknowledged().sequence, 2u);
  EXPECT_EQ(outbox.acknowledged().batched, 20u);
  EXPECT_EQ(outbox.acknowledged().counters.drops[kRingFull], 4u);
  EXPECT_EQ(outbox.window_bytes(), 0u);
  EXPECT_EQ(outbox.delivered(), 20u);
  EXPECT_EQ(outbox.held_spans(), 10u);
  EXPECT_EQ(outbox.oldest_held(), 3u);
}

TEST(OutboxTest, WindowAndRewind) {
  Outbox outbox;
  for (int i = 0; i < 20; ++i) outbox.Add(Payload::Make(100 << 10), 1, {});
  int sent = 0;
  for (; outbox.NextToSend() != nullptr; ++sent) outbox.MarkSent();
  EXPECT_EQ(sent, 10);
  EXPECT_LE(outbox.window_bytes(), Outbox::kWindowBytes);
  outbox.Acknowledge(4);
  for (; outbox.NextToSend() != nullptr; ++sent) outbox.MarkSent();
  EXPECT_EQ(sent, 14);
  outbox.Rewind();
  EXPECT_EQ(outbox.NextToSend()->sequence, 5u);
  EXPECT_EQ(outbox.window_bytes(), 0u);
}

TEST(OutboxTest, FullBufferDropsTheOldestEvenOnItsWayAndLearnsThatItArrived) {
  Outbox outbox;
  for (int i = 0; i < 10; ++i) outbox.Add(Payload::Make(100 << 10), 5, Counted(0, static_cast<std::uint64_t>(i)));
  outbox.MarkSent();
  outbox.MarkSent();
  for (int i = 10; i < 34; ++i) outbox.Add(Payload::Make(100 << 10), 5, {});
  EXPECT_LE(outbox.held_bytes(), Outbox::kMaxBytes);
  EXPECT_EQ(outbox.oldest_held(), 5u);
  EXPECT_EQ(outbox.evicted(), 20u);
  EXPECT_EQ(outbox.NextToSend()->sequence, 5u);
  EXPECT_TRUE(outbox.Acknowledge(2));
  EXPECT_EQ(outbox.evicted(), 10u);
  EXPECT_EQ(outbox.delivered(), 10u);
  EXPECT_EQ(outbox.acknowledged().sequence, 2u);
  EXPECT_EQ(outbox.acknowledged().counters.drops[kRingFull], 1u);
}

TEST(OutboxTest, RenumberCountsNothingTwice) {
  Outbox outbox;
  for (std::uint64_t i = 1; i <= 4; ++i) outbox.Add(Payload::Make(10), 10, Counted(i * 10, i));
  for (int i = 0; i < 3; ++i) outbox.MarkSent();
  outbox.Acknowledge(2);
  outbox.Renumber(Counted(30, 3));
  EXPECT_EQ(outbox.oldest_held(), 1u);
  EXPECT_EQ(outbox.next_sequence(), 3u);
  EXPECT_EQ(outbox.batched(), 20u);
  EXPECT_EQ(outbox.acknowledged().sequence, 0u);
  EXPECT_EQ(outbox.NextToSend()->counters.sampled_out, 0u);
  outbox.MarkSent();
  EXPECT_EQ(outbox.NextToSend()->counters.sampled_out, 10u);
  EXPECT_EQ(outbox.NextToSend()->counters.drops[kRingFull], 1u);
  EXPECT_EQ(outbox.NextToSend()->batched_before, 10u);
  EXPECT_EQ(outbox.total_batched(), 40u);
}

std::string FromHex(const std::string& text) {
  std::string bytes, digits;
  for (const char c : text) {
    if (c == ' ' || c == '\n') continue;
    digits += c;
    if (digits.size() < 2) continue;
    bytes += static_cast<char>(std::strtoul(digits.c_str(), nullptr, 16));
    digits.clear();
  }
  return bytes;
}

std::string Vector(const std::string& name) {
  std::ifstream file(std::string(SPANWATCH_SOURCE_DIR) + "/tests/vectors/" + name + ".hex");
  std::string text, line;
  while (std::getline(file, line)) text += line.substr(0, line.find('#')) + " ";
  EXPECT_FALSE(text.empty()) << name;
  return FromHex(text);
}

Envelope VectorEnvelope(EnvelopeKind kind) {
  Envelope envelope;
  envelope.kind = kind;
  for (std::uint8_t i = 0; i < 16; ++i) envelope.process_id[i] = i;
  envelope.oldest_held = 1;
  envelope.send_time_ns = 1700000000123456789;
  return envelope;
}

std::string Encoded(const Envelope& envelope) {
  ByteBuffer buffer;
  EXPECT_TRUE(EncodeEnvelope(envelope, &buffer));
  return std::string(buffer.view());
}

TEST(EnvelopeTest, BytesAreThoseOfTheVectors) {
  EXPECT_EQ(Encoded(VectorEnvelope(EnvelopeKind::kHello)), Vector("hello"));

  Envelope spans = VectorEnvelope(EnvelopeKind::kSpans);
  spans.sequence = 300;
  spans.oldest_held = 299;
  spans.acknowledged = {298, 11900, Counted(40, 7)};
  spans.batched_before = 11950;
  spans.span_count = 50;
  spans.counters = Counted(41, 7);
  spans.counters.drops[kNoRing] = 2;
  EXPECT_EQ(Encoded(spans), Vector("spans"));

  Heartbeat heartbeat;
  heartbeat.rss_bytes = 52428800;
  heartbeat.sdk_bytes = 300000;
  heartbeat.sdk_cpu_ns = 1234567;
  heartbeat.gauges = {{"circuit_breaker", {{"name", "gemini"}}, 1}, {"queue", {}, 0}};
  heartbeat.ring_fill = 0.75;
  heartbeat.sample_rate = 0.25;
  Envelope beat = VectorEnvelope(EnvelopeKind::kHeartbeat);
  beat.oldest_held = 301;
  beat.batched_before = 12000;
  beat.heartbeat = &heartbeat;
  EXPECT_EQ(Encoded(beat), Vector("heartbeat"));

  Envelope goodbye = VectorEnvelope(EnvelopeKind::kGoodbye);
  goodbye.oldest_held = 301;
  goodbye.acknowledged = {300, 12000, Counted(41, 7)};
  goodbye.batched_before = 12000;
  goodbye.counters = Counted(41, 7);
  goodbye.counters.drops[kAtShutdown] = 3;
  EXPECT_EQ(Encoded(goodbye), Vector("goodbye"));
}

TEST(EnvelopeTest, AnswersOfTheVectorsAreUnderstood) {
  Answer answer;
  ASSERT_TRUE(DecodeAnswer(Vector("welcome"), &answer));
  EXPECT_EQ(answer.kind, AnswerKind::kWelcome);
  EXPECT_EQ(answer.process_id[15], 15);
  EXPECT_EQ(answer.applied, 298u);
  EXPECT_TRUE(answer.has_sample_rate);
  EXPECT_EQ(answer.sample_rate, 0.25);
  EXPECT_TRUE(answer.has_slow_threshold);
  EXPECT_EQ(answer.slow_threshold_ns, 1000000000u);
  const std::string refused = Vector("refused");
  ASSERT_TRUE(DecodeAnswer(refused, &answer));
  EXPECT_EQ(answer.kind, AnswerKind::kRefused);
  EXPECT_EQ(answer.reason, "bad_version");
  EXPECT_FALSE(answer.has_sample_rate);
}

TEST(EnvelopeTest, AnyBytesAreSafeAsAnAnswer) {
  std::mt19937 random(7);
  const std::string good = Vector("welcome");
  for (int i = 0; i < 20000; ++i) {
    std::string bytes = good.substr(0, random() % (good.size() + 1));
    for (std::size_t changes = random() % 4; changes > 0 && !bytes.empty(); --changes) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    Answer answer;
    if (!DecodeAnswer(bytes, &answer)) continue;
    EXPECT_TRUE(!answer.has_sample_rate || (answer.sample_rate >= 0 && answer.sample_rate <= 1));
  }
}

TEST(MemorySamplerTest, OnlySpansInWhichASampleFellKnow) {
  MemorySampler sampler;
  std::int64_t delta = 0, peak = 0;
  EXPECT_FALSE(sampler.During(0, 1000, &delta, &peak));
  sampler.Add(100, 50, 1000000);
  sampler.Add(200, 90, 1000000);
  sampler.Add(300, 70, 1000000);
  EXPECT_FALSE(sampler.During(210, 290, &delta, &peak));
  EXPECT_FALSE(sampler.During(301, 400, &delta, &peak));
  ASSERT_TRUE(sampler.During(150, 350, &delta, &peak));
  EXPECT_EQ(delta, 20);
  EXPECT_EQ(peak, 90);
  ASSERT_TRUE(sampler.During(250, 300, &delta, &peak));
  EXPECT_EQ(delta, -20);
  EXPECT_EQ(peak, 70);
  ASSERT_TRUE(sampler.During(50, 150, &delta, &peak));  // nothing before it
  EXPECT_EQ(delta, 0);
}

TEST(MemorySamplerTest, LongSpansUseTheCoarseHistory) {
  MemorySampler sampler;
  for (std::uint64_t i = 1; i <= 20000; ++i) {
    sampler.Add(i * 20, i == 3000 ? 1000000 : static_cast<std::int64_t>(i), 1000);
  }
  std::int64_t delta = 0, peak = 0;
  ASSERT_TRUE(sampler.During(40000, 400000, &delta, &peak));  // from sample 2000 to the end
  EXPECT_EQ(peak, 1000000);
  EXPECT_NEAR(static_cast<double>(delta), 18000, 60);
}

// Both kinds of ticks, whichever this machine would take.
TEST(ClockTest, ConvertsTicksToWallTime) {
  DetectClock();
  const bool detected = g_use_tsc;
  for (const bool use_tsc : {detected, false}) {
    g_use_tsc = use_tsc;
    ClockConverter clock;
    while (clock.AgeNs() < 20000000) {
    }
    clock.Update();
    const std::uint64_t ticks = Ticks();
    EXPECT_NEAR(static_cast<double>(clock.ToWallNs(ticks) - WallNs()), 0, 1e7);
    EXPECT_NEAR(static_cast<double>(clock.ToWallNs(ticks + clock.TicksOf(1000000000)) - clock.ToWallNs(ticks)), 1e9,
                1000);
    if (!use_tsc) {
      EXPECT_EQ(clock.TicksOf(12345), 12345u);
      EXPECT_STREQ(ClockName(), "monotonic");
    }
  }
  g_use_tsc = detected;
}

TEST(ClockTest, TheCounterIsUsedOnlyIfItCanBeTrusted) {
  EXPECT_TRUE(IsTscUsable(true, "tsc", ""));
  EXPECT_TRUE(IsTscUsable(true, "kvm-clock", "auto"));
  EXPECT_TRUE(IsTscUsable(true, "", ""));
  EXPECT_FALSE(IsTscUsable(false, "tsc", ""));
  EXPECT_FALSE(IsTscUsable(true, "hpet", ""));
  EXPECT_FALSE(IsTscUsable(true, "refined-jiffies", "auto"));
  EXPECT_FALSE(IsTscUsable(true, "tsc", "monotonic"));
}

TEST(CutUtf8Test, NeverCutsACharacter) {
  const std::string text = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80";  // 1, 2, 3 and 4 bytes
  const std::size_t expected[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10};
  for (std::size_t limit = 0; limit < 12; ++limit)
    EXPECT_EQ(CutUtf8(text.data(), text.size(), limit), expected[limit]) << limit;
}

}  // namespace
}  // namespace spanwatch::internal
