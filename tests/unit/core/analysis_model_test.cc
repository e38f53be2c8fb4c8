// Random trees against a simple slow implementation, properties that hold for all, and time.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "sidecar/core/analysis.h"
#include "tests/support/cpu_time.h"

namespace spanwatch::core {
namespace {

using Random = std::mt19937;

std::int64_t Pick(Random* random, std::int64_t low, std::int64_t high) {
  return std::uniform_int_distribution<std::int64_t>(low, high)(*random);
}

SpanCopy MakeSpan(std::uint64_t id, std::uint64_t parent, std::int64_t start, std::int64_t end) {
  SpanCopy span;
  span.span_id = {id};
  span.parent_id = {parent};
  span.start_ns = start;
  span.end_ns = end;
  return span;
}

// Small times, so that ends, begins and equal intervals meet often. Now and then an orphan, a root, a cycle, skew.
TraceCopy RandomTrace(Random* random) {
  TraceCopy trace;
  const std::uint64_t n = static_cast<std::uint64_t>(Pick(random, 1, 24));
  const std::int64_t spread = Pick(random, 5, 60);
  for (std::uint64_t id = 1; id <= n; ++id) {
    std::uint64_t parent = id == 1 ? 0 : static_cast<std::uint64_t>(Pick(random, 1, static_cast<std::int64_t>(id) - 1));
    std::int64_t low = 0, high = spread;
    if (parent > 0 && Pick(random, 0, 9) > 1) {  // within its parent
      low = trace.spans[parent - 1].start_ns;
      high = std::max(low, trace.spans[parent - 1].end_ns);
    }
    const std::int64_t strange = Pick(random, 0, 99);
    if (strange < 4) parent = 1000 + static_cast<std::uint64_t>(strange % 2);
    if (strange == 4) parent = 0;
    if (strange == 5) parent = static_cast<std::uint64_t>(Pick(random, 1, static_cast<std::int64_t>(n)));
    std::int64_t start = Pick(random, low, high), end = Pick(random, low, high);
    if (start > end && strange != 6) std::swap(start, end);
    SpanCopy span = MakeSpan(id, parent, start, end);
    span.name = std::string(1, static_cast<char>('a' + Pick(random, 0, 3)));
    span.service = Pick(random, 0, 4) == 0 ? "other" : "bot";
    span.status = Pick(random, 0, 3) == 0 ? StatusCode::kError : StatusCode::kUnset;
    trace.spans.push_back(std::move(span));
  }
  if (Pick(random, 0, 1) == 0) std::shuffle(trace.spans.begin(), trace.spans.end(), *random);
  return trace;
}

// The same answers by the shortest way to write them, at any cost.
class Slow {
 public:
  Slow(const TraceCopy& trace, const TraceAnalysis& analysis) : marks_(analysis.spans) {
    for (const SpanCopy& span : trace.spans)
      intervals_.push_back({span.start_ns, std::max(span.start_ns, span.end_ns)});
  }

  std::vector<std::uint32_t> ChildrenOf(std::uint32_t node) const {
    std::vector<std::uint32_t> children;
    for (std::uint32_t i = 0; i < marks_.size(); ++i) {
      if (marks_[i].parent == node) children.push_back(i);
    }
    return children;
  }

  std::int64_t SelfTime(std::uint32_t span) const {
    std::int64_t self = 0;
    const auto children = ChildrenOf(span);
    for (std::int64_t at = intervals_[span].first; at < intervals_[span].second; ++at) {
      self += std::none_of(children.begin(), children.end(), [&](std::uint32_t c) { return Runs(c, at); }) ? 1 : 0;
    }
    return self;
  }

