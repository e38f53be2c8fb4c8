#include <gtest/gtest.h>

#include <set>

#include "sidecar/ingest/ingest.h"
#include "sidecar/ingest/otlp_split.h"
#include "tests/unit/ingest/otlp_builder.h"

namespace spanwatch::ingest {
namespace {

using namespace testing;  // NOLINT: the builder

constexpr SplitLimits kLimits{10'000, 40'000, 100};

std::string Numbered(int number, std::size_t padding = 0) {
  SpanSpec span;
  span.span_id = "span" + std::to_string(1000 + number);
  if (padding > 0) span.attributes = {KeyValue("padding", StringValue(std::string(padding, 'x')))};
  return span.Encode();
}

std::vector<std::string> Spans(int count, std::size_t padding = 0) {
  std::vector<std::string> spans;
  for (int i = 0; i < count; ++i) spans.push_back(Numbered(i, padding));
  return spans;
}

// "service/scope/span id" of all spans, in order.
std::vector<std::string> Read(const std::vector<std::string>& records) {
  std::vector<std::string> found;
  for (const std::string& record : records) {
    core::SpanBatch batch;
    EXPECT_TRUE(DecodeOtlp(record, &batch));
    EXPECT_LE(batch.resources.size(), kLimits.max_resources);
    for (const core::SpanView& span : batch.spans) {
      found.push_back(std::string(batch.resources[span.resource].service_name) + "/" + std::string(span.scope_name) +
                      "/" + std::to_string(span.span_id.value));
    }
  }
  return found;
}

TEST(OtlpSplit, SmallBodiesStayWhole) {
  const std::string bytes = TracesData("bot", Spans(5));
  const SplitResult result = SplitOtlp(bytes, kLimits);
  ASSERT_EQ(result.records.size(), 1u);
  EXPECT_EQ(result.records[0], bytes);
  EXPECT_TRUE(SplitOtlp("", kLimits).records.empty());
}

TEST(OtlpSplit, LargeBodiesKeepSpansOrderResourceAndScope) {
  const std::string small = TracesData("small", Spans(3));
  const std::string two_scopes = Wrap(1, Wrap(1, Resource("large")) + Wrap(2, ScopeSpans(Spans(800, 10), "one")) +
                                             Wrap(2, ScopeSpans(Spans(3), "two")));
  const std::string bytes = small + two_scopes + small;
  const SplitResult result = SplitOtlp(bytes, kLimits);
  EXPECT_GT(result.records.size(), 5u);
  EXPECT_EQ(result.too_large, 0u);
  EXPECT_EQ(Read(result.records), Read({small, two_scopes, small}));
  for (const std::string& record : result.records) EXPECT_LE(record.size(), 2 * kLimits.record_bytes);
}

TEST(OtlpSplit, TooLargeSpansAreLeftOutAndCounted) {
  std::vector<std::string> spans = Spans(3);
  spans.push_back(Numbered(50, 50'000));
  spans.push_back(Numbered(51, 30'000));
  const SplitResult result = SplitOtlp(TracesData("bot", spans), kLimits);
  EXPECT_EQ(result.too_large, 1u);
  for (const std::string& record : result.records) EXPECT_LE(record.size(), kLimits.max_record_bytes);
  EXPECT_EQ(Read(result.records).size(), 4u);
}

TEST(OtlpSplit, ManyResources) {
  std::string bytes;
  for (int i = 0; i < 950; ++i) bytes += TracesData("s" + std::to_string(i), {Numbered(i)});
  EXPECT_EQ(Read(SplitOtlp(bytes, kLimits).records).size(), 950u);
}

TEST(OtlpSplit, ALargeResourceDoesNotMakeARecordOfEachSpan) {
  const std::string resource = Repeated(1, {KeyValue("text", StringValue(std::string(15'000, 'x')))});
  const std::string bytes = Wrap(1, Wrap(1, resource) + Wrap(2, ScopeSpans(Spans(300))));
  const SplitResult result = SplitOtlp(bytes, kLimits);
  EXPECT_LT(result.records.size(), 5u);
  EXPECT_EQ(Read(result.records).size(), 300u);
}

TEST(OtlpSplit, BrokenPartsAreMetOnce) {
  std::vector<std::string> spans = Spans(400);
  spans[200] += '\x0f';
  const SplitResult result = SplitOtlp(Wrap(1, Wrap(2, ScopeSpans(spans) + '\x0f')), kLimits);
  std::uint32_t malformed = 0;
  for (const std::string& record : result.records) {
    core::SpanBatch batch;
    ASSERT_TRUE(DecodeOtlp(record, &batch));
    malformed += batch.rejected.malformed;
  }
  EXPECT_EQ(malformed, 2u);
  EXPECT_EQ(Read(result.records).size(), 399u);
}

}  // namespace
}  // namespace spanwatch::ingest
