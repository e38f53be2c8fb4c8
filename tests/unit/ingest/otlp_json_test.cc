#include "sidecar/ingest/otlp_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "sidecar/ingest/ingest.h"
#include "tests/unit/ingest/otlp_builder.h"
#include "tests/unit/ingest/otlp_http_random.h"

namespace spanwatch::ingest {
namespace {

using ::testing::HasSubstr;
using testing::RandomOtlp;

// One span with `fields` beside its ids.
std::string OneSpan(const std::string& fields, const std::string& trace_id = "5b8efff798038103d269b633813fc60c",
                    const std::string& span_id = "eee19b7ec3c1b174") {
  return R"({"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":")" + trace_id + R"(","spanId":")" + span_id + "\"" +
         (fields.empty() ? "" : "," + fields) + "}]}]}]}";
}

struct Decoded {
  std::string bytes;
  core::SpanBatch batch;
};

Decoded Decode(const std::string& json) {
  Decoded decoded;
  auto bytes = OtlpFromJson(json);
  EXPECT_TRUE(bytes.has_value()) << bytes.error() << "\n" << json;
  if (bytes) decoded.bytes = std::move(*bytes);
  EXPECT_TRUE(DecodeOtlp(decoded.bytes, &decoded.batch));
  return decoded;
}

std::string Error(const std::string& json) {
  const auto bytes = OtlpFromJson(json);
  EXPECT_FALSE(bytes.has_value()) << json;
  return bytes ? "" : bytes.error();
}

const core::AttributeView& OnlyAttribute(const core::SpanBatch& batch) {
  EXPECT_EQ(batch.attributes.size(), 1u);
  return batch.attributes.front();
}

// tests/vectors/otlp-trace.json is OpenTelemetry's own example: github.com/open-telemetry/opentelemetry-proto,
// examples/trace.json (Apache-2.0).
TEST(OtlpJson, ReadsOpenTelemetrysOwnExample) {
  std::ifstream file(SPANWATCH_SOURCE_DIR "/tests/vectors/otlp-trace.json");
  const std::string json((std::istreambuf_iterator<char>(file)), {});
  const Decoded decoded = Decode(json);
  ASSERT_EQ(decoded.batch.spans.size(), 1u);
  const core::SpanView& span = decoded.batch.spans[0];
  EXPECT_EQ(span.trace_id.hi, 0x5B8EFFF798038103u);
  EXPECT_EQ(span.trace_id.lo, 0xD269B633813FC60Cu);
  EXPECT_EQ(span.span_id.value, 0xEEE19B7EC3C1B174u);
  EXPECT_EQ(span.parent_id.value, 0xEEE19B7EC3C1B173u);
  EXPECT_EQ(span.name, "I'm a server span");
  EXPECT_EQ(span.kind, core::SpanKind::kServer);
  EXPECT_EQ(span.start_ns, 1544712660000000000);
  EXPECT_EQ(span.end_ns, 1544712661000000000);
  EXPECT_EQ(span.scope_name, "my.library");
  EXPECT_EQ(decoded.batch.resources[0].service_name, "my.service");
  ASSERT_EQ(span.attributes.count, 1u);
  EXPECT_EQ(decoded.batch.attributes[span.attributes.first].text, "some value");
}

// The same message, spelled in JSON in every way that is allowed, comes back byte for byte.
TEST(OtlpJson, AgreesWithProtobuf) {
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    RandomOtlp random(seed);
    const std::string bytes = random.TracesData();
    const std::string json = random.Json(kOtlpTracesData, bytes);
    const auto back = OtlpFromJson(json);
    ASSERT_TRUE(back.has_value()) << "seed " << seed << ": " << back.error() << "\n" << json;
    ASSERT_EQ(*back, bytes) << "seed " << seed << "\n" << json;
  }
}

