// What is exported as OTLP, as JSON and as protobuf, is read back to the same traces.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <deque>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "sidecar/core/engine.h"
#include "sidecar/http/otlp_json.h"
#include "sidecar/ingest/ingest.h"
#include "sidecar/ingest/otlp_encode.h"
#include "sidecar/ingest/otlp_json.h"
#include "tests/support/engine_driver.h"

namespace spanwatch {
namespace {

using core::AttributeType;
using core::AttributeView;
using core::SpanBatch;
using core::TraceCopy;

const TraceId kTrace{0x0123456789abcdef, 0xfedcba9876543210};

const std::vector<std::string> kTexts = {"",
                                         "plain",
                                         "with \"quotes\" and \\",
                                         "line\nbreak\ttab\r",
                                         "\x01\x1f\x7f",
                                         "umlaut \xC3\xA4, clef \xF0\x9D\x84\x9E",
                                         "</script>",
                                         "null"};
const std::vector<std::string> kJson = {"[]",
                                        "{}",
                                        "[1,-2,\"x\",true,null,2.5]",
                                        "{\"a\":{\"b\":[[],{}]},\"a\":2,\"\":\"\\u0001\"}",
                                        "[1.0,1e+300,\"NaN\"]",
                                        "[9223372036854775807,-9223372036854775808]"};
const std::vector<double> kDoubles = {0.0,
                                      -0.5,
                                      0.1,
                                      1e300,
                                      5e-324,
                                      12.0,
                                      std::numeric_limits<double>::infinity(),
                                      -std::numeric_limits<double>::infinity()};
const std::vector<std::int64_t> kIntegers = {0, 1, -1, INT64_MAX, INT64_MIN, std::int64_t{1} << 53};

// Owns what its batch's views point to.
class RandomBatch {
 public:
  explicit RandomBatch(std::uint64_t seed) : random_(seed) {
    for (std::uint64_t i = 0, n = 1 + Below(3); i < n; ++i) {
      const std::string_view service = Keep("service-" + std::to_string(i));
      core::AttributeRange attributes = Attributes(4);
      batch_.attributes.push_back({"service.name", AttributeType::kString, 0, 0, service});
      ++attributes.count;
      batch_.resources.push_back({service, {}, attributes});
    }
    for (std::uint64_t i = 1, n = 1 + Below(20); i <= n; ++i) AddSpan(i);
  }
  const SpanBatch& batch() const { return batch_; }

 private:
  std::uint64_t Below(std::uint64_t n) { return random_() % n; }
  template <typename T>
  const T& Any(const std::vector<T>& values) {
    return values[Below(values.size())];
  }
  std::string_view Keep(std::string text) { return batch_.owned.emplace_back(std::move(text)); }

  core::AttributeRange Attributes(std::uint64_t most) {
    const core::AttributeRange range{static_cast<std::uint32_t>(batch_.attributes.size()),
                                     static_cast<std::uint32_t>(Below(most + 1))};
    for (std::uint32_t i = 0; i < range.count; ++i) {
      AttributeView a;
      a.key = Keep("key " + std::to_string(i) + Any(kTexts));
      a.type = static_cast<AttributeType>(Below(7));
      if (a.type == AttributeType::kString) a.text = Any(kTexts);
      if (a.type == AttributeType::kBytes) a.text = Keep(std::string("\0\xff raw", 6).substr(0, Below(7)));
      if (a.type == AttributeType::kJson) a.text = Any(kJson);
      if (a.type == AttributeType::kBool) a.integer = static_cast<std::int64_t>(Below(2));
      if (a.type == AttributeType::kInt) a.integer = Any(kIntegers);
      if (a.type == AttributeType::kDouble) a.number = Any(kDoubles);
      batch_.attributes.push_back(a);
    }
    return range;
  }

