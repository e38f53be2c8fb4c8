#include "sidecar/ingest/redact.h"

#include <gtest/gtest.h>

#include <vector>

#include "sidecar/ingest/ingest.h"
#include "sidecar/ingest/otlp_wire.h"
#include "tests/unit/ingest/otlp_builder.h"
#include "tests/unit/ingest/otlp_http_random.h"

namespace spanwatch::ingest {
namespace {

using namespace testing;  // NOLINT: the builder

std::string Redact(const std::string& bytes, RedactOptions options = {}) {
  const Redactor redactor(options);
  std::string out, again;
  const RedactResult result = redactor.Redact(bytes, &out);
  EXPECT_TRUE(result.readable);
  if (!result.changed) return bytes;
  EXPECT_FALSE(redactor.Redact(out, &again).changed);
  return out;
}

TEST(Redactor, CleanBytesStayAsTheyAre) {
  SpanSpec span;
  span.attributes = {KeyValue("http.route", StringValue("/users/:id")), KeyValue("n", IntValue(5)),
                     KeyValue("b", BytesValue("\xff\x00"))};
  const std::string bytes = TracesData("bot", {span.Encode(), span.Encode()});
  std::string out = "untouched";
  const RedactResult result = Redactor().Redact(bytes, &out);
  EXPECT_TRUE(result.readable);
  EXPECT_FALSE(result.changed);
  EXPECT_EQ(out, "untouched");
}

TEST(Redactor, EveryStringIsSearched) {
  const std::string canary = "canary@example.com";
  SpanSpec span;
  span.name = "name " + canary;
  span.attributes = {
      KeyValue("s", StringValue(canary)),
      KeyValue(canary, IntValue(1)),
      KeyValue("bytes", BytesValue(canary)),
      KeyValue("array",
               ArrayValue({StringValue("x"), StringValue(canary), MapValue({KeyValue("k", StringValue(canary))})})),
      KeyValue("map", MapValue({KeyValue(canary, ArrayValue({StringValue(canary)}))})),
  };
  std::string state, link;
  AppendField(3, "vendor=" + canary, &state);
  AppendField(1, std::string(16, 'a'), &link);
  AppendField(2, std::string(8, 'b'), &link);
  AppendField(4, KeyValue("link", StringValue(canary)), &link);
  span.more = Event("event " + canary, {KeyValue("exception.message", StringValue("no such user " + canary))}) +
              StatusField(2, canary) + Wrap(13, link) + state + Wrap(1234, canary);
  std::string scope;
  AppendField(1, canary, &scope);
  AppendField(2, canary, &scope);
  AppendField(3, KeyValue("scope", StringValue(canary)), &scope);
  std::string resource =
      Repeated(1, {KeyValue("service.name", StringValue(canary)), KeyValue("r", StringValue(canary))});
  std::string spans;
  AppendField(1, scope, &spans);
  AppendField(2, span.Encode(), &spans);
  AppendField(3, canary, &spans);
  std::string all;
  AppendField(1, resource, &all);
  AppendField(2, spans, &all);
  AppendField(3, canary, &all);
  AppendField(77, canary, &all);
  const std::string out = Redact(Wrap(1, all));
  EXPECT_EQ(out.find("canary"), std::string::npos);
  core::SpanBatch batch;
  ASSERT_TRUE(DecodeOtlp(out, &batch));
  ASSERT_EQ(batch.spans.size(), 1u);
  EXPECT_EQ(batch.rejected.Total(), 0u);
  EXPECT_EQ(batch.spans[0].name, "name [redacted:email]");
  EXPECT_EQ(batch.spans[0].status_message, "[redacted:email]");
  EXPECT_NE(out.find("no such user [redacted:email]"), std::string::npos);
  EXPECT_EQ(batch.spans[0].link_count, 1u);
  EXPECT_EQ(batch.spans[0].attributes.count, 5u);
  EXPECT_EQ(batch.resources[0].service_name, "[redacted:email]");
}

TEST(Redactor, SecretNamesAndContents) {
  SpanSpec span;
  span.attributes = {
      KeyValue("user.password", StringValue("plain word")),
      KeyValue("http.request.header.authorization", ArrayValue({StringValue("plain")})),
      KeyValue("pinToken", IntValue(1234)),
      KeyValue("gen_ai.input.messages", StringValue("what somebody asked")),
      KeyValue("gen_ai.prompt", IntValue(7)),
      KeyValue("gen_ai.usage.input_tokens", IntValue(42)),
      KeyValue("map", MapValue({KeyValue("secret", StringValue("plain word"))})),
      KeyValue("empty.secret", ""),
  };
  const std::string bytes = TracesData("bot", {span.Encode()});
  const auto texts = [&](RedactOptions options) {
    const std::string out = Redact(bytes, options);
    core::SpanBatch batch;
    EXPECT_TRUE(DecodeOtlp(out, &batch));
    std::vector<std::string> found;
    for (std::uint32_t i = 0; i < batch.spans[0].attributes.count; ++i) {
      const core::AttributeView& a = batch.attributes[batch.spans[0].attributes.first + i];
      found.push_back(a.type == core::AttributeType::kInt ? std::to_string(a.integer) : std::string(a.text));
    }
    return found;
  };
  std::vector<std::string> expected = {"[redacted:key]",
                                       "[redacted:key]",
                                       "[redacted:key]",
                                       "[redacted:content]",
                                       "7",
                                       "42",
                                       R"({"secret":"[redacted:key]"})",
                                       ""};
  EXPECT_EQ(texts({}), expected);
  expected[3] = "what somebody asked";
  EXPECT_EQ(texts({.keep_content = true}), expected);
}

TEST(Redactor, TwoKeysDoNotHideASecret) {
  std::string attribute;
  AppendField(1, "password", &attribute);
  AppendField(2, StringValue("plain word"), &attribute);
  AppendField(1, "harmless", &attribute);
  SpanSpec span;
  span.attributes = {attribute};
  EXPECT_EQ(Redact(TracesData("bot", {span.Encode()})).find("plain word"), std::string::npos);
}

TEST(Redactor, DepthIsBounded) {
  std::string value = StringValue("canary@example.com");
  for (int i = 0; i < 5000; ++i) value = ArrayValue({value});
  SpanSpec span;
  span.attributes = {KeyValue("deep", value)};
  const std::string out = Redact(TracesData("bot", {span.Encode()}));
  EXPECT_EQ(out.find("canary"), std::string::npos);
  EXPECT_NE(out.find("[redacted:depth]"), std::string::npos);
  value = StringValue("kept");
  for (int i = 0; i < 16; ++i) value = MapValue({KeyValue("k", value)});
  span.attributes = {KeyValue("deep", value)};
  EXPECT_NE(Redact(TracesData("bot", {span.Encode()})).find("kept"), std::string::npos);
}

TEST(Redactor, BrokenPartsLeaveNoBytesAndAreCounted) {
  SpanSpec good;
  std::string broken = good.Encode();
  AppendTag(5, 2, &broken);
  broken += "\x7f canary@example.com";  // says 127 bytes, has less
  const std::string bytes = TracesData("bot", {good.Encode(), broken, good.Encode()});
  core::SpanBatch before, after;
  ASSERT_TRUE(DecodeOtlp(bytes, &before));
  std::string out;
  const RedactResult result = Redactor().Redact(bytes, &out);
  EXPECT_TRUE(result.readable);
  EXPECT_EQ(result.malformed, 1u);
  EXPECT_EQ(out.find("canary"), std::string::npos);
  ASSERT_TRUE(DecodeOtlp(out, &after));
  EXPECT_EQ(before.spans.size(), 2u);
  EXPECT_EQ(after.spans.size(), 2u);
  EXPECT_EQ(before.rejected.malformed, after.rejected.malformed);
  EXPECT_FALSE(Redactor().Redact("\x0a\x7fshort", &out).readable);
}

// Found by the fuzzer: nobody reads a value under a secret name, so its fault goes with it, and the span is kept.
TEST(Redactor, ABrokenSecretIsReplacedWhole) {
  std::string broken;
  AppendTag(1, 2, &broken);
  broken +=
      "\x15"
      "bot";  // says 21 bytes, has 3
  SpanSpec span;
  span.attributes = {KeyValue("message.text", broken)};
  const std::string bytes = TracesData("bot", {span.Encode()});
  core::SpanBatch before, after;
  ASSERT_TRUE(DecodeOtlp(bytes, &before));
  EXPECT_TRUE(before.spans.empty());
  EXPECT_EQ(before.rejected.malformed, 1u);
  const std::string out = Redact(bytes);
  ASSERT_TRUE(DecodeOtlp(out, &after));
  EXPECT_EQ(after.spans.size(), 1u);
  EXPECT_EQ(after.rejected.malformed, 0u);
  EXPECT_NE(out.find("[redacted:content]"), std::string::npos);
}

// Found by the fuzzer: the decoder cut a tag of more than 32 bits and read on, the redactor called it broken.
TEST(Redactor, AgreesWithTheDecoderOnTags) {
  const std::vector<std::string> tags = {"\xf8\xf9\x9b\x90\x8a\x9d\x93\x9a\x12", "\xc0\xa3\x09", "\x07",
                                         std::string(1, 0)};
  for (const std::string& tag : tags) {
    std::string attribute = KeyValue("k", StringValue("v")) + tag + "\x01";
    SpanSpec span;
    span.attributes = {attribute, KeyValue("list", ArrayValue({StringValue("ada@example.com"), tag + "\x01"}))};
    const std::string bytes = TracesData("bot", {span.Encode(), SpanSpec().Encode()});
    core::SpanBatch before, after;
    ASSERT_TRUE(DecodeOtlp(bytes, &before));
    std::string redacted;
    ASSERT_TRUE(Redactor().Redact(bytes, &redacted).changed);
    ASSERT_TRUE(DecodeOtlp(redacted, &after));
    EXPECT_EQ(before.spans.size(), 1u);
    EXPECT_EQ(after.spans.size(), 1u);
    EXPECT_EQ(before.rejected.malformed, after.rejected.malformed);
  }
}

TEST(Redactor, RepairsText) {
  SpanSpec span;
  span.name = "caf\xe9 ada@example.com";
  const std::string out = Redact(TracesData("bot", {span.Encode()}));
  EXPECT_TRUE(out.find("caf\xef\xbf\xbd [redacted:email]") != std::string::npos);
}

// Valid messages stay valid: the same spans with the same ids and times come out.
TEST(Redactor, NeverBreaksWhatIsValid) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    RandomOtlp random(seed);
    const std::string bytes = random.TracesData();
    const std::string out = Redact(bytes);
    core::SpanBatch before, after;
    ASSERT_TRUE(DecodeOtlp(bytes, &before));
    ASSERT_TRUE(DecodeOtlp(out, &after));
    ASSERT_EQ(before.spans.size(), after.spans.size()) << seed;
    ASSERT_EQ(before.rejected.Total(), after.rejected.Total()) << seed;
    for (std::size_t i = 0; i < before.spans.size(); ++i) {
      EXPECT_EQ(before.spans[i].span_id.value, after.spans[i].span_id.value);
      EXPECT_EQ(before.spans[i].start_ns, after.spans[i].start_ns);
      EXPECT_EQ(before.spans[i].attributes.count, after.spans[i].attributes.count);
      EXPECT_EQ(before.spans[i].event_count, after.spans[i].event_count);
    }
  }
}

TEST(Redactor, SurvivesMutations) {
  RandomOtlp random(3);
  for (int round = 0; round < 3000; ++round) {
    std::string bytes = random.TracesData();
    for (std::size_t n = 1 + random.Below(4); n > 0 && !bytes.empty(); --n) {
      const std::size_t at = random.Below(bytes.size());
      switch (random.Below(3)) {
        case 0:
          bytes[at] = static_cast<char>(random.Below(256));
          break;
        case 1:
          bytes.erase(at, 1 + random.Below(5));
          break;
        default:
          bytes.insert(at, bytes.substr(random.Below(bytes.size()), random.Below(30)));
      }
    }
    std::string out, again;
    const RedactResult result = Redactor().Redact(bytes, &out);
    if (!result.changed) out = bytes;
    const RedactResult second = Redactor().Redact(out, &again);
    ASSERT_TRUE(!second.changed || again == out) << round;
    core::SpanBatch batch;
    const bool readable = DecodeOtlp(out, &batch);
    ASSERT_TRUE(readable || !result.readable || result.malformed >= 64) << round;
  }
}

}  // namespace
}  // namespace spanwatch::ingest