TEST(OtlpJson, EmptyRequests) {
  EXPECT_EQ(OtlpFromJson("{}").value(), "");
  EXPECT_EQ(OtlpFromJson(" {\"resourceSpans\": null} \n").value(), "");
  EXPECT_EQ(OtlpFromJson("{\"resourceSpans\": []}").value(), "");
  EXPECT_EQ(Decode(R"({"resourceSpans":[null]})").batch.spans.size(), 0u);
}

TEST(OtlpJson, IdsAreHexAndKnownBase64) {
  for (const auto& [trace, span] : std::vector<std::pair<std::string, std::string>>{
           {"5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"},
           {"5B8EFFF798038103D269B633813FC60C", "EEE19B7EC3C1B174"},
           {"W47/95gDgQPSabYzgT/GDA==", "7uGbfsPBsXQ="},
           {"W47_95gDgQPSabYzgT_GDA", "7uGbfsPBsXQ"},
       }) {
    const Decoded decoded = Decode(OneSpan("", trace, span));
    ASSERT_EQ(decoded.batch.spans.size(), 1u) << trace;
    EXPECT_EQ(decoded.batch.spans[0].trace_id.hi, 0x5B8EFFF798038103u) << trace;
    EXPECT_EQ(decoded.batch.spans[0].trace_id.lo, 0xD269B633813FC60Cu) << trace;
    EXPECT_EQ(decoded.batch.spans[0].span_id.value, 0xEEE19B7EC3C1B174u) << trace;
  }
}

TEST(OtlpJson, AWrongIdRejectsItsSpanAlone) {
  for (const std::string id : {"", "abc", "zz8efff798038103d269b633813fc60c", "5b8efff798038103",
                               "00000000000000000000000000000000", "5b8efff798038103d269b633813fc60c00"}) {
    const Decoded decoded = Decode(OneSpan("", id));
    EXPECT_EQ(decoded.batch.spans.size(), 0u) << id;
    EXPECT_EQ(decoded.batch.rejected.invalid_id, 1u) << id;
  }
  EXPECT_EQ(Decode(OneSpan(R"("parentSpanId":"")")).batch.spans.size(), 1u);
  EXPECT_EQ(Decode(OneSpan(R"("parentSpanId":"12")")).batch.rejected.invalid_id, 1u);
}

TEST(OtlpJson, NumbersKeepAllDigits) {
  for (const std::string text : {"1544712660000000001", "\"1544712660000000001\""}) {
    EXPECT_EQ(Decode(OneSpan("\"startTimeUnixNano\":" + text)).batch.spans[0].start_ns, 1544712660000000001);
  }
  EXPECT_EQ(Decode(OneSpan(R"("startTimeUnixNano":1.5447126e18)")).batch.spans[0].start_ns, 1544712600000000000);
  const auto integer = [](const std::string& text) {
    return OnlyAttribute(Decode(OneSpan(R"("attributes":[{"key":"k","value":{"intValue":)" + text + "}}]")).batch)
        .integer;
  };
  EXPECT_EQ(integer("\"-9223372036854775808\""), INT64_MIN);
  EXPECT_EQ(integer("9223372036854775807"), INT64_MAX);
  EXPECT_EQ(integer("12.0"), 12);
  for (const std::string bad : {"9223372036854775808", "\"12x\"", "\"\"", "1.5", "true", "1e300", "{}", "-", "01"}) {
    EXPECT_THAT(Error(OneSpan(R"("attributes":[{"key":"k","value":{"intValue":)" + bad + "}}]")), HasSubstr("intValue"))
        << bad;
  }
  EXPECT_THAT(Error(OneSpan("\"startTimeUnixNano\":-1")),
              HasSubstr("resourceSpans[0].scopeSpans[0].spans[0].startTimeUnixNano: "));
}