  // By units of time, from the end.
  void Walk(std::uint32_t node, std::int64_t from, std::int64_t to, bool async) {
    const auto children = ChildrenOf(node);
    while (to > from) {
      const auto first = [&](bool outliving) {
        std::uint32_t best = kNoSpan;
        for (const std::uint32_t c : children) {
          if (marks_[c].async != outliving || !Runs(c, to - 1)) continue;
          if (best == kNoSpan || intervals_[c].first < intervals_[best].first) best = c;
        }
        return best;
      };
      if (const std::uint32_t waited = first(false); waited != kNoSpan) {
        const std::int64_t begin = std::max(from, intervals_[waited].first);
        Walk(waited, begin, to, async);
        to = begin;
      } else if (const std::uint32_t outliving = first(true); outliving != kNoSpan) {
        std::int64_t begin = to - 1;  // as far back as no other child is waited for
        const auto waited_at = [&](std::int64_t at) {
          return std::any_of(children.begin(), children.end(),
                             [&](std::uint32_t c) { return !marks_[c].async && Runs(c, at); });
        };
        while (begin > from && Runs(outliving, begin - 1) && !waited_at(begin - 1)) --begin;
        Walk(outliving, begin, to, true);
        to = begin;
      } else {
        owners[--to] = {node, async};
      }
    }
  }

  std::map<std::int64_t, std::pair<std::uint32_t, bool>> owners;  // of each unit of time

 private:
  bool Runs(std::uint32_t i, std::int64_t at) const { return intervals_[i].first <= at && at < intervals_[i].second; }