  void AddSpan(std::uint64_t id) {
    core::SpanView span;
    span.trace_id = kTrace;
    span.span_id = {id};
    span.parent_id = {id == 1 ? 0 : 1 + Below(id - 1)};
    span.start_ns = core::kStart + static_cast<std::int64_t>(Below(1'000'000'000));
    span.end_ns = span.start_ns + static_cast<std::int64_t>(Below(1'000'000'000));
    span.name = Keep("op " + Any(kTexts));
    span.status_message = Below(2) == 0 ? std::string_view() : Any(kTexts);
    span.scope_name = Below(2) == 0 ? std::string_view() : Any(kTexts);
    span.kind = static_cast<core::SpanKind>(Below(6));
    span.status = static_cast<core::StatusCode>(Below(3));
    span.parent_is_remote = Below(4) == 0;
    span.resource = static_cast<std::uint32_t>(Below(batch_.resources.size()));
    span.trace_state = Below(3) == 0 ? "ot=th:8;rv:1,vendor=x" : "";
    span.attributes = Attributes(6);
    span.first_event = static_cast<std::uint32_t>(batch_.events.size());
    for (std::uint64_t n = Below(3); n > 0; --n, ++span.event_count)
      batch_.events.push_back({span.start_ns + 5, Any(kTexts), Attributes(3)});
    span.first_link = static_cast<std::uint32_t>(batch_.links.size());
    for (std::uint64_t n = Below(3); n > 0; --n, ++span.link_count) batch_.links.push_back({{1, 1 + Below(9)}, {id}});
    if (Below(3) == 0) span.dropped_attributes = 7;
    if (Below(3) == 0) span.dropped_events = 8;
    if (Below(3) == 0) span.dropped_links = 9;
    batch_.spans.push_back(span);
  }

  std::mt19937_64 random_;
  SpanBatch batch_;
};

TraceCopy Stored(const SpanBatch& batch) {
  core::EngineDriver driver;
  core::Decoded decoded;
  decoded.spans = &batch;
  driver.engine().Apply({1, driver.now_ns(), core::RecordKind::kOtlp, 0}, decoded);
  auto copy = driver.engine().GetTrace(kTrace);
  EXPECT_TRUE(copy.has_value());
  return copy.value_or(TraceCopy());
}

std::string Text(const std::vector<core::AttributeCopy>& attributes) {
  std::string text;
  for (const core::AttributeCopy& a : attributes) {
    text += " [" + a.key + "]" + std::to_string(static_cast<int>(a.type)) + ":" + std::to_string(a.integer) + ":" +
            std::to_string(std::bit_cast<std::uint64_t>(a.number)) + ":" + a.text;
  }
  return text + "\n";
}

// All that a copy says, the same for equal ones; a resource stands with each of its spans.
std::string Text(const TraceCopy& trace) {
  std::string text = trace.summary.trace_id.ToHex() + " " + std::to_string(trace.summary.error_count) + "\n";
  for (const core::SpanCopy& s : trace.spans) {
    text += s.span_id.ToHex() + " " + s.parent_id.ToHex() + " " + std::to_string(s.start_ns) + " " +
            std::to_string(s.end_ns) + " " + s.service + "|" + s.name + "|" + s.scope + "|" + s.status_message + "|" +
            s.trace_state + "|" + ToString(s.kind) + ToString(s.status) + (s.parent_is_remote ? " remote " : " ") +
            std::to_string(s.dropped_attributes) + std::to_string(s.dropped_events) + std::to_string(s.dropped_links) +
            "\n resource" + Text(trace.resources[s.resource]) + " attributes" + Text(s.attributes);
    for (const auto& e : s.events) text += " event " + std::to_string(e.time_ns) + e.name + Text(e.attributes);
    for (const auto& l : s.links) text += " link " + l.trace_id.ToHex() + l.span_id.ToHex() + "\n";
  }
  return text;
}

TEST(OtlpRoundTrip, JsonAndProtobufAreReadBackToTheSameTrace) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    const RandomBatch random(seed);
    const TraceCopy trace = Stored(random.batch());
    std::string json = "{\"resourceSpans\":[";
    http::AppendOtlpJson(trace, &json);
    json += "]}";
    ASSERT_TRUE(nlohmann::json::accept(json)) << json;
    const auto protobuf = ingest::OtlpFromJson(json);
    ASSERT_TRUE(protobuf) << protobuf.error() << "\n" << json;
    SpanBatch from_json, from_protobuf;
    ASSERT_TRUE(ingest::DecodeOtlp(*protobuf, &from_json));
    EXPECT_EQ(from_json.rejected.Total(), 0u);
    ASSERT_EQ(Text(Stored(from_json)), Text(trace)) << "seed " << seed << "\n" << json;
    const std::string bytes = ingest::EncodeOtlp(trace);
    ASSERT_TRUE(ingest::DecodeOtlp(bytes, &from_protobuf));
    ASSERT_EQ(Text(Stored(from_protobuf)), Text(trace)) << "seed " << seed;
  }
}

TEST(OtlpRoundTrip, MessagesInARowAreOneMessage) {
  const TraceCopy trace = Stored(RandomBatch(5).batch());
  TraceCopy other = trace;
  for (core::SpanCopy& span : other.spans) span.span_id.value += 1000;
  SpanBatch both;
  const std::string bytes = ingest::EncodeOtlp(trace) + ingest::EncodeOtlp(other);
  ASSERT_TRUE(ingest::DecodeOtlp(bytes, &both));
  EXPECT_EQ(both.spans.size(), 2 * trace.spans.size());
}

}  // namespace
}  // namespace spanwatch
