#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "sidecar/ingest/ingest.h"
#include "sidecar/ingest/tracestate.h"
#include "tests/unit/ingest/otlp_builder.h"

namespace spanwatch::ingest {
namespace {

using core::AttributeType;
using core::SpanBatch;
using namespace testing;  // NOLINT: the builder

// The batch's views point into the bytes: they are kept to the end.
SpanBatch Decode(std::string bytes, bool good = true) {
  static std::deque<std::string> kept;
  SpanBatch batch;
  EXPECT_EQ(DecodeOtlp(kept.emplace_back(std::move(bytes)), &batch), good);
  return batch;
}

TEST(Otlp, DecodesEveryField) {
  SpanSpec spec;
  spec.parent_id = "parent-1";
  spec.kind = 2;
  spec.attributes = {
      KeyValue("text", StringValue("v")),   KeyValue("yes", BoolValue(true)),          KeyValue("int", IntValue(-7)),
      KeyValue("double", DoubleValue(1.5)), KeyValue("bytes", BytesValue("\x01\xFF")), KeyValue("empty", "")};
  protozero::pbf_writer writer(spec.more);
  writer.add_uint32(10, 3);
  writer.add_uint32(12, 4);
  writer.add_uint32(14, 5);
  writer.add_fixed32(16, 0x301);
  spec.more += Event("log", {KeyValue("k", StringValue("v"))}, 77) + Link("fedcba9876543210", "link-id1") +
               StatusField(2, "it broke");
  const std::string bytes = TracesData("bot", {spec.Encode()});
  const SpanBatch batch = Decode(bytes);

  ASSERT_EQ(batch.spans.size(), 1u);
  const core::SpanView& span = batch.spans[0];
  EXPECT_EQ(span.trace_id.ToHex(), "30313233343536373839616263646566");
  EXPECT_EQ(span.span_id.ToHex(), "7370616e2d696431");
  EXPECT_EQ(span.parent_id.ToHex(), "706172656e742d31");
  EXPECT_EQ(span.name, "operation");
  EXPECT_EQ(span.kind, core::SpanKind::kServer);
  EXPECT_EQ(span.start_ns, 1'700'000'000'000'000'000);
  EXPECT_EQ(span.end_ns, 1'700'000'000'250'000'000);
  EXPECT_EQ(span.status, core::StatusCode::kError);
  EXPECT_EQ(span.status_message, "it broke");
  EXPECT_EQ(span.error_message, "it broke");
  EXPECT_EQ(span.scope_name, "scope");
  EXPECT_TRUE(span.parent_is_remote);
  EXPECT_EQ(span.dropped_attributes, 3u);
  EXPECT_EQ(span.dropped_events, 4u);
  EXPECT_EQ(span.dropped_links, 5u);
  EXPECT_EQ(span.weight, 1);
  EXPECT_EQ(span.memory_delta, core::kNoMemory);
  EXPECT_EQ(span.memory_peak, core::kNoMemory);
  ASSERT_EQ(span.attributes.count, 6u);
  const core::AttributeView* attributes = &batch.attributes[span.attributes.first];
  EXPECT_EQ(attributes[0].text, "v");
  EXPECT_EQ(attributes[1].type, AttributeType::kBool);
  EXPECT_EQ(attributes[1].integer, 1);
  EXPECT_EQ(attributes[2].integer, -7);
  EXPECT_EQ(attributes[3].number, 1.5);
  EXPECT_EQ(attributes[4].text, "\x01\xFF");
  EXPECT_EQ(attributes[5].type, AttributeType::kEmpty);
  ASSERT_EQ(span.event_count, 1u);
  EXPECT_EQ(batch.events[span.first_event].name, "log");
  EXPECT_EQ(batch.events[span.first_event].time_ns, 77);
  EXPECT_EQ(batch.events[span.first_event].attributes.count, 1u);
  ASSERT_EQ(span.link_count, 1u);
  EXPECT_EQ(batch.links[span.first_link].span_id.ToHex(), "6c696e6b2d696431");
  ASSERT_EQ(batch.resources.size(), 1u);
  EXPECT_EQ(batch.resources[span.resource].service_name, "bot");
  EXPECT_EQ(batch.rejected.Total(), 0u);
  EXPECT_TRUE(batch.owned.empty()) << "nothing had to be copied";
}

TEST(Otlp, FieldsInAnyOrder) {
  // Scope and resource after the spans, an event between two attributes of its span.
  SpanSpec spec;
  spec.attributes = {KeyValue("first", IntValue(1))};
  spec.more = Event("log", {KeyValue("of.event", IntValue(2))}) + Wrap(9, KeyValue("second", IntValue(3)));
  std::string scope_name;
  protozero::pbf_writer(scope_name).add_bytes(1, "late scope");
  const std::string scope_spans = Repeated(2, {spec.Encode()}) + Wrap(1, scope_name);
  const std::string bytes = Wrap(1, Wrap(2, scope_spans) + Wrap(1, Resource("late service")));
  const SpanBatch batch = Decode(bytes);
  ASSERT_EQ(batch.spans.size(), 1u);
  EXPECT_EQ(batch.spans[0].scope_name, "late scope");
  EXPECT_EQ(batch.resources[batch.spans[0].resource].service_name, "late service");
  ASSERT_EQ(batch.spans[0].attributes.count, 2u);
  EXPECT_EQ(batch.attributes[batch.spans[0].attributes.first + 1].key, "second");
  EXPECT_EQ(batch.attributes[batch.events[0].attributes.first].key, "of.event");
}

TEST(Otlp, ServiceOfEachResource) {
  const std::string bytes =
      TracesData("a", {SpanSpec{}.Encode()}) + Wrap(1, Wrap(2, ScopeSpans({SpanSpec{}.Encode()})));
  const SpanBatch batch = Decode(bytes);
  ASSERT_EQ(batch.spans.size(), 2u);
  EXPECT_EQ(batch.resources[batch.spans[0].resource].service_name, "a");
  EXPECT_EQ(batch.resources[batch.spans[1].resource].service_name, "unknown_service");
}

TEST(Otlp, BadIdsAreRejectedAndTheRestKept) {
  SpanSpec zero_trace, zero_span, short_trace, short_parent, good;
  zero_trace.trace_id = std::string(16, '\0');
  zero_span.span_id = std::string(8, '\0');
  short_trace.trace_id = "short";
  short_parent.parent_id = "short";
  good.parent_id = std::string(8, '\0');  // as some exporters write a root
  const SpanBatch batch = Decode(TracesData("bot", {zero_trace.Encode(), zero_span.Encode(), short_trace.Encode(),
                                                    good.Encode(), short_parent.Encode(), ""}));
  ASSERT_EQ(batch.spans.size(), 1u);
  EXPECT_FALSE(batch.spans[0].parent_id.IsValid());
  EXPECT_EQ(batch.rejected.invalid_id, 5u);
  EXPECT_EQ(batch.rejected.Total(), 5u);
}

TEST(Otlp, MalformedSpansAreRejectedAndLeaveNothingBehind) {
  SpanSpec spec;
  spec.attributes = {KeyValue("k", StringValue("v"))};
  const std::string good = spec.Encode();
  spec.more = Event("log", {}) + std::string("\x4A\x7F", 2);  // an attribute longer than what is left
  const SpanBatch batch = Decode(TracesData("bot", {good, spec.Encode(), "\xFF\xFF", good}));
  EXPECT_EQ(batch.spans.size(), 2u);
  EXPECT_EQ(batch.rejected.malformed, 2u);
  EXPECT_EQ(batch.attributes.size(), 3u);  // one of each good span, one of the resource
  EXPECT_TRUE(batch.events.empty());
}

TEST(Otlp, ATagOfZeroIsNoEnd) {
  SpanSpec spec;
  spec.more = std::string("\0\0", 2);
  const SpanBatch batch = Decode(TracesData("bot", {spec.Encode(), SpanSpec{}.Encode()}));
  EXPECT_EQ(batch.spans.size(), 1u);
  EXPECT_EQ(batch.rejected.malformed, 1u);
}

TEST(Otlp, WrongWireTypesAreSkippedLikeUnknownFields) {
  SpanSpec spec;
  protozero::pbf_writer writer(spec.more);
  writer.add_uint64(5, 12);     // a name that is a number
  writer.add_bytes(7, "text");  // a start that is text
  writer.add_uint64(900, 1);    // unknown
  const SpanBatch batch = Decode(TracesData("bot", {spec.Encode()}));
  ASSERT_EQ(batch.spans.size(), 1u);
  EXPECT_EQ(batch.spans[0].name, "operation");
  EXPECT_EQ(batch.spans[0].start_ns, 1'700'000'000'000'000'000);
}

TEST(Otlp, InvalidUtf8IsRepaired) {
  SpanSpec spec;
  spec.name = "caf\xC3\xA9";
  spec.attributes = {KeyValue("bad\xFF", StringValue("a\xC3(b"))};
  const std::string bytes = TracesData("s\xF0\x9F", {spec.Encode()});
  const SpanBatch batch = Decode(bytes);
  ASSERT_EQ(batch.spans.size(), 1u);
  EXPECT_EQ(batch.spans[0].name, "caf\xC3\xA9");
  const core::AttributeView& attribute = batch.attributes[batch.spans[0].attributes.first];
  EXPECT_EQ(attribute.key, "bad\xEF\xBF\xBD");
  EXPECT_EQ(attribute.text, "a\xEF\xBF\xBD(b");
  EXPECT_EQ(batch.resources[0].service_name, "s\xEF\xBF\xBD");
}

TEST(Otlp, ArraysAndMapsBecomeJson) {
  SpanSpec spec;
  spec.attributes = {
      KeyValue("array", ArrayValue({StringValue("a\"\n"), IntValue(-3), DoubleValue(0.5), BoolValue(false), "",
                                    BytesValue("any"), DoubleValue(std::numeric_limits<double>::infinity())})),
      KeyValue("map", MapValue({KeyValue("x", ArrayValue({})), KeyValue("y", MapValue({}))}))};
  const SpanBatch batch = Decode(TracesData("bot", {spec.Encode()}));
  const core::AttributeView* attributes = &batch.attributes[batch.spans[0].attributes.first];
  EXPECT_EQ(attributes[0].type, AttributeType::kJson);
  EXPECT_EQ(attributes[0].text, R"(["a\"\u000a",-3,0.5,false,null,"YW55","Infinity"])");
  EXPECT_EQ(attributes[1].text, R"({"x":[],"y":{}})");
}

TEST(Otlp, ThousandLevelsDeepIsCut) {
  std::string value = IntValue(1);
  for (int i = 0; i < 1000; ++i) value = ArrayValue({value});
  SpanSpec spec;
  spec.attributes = {KeyValue("deep", value)};
  const SpanBatch batch = Decode(TracesData("bot", {spec.Encode()}));
  ASSERT_EQ(batch.spans.size(), 1u);
  EXPECT_EQ(batch.attributes[batch.spans[0].attributes.first].text,
            std::string(16, '[') + "\"...\"" + std::string(16, ']'));
  EXPECT_EQ(batch.spans[0].dropped_attributes, 1u);
}

TEST(Otlp, LongJsonIsCutAndCloses) {
  std::vector<std::string> members(40'000, KeyValue("key", IntValue(1)));
  SpanSpec spec;
  spec.attributes = {KeyValue("map", MapValue(members))};
  const SpanBatch batch = Decode(TracesData("bot", {spec.Encode()}));
  const std::string_view text = batch.attributes[batch.spans[0].attributes.first].text;
  EXPECT_LT(text.size(), (64u << 10) + 64);
  EXPECT_THAT(std::string(text.substr(text.size() - 13)), ::testing::EndsWith("\"...\":\"...\"}"));
  EXPECT_EQ(batch.spans[0].dropped_attributes, 1u);
}

TEST(Otlp, LimitsOfASpan) {
  SpanSpec spec;
  for (int i = 0; i < 130; ++i) spec.attributes.push_back(KeyValue("k" + std::to_string(i), IntValue(i)));
  spec.attributes.push_back(KeyValue("", IntValue(0)));
  for (int i = 0; i < 70; ++i) spec.more += Event("e", {}) + Link("fedcba9876543210", "link-id1");
  spec.more += Link("short", "link-id1");
  const SpanBatch batch = Decode(TracesData("bot", {spec.Encode()}));
  ASSERT_EQ(batch.spans.size(), 1u);
  EXPECT_EQ(batch.spans[0].attributes.count, 128u);
  EXPECT_EQ(batch.spans[0].dropped_attributes, 3u);
  EXPECT_EQ(batch.spans[0].event_count, 64u);
  EXPECT_EQ(batch.spans[0].dropped_events, 6u);
  EXPECT_EQ(batch.spans[0].link_count, 64u);
  EXPECT_EQ(batch.spans[0].dropped_links, 7u);
}

TEST(Otlp, LongStringsAreCutAtACharacter) {
  SpanSpec spec;
  spec.name = "x";
  for (int i = 0; i < 40'000; ++i) spec.name += "\xC3\xA9";
  const SpanBatch batch = Decode(TracesData("bot", {spec.Encode()}));
  ASSERT_EQ(batch.spans.size(), 1u);
  EXPECT_EQ(batch.spans[0].name.size(), (64u << 10) - 1);
  EXPECT_EQ(batch.spans[0].dropped_attributes, 1u);
  EXPECT_TRUE(batch.owned.empty());
}

TEST(Otlp, SpansOverTheLimitAreCounted) {
  const std::string span = SpanSpec{}.Encode();
  const SpanBatch batch = Decode(TracesData("bot", std::vector<std::string>(100'003, span)));
  EXPECT_EQ(batch.spans.size(), 100'000u);
  EXPECT_EQ(batch.rejected.limit, 3u);
}

TEST(Otlp, ARecordOfGarbageSpansIsGivenUp) {
  // Each broken span costs an exception; a record full of them must not hold up others.
  const SpanBatch batch = Decode(TracesData("bot", std::vector<std::string>(100'000, "\xFF")), false);
  EXPECT_EQ(batch.rejected.malformed, 64u);
}

TEST(Otlp, TimesAreBounded) {
  SpanSpec spec;
  spec.start_ns = 0;
  spec.end_ns = UINT64_MAX;
  const SpanBatch batch = Decode(TracesData("bot", {spec.Encode()}));
  EXPECT_EQ(batch.spans[0].end_ns, std::int64_t{1} << 62);
}

TEST(Otlp, UnknownEnumsAreTolerated) {
  SpanSpec spec;
  spec.kind = 17;
  spec.more = StatusField(9, "");
  const SpanBatch batch = Decode(TracesData("bot", {spec.Encode()}));
  ASSERT_EQ(batch.spans.size(), 1u);
  EXPECT_EQ(batch.spans[0].kind, core::SpanKind::kUnspecified);
  EXPECT_EQ(batch.spans[0].status, core::StatusCode::kUnset);
}

TEST(Otlp, MemoryAndErrors) {
  SpanSpec spec;
  spec.attributes = {KeyValue("spanwatch.mem.delta", IntValue(-5)), KeyValue("spanwatch.mem.peak", IntValue(1 << 20)),
                     KeyValue("error.type", StringValue("timeout"))};
  spec.more = StatusField(2, "status text");
  const auto exception = [](const char* type, const char* message) {
    return Event("exception",
                 {KeyValue("exception.type", StringValue(type)), KeyValue("exception.message", StringValue(message))});
  };
  const std::string without_event = spec.Encode();
  spec.more += exception("First", "one") + exception("Last", "two") + Event("log", {});
  const std::string bytes = TracesData("bot", {without_event, spec.Encode()});
  const SpanBatch batch = Decode(bytes);
  ASSERT_EQ(batch.spans.size(), 2u);
  EXPECT_EQ(batch.spans[0].memory_delta, -5);
  EXPECT_EQ(batch.spans[0].memory_peak, 1 << 20);
  EXPECT_EQ(batch.spans[0].error_type, "timeout");
  EXPECT_EQ(batch.spans[0].error_message, "status text");
  EXPECT_EQ(batch.spans[1].error_type, "Last");
  EXPECT_EQ(batch.spans[1].error_message, "two");
}

TEST(Otlp, WeightFromTracestate) {
  EXPECT_EQ(AdjustedCount(""), 1);
  EXPECT_EQ(AdjustedCount("ot=th:0"), 1);
  EXPECT_EQ(AdjustedCount("ot=th:8"), 2);
  EXPECT_EQ(AdjustedCount("vendor=x, ot=rv:0123;th:c"), 4);
  EXPECT_NEAR(AdjustedCount("ot=th:e6666666666666"), 10, 1e-9);
  EXPECT_EQ(AdjustedCount("ot=th:ffffffffffffff"), 72057594037927936.0);
  for (const char* bad : {"ot=th:", "ot=th:xyz", "ot=th:123456789abcdef", "ot=", "ot", "oth:8", "xot=th:8", ",,;;="}) {
    EXPECT_EQ(AdjustedCount(bad), 1) << bad;
  }
  SpanSpec spec;
  protozero::pbf_writer(spec.more).add_bytes(3, "ot=th:8");
  EXPECT_EQ(Decode(TracesData("bot", {spec.Encode()})).spans[0].weight, 2);
}

TEST(Otlp, EveryTruncationIsSurvived) {
  SpanSpec spec;
  spec.attributes = {KeyValue("array", ArrayValue({StringValue("a"), MapValue({KeyValue("k", IntValue(1))})}))};
  spec.more = Event("exception", {KeyValue("exception.type", StringValue("T"))}) +
              Link("fedcba9876543210", "link-id1") + StatusField(2, "text");
  const std::string bytes = TracesData("bot", {spec.Encode(), spec.Encode()});
  for (std::size_t n = 1; n < bytes.size(); ++n) {
    SpanBatch batch;
    EXPECT_FALSE(DecodeOtlp(std::string(bytes, 0, n), &batch)) << n;
  }
}

TEST(Otlp, RandomBytesAndRandomDamageAreSurvived) {
  SpanSpec spec;
  spec.attributes = {KeyValue("array", ArrayValue({StringValue("a"), DoubleValue(2)}))};
  spec.more = Event("e", {KeyValue("k", BytesValue("b"))}) + StatusField(1, "text");
  const std::string good = TracesData("bot", {spec.Encode(), spec.Encode(), spec.Encode()});
  std::mt19937 random(20240607);
  SpanBatch batch;
  std::size_t kept = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes = good;
    if (i % 4 == 0) {
      bytes.resize(random() % 200);
      for (char& c : bytes) c = static_cast<char>(random());
    } else {
      for (unsigned n = random() % 8; n > 0; --n) bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    DecodeOtlp(bytes, &batch);
    kept += batch.spans.size();
    for (const core::SpanView& span : batch.spans) {
      ASSERT_LE(span.attributes.first + span.attributes.count, batch.attributes.size());
      ASSERT_LT(span.resource, batch.resources.size());
    }
  }
  EXPECT_GT(kept, 0u);
}

}  // namespace
}  // namespace spanwatch::ingest
