#include "sidecar/ingest/envelope.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <random>

#include "sidecar/ingest/frames.h"
#include "sidecar/ingest/ingest.h"
#include "sidecar/ingest/pbf.h"
#include "tests/unit/ingest/otlp_builder.h"

namespace spanwatch::ingest {
namespace {

using core::EnvelopeKind;
using core::EnvelopeView;

EnvelopeView Sample(EnvelopeKind kind) {
  EnvelopeView e;
  e.kind = kind;
  e.process_id.fill(7);
  e.sequence = kind == EnvelopeKind::kSpans ? 12 : 0;
  e.oldest_held = 10;
  e.has_acknowledged = true;
  e.acknowledged = {9, 900, 3, {{"ring_full", 2}}};
  e.batched_before = 1000;
  e.span_count = 50;
  e.drops = {{"ring_full", 4}, {"no_ring", 1}};
  e.sampled_out = 6;
  e.send_time_ns = 1'700'000'000'000'000'000;
  e.redaction_policy = 0xABCD;
  if (kind == EnvelopeKind::kHeartbeat) {
    e.rss_bytes = 1 << 20;
    e.sdk_bytes = 4096;
    e.sdk_cpu_ns = 77;
    e.sdk_ring_fill = 0.5;
    e.sdk_sample_rate = 0;
    e.gauges = {{"circuit.state", {{"name", "gemini"}, {"state", "open"}}, 1.5}, {"plain", {}, -2}};
  }
  return e;
}

void ExpectEqual(const EnvelopeView& a, const EnvelopeView& b) {
  EXPECT_EQ(EncodeEnvelope(a), EncodeEnvelope(b));
  EXPECT_EQ(a.kind, b.kind);
  EXPECT_EQ(a.gauges.size(), b.gauges.size());
  EXPECT_EQ(a.drops.size(), b.drops.size());
}

TEST(Envelope, RoundTripOfEveryKind) {
  for (int kind = 1; kind <= 5; ++kind) {
    const EnvelopeView sent = Sample(static_cast<EnvelopeKind>(kind));
    const std::string bytes = EncodeEnvelope(sent);
    EnvelopeView got;
    ASSERT_EQ(DecodeEnvelope(bytes, &got), nullptr) << kind;
    ExpectEqual(sent, got);
    EXPECT_EQ(got.acknowledged.drops.at(0).reason, "ring_full");
  }
}

TEST(Envelope, SharesOutOfRangeCountAsNotTold) {
  for (const double share :
       {-0.5, 1.5, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    EnvelopeView sent = Sample(EnvelopeKind::kHeartbeat);
    sent.sdk_ring_fill = share;
    sent.sdk_sample_rate = share == -0.5 ? 2 : share;
    const std::string bytes = EncodeEnvelope(sent);
    EnvelopeView got;
    ASSERT_EQ(DecodeEnvelope(bytes, &got), nullptr);
    EXPECT_EQ(got.sdk_ring_fill, 0);
    EXPECT_EQ(got.sdk_sample_rate, -1);
  }
}

// Each case breaks one thing of a good envelope.
TEST(Envelope, EachMistakeHasItsReason) {
  const struct {
    const char* reason;
    EnvelopeKind kind;
    std::function<void(EnvelopeView*)> breakage;
  } cases[] = {
      {"bad_process_id", EnvelopeKind::kHello, [](EnvelopeView* e) { e->process_id = {}; }},
      {"bad_sequence", EnvelopeKind::kSpans, [](EnvelopeView* e) { e->sequence = 0; }},
      {"bad_sequence", EnvelopeKind::kSpans, [](EnvelopeView* e) { e->oldest_held = e->sequence + 1; }},
      {"bad_sequence", EnvelopeKind::kSpans, [](EnvelopeView* e) { e->sequence = UINT64_MAX; }},
      {"bad_sequence", EnvelopeKind::kHello, [](EnvelopeView* e) { e->acknowledged.sequence = UINT64_MAX; }},
      {"bad_count", EnvelopeKind::kHello, [](EnvelopeView* e) { e->acknowledged.batched = UINT64_MAX; }},
      {"bad_count", EnvelopeKind::kHello, [](EnvelopeView* e) { e->sampled_out = UINT64_MAX; }},
      {"bad_count", EnvelopeKind::kHello, [](EnvelopeView* e) { e->drops[0].spans = UINT64_MAX; }},
      {"bad_drops", EnvelopeKind::kHello, [](EnvelopeView* e) { e->drops[0].reason = "Ring Full"; }},
      {"bad_drops", EnvelopeKind::kHello, [](EnvelopeView* e) { e->drops[0].reason = ""; }},
      {"bad_drops", EnvelopeKind::kHello, [](EnvelopeView* e) { e->drops[1].reason = e->drops[0].reason; }},
      {"bad_drops", EnvelopeKind::kHello,
       [](EnvelopeView* e) { e->drops[0].reason = "abcdefghijklmnopqrstuvwxyzabcdefg"; }},
      {"bad_gauge", EnvelopeKind::kHeartbeat,
       [](EnvelopeView* e) {
         e->gauges.assign(65, {"g", {}, 1});
       }},
      {"bad_gauge", EnvelopeKind::kHeartbeat,
       [](EnvelopeView* e) {
         e->gauges[0].labels.assign(9, {"l", "v"});
       }},
      {"bad_gauge", EnvelopeKind::kHeartbeat, [](EnvelopeView* e) { e->gauges[0].name = ""; }},
      {"bad_gauge", EnvelopeKind::kHeartbeat, [](EnvelopeView* e) { e->gauges[0].name = "\xFF"; }},
  };
  int number = 0;
  for (const auto& test_case : cases) {
    EnvelopeView e = Sample(test_case.kind);
    test_case.breakage(&e);
    const std::string bytes = EncodeEnvelope(e);
    EnvelopeView got;
    const char* reason = DecodeEnvelope(bytes, &got);
    ASSERT_NE(reason, nullptr) << number;
    EXPECT_STREQ(reason, test_case.reason) << number;
    ++number;
  }
}

TEST(Envelope, VersionKindAndSize) {
  EnvelopeView got;
  EXPECT_STREQ(DecodeEnvelope("", &got), "bad_version");
  std::string bytes = EncodeEnvelope(Sample(EnvelopeKind::kHello));
  protozero::pbf_writer writer(bytes);
  writer.add_enum(2, 6);
  EXPECT_STREQ(DecodeEnvelope(bytes, &got), "bad_kind");
  writer.add_uint32(1, 2);
  EXPECT_STREQ(DecodeEnvelope(bytes, &got), "bad_version");
  EXPECT_STREQ(DecodeEnvelope("\xFF\xFF\xFF", &got), "bad_envelope");
  EXPECT_STREQ(DecodeEnvelope(std::string(kMaxEnvelopeBytes + 1, '\0'), &got), "too_large");
}

TEST(Envelope, TooManyDrops) {
  std::vector<std::string> names;
  for (int i = 0; i < 33; ++i)
    names.push_back(std::string("reason_") + static_cast<char>('a' + i % 26) + (i < 26 ? "a" : "b"));
  EnvelopeView e = Sample(EnvelopeKind::kHello);
  e.drops.clear();
  for (int i = 0; i < 32; ++i) e.drops.push_back({names[static_cast<std::size_t>(i)], 1});
  EnvelopeView got;
  std::string bytes = EncodeEnvelope(e);
  EXPECT_EQ(DecodeEnvelope(bytes, &got), nullptr);
  e.drops.push_back({names[32], 1});
  bytes = EncodeEnvelope(e);
  EXPECT_STREQ(DecodeEnvelope(bytes, &got), "bad_drops");
}

TEST(Envelope, SequenceMeansNothingOutsideSpans) {
  EnvelopeView e = Sample(EnvelopeKind::kHeartbeat);
  e.sequence = 5;
  const std::string bytes = EncodeEnvelope(e);
  EnvelopeView got;
  ASSERT_EQ(DecodeEnvelope(bytes, &got), nullptr);
  EXPECT_EQ(got.sequence, 0u);
}

TEST(Envelope, DamageIsSurvived) {
  const std::string good = EncodeEnvelope(Sample(EnvelopeKind::kHeartbeat));
  std::mt19937 random(1);
  EnvelopeView got;
  int refused = 0;
  for (std::size_t n = 0; n < good.size(); ++n) DecodeEnvelope(std::string_view(good).substr(0, n), &got);
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes = good;
    for (unsigned n = random() % 6; n > 0; --n) bytes[random() % bytes.size()] = static_cast<char>(random());
    refused += DecodeEnvelope(bytes, &got) != nullptr;
  }
  EXPECT_GT(refused, 1000);
}

TEST(Answer, RoundTrip) {
  core::Answer answer;
  answer.kind = core::AnswerKind::kRefused;
  answer.process_id.fill(3);
  answer.applied = 42;
  answer.reason = "bad_version";
  DecodedAnswer got;
  ASSERT_TRUE(DecodeAnswer(EncodeAnswer(answer, nullptr), &got));
  EXPECT_EQ(got.kind, core::AnswerKind::kRefused);
  EXPECT_EQ(got.process_id, answer.process_id);
  EXPECT_EQ(got.applied, 42u);
  EXPECT_EQ(got.reason, "bad_version");
  EXPECT_FALSE(got.has_settings);

  const Settings settings{0.25, 2'000'000'000};
  answer.kind = core::AnswerKind::kWelcome;
  ASSERT_TRUE(DecodeAnswer(EncodeAnswer(answer, &settings), &got));
  EXPECT_TRUE(got.has_settings);
  EXPECT_EQ(got.settings, settings);

  core::Limits limits;  // no sample rate of its own
  const Settings theirs = SettingsOf(limits);
  ASSERT_TRUE(DecodeAnswer(EncodeAnswer(answer, &theirs), &got));
  EXPECT_LT(got.settings.sample_rate, 0);
  EXPECT_EQ(got.settings.slow_threshold_ns, 1'000'000'000u);
  EXPECT_FALSE(DecodeAnswer("\xFF", &got));
}

TEST(Frames, JoinAndSplit) {
  std::string_view envelope, payload;
  const std::string joined = JoinFrames("env", "payload");
  ASSERT_EQ(SplitFrames(joined, &envelope, &payload), nullptr);
  EXPECT_EQ(envelope, "env");
  EXPECT_EQ(payload, "payload");
  EXPECT_STREQ(SplitFrames("abc", &envelope, &payload), "bad_frames");
  EXPECT_STREQ(SplitFrames(std::string("\x09\0\0\0abc", 7), &envelope, &payload), "bad_frames");
  EXPECT_STREQ(SplitFrames(MarkFrames("bad_frames"), &envelope, &payload), "bad_frames");
  EXPECT_STREQ(SplitFrames(MarkFrames("too_large"), &envelope, &payload), "too_large");
}

TEST(Decoder, JoinedAndSeparateFramesMeanTheSame) {
  const std::string envelope = EncodeEnvelope(Sample(EnvelopeKind::kSpans));
  const std::string payload = testing::TracesData("bot", {testing::SpanSpec{}.Encode()});
  Decoder decoder(nullptr);
  core::RecordHeader header;
  header.kind = core::RecordKind::kMessage;
  const std::string joined = JoinFrames(envelope, payload);
  for (const core::Decoded& decoded : {decoder.Decode(header, joined), decoder.DecodeMessage(envelope, payload)}) {
    ASSERT_NE(decoded.envelope, nullptr);
    EXPECT_EQ(decoded.envelope->sequence, 12u);
    ASSERT_NE(decoded.spans, nullptr);
    EXPECT_EQ(decoded.spans->spans.size(), 1u);
    EXPECT_FALSE(decoded.payload_malformed);
  }
  const core::Decoded half = decoder.DecodeMessage(envelope, std::string_view(payload).substr(0, 20));
  ASSERT_NE(half.envelope, nullptr);
  EXPECT_TRUE(half.payload_malformed);
  const core::Decoded none = decoder.Decode(header, MarkFrames("too_large"));
  EXPECT_EQ(none.envelope, nullptr);
  EXPECT_STREQ(none.error, "too_large");
}

TEST(Decoder, OtlpAndReload) {
  Decoder decoder([](std::string_view bytes, core::Decoded* out) {
    out->limits = std::make_shared<core::Limits>();
    return bytes == "good";
  });
  core::RecordHeader header;
  header.kind = core::RecordKind::kReload;
  EXPECT_NE(decoder.Decode(header, "good").limits, nullptr);
  const core::Decoded bad = decoder.Decode(header, "bad");
  EXPECT_EQ(bad.limits, nullptr);
  EXPECT_STREQ(bad.error, "bad_reload");
  header.kind = core::RecordKind::kOtlp;
  const std::string body = testing::TracesData("bot", {testing::SpanSpec{}.Encode()});
  EXPECT_EQ(decoder.Decode(header, body).spans->spans.size(), 1u);
  EXPECT_TRUE(decoder.Decode(header, "\xFF").payload_malformed);
}

}  // namespace
}  // namespace spanwatch::ingest