  const std::vector<SpanAnalysis>& marks_;
  std::vector<std::pair<std::int64_t, std::int64_t>> intervals_;
};

void CheckParents(const TraceCopy& trace, const TraceAnalysis& analysis) {
  std::map<std::uint64_t, std::uint32_t> ids;
  for (std::uint32_t i = 0; i < trace.spans.size(); ++i) ids.try_emplace(trace.spans[i].span_id.value, i);
  std::uint32_t depth = 0;
  for (std::uint32_t i = 0; i < trace.spans.size(); ++i) {
    const SpanAnalysis& marks = analysis.spans[i];
    const SpanCopy& span = trace.spans[i];
    const auto named = ids.find(span.parent_id.value);
    ASSERT_EQ(marks.orphan, span.parent_id.IsValid() && named == ids.end());
    if (marks.cycle) {  // its named ancestors lead back to it
      std::uint32_t at = i, steps = 0;
      do at = ids.at(trace.spans[at].parent_id.value);
      while (at != i && ++steps <= trace.spans.size());
      ASSERT_EQ(at, i);
    } else if (span.parent_id.IsValid() && !marks.orphan) {
      ASSERT_EQ(marks.parent, named->second);
    }
    ASSERT_TRUE(span.parent_id.IsValid() || marks.parent == kNoSpan);
    std::uint32_t levels = 1;
    for (std::uint32_t at = i; !analysis.spans[at].orphan && !analysis.spans[at].cycle; ++levels) {
      at = analysis.spans[at].parent;
      if (at == kNoSpan) break;
      ASSERT_LE(levels, trace.spans.size());
    }
    ASSERT_EQ(marks.depth, levels);
    depth = std::max(depth, levels);
  }
  ASSERT_EQ(analysis.depth, depth);
}

void CheckPath(const TraceCopy& trace, const TraceAnalysis& analysis) {
  Slow slow(trace, analysis);
  slow.Walk(analysis.root, analysis.root_start_ns, analysis.root_start_ns + analysis.root_duration_ns, false);
  std::map<std::int64_t, std::pair<std::uint32_t, bool>> owners;
  std::int64_t sum = 0, before = analysis.root_start_ns;
  std::map<std::pair<std::string, std::string>, std::int64_t> costs;
  for (const PathSegment& segment : analysis.critical_path) {
    ASSERT_GE(segment.from_ns, before);
    ASSERT_GT(segment.to_ns, segment.from_ns);
    before = segment.to_ns;
    sum += segment.to_ns - segment.from_ns;
    const SpanCopy& span = trace.spans[segment.span];
    costs[{span.service, span.name}] += segment.to_ns - segment.from_ns;
    for (std::int64_t at = segment.from_ns; at < segment.to_ns; ++at) owners[at] = {segment.span, segment.async};
  }
  ASSERT_EQ(sum + analysis.idle_ns, analysis.root_duration_ns);
  std::erase_if(slow.owners, [](const auto& owner) { return owner.second.first == kNoSpan; });
  ASSERT_EQ(owners, slow.owners);
  ASSERT_EQ(analysis.bottlenecks.size(), costs.size());
  for (std::size_t i = 0; i < analysis.bottlenecks.size(); ++i) {
    const Bottleneck& each = analysis.bottlenecks[i];
    ASSERT_EQ(each.critical_ns, (costs[{each.service, each.operation}]));
    ASSERT_TRUE(i == 0 || each.critical_ns <= analysis.bottlenecks[i - 1].critical_ns);
  }
  for (std::uint32_t i = 0; i < trace.spans.size(); ++i) {
    ASSERT_EQ(analysis.spans[i].self_ns, slow.SelfTime(i));
    ASSERT_LE(analysis.spans[i].critical_ns, analysis.spans[i].self_ns);
    ASSERT_LE(analysis.spans[i].self_ns, analysis.spans[analysis.slowest_by_self].self_ns);
  }
}

void CheckErrors(const TraceCopy& trace, const TraceAnalysis& analysis) {
  const auto failed = [&](std::uint32_t i) { return i != kNoSpan && trace.spans[i].status == StatusCode::kError; };
  std::uint32_t in_chains = 0;
  for (const SpanError& error : analysis.errors) {
    std::uint32_t at = error.root_cause;  // the cause reaches the span through failing spans alone
    while (at != error.span && failed(at)) at = analysis.spans[at].parent;
    ASSERT_EQ(at, error.span);
    for (std::uint32_t i = 0; i < trace.spans.size(); ++i)  // and has no failing child
      ASSERT_FALSE(failed(i) && analysis.spans[i].parent == error.root_cause);
  }
  for (const ErrorChain& chain : analysis.error_chains) {
    in_chains += chain.spans;
    ASSERT_EQ(analysis.spans[chain.spread.back()].parent, chain.handled_by);
    ASSERT_FALSE(failed(chain.handled_by));
  }
  ASSERT_EQ(in_chains, analysis.error_count);
  ASSERT_EQ(analysis.errors.size(), analysis.error_count);
}

TEST(AnalysisModelTest, TenThousandRandomTreesAgreeWithTheSlowImplementation) {
  Random random(20240501);
  std::size_t marks[4] = {};
  for (int round = 0; round < 10'000; ++round) {
    const TraceCopy trace = RandomTrace(&random);
    const TraceAnalysis analysis = Analyse(trace, {});
    ASSERT_NO_FATAL_FAILURE(CheckParents(trace, analysis)) << "round " << round;
    ASSERT_NO_FATAL_FAILURE(CheckPath(trace, analysis)) << "round " << round;
    ASSERT_NO_FATAL_FAILURE(CheckErrors(trace, analysis)) << "round " << round;
    ASSERT_LE(analysis.insights.size(), kMaxInsights);
    ASSERT_LE(analysis.recommendations.size(), kMaxInsights);
    for (const SpanAnalysis& span : analysis.spans) {
      const bool is[4] = {span.async, span.skewed, span.orphan, span.cycle};
      for (int k = 0; k < 4; ++k) marks[k] += is[k] ? 1 : 0;
    }
  }
  for (const std::size_t seen : marks) EXPECT_GT(seen, 100u);  // the generator makes all of them
}

// Splits an interval among children one after another: what is not a child's is its own.
void Nest(Random* random, std::uint64_t parent, std::int64_t from, std::int64_t to, TraceCopy* trace) {
  if (trace->spans.size() >= 300) return;
  while (from < to) {
    const std::int64_t start = Pick(random, from, to), end = Pick(random, start, to);
    const std::uint64_t id = trace->spans.size() + 1;
    trace->spans.push_back(MakeSpan(id, parent, start, end));
    if (end - start > 2) Nest(random, id, start, end, trace);
    from = end + 1;
  }
}

TEST(AnalysisModelTest, SelfTimesOfTreesWithoutOverlapSumUpToTheRoot) {
  Random random(7);
  for (int round = 0; round < 300; ++round) {
    TraceCopy trace;
    trace.spans.push_back(MakeSpan(1, 0, 0, 10'000));
    Nest(&random, 1, 0, 10'000, &trace);
    const TraceAnalysis analysis = Analyse(trace, {});
    std::int64_t self = 0;
    for (const SpanAnalysis& span : analysis.spans) {
      self += span.self_ns;
      ASSERT_EQ(span.critical_ns, span.self_ns);
    }
    ASSERT_EQ(self, 10'000);
  }
}

TEST(AnalysisModelTest, PercentilesAreRanksOfTheSortedDurations) {
  Random random(11);
  for (int round = 0; round < 500; ++round) {
    TraceCopy trace;
    std::vector<std::int64_t> durations;
    const std::int64_t n = Pick(&random, 1, 250);
    for (std::int64_t i = 1; i <= n; ++i) {
      durations.push_back(Pick(&random, 0, 1000));
      trace.spans.push_back(MakeSpan(static_cast<std::uint64_t>(i), 0, 5, 5 + durations.back()));
    }
    const Percentiles p = Analyse(trace, {}).percentiles;
    const auto check = [&](std::int64_t value, double q) {  // the least value with at least q of all at or below it
      const auto at_or_below = [&](std::int64_t x) {
        return std::count_if(durations.begin(), durations.end(), [&](std::int64_t d) { return d <= x; });
      };
      ASSERT_GE(static_cast<double>(at_or_below(value)) + 1e-9, q * static_cast<double>(n));
      ASSERT_LT(static_cast<double>(at_or_below(value - 1)) + 1e-9, q * static_cast<double>(n));
    };
    for (const auto& [value, q] : {std::pair{p.p50_ns, 0.5}, {p.p90_ns, 0.9}, {p.p95_ns, 0.95}, {p.p99_ns, 0.99}})
      ASSERT_NO_FATAL_FAILURE(check(value, q));
  }
}

constexpr std::uint64_t kMany = 10'000;

TraceCopy Shape(const std::string& name) {
  TraceCopy trace;
  Random random(3);
  const std::int64_t whole = 4 * std::int64_t{kMany};
  for (std::uint64_t id = 1; id <= kMany; ++id) {
    const std::int64_t i = static_cast<std::int64_t>(id);
    std::uint64_t parent = id == 1 ? 0 : 1;
    std::int64_t start = 2 * i, end = id == 1 ? whole : 2 * i + 1;
    if (name == "chain" && id > 1) {
      parent = id - 1;
      start = i;
      end = whole - i;
    } else if (name == "random" && id > 1) {
      parent = static_cast<std::uint64_t>(Pick(&random, 1, i - 1));
      start = Pick(&random, 0, whole);
      end = Pick(&random, start, whole);
    } else if (name == "gaps" && id > 1 && id % 2 == 0) {  // each outlives the one before, and fills its gaps
      parent = id == 2 ? 1 : id - 2;
      start = 0;
      end = whole + i;
    } else if (name == "failing") {
      trace.spans.reserve(kMany);
    }
    SpanCopy span = MakeSpan(id, parent, start, end);
    span.name = "operation " + std::to_string(id % 50);
    span.service = "bot";
    if (name == "failing") span.status = StatusCode::kError;
    trace.spans.push_back(std::move(span));
  }
  return trace;
}

TEST(AnalysisModelTest, TenThousandSpansTakeMilliseconds) {
  for (const char* name : {"flat", "chain", "random", "gaps", "failing"}) {
    const TraceCopy trace = Shape(name);
    const test::CpuTime cpu;
    const TraceAnalysis analysis = Analyse(trace, {});
    const double ms = cpu.Seconds() * 1e3;
    RecordProperty(name, std::to_string(ms));
    EXPECT_LT(ms, 2000) << name;
    std::int64_t sum = analysis.idle_ns;
    for (const PathSegment& segment : analysis.critical_path) sum += segment.to_ns - segment.from_ns;
    EXPECT_EQ(sum, analysis.root_duration_ns) << name;
  }
}

}  // namespace
}  // namespace spanwatch::core
