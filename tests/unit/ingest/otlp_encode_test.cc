// Encoding stored traces: what is decoded, kept, encoded and decoded again is the same.
#include "sidecar/ingest/otlp_encode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <sstream>

#include "sidecar/core/span_detail.h"
#include "sidecar/ingest/ingest.h"
#include "sidecar/ingest/otlp_json.h"
#include "tests/unit/ingest/otlp_builder.h"
#include "tests/unit/ingest/otlp_http_random.h"
#include "tests/unit/ingest/trace_copy.h"

namespace spanwatch::ingest {
namespace {

using core::AttributeType;
using core::SpanBatch;
using namespace testing;  // NOLINT: the builder

std::vector<core::TraceCopy> DecodeTraces(const std::string& bytes) {
  SpanBatch batch;
  EXPECT_TRUE(DecodeOtlp(bytes, &batch));
  EXPECT_EQ(batch.rejected.Total(), 0u);
  return OwnTraces(batch);
}

std::string EncodeAll(const std::vector<core::TraceCopy>& traces) {
  std::string bytes;
  for (const core::TraceCopy& trace : traces) bytes += EncodeOtlp(trace);
  return bytes;
}

std::vector<std::string> Sorted(std::vector<std::string> lines) {
  std::sort(lines.begin(), lines.end());
  return lines;
}

TEST(OtlpEncode, TheExampleOfOpenTelemetry) {
  std::ifstream file(SPANWATCH_SOURCE_DIR "/tests/vectors/otlp-trace.json");
  std::stringstream json;
  json << file.rdbuf();
  const auto bytes = OtlpFromJson(json.str());
  ASSERT_TRUE(bytes.has_value()) << bytes.error();
  const auto traces = DecodeTraces(*bytes);
  ASSERT_EQ(traces.size(), 1u);
  EXPECT_EQ(Lines(DecodeTraces(EncodeAll(traces))), Lines(traces));
}

TEST(OtlpEncode, EveryFieldAndEveryType) {
  SpanSpec spec;
  spec.parent_id = "parent-1";
  spec.kind = 5;
  spec.attributes = {
      KeyValue("text", StringValue("v")),
      KeyValue("no text", StringValue("")),
      KeyValue("yes", BoolValue(true)),
      KeyValue("no", BoolValue(false)),
      KeyValue("int", IntValue(std::numeric_limits<std::int64_t>::min())),
      KeyValue("double", DoubleValue(-0.0)),
      KeyValue("bytes", BytesValue(std::string("\x00\x01\xFF", 3))),
      KeyValue("empty", ""),
      KeyValue("array", ArrayValue({StringValue("a\"\n\\ä"), IntValue(-3), DoubleValue(2), DoubleValue(-0.0),
                                    DoubleValue(9.223372036854776e18), BoolValue(false), "", ArrayValue({}),
                                    IntValue(std::numeric_limits<std::int64_t>::max())})),
      KeyValue("map", MapValue({KeyValue("z", MapValue({})), KeyValue("a", DoubleValue(0.1)),
                                KeyValue("a", StringValue("again"))}))};
  protozero::pbf_writer writer(spec.more);
  writer.add_string(3, "ot=th:8,vendor=1");
  writer.add_uint32(10, 3);
  writer.add_uint32(12, 4);
  writer.add_uint32(14, 5);
  writer.add_fixed32(16, 0x301);
  spec.more += Event("log", {KeyValue("k", ArrayValue({IntValue(1)}))}, 77) + Event("", {}, 0) +
               Link("fedcba9876543210", "link-id1") + StatusField(2, "it broke");
  SpanSpec plain;
  plain.span_id = "span-id2";
  plain.kind = 0;
  const auto traces = DecodeTraces(TracesData("bot", {spec.Encode(), plain.Encode()}));
  ASSERT_EQ(traces.size(), 1u);
  const auto again = DecodeTraces(EncodeAll(traces));
  EXPECT_EQ(Lines(again), Lines(traces));
  const core::SpanCopy& span = again.at(0).spans.at(0);
  EXPECT_EQ(span.trace_state, "ot=th:8,vendor=1");
  EXPECT_TRUE(span.parent_is_remote);
  EXPECT_TRUE(std::signbit(span.attributes[5].number));
  EXPECT_EQ(span.attributes[8].text,
            R"(["a\"\u000a\\ä",-3,2.0,-0.0,9223372036854775808.0,false,null,[],9223372036854775807])");
  EXPECT_EQ(span.attributes[9].text, R"({"z":{},"a":0.1,"a":"again"})");
  EXPECT_FALSE(again.at(0).spans.at(1).parent_is_remote);
}

TEST(OtlpEncode, TextThatIsNoJsonStaysText) {
  core::TraceCopy trace;
  trace.summary.trace_id = {1, 2};
  core::SpanCopy& span = trace.spans.emplace_back();
  span.span_id = {3};
  span.service = "bot";
  for (const std::string& text : {std::string("[1,"), std::string("7"), std::string("[\"\xff\"]"), std::string(),
                                  std::string(70, '[') + std::string(70, ']')}) {
    span.attributes.push_back({"a", AttributeType::kJson, 0, 0, text});
  }
  SpanBatch batch;
  const std::string bytes = EncodeOtlp(trace);
  ASSERT_TRUE(DecodeOtlp(bytes, &batch));
  ASSERT_EQ(batch.spans.size(), 1u);
  EXPECT_EQ(batch.resources[0].service_name, "bot");
  ASSERT_EQ(batch.spans[0].attributes.count, 5u);
  for (std::uint32_t i = 0; i < 5; ++i) {
    EXPECT_EQ(batch.attributes[batch.spans[0].attributes.first + i].type, AttributeType::kString);
  }
}

TEST(OtlpEncode, RandomBatchesComeBackAsTheyWere) {
  std::size_t spans = 0;
  for (std::uint64_t seed = 0; seed < 4000; ++seed) {
    const std::string bytes = RandomOtlp(seed).TracesData();
    SpanBatch batch;
    if (!DecodeOtlp(bytes, &batch)) continue;
    const auto traces = OwnTraces(batch);
    spans += batch.spans.size();
    EXPECT_EQ(Sorted(Lines(DecodeTraces(EncodeAll(traces)))), Sorted(Lines(traces))) << "seed " << seed;
  }
  EXPECT_GT(spans, 1000u);
}

TEST(OtlpEncode, GroupsByResourceAndScope) {
  SpanSpec a, b, c;
  a.span_id = "span-id1", b.span_id = "span-id2", c.span_id = "span-id3";
  const auto resource = [](std::string_view service, const std::string& scopes) {
    return Wrap(1, Wrap(1, Resource(service)) + scopes);
  };
  auto traces =
      DecodeTraces(resource("one", Wrap(2, ScopeSpans({a.Encode()}, "x")) + Wrap(2, ScopeSpans({b.Encode()}, "y"))) +
                   resource("two", Wrap(2, ScopeSpans({c.Encode()}, "x"))));
  ASSERT_EQ(traces.at(0).spans.size(), 3u);
  for (int copy = 0; copy < 2; ++copy) {  // interleaved, as they may arrive
    for (std::size_t i = 0; i < 3; ++i) traces[0].spans.push_back(traces[0].spans[i]);
  }
  SpanBatch batch;
  const std::string bytes = EncodeOtlp(traces[0]);
  ASSERT_TRUE(DecodeOtlp(bytes, &batch));
  EXPECT_EQ(batch.resources.size(), 2u);
  std::string order;
  for (const auto& span : batch.spans) {
    order += std::string(batch.resources[span.resource].service_name) + std::string(span.scope_name) + " ";
  }
  EXPECT_EQ(order, "onex onex onex oney oney oney twox twox twox ");
}

TEST(OtlpEncode, ALargeTraceComesInParts) {
  SpanSpec spec;
  spec.attributes = {KeyValue("text", StringValue(std::string(1000, 'x')))};
  auto traces = DecodeTraces(TracesData("bot", {spec.Encode()}));
  core::TraceCopy& trace = traces.at(0);
  while (trace.spans.size() < 100) {
    core::SpanCopy span = trace.spans.back();
    ++span.span_id.value;
    trace.spans.push_back(span);
  }
  std::vector<std::string> lines;
  std::size_t parts = 0;
  for (std::size_t next = 0; next < trace.spans.size(); ++parts) {
    std::string bytes;
    const std::size_t end = AppendOtlp(trace, next, 10'000, &bytes);
    ASSERT_GT(end, next);
    EXPECT_LT(bytes.size(), 12'000u);
    for (const std::string& line : Lines(DecodeTraces(bytes))) lines.push_back(line);
    next = end;
  }
  EXPECT_GE(parts, 10u);
  EXPECT_EQ(lines, Lines(traces));
  std::string one;
  EXPECT_EQ(AppendOtlp(trace, 99, 0, &one), 100u) << "a span is never too large to be sent";
}

TEST(OtlpEncode, TheStoreKeepsTraceStateAndRemoteParent) {
  SpanSpec spec;
  protozero::pbf_writer writer(spec.more);
  writer.add_string(3, "a=b");
  writer.add_fixed32(16, 0x300);
  SpanBatch batch;
  const std::string bytes = TracesData("bot", {spec.Encode()});
  ASSERT_TRUE(DecodeOtlp(bytes, &batch));
  for (const bool more : {false, true}) {
    core::FlatBuffer<char> detail;
    core::AppendDetail(batch, batch.spans.at(0), more, &detail);
    core::SpanCopy copy;
    core::ReadDetail({detail.data(), detail.size()}, &copy);
    EXPECT_EQ(copy.trace_state, "a=b");
    EXPECT_TRUE(copy.parent_is_remote);
    EXPECT_EQ(copy.name, more ? "operation" : "");
  }
  SpanSpec longer;
  protozero::pbf_writer(longer.more).add_string(3, "ot=th:8," + std::string(512, 'x'));
  const std::string too_long = TracesData("bot", {longer.Encode()});
  ASSERT_TRUE(DecodeOtlp(too_long, &batch));
  EXPECT_EQ(batch.spans.at(0).trace_state, "");
  EXPECT_EQ(batch.spans.at(0).weight, 2);
}

}  // namespace
}  // namespace spanwatch::ingest
