// Figures of one trace, computed by hand.
#include "sidecar/core/analysis.h"

#include <gtest/gtest.h>

#include "tests/unit/core/analysis_builder.h"

namespace spanwatch::core {
namespace {

using testing::Analyse;
using testing::kMilli;
using testing::Line;
using testing::PathText;
using testing::Tag;
using testing::Trace;

TEST(AnalysisPathTest, NestedCallsOneAfterAnother) {
  const std::vector<Line> lines = {
      {1, 0, "root", 0, 100}, {2, 1, "A", 10, 40}, {3, 1, "B", 50, 90}, {4, 3, "C", 55, 80}};
  EXPECT_EQ(PathText(lines), "root 0-10, A 10-40, root 40-50, B 50-55, C 55-80, B 80-90, root 90-100");
  const TraceAnalysis analysis = Analyse(lines);
  EXPECT_EQ(analysis.duration_ns, 100 * kMilli);
  EXPECT_EQ(analysis.depth, 3u);
  EXPECT_EQ(analysis.span_count, 4u);
  EXPECT_EQ(analysis.root, 0u);
  EXPECT_EQ(analysis.spans[0].self_ns, 30 * kMilli);
  EXPECT_EQ(analysis.spans[2].self_ns, 15 * kMilli);
  EXPECT_EQ(analysis.spans[0].critical_ns, 30 * kMilli);
  EXPECT_EQ(analysis.slowest_by_duration, 0u);
  EXPECT_EQ(analysis.slowest_by_self, 0u);  // 30 ms as A, and before it
  EXPECT_EQ(analysis.idle_ns, 0);
  ASSERT_EQ(analysis.bottlenecks.size(), 4u);
  EXPECT_EQ(analysis.bottlenecks[0].operation, "root");
  EXPECT_EQ(analysis.bottlenecks[1].operation, "A");
  EXPECT_EQ(analysis.bottlenecks[2].operation, "C");
  EXPECT_DOUBLE_EQ(analysis.bottlenecks[2].share, 0.25);
}

TEST(AnalysisPathTest, OfParallelChildrenTheLastToEnd) {
  EXPECT_EQ(PathText({{1, 0, "root", 0, 100}, {2, 1, "A", 10, 90}, {3, 1, "B", 10, 60}}),
            "root 0-10, A 10-90, root 90-100");
  EXPECT_EQ(PathText({{1, 0, "root", 0, 100}, {2, 1, "A", 10, 90}, {3, 1, "B", 20, 90}}),
            "root 0-10, A 10-90, root 90-100");
}

TEST(AnalysisPathTest, OverlappingChildren) {
  const std::vector<Line> lines = {{1, 0, "root", 0, 100}, {2, 1, "A", 0, 60}, {3, 1, "B", 40, 100}};
  EXPECT_EQ(PathText(lines), "A 0-40, B 40-100");
  EXPECT_EQ(Analyse(lines).spans[0].self_ns, 0);
}

TEST(AnalysisPathTest, AChildThatOutlivesItsParentIsClippedMarkedAndSecondToOnesThatAreWaitedFor) {
  const std::vector<Line> lines = {
      {1, 0, "root", 0, 100}, {2, 1, "S", 10, 60}, {3, 1, "X", 20, 300}, {4, 3, "Y", 30, 250}};
  EXPECT_EQ(PathText(lines), "root 0-10, S 10-60, Y 60-100 async");
  const TraceAnalysis analysis = Analyse(lines);
  EXPECT_TRUE(analysis.spans[2].async);
  EXPECT_FALSE(analysis.spans[1].async);
  EXPECT_FALSE(analysis.spans[3].async);
  EXPECT_EQ(analysis.spans[0].self_ns, 10 * kMilli);
  EXPECT_EQ(analysis.after_root_ns, 200 * kMilli);
  EXPECT_EQ(analysis.root_duration_ns, 100 * kMilli);
  EXPECT_EQ(analysis.duration_ns, 300 * kMilli);
  ASSERT_EQ(analysis.bottlenecks.size(), 3u);
  EXPECT_EQ(analysis.bottlenecks[1].async_ns, 40 * kMilli);
}

TEST(AnalysisPathTest, ALateChildLeavesTheTimeToItsParent) {
  EXPECT_EQ(PathText({{1, 0, "root", 0, 100}, {2, 1, "late", 100, 150}}), "root 0-100");
}

TEST(AnalysisPathTest, SkewIsMarkedAndNotCorrected) {
  const auto of = [](double start, double end, const std::string& service) {
    return Analyse({{1, 0, "client", 0, 100}, {2, 1, "server", start, end, "", service}}).spans[1];
  };
  EXPECT_TRUE(of(-5, 80, "gemini").skewed);
  EXPECT_TRUE(of(-5, 80, "bot").skewed);
  EXPECT_TRUE(of(30, 105, "gemini").skewed);
  EXPECT_FALSE(of(30, 105, "gemini").async);
  EXPECT_TRUE(of(30, 105, "bot").async);      // one host, one clock
  EXPECT_TRUE(of(30, 131, "gemini").async);   // too long to fit
  EXPECT_TRUE(of(120, 130, "gemini").async);  // begins after the parent's end: not waited for
  EXPECT_FALSE(of(0, 100, "gemini").skewed);
  EXPECT_EQ(of(-5, 80, "gemini").self_ns, 85 * kMilli);
  EXPECT_EQ(PathText({{1, 0, "client", 0, 100}, {2, 1, "server", -5, 80, "", "gemini"}}), "server 0-80, client 80-100");
}

TEST(AnalysisPathTest, OrphansHangBelowTheRoot) {
  const std::vector<Line> lines = {{1, 0, "root", 0, 100}, {2, 99, "orphan", 20, 60}, {3, 2, "below", 30, 40}};
  EXPECT_EQ(PathText(lines), "root 0-20, orphan 20-30, below 30-40, orphan 40-60, root 60-100");
  const TraceAnalysis analysis = Analyse(lines);
  EXPECT_TRUE(analysis.spans[1].orphan);
  EXPECT_EQ(analysis.spans[1].parent, 0u);
  EXPECT_EQ(analysis.spans[1].depth, 1u);
  EXPECT_EQ(analysis.depth, 2u);
}

TEST(AnalysisPathTest, SeveralRootsAndNoneHaveAVirtualOneWithIdleTime) {
  const std::vector<Line> two = {{1, 0, "one", 0, 30}, {2, 0, "two", 50, 100}, {3, 2, "in", 60, 70}};
  EXPECT_EQ(PathText(two), "one 0-30, two 50-60, in 60-70, two 70-100");
  EXPECT_EQ(Analyse(two).idle_ns, 20 * kMilli);
  EXPECT_EQ(Analyse(two).root, kNoSpan);
  EXPECT_EQ(Analyse(two).roots, 2u);
  const std::vector<Line> none = {{1, 98, "one", 0, 30}, {2, 99, "two", 20, 100}};
  EXPECT_EQ(PathText(none), "one 0-20, two 20-100");
  EXPECT_EQ(Analyse(none).root_duration_ns, 100 * kMilli);
}

TEST(AnalysisPathTest, CyclesAreCutWhereTheStoreCutsThem) {
  const std::vector<Line> lines = {{1, 0, "root", 0, 100}, {2, 3, "A", 10, 90}, {3, 2, "B", 20, 80}, {4, 4, "S", 5, 6}};
  TraceAnalysis analysis = Analyse(lines);
  EXPECT_TRUE(analysis.spans[2].cycle);
  EXPECT_TRUE(analysis.spans[3].cycle);
  EXPECT_EQ(analysis.spans[2].depth, 1u);
  EXPECT_EQ(analysis.spans[1].depth, 2u);
  EXPECT_EQ(analysis.spans[1].parent, 2u);
  EXPECT_EQ(analysis.spans[2].parent, 0u);
  TraceCopy trace = Trace(lines);
  trace.spans[1].depth = 1;  // the store came from the other side
  trace.spans[2].depth = 2;
  analysis = core::Analyse(trace, {});
  EXPECT_TRUE(analysis.spans[1].cycle);
  EXPECT_FALSE(analysis.spans[2].cycle);
}

TEST(AnalysisPathTest, NothingAndHostileTimes) {
  const TraceAnalysis empty = core::Analyse({}, {});
  EXPECT_EQ(empty.duration_ns, 0);
  EXPECT_TRUE(empty.insights.empty());
  EXPECT_TRUE(empty.recommendations.empty());
  EXPECT_TRUE(Analyse({{1, 0, "point", 5, 5}}).critical_path.empty());
  EXPECT_EQ(Analyse({{1, 0, "backwards", 5, 3}}).root_duration_ns, 0);
  TraceCopy trace = Trace({{1, 0, "root", 0, 0}, {1, 0, "twin", 0, 0}, {2, 1, "child", 0, 0}, {3, 1, "child", 0, 0}});
  trace.spans[0].start_ns = trace.spans[2].start_ns = INT64_MIN;
  for (SpanCopy& span : trace.spans) span.end_ns = INT64_MAX;
  const TraceAnalysis analysis = core::Analyse(trace, {});
  std::int64_t sum = analysis.idle_ns;
  for (const PathSegment& segment : analysis.critical_path) sum += segment.to_ns - segment.from_ns;
  EXPECT_EQ(sum, analysis.root_duration_ns);
  EXPECT_GT(sum, 0);
}

TEST(AnalysisTest, PercentilesByNearestRank) {
  std::vector<Line> lines;
  for (std::uint64_t i = 1; i <= 200; ++i) lines.push_back({i, i > 1 ? 1u : 0u, "s", 0, static_cast<double>(i)});
  const Percentiles p = Analyse(lines).percentiles;
  EXPECT_EQ(p.p50_ns, 100 * kMilli);
  EXPECT_EQ(p.p90_ns, 180 * kMilli);
  EXPECT_EQ(p.p95_ns, 190 * kMilli);
  EXPECT_EQ(p.p99_ns, 198 * kMilli);
  EXPECT_EQ(Analyse({{1, 0, "s", 0, 7}}).percentiles.p50_ns, 7 * kMilli);
}

std::vector<Line> Loop(int count, double step, double length, const std::string& name = "fetch") {
  std::vector<Line> lines = {{1, 0, "root", 0, 1000}};
  for (int i = 0; i < count; ++i)
    lines.push_back({static_cast<std::uint64_t>(i + 2), 1, name, i * step, i * step + length});
  return lines;
}

TEST(AnalysisCallsTest, FiveOfOneOperationUnderOneParentAreRepeated) {
  const TraceAnalysis analysis = Analyse(Loop(5, 20, 10));
  ASSERT_EQ(analysis.repeated_calls.size(), 1u);
  EXPECT_EQ(analysis.repeated_calls[0].operation, "fetch");
  EXPECT_EQ(analysis.repeated_calls[0].parent, 0u);
  EXPECT_EQ(analysis.repeated_calls[0].count, 5u);
  EXPECT_EQ(analysis.repeated_calls[0].total_ns, 50 * kMilli);
  EXPECT_EQ(analysis.repeated_calls[0].wall_ns, 50 * kMilli);
  EXPECT_FALSE(analysis.repeated_calls[0].parallel);
  const TraceAnalysis overlapping = Analyse(Loop(5, 20, 30));
  EXPECT_TRUE(overlapping.repeated_calls[0].parallel);
  EXPECT_EQ(overlapping.repeated_calls[0].wall_ns, 110 * kMilli);
  EXPECT_EQ(overlapping.repeated_calls[0].total_ns, 150 * kMilli);
  EXPECT_FALSE(Analyse(Loop(5, 20, 20)).repeated_calls[0].parallel);  // one begins as the other ends
}

TEST(AnalysisCallsTest, FourOrOtherParentsOrOtherServicesAreNot) {
  EXPECT_TRUE(Analyse(Loop(4, 20, 10)).repeated_calls.empty());
  std::vector<Line> lines = Loop(5, 20, 10);
  lines[5].parent = 2;
  EXPECT_TRUE(Analyse(lines).repeated_calls.empty());
  lines = Loop(5, 20, 10);
  lines[5].service = "gemini";
  EXPECT_TRUE(Analyse(lines).repeated_calls.empty());
  lines = Loop(5, 20, 10);
  for (std::size_t i = 1; i < lines.size(); ++i) lines[i].parent = 99;
  ASSERT_EQ(Analyse(lines).repeated_calls.size(), 1u);  // the same missing parent
  EXPECT_EQ(Analyse(lines).repeated_calls[0].parent, kNoSpan);
  lines[5].parent = 98;
  EXPECT_TRUE(Analyse(lines).repeated_calls.empty());
}

TEST(AnalysisCallsTest, SiblingsThatCouldRunSideBySide) {
  const auto saving = [](double gap, double second, const std::string& error = "", std::vector<Tag> tags = {}) {
    const TraceAnalysis analysis = Analyse({{1, 0, "root", 0, 100},
                                            {2, 1, "A", 10, 50, error},
                                            {3, 1, "B", 50 + gap, 50 + gap + second, "", "bot", std::move(tags)}});
    return analysis.sequential.empty() ? 0 : analysis.sequential[0].saving_ns / kMilli;
  };
  EXPECT_EQ(saving(0, 30), 30);
  EXPECT_EQ(saving(0.9, 30), 30);
  EXPECT_EQ(saving(1, 30), 0);             // the parent did something in between
  EXPECT_EQ(saving(0, 10), 0);             // not over 10 %
  EXPECT_EQ(saving(-5, 30), 0);            // they overlap
  EXPECT_EQ(saving(0, 30, "Timeout"), 0);  // the second came because the first failed
  EXPECT_EQ(saving(0, 30, "", {{"gen_ai.operation.name", std::string("chat")}}), 0);  // needs its prompt
  const auto count = [](const std::vector<Line>& lines) { return Analyse(lines).sequential.size(); };
  const Tag chat{"gen_ai.operation.name", std::string("chat")};
  EXPECT_EQ(count({{1, 0, "root", 0, 100}, {2, 1, "A", 10, 50}, {3, 1, "B", 50, 80}, {4, 3, "C", 55, 70}}), 1u);
  EXPECT_EQ(
      count({{1, 0, "root", 0, 100}, {2, 1, "A", 10, 50}, {3, 1, "B", 50, 80}, {4, 3, "C", 55, 70, "", "bot", {chat}}}),
      0u)
      << "the second makes a prompt";
  EXPECT_EQ(count({{1, 0, "root", 0, 100}, {2, 1, "A", 10, 50}, {3, 1, "Discord.sendMessage", 50, 80}}), 0u)
      << "what is sent was made before";
  EXPECT_EQ(count({{1, 0, "root", 0, 100}, {2, 1, "Discord.sendMessage", 10, 50}, {3, 1, "B", 50, 80}}), 1u);
  TraceCopy linked = Trace({{1, 0, "root", 0, 100}, {2, 1, "A", 10, 50}, {3, 1, "B", 50, 80}});
  EXPECT_EQ(core::Analyse(linked, {}).sequential.size(), 1u);
  linked.spans[2].links = {{{}, {2}}};
  EXPECT_TRUE(core::Analyse(linked, {}).sequential.empty());
}

TEST(AnalysisCallsTest, RetriesAfterAFailure) {
  const std::vector<Line> lines = {{1, 0, "root", 0, 900},
                                   {2, 1, "call", 0, 100, "Timeout"},
                                   {3, 1, "call", 200, 300, "Timeout"},
                                   {4, 1, "call", 500, 600}};
  const TraceAnalysis analysis = Analyse(lines);
  ASSERT_EQ(analysis.retries.size(), 1u);
  EXPECT_EQ(analysis.retries[0].attempts, (std::vector<std::uint32_t>{1, 2, 3}));
  EXPECT_EQ(analysis.retries[0].cost_ns, 500 * kMilli);
  EXPECT_TRUE(analysis.retries[0].recovered);
  std::vector<Line> all_failed = lines;
  all_failed[3].error = "Timeout";
  EXPECT_FALSE(Analyse(all_failed).retries[0].recovered);
}

TEST(AnalysisCallsTest, NoRetries) {
  const std::vector<Line> pair = {{1, 0, "root", 0, 900}, {2, 1, "call", 0, 100, "Timeout"}, {3, 1, "call", 200, 300}};
  EXPECT_EQ(Analyse(pair).retries.size(), 1u);
  std::vector<Line> other = pair;
  other[1].error.clear();
  EXPECT_TRUE(Analyse(other).retries.empty());
  other = pair;
  other[2].name = "fallback";
  EXPECT_TRUE(Analyse(other).retries.empty());
  other = pair;
  other[2].start_ms = 99;  // began while the first ran
  EXPECT_TRUE(Analyse(other).retries.empty());
  other = pair;
  other.insert(other.begin() + 2, {9, 1, "between", 120, 150});
  EXPECT_TRUE(Analyse(other).retries.empty());
  std::vector<Line> loop = Loop(6, 20, 10);  // one of many failed: the loop went on with the next
  loop[3].error = "Timeout";
  EXPECT_TRUE(Analyse(loop).retries.empty());
}

TEST(AnalysisErrorsTest, TheDeepestFailureIsTheCause) {
  const std::vector<Line> lines = {{1, 0, "root", 0, 100, "Wrapped"},      {2, 1, "service", 10, 90, "Wrapped"},
                                   {3, 2, "call", 20, 80, "Timeout"},      {4, 2, "other", 30, 40, "Refused"},
                                   {5, 1, "log", 92, 95, "DiskFull"},      {6, 3, "fine", 21, 22},
                                   {7, 6, "swallowed", 21, 22, "NotFound"}};
  const TraceAnalysis analysis = Analyse(lines);
  EXPECT_EQ(analysis.error_count, 6u);
  ASSERT_EQ(analysis.errors.size(), 6u);
  EXPECT_EQ(analysis.errors[0].root_cause, 3u);  // "other" failed first, as deep as "call"
  EXPECT_EQ(analysis.errors[2].type, "Timeout");
  EXPECT_EQ(analysis.errors[2].root_cause, 2u);
  ASSERT_EQ(analysis.error_chains.size(), 2u);
  EXPECT_EQ(analysis.error_chains[0].root_cause, 6u);
  EXPECT_EQ(analysis.error_chains[0].handled_by, 5u);
  EXPECT_EQ(analysis.error_chains[0].spread, (std::vector<std::uint32_t>{6}));
  EXPECT_EQ(analysis.error_chains[1].root_cause, 3u);
  EXPECT_EQ(analysis.error_chains[1].handled_by, kNoSpan);
  EXPECT_EQ(analysis.error_chains[1].spread, (std::vector<std::uint32_t>{3, 1, 0}));
  EXPECT_EQ(analysis.error_chains[1].spans, 5u);
}

TEST(AnalysisErrorsTest, TypeAndMessage) {
  TraceCopy trace = Trace({{1, 0, "root", 0, 100, "", "bot", {{"error.type", std::string("504")}}}});
  trace.spans[0].status = StatusCode::kError;
  trace.spans[0].status_message = "no answer";
  TraceAnalysis analysis = core::Analyse(trace, {});
  EXPECT_EQ(analysis.errors[0].type, "504");
  EXPECT_EQ(analysis.errors[0].message, "no answer");
  for (const char* text : {"first", "last"}) {
    trace.spans[0].events.push_back(
        {0, "exception",
         testing::Attributes({{"exception.type", std::string(text)}, {"exception.message", std::string("m")}})});
  }
  analysis = core::Analyse(trace, {});
  EXPECT_EQ(analysis.errors[0].type, "last");
  EXPECT_EQ(analysis.errors[0].message, "m");
}

TEST(AnalysisMemoryTest, NullWithoutFigures) {
  EXPECT_FALSE(Analyse({{1, 0, "root", 0, 100}}).memory);
  EXPECT_FALSE(Analyse({{1, 0, "root", 0, 100, "", "bot", {{"spanwatch.mem.delta", std::string("5")}}}}).memory);
}

TEST(AnalysisMemoryTest, EfficiencyByTheLargestGrowth) {
  const auto of = [](std::int64_t delta) {
    return *Analyse({{1, 0, "root", 0, 100, "", "bot", {{"spanwatch.mem.delta", delta}}},
                     {2, 1, "child", 0, 100, "", "bot", {{"spanwatch.mem.delta", delta}}},
                     {3, 1, "small", 0, 100, "", "bot", {{"spanwatch.mem.peak", delta * 3}}}})
                .memory;
  };
  constexpr std::int64_t kMb = 1 << 20;
  EXPECT_EQ(of(100 * kMb).efficiency, MemoryEfficiency::kGood);
  EXPECT_EQ(of(100 * kMb + 1).efficiency, MemoryEfficiency::kConcerning);
  EXPECT_EQ(of(500 * kMb).efficiency, MemoryEfficiency::kConcerning);
  EXPECT_EQ(of(500 * kMb + 1).efficiency, MemoryEfficiency::kPoor);
  EXPECT_EQ(of(10).delta_bytes, 10);
  EXPECT_EQ(of(10).peak_bytes, 30);
  EXPECT_EQ(of(10).grower, 1u);
  EXPECT_EQ(of(-10).delta_bytes, -10);
}

}  // namespace
}  // namespace spanwatch::core
