// The engine's search: what matches, in which order, page by page; compared with a simple slow one over the copies that
// GetTrace() gives.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "sidecar/core/engine.h"
#include "tests/support/engine_driver.h"

namespace spanwatch::core {
namespace {

TraceId Id(std::uint64_t trace) { return {0xabcdef, trace}; }

std::vector<std::uint64_t> Find(const Engine& engine, const TraceQuery& query, std::size_t* total = nullptr) {
  std::vector<std::uint64_t> found;
  for (const TraceSummary& trace : engine.FindTraces(query, total)) found.push_back(trace.trace_id.lo);
  return found;
}

TraceQuery WithTag(std::string key, std::string value) {
  TraceQuery query;
  query.tags = {{std::move(key), std::move(value)}};
  return query;
}

// One trace with an attribute of each kind, at each place.
class SearchTags : public testing::Test {
 protected:
  SearchTags() {
    TestBatch owner({{.trace = 7, .id = 1, .service = "shop", .name = "pay", .failed = true, .kind = SpanKind::kServer},
                     {.trace = 8, .id = 2, .service = "other", .name = "idle"}});
    SpanBatch& batch = owner.batch();
    const auto range = [&](std::vector<AttributeView> attributes) {
      const AttributeRange made{static_cast<std::uint32_t>(batch.attributes.size()),
                                static_cast<std::uint32_t>(attributes.size())};
      batch.attributes.insert(batch.attributes.end(), attributes.begin(), attributes.end());
      return made;
    };
    SpanView& span = batch.spans[0];
    span.attributes = range({{"text", AttributeType::kString, 0, 0, "a:b"},
                             {"yes", AttributeType::kBool, 1, 0, {}},
                             {"count", AttributeType::kInt, -42, 0, {}},
                             {"share", AttributeType::kDouble, 0, 2.5, {}},
                             {"list", AttributeType::kJson, 0, 0, "[1,2]"},
                             {"nothing", AttributeType::kEmpty, 0, 0, {}},
                             {"raw", AttributeType::kBytes, 0, 0, "raw"},
                             {"error.type", AttributeType::kString, 0, 0, "TimeoutError"}});
    const AttributeRange exception = range({{"exception.message", AttributeType::kString, 0, 0, "No Answer from bank"},
                                            {"attempt", AttributeType::kInt, 3, 0, {}}});
    batch.events.push_back({kStart, "exception", exception});
    span.first_event = 0;
    span.event_count = 1;
    span.scope_name = "billing";
    span.status_message = "gave up";
    batch.resources[span.resource].attributes = range(
        {{"service.name", AttributeType::kString, 0, 0, "shop"}, {"host.name", AttributeType::kString, 0, 0, "box-1"}});
    Decoded decoded;
    decoded.spans = &batch;
    driver_.engine().Apply({1, driver_.now_ns(), RecordKind::kOtlp, 0}, decoded);
  }
  bool Has(const std::string& key, const std::string& value) {
    const auto found = Find(driver_.engine(), WithTag(key, value));
    EXPECT_TRUE(found.empty() || found == std::vector<std::uint64_t>{7}) << key << "=" << value;
    return !found.empty();
  }
  bool HasError(const std::string& text) {
    TraceQuery query;
    query.error_text = text;
    return Find(driver_.engine(), query) == std::vector<std::uint64_t>{7};
  }
  EngineDriver driver_;
};

TEST_F(SearchTags, ValuesAreComparedAsText) {
  for (const auto& [key, value] : std::vector<std::pair<std::string, std::string>>{{"text", "a:b"},
                                                                                   {"yes", "true"},
                                                                                   {"count", "-42"},
                                                                                   {"share", "2.5"},
                                                                                   {"share", "2.50"},
                                                                                   {"list", "[1,2]"},
                                                                                   {"nothing", ""}}) {
    EXPECT_TRUE(Has(key, value)) << key << "=" << value;
  }
  for (const auto& [key, value] : std::vector<std::pair<std::string, std::string>>{{"text", "a"},
                                                                                   {"text", "A:B"},
                                                                                   {"yes", "1"},
                                                                                   {"yes", "false"},
                                                                                   {"count", "42"},
                                                                                   {"count", "-042"},
                                                                                   {"count", "-42.0"},
                                                                                   {"share", "2"},
                                                                                   {"share", "x"},
                                                                                   {"nothing", "x"},
                                                                                   {"raw", "raw"},
                                                                                   {"missing", ""}}) {
    EXPECT_FALSE(Has(key, value)) << key << "=" << value;
  }
}

TEST_F(SearchTags, PlacesOfATag) {
  EXPECT_TRUE(Has("attempt", "3")) << "of an event";
  EXPECT_TRUE(Has("host.name", "box-1")) << "of the resource";
  EXPECT_TRUE(Has("resource.host.name", "box-1"));
  EXPECT_TRUE(Has("service.name", "shop"));
  EXPECT_FALSE(Has("resource.text", "a:b")) << "an attribute of the span is none of its resource";
  EXPECT_TRUE(Has("scope.name", "billing"));
  EXPECT_TRUE(Has("otel.scope.name", "billing"));
  EXPECT_FALSE(Has("scope.name", "bill"));
  EXPECT_TRUE(Has("error", "true"));
  EXPECT_TRUE(Has("span.kind", "server"));
  EXPECT_TRUE(Has("span.status", "ERROR"));
  EXPECT_TRUE(Has("otel.status_code", "error"));
  EXPECT_FALSE(Has("span.kind", "client"));
  EXPECT_EQ(Find(driver_.engine(), WithTag("error", "false")), std::vector<std::uint64_t>{8});
  EXPECT_EQ(Find(driver_.engine(), WithTag("service.name", "other")), std::vector<std::uint64_t>{8})
      << "a service without a resource of its own";
}

TEST_F(SearchTags, OneSpanMustHaveThemAll) {
  TraceQuery query = WithTag("text", "a:b");
  query.tags.push_back({"attempt", "3"});
  query.tags.push_back({"host.name", "box-1"});
  query.operation = "pay";
  EXPECT_EQ(Find(driver_.engine(), query), std::vector<std::uint64_t>{7});
  query.tags.push_back({"error", "false"});
  EXPECT_TRUE(Find(driver_.engine(), query).empty());
  query.tags.assign(100, {"text", "a:b"});
  EXPECT_TRUE(Find(driver_.engine(), query).empty()) << "more tags than a search takes";
}

TEST_F(SearchTags, ErrorText) {
  EXPECT_TRUE(HasError("timeouterror"));
  EXPECT_TRUE(HasError("no answer"));
  EXPECT_TRUE(HasError("GAVE"));
  EXPECT_FALSE(HasError("a:b")) << "no error's text";
  EXPECT_FALSE(HasError("billing"));
}

TEST(Search, OrdersPagesAndTotal) {
  EngineDriver driver;
  for (std::uint64_t i = 1; i <= 30; ++i) {
    const auto n = static_cast<std::int64_t>(i);
    std::vector<TestSpan> spans;
    for (std::uint64_t k = 1; k <= 1 + i % 7; ++k) {
      spans.push_back({.trace = i,
                       .id = k,
                       .parent = k - 1,
                       .start_ns = kStart + n * kSecond,
                       .duration_ns = (n * 37 % 31 + 1) * kMs,
                       .failed = k <= i % 4});
    }
    driver.Spans(std::move(spans));
  }
  std::size_t total = 0;
  TraceQuery query;
  query.limit = 4;
  EXPECT_EQ(Find(driver.engine(), query, &total), (std::vector<std::uint64_t>{30, 29, 28, 27}));
  EXPECT_EQ(total, 30u);
  query.offset = 28;
  EXPECT_EQ(Find(driver.engine(), query, &total), (std::vector<std::uint64_t>{2, 1}));
  query.offset = 30;
  EXPECT_TRUE(Find(driver.engine(), query, &total).empty());
  EXPECT_EQ(total, 30u);
  for (const auto sort : {TraceQuery::Sort::kLongest, TraceQuery::Sort::kMostErrors, TraceQuery::Sort::kMostSpans}) {
    query = {};
    query.sort = sort;
    query.limit = 100;
    const auto key = [&](const TraceSummary& t) -> std::int64_t {
      return sort == TraceQuery::Sort::kLongest      ? t.duration_ns
             : sort == TraceQuery::Sort::kMostErrors ? t.error_count
                                                     : t.span_count;
    };
    const std::vector<TraceSummary> all = driver.engine().FindTraces(query);
    ASSERT_EQ(all.size(), 30u);
    for (std::size_t i = 1; i < all.size(); ++i) {
      EXPECT_TRUE(key(all[i - 1]) > key(all[i]) ||
                  (key(all[i - 1]) == key(all[i]) && all[i - 1].start_ns > all[i].start_ns));
    }
  }
}

TEST(Search, TheWholeOfALargeTraceIsLookedAt) {
  constexpr std::uint64_t kSpans = 60'000;
  EngineDriver driver;
  std::vector<TestSpan> spans;
  for (std::uint64_t k = 1; k <= kSpans; ++k) {
    spans.push_back({.trace = 1, .id = k, .parent = k == 1 ? 0 : 1 + k % 7, .service = "s" + std::to_string(k % 3)});
    spans.back().tags = {{"number", std::to_string(k)}};
  }
  spans.back().parent = 999'999;  // not here
  spans.back().failed = true;
  driver.Spans(std::move(spans));
  driver.Spans({{.trace = 2, .id = 1, .start_ns = kStart + kSecond, .tags = {{"number", "60000"}}}});
  EXPECT_EQ(Find(driver.engine(), WithTag("number", "60000")), (std::vector<std::uint64_t>{2, 1}));
  EXPECT_EQ(Find(driver.engine(), WithTag("number", "59999")), std::vector<std::uint64_t>{1});
  EXPECT_TRUE(Find(driver.engine(), WithTag("number", "60001")).empty());
  TraceQuery query;
  query.service = "s1";
  const std::vector<TraceSummary> found = driver.engine().FindTraces(query);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].span_count, kSpans);
  EXPECT_EQ(found[0].orphans, 1u);
  ASSERT_EQ(found[0].services.size(), 3u);
  EXPECT_EQ(found[0].services[0].name, "s1");
  EXPECT_EQ(found[0].services[2].spans, kSpans / 3);
  EXPECT_EQ(found[0].services[2].name, "s0");
  EXPECT_EQ(found[0].services[2].errors, 1u);
  const auto copy = driver.engine().GetTrace(Id(1));
  ASSERT_TRUE(copy);
  EXPECT_EQ(copy->spans.size(), kSpans);
  EXPECT_EQ(copy->summary.orphans, 1u);
  ASSERT_EQ(copy->missing.size(), 1u);
  EXPECT_EQ(copy->missing[0].id.value, 999'999u);
  EXPECT_EQ(copy->spans.back().attributes.at(0).text, std::to_string(copy->spans.back().span_id.value));
}

TEST(Search, AFoldedNameIsFoundByBothOfItsNames) {
  Limits limits;
  limits.span_names = {"/users/{id}"};
  EngineDriver driver(limits);
  driver.Reload(nullptr, limits);
  driver.Spans({{.trace = 1, .id = 1, .name = "/users/17"}, {.trace = 2, .id = 2, .name = "/users/18"}});
  TraceQuery query;
  query.operation = "/users/17";
  EXPECT_EQ(Find(driver.engine(), query), std::vector<std::uint64_t>{1});
  query.operation = "/users/{id}";
  EXPECT_EQ(Find(driver.engine(), query).size(), 2u);
  query.operation = "/users/19";
  EXPECT_TRUE(Find(driver.engine(), query).empty());
}

TEST(Search, BySpanEverythingIsAskedOfOneSpan) {
  EngineDriver driver;
  driver.Spans({{.trace = 1, .id = 1, .name = "root", .duration_ns = 10 * kSecond},
                {.trace = 1, .id = 2, .parent = 1, .name = "call", .start_ns = kStart + 5 * kSecond, .failed = true}});
  TraceQuery query;
  query.by_span = true;
  query.start_ns = kStart + kSecond;  // the root starts before, its child after
  EXPECT_EQ(Find(driver.engine(), query).size(), 1u);
  query.operation = "root";
  EXPECT_TRUE(Find(driver.engine(), query).empty());
  query = {};
  query.by_span = true;
  query.operation = "call";
  query.min_duration_ns = kSecond;
  EXPECT_TRUE(Find(driver.engine(), query).empty());
  query.by_span = false;
  EXPECT_EQ(Find(driver.engine(), query).size(), 1u) << "else the duration is the trace's";
  query = {};
  query.by_span = true;
  query.operation = "root";
  query.status = TraceQuery::Status::kSuccess;
  EXPECT_EQ(Find(driver.engine(), query).size(), 1u);
  query.by_span = false;
  EXPECT_TRUE(Find(driver.engine(), query).empty());
}

// --- against a slow one ----------------------------------------------------------------------------------------------

bool TagFits(const TraceCopy& trace, const SpanCopy& span, const NameValue& tag) {
  if (tag.name == "error") return (span.status == StatusCode::kError) == (tag.value == "true");
  if (tag.name == "span.kind") return tag.value == ToString(span.kind);
  const auto is = [&](const AttributeCopy& a) { return a.key == tag.name && a.text == tag.value; };
  return std::any_of(span.attributes.begin(), span.attributes.end(), is) ||
         std::any_of(trace.resources[span.resource].begin(), trace.resources[span.resource].end(), is);
}

bool SpanFits(const TraceCopy& trace, const SpanCopy& span, const TraceQuery& query) {
  if (!query.service.empty() && span.service != query.service) return false;
  if (!query.operation.empty() && span.name != query.operation) return false;
  if (query.by_span) {
    const std::int64_t duration = span.end_ns - span.start_ns;
    const bool failed = span.status == StatusCode::kError;
    if (span.start_ns < query.start_ns || span.start_ns > query.end_ns) return false;
    if (duration < query.min_duration_ns || duration > query.max_duration_ns) return false;
    if (query.status == TraceQuery::Status::kError && !failed) return false;
    if (query.status == TraceQuery::Status::kSuccess && failed) return false;
  }
  return std::all_of(query.tags.begin(), query.tags.end(),
                     [&](const NameValue& tag) { return TagFits(trace, span, tag); });
}

bool Fits(const TraceCopy& trace, const TraceQuery& query) {
  const TraceSummary& all = trace.summary;
  if (!query.by_span) {
    if (all.start_ns < query.start_ns || all.start_ns > query.end_ns) return false;
    if (all.duration_ns < query.min_duration_ns || all.duration_ns > query.max_duration_ns) return false;
    if (query.status == TraceQuery::Status::kError && all.error_count == 0) return false;
    if (query.status == TraceQuery::Status::kSuccess && all.error_count > 0) return false;
  }
  return std::any_of(trace.spans.begin(), trace.spans.end(),
                     [&](const SpanCopy& span) { return SpanFits(trace, span, query); });
}

class Random {
 public:
  explicit Random(std::uint64_t seed) : random_(seed) {}
  std::uint64_t Below(std::uint64_t n) { return random_() % n; }
  bool Maybe(std::uint64_t one_in) { return Below(one_in) == 0; }
  std::string Name(const char* prefix, std::uint64_t n) { return prefix + std::to_string(Below(n)); }