TEST(OtlpJson, Doubles) {
  const auto number = [](const std::string& text) {
    const Decoded decoded = Decode(OneSpan(R"("attributes":[{"key":"k","value":{"doubleValue":)" + text + "}}]"));
    EXPECT_EQ(OnlyAttribute(decoded.batch).type, core::AttributeType::kDouble);
    return OnlyAttribute(decoded.batch).number;
  };
  EXPECT_EQ(number("1"), 1.0);
  EXPECT_EQ(number("\"-2.5e-3\""), -2.5e-3);
  EXPECT_TRUE(std::isnan(number("\"NaN\"")));
  EXPECT_EQ(number("\"-Infinity\""), -std::numeric_limits<double>::infinity());
  EXPECT_EQ(number("1e-400"), 0.0);
  for (const std::string bad : {"1e400", "NaN", "\"inf\"", "\"\"", "null1"}) {
    Error(OneSpan(R"("attributes":[{"key":"k","value":{"doubleValue":)" + bad + "}}]"));
  }
}

TEST(OtlpJson, EnumsAsNumbersAndNames) {
  EXPECT_EQ(Decode(OneSpan(R"("kind":3)")).batch.spans[0].kind, core::SpanKind::kClient);
  EXPECT_EQ(Decode(OneSpan(R"("kind":"SPAN_KIND_CLIENT")")).batch.spans[0].kind, core::SpanKind::kClient);
  EXPECT_EQ(Decode(OneSpan(R"("kind":"SPAN_KIND_NEW")")).batch.spans[0].kind, core::SpanKind::kUnspecified);
  EXPECT_EQ(Decode(OneSpan(R"("kind":99)")).batch.spans[0].kind, core::SpanKind::kUnspecified);
  EXPECT_EQ(Decode(OneSpan(R"("status":{"code":"STATUS_CODE_ERROR","message":"m"})")).batch.spans[0].status,
            core::StatusCode::kError);
  EXPECT_EQ(Decode(OneSpan(R"("status":{"code":2})")).batch.spans[0].status, core::StatusCode::kError);
}

TEST(OtlpJson, SnakeCaseUnknownFieldsAndNull) {
  const Decoded decoded =
      Decode(R"({"resource_spans":[{"scope_spans":[{"spans":[{"trace_id":"5b8efff798038103d269b633813fc60c",
    "span_id":"eee19b7ec3c1b174","name":null,"new":{"a":[1,[2,{"b":"\u00e9"}],true,null]},"attributes":null,
    "start_time_unix_nano":"7"}], "schemaUrl":null}]}], "other": 1e5})");
  ASSERT_EQ(decoded.batch.spans.size(), 1u);
  EXPECT_EQ(decoded.batch.spans[0].start_ns, 7);
  EXPECT_EQ(decoded.batch.spans[0].name, "");
}

TEST(OtlpJson, AttributeValues) {
  const auto value = [](const std::string& json) {
    const Decoded decoded = Decode(OneSpan(R"("attributes":[{"key":"k","value":)" + json + "}]"));
    return std::string(OnlyAttribute(decoded.batch).text);
  };
  EXPECT_EQ(value(R"({"bytesValue":"aGk="})"), "hi");
  EXPECT_EQ(value(R"({"arrayValue":{"values":[{"intValue":"1"},{"boolValue":true},null,{"stringValue":"x"}]}})"),
            R"([1,true,null,"x"])");
  EXPECT_EQ(value(R"({"kvlistValue":{"values":[{"key":"a","value":{"doubleValue":0.5}}]}})"), R"({"a":0.5})");
  EXPECT_EQ(value("{}"), "");
  EXPECT_THAT(Error(OneSpan(R"("attributes":[{"key":"k","value":{"bytesValue":"a!"}}])")),
              HasSubstr("attributes[0].value.bytesValue: not base64"));
  EXPECT_THAT(Error(OneSpan(R"("attributes":[{"key":"k","value":{"stringValue":5}}])")),
              HasSubstr("a string was expected"));
}

