// A trace as bytes: what went in comes out, and what is not such is refused.
#include "sidecar/core/trace_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "sidecar/core/codec.h"
#include "tests/unit/core/analysis_builder.h"

namespace spanwatch::core {
namespace {

using testing::Attributes;

// Everything that a trace can have, with hostile times and texts.
TraceCopy Full() {
  TraceCopy trace = testing::Trace({{1, 0, "root", 0, 100, "", "bot", {{"n", std::int64_t{-7}}, {"f", 0.25}}},
                                    {2, 1, "call\xff", 10, 90, "TimeoutError", "gemini", {{"text", "a\0b"}}},
                                    {3, 9, "orphan", 20, 30}});
  TraceSummary& summary = trace.summary;
  summary.trace_id = {0x0123456789abcdef, 0xfedcba9876543210};
  summary.root_service = "bot";
  summary.root_operation = "root";
  summary.start_ns = INT64_MIN;
  summary.duration_ns = INT64_MAX;
  summary.span_count = 3;
  summary.error_count = 1;
  summary.depth = 2;
  summary.truncated = 4;
  summary.orphans = 1;
  summary.complete = summary.alerted = true;
  summary.services = {{"bot", 2, 0}, {"gemini", 1, 1}};
  trace.missing = {{{9}, "still_open", 1, "bot", "parent", 5}, {{10}, "never heard of", 2, "", "", 0}};
  trace.losses = {{"00112233", "bot", "ring_full", 12}};
  trace.resources = {Attributes({{"service.name", "bot"}}), Attributes({{"service.name", "gemini"}})};
  SpanCopy& span = trace.spans[1];
  span.start_ns = INT64_MAX;
  span.end_ns = INT64_MIN;
  span.kind = SpanKind::kClient;
  span.status_message = "model did not answer";
  span.scope = "lib";
  span.orphan = true;
  span.depth = 2;
  span.resource = 1;
  span.trace_state = "ot=th:8";
  span.parent_is_remote = true;
  span.attributes.push_back({"yes", AttributeType::kBool, 1, 0, ""});
  span.attributes.push_back({"none", AttributeType::kEmpty, 0, 0, ""});
  span.attributes.push_back({"raw", AttributeType::kBytes, 0, 0, std::string("\0\x80", 2)});
  span.attributes.push_back({"list", AttributeType::kJson, 0, 0, "[1,2]"});
  span.links = {{{3, 4}, {5}}};
  span.dropped_attributes = 1;
  span.dropped_events = 2;
  span.dropped_links = 3;
  return trace;
}

TEST(TraceCodec, WhatWentInComesOut) {
  const TraceCopy trace = Full();
  const std::string bytes = EncodeTrace(trace);
  const auto copy = DecodeTrace(bytes);
  ASSERT_TRUE(copy);
  EXPECT_EQ(EncodeTrace(*copy), bytes);
  EXPECT_EQ(copy->summary.trace_id, trace.summary.trace_id);
  EXPECT_EQ(copy->summary.services[1].errors, 1u);
  EXPECT_EQ(copy->missing[0].operation, "parent");
  EXPECT_STREQ(copy->missing[0].reason, "still_open");
  EXPECT_STREQ(copy->missing[1].reason, "not_received") << "a reason that is not known";
  EXPECT_EQ(copy->losses[0].spans, 12u);
  EXPECT_EQ(copy->resources[1][0].text, "gemini");
  ASSERT_EQ(copy->spans.size(), 3u);
  const SpanCopy& span = copy->spans[1];
  EXPECT_EQ(span.start_ns, INT64_MAX);
  EXPECT_EQ(span.end_ns, INT64_MIN);
  EXPECT_EQ(span.name, "call\xff");
  EXPECT_EQ(span.kind, SpanKind::kClient);
  EXPECT_EQ(span.status, StatusCode::kError);
  EXPECT_EQ(span.trace_state, "ot=th:8");
  EXPECT_TRUE(span.orphan && span.parent_is_remote);
  ASSERT_EQ(span.attributes.size(), 5u);
  EXPECT_EQ(span.attributes[1].integer, 1);
  EXPECT_EQ(span.attributes[3].text, std::string("\0\x80", 2));
  EXPECT_EQ(copy->spans[0].attributes[1].number, 0.25);
  EXPECT_EQ(span.events.at(0).time_ns, trace.spans[1].events[0].time_ns);
  EXPECT_EQ(span.events.at(0).attributes.at(0).text, "TimeoutError");
  EXPECT_EQ(span.links.at(0).span_id.value, 5u);
  EXPECT_EQ(span.dropped_links, 3u);
}

TEST(TraceCodec, AnEmptyTraceIsOneToo) {
  const auto copy = DecodeTrace(EncodeTrace({}));
  ASSERT_TRUE(copy);
  EXPECT_TRUE(copy->spans.empty());
  EXPECT_EQ(copy->resources.size(), 1u) << "what spans refer to is always there";
}

TEST(TraceCodec, EveryCutAndEverySurplusIsRefused) {
  const std::string bytes = EncodeTrace(Full());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(DecodeTrace(std::string_view(bytes).substr(0, size))) << size;
  }
  EXPECT_FALSE(DecodeTrace(bytes + '\0'));
  std::string newer = bytes;
  newer[0] = 2;
  EXPECT_FALSE(DecodeTrace(newer)) << "another version";
}

TEST(TraceCodec, NumbersOutOfRangeAreRefused) {
  TraceCopy trace = Full();
  trace.spans[0].resource = 2;
  EXPECT_FALSE(DecodeTrace(EncodeTrace(trace))) << "a resource that is not there";
  trace = Full();
  trace.spans[0].kind = static_cast<SpanKind>(6);
  EXPECT_FALSE(DecodeTrace(EncodeTrace(trace)));
  trace = Full();
  trace.spans[0].status = static_cast<StatusCode>(3);
  EXPECT_FALSE(DecodeTrace(EncodeTrace(trace)));
}

TEST(TraceCodec, TooManyElementsAreRefused) {
  TraceCopy trace;
  trace.resources.resize(kMaxDecodedElements - 1);
  EXPECT_TRUE(DecodeTrace(EncodeTrace(trace)));
  trace.resources.resize(kMaxDecodedElements + 1);
  EXPECT_FALSE(DecodeTrace(EncodeTrace(trace)));
}

// Whatever a disk makes of the bytes: an answer, and if it is a trace, one whose parts fit together.
TEST(TraceCodec, FlippedBytesAreRefusedOrReadAsAnotherTrace) {
  const std::string bytes = EncodeTrace(Full());
  std::mt19937 random(7);
  int refused = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string damaged = bytes;
    for (auto n = 1 + random() % 4; n > 0; --n) damaged[random() % damaged.size()] = static_cast<char>(random());
    if (random() % 4 == 0) damaged.resize(random() % damaged.size());
    const auto copy = DecodeTrace(damaged);
    refused += copy ? 0 : 1;
    if (!copy) continue;
    for (const SpanCopy& span : copy->spans) ASSERT_LT(span.resource, copy->resources.size());
    for (const MissingSpan& missing : copy->missing) ASSERT_FALSE(std::string(missing.reason).empty());
  }
  EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace spanwatch::core