 private:
  std::mt19937_64 random_;
};

std::vector<TestSpan> RandomTrace(std::uint64_t trace, Random* random) {
  std::vector<TestSpan> spans;
  for (std::uint64_t k = 1, n = 1 + random->Below(12); k <= n; ++k) {
    TestSpan span{.trace = trace, .id = k, .parent = k == 1 ? 0 : 1 + random->Below(k - 1)};
    span.service = random->Name("service-", 4);
    span.name = random->Name("op-", 5);
    span.start_ns = kStart + static_cast<std::int64_t>(random->Below(1000)) * kMs;
    span.duration_ns = static_cast<std::int64_t>(random->Below(1000)) * kMs;
    span.failed = random->Maybe(5);
    span.kind = static_cast<SpanKind>(random->Below(6));
    for (std::uint64_t t = random->Below(4); t > 0; --t)
      span.tags.emplace_back(random->Name("key-", 4), random->Name("value-", 3));
    spans.push_back(std::move(span));
  }
  return spans;
}

TraceQuery RandomQuery(Random* random) {
  TraceQuery query;
  query.by_span = random->Maybe(2);
  if (random->Maybe(2)) query.service = random->Name("service-", 5);
  if (random->Maybe(2)) query.operation = random->Name("op-", 6);
  for (std::uint64_t t = random->Below(3); t > 0; --t)
    query.tags.push_back({random->Name("key-", 4), random->Name("value-", 3)});
  if (random->Maybe(4)) query.tags.push_back({"error", random->Maybe(2) ? "true" : "false"});
  if (random->Maybe(6)) query.tags.push_back({"span.kind", ToString(static_cast<SpanKind>(random->Below(6)))});
  if (random->Maybe(6)) query.tags.push_back({"service.name", random->Name("service-", 5)});
  if (random->Maybe(3)) query.min_duration_ns = static_cast<std::int64_t>(random->Below(1200)) * kMs;
  if (random->Maybe(3)) query.max_duration_ns = static_cast<std::int64_t>(random->Below(1500)) * kMs;
  if (random->Maybe(3)) query.start_ns = kStart + static_cast<std::int64_t>(random->Below(800)) * kMs;
  if (random->Maybe(3)) query.end_ns = kStart + static_cast<std::int64_t>(random->Below(1000)) * kMs;
  query.status = static_cast<TraceQuery::Status>(random->Below(3));
  query.limit = 1000;
  return query;
}

TEST(Search, FindsWhatASlowSearchFinds) {
  Random random(20240501);
  EngineDriver driver;
  std::vector<TraceCopy> copies;
  for (std::uint64_t trace = 1; trace <= 300; ++trace) driver.Spans(RandomTrace(trace, &random));
  for (std::uint64_t trace = 1; trace <= 300; ++trace) copies.push_back(driver.engine().GetTrace(Id(trace)).value());
  std::size_t some = 0;
  for (int round = 0; round < 400; ++round) {
    const TraceQuery query = RandomQuery(&random);
    std::vector<std::uint64_t> expected;
    for (const TraceCopy& copy : copies) {
      if (Fits(copy, query)) expected.push_back(copy.summary.trace_id.lo);
    }
    std::size_t total = 0;
    std::vector<std::uint64_t> found = Find(driver.engine(), query, &total);
    std::sort(found.begin(), found.end());
    ASSERT_EQ(found, expected) << "round " << round << ", by_span " << query.by_span;
    ASSERT_EQ(total, expected.size());
    some += expected.empty() ? 0 : 1;
  }
  EXPECT_GT(some, 100u) << "queries that find nothing prove little";
}

// Traces come and go while others search and read.
TEST(Search, BesideTheThreadThatWrites) {
  Limits limits;
  limits.max_traces = 50;
  EngineDriver driver(limits);
  std::atomic<bool> stop = false;
  std::atomic<std::uint64_t> seen = 0;
  std::thread reader([&] {
    const TraceQuery query = WithTag("round", "even");
    while (!stop) {
      for (const TraceSummary& trace : driver.engine().FindTraces(query)) {
        EXPECT_EQ(trace.trace_id.lo % 2, 0u);
        EXPECT_EQ(trace.services.at(0).name, "bot");
        const auto copy = driver.engine().GetTrace(trace.trace_id);
        if (!copy) continue;
        EXPECT_EQ(copy->summary.span_count, copy->spans.size());
        ++seen;
      }
    }
  });
  for (std::uint64_t trace = 1; trace <= 2000 || seen == 0; ++trace) {
    std::vector<TestSpan> spans;
    for (std::uint64_t k = 1; k <= 1 + trace % 40; ++k) spans.push_back({.trace = trace, .id = k, .parent = k - 1});
    spans[0].tags = {{"round", trace % 2 == 0 ? "even" : "odd"}};
    driver.Spans(std::move(spans));
  }
  stop = true;
  reader.join();
}

}  // namespace
}  // namespace spanwatch::core