// JavaScript cuts texts between the halves of a character, and then escapes the half that stays.
TEST(OtlpJson, TextThatIsNoUnicode) {
  EXPECT_EQ(Decode(OneSpan(R"("name":"cut \ud83d")")).batch.spans[0].name, "cut \xef\xbf\xbd");
  EXPECT_EQ(Decode(OneSpan(R"("name":"\ude00\ud83dx")")).batch.spans[0].name, "\xef\xbf\xbd\xef\xbf\xbdx");
  EXPECT_EQ(Decode(OneSpan(R"("name":"\ud83d\ude00 \u20AC\t")")).batch.spans[0].name, "😀 €\t");
  EXPECT_EQ(Decode(OneSpan("\"name\":\"a\xff\"")).batch.spans[0].name, "a\xef\xbf\xbd");
}

TEST(OtlpJson, DeepNestingIsRefused) {
  const auto nested = [](int n, const std::string& open, const std::string& close) {
    std::string json;
    for (int i = 0; i < n; ++i) json += open;
    for (int i = 0; i < n; ++i) json += close;
    return json;
  };
  EXPECT_THAT(Error(nested(1'000'000, "{\"a\":", "}")), HasSubstr("levels deep"));
  EXPECT_THAT(Error("{\"x\":" + nested(1'000'000, "[", "]") + "}"), HasSubstr("levels deep"));
  const auto array = [&](int n) {
    return OneSpan(R"("attributes":[{"key":"k","value":)" + nested(n, R"({"arrayValue":{"values":[)", "]}}") + "}]");
  };
  EXPECT_THAT(Error(array(1000)), HasSubstr("levels deep"));
  Decode(array(30));
}

TEST(OtlpJson, WhatIsNoJson) {
  EXPECT_THAT(Error(""), HasSubstr("a JSON object with \"resourceSpans\" was expected (byte 0)"));
  EXPECT_THAT(Error("[]"), HasSubstr("a JSON object"));
  EXPECT_THAT(Error("{} x"), HasSubstr("more text after the end"));
  EXPECT_THAT(Error("{\"resourceSpans\":{}}"), HasSubstr("resourceSpans: an array was expected"));
  EXPECT_THAT(Error("{\"resourceSpans\":[{]}"), HasSubstr("resourceSpans[0]: the name of a member was expected"));
  for (const std::string bad : {"{",
                                "{\"",
                                "{\"a",
                                "{\"a\"",
                                "{\"a\":",
                                "{\"a\":1",
                                "{\"a\":1,",
                                "{\"a\":1,}",
                                "{\"a\":[1,]}",
                                "{\"a\":tru}",
                                "{\"a\":.5}",
                                "{\"a\":1.}",
                                "{\"a\":1e}",
                                "{\"a\":+1}",
                                "{\"a\":\"\\x\"}",
                                "{\"a\":\"\\u12g4\"}",
                                "{'a':1}",
                                "{\"a\":\"\n\"}",
                                "{\"a\" 1}",
                                "{\"a\":1 \"b\":2}"}) {
    Error(bad);
  }
}

// Any bytes at all: an answer, and what is taken for good can be decoded.
TEST(OtlpJson, SurvivesMutations) {
  RandomOtlp random(7);
  for (int round = 0; round < 300; ++round) {
    std::string json = random.Json(kOtlpTracesData, random.TracesData());
    for (std::size_t n = 1 + random.Below(4); n > 0 && !json.empty(); --n) {
      const std::size_t at = random.Below(json.size());
      switch (random.Below(4)) {
        case 0:
          json[at] = static_cast<char>(random.Below(256));
          break;
        case 1:
          json.erase(at, 1 + random.Below(10));
          break;
        case 2:
          json.insert(at, json.substr(random.Below(json.size()), random.Below(30)));
          break;
        default:
          json.resize(at);
      }
    }
    const auto bytes = OtlpFromJson(json);
    core::SpanBatch batch;
    if (bytes) {
      DecodeOtlp(*bytes, &batch);
    } else {
      EXPECT_THAT(bytes.error(), HasSubstr("(byte "));
    }
  }
}

}  // namespace
}  // namespace spanwatch::ingest
