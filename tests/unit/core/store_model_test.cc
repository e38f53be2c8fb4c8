// The store against a simple slow model: random programs, everything that can be seen compared after each step.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <set>

#include "tests/support/engine_driver.h"

namespace spanwatch::core {
namespace {

constexpr std::int64_t kSlow = kSecond;

// Everything is recounted from lists. Gaps are not learned: the programs keep below 20 traces a root operation.
class Model {
 public:
  struct ModelTrace {
    std::uint64_t id;
    std::vector<TestSpan> spans;
    std::int64_t last = 0, touched = 0;     // touched: order of the latest arrival or completion
    std::int64_t look = 0, look_order = 0;  // the tick at which to see whether its gap has passed; 0: none
    bool complete = false;
    std::uint64_t truncated = 0;
    bool Rooted() const {
      return std::any_of(spans.begin(), spans.end(),
                         [](const TestSpan& s) { return s.parent == 0 || s.remote_parent; });
    }
    bool Kept() const {
      return std::any_of(spans.begin(), spans.end(),
                         [](const TestSpan& s) { return s.failed || s.duration_ns > kSlow; });
    }
  };
  explicit Model(const Limits& limits) : limits_(limits) {}

  void SetLimits(const Limits& limits) {
    limits_ = limits;
    Evict();
  }
  void At(std::int64_t now) {
    for (std::int64_t tick = (now_ / kTickNs + 1) * kTickNs; tick <= now; tick += kTickNs) Tick(tick);
    now_ = now;
  }
  void Add(const TestSpan& span) {
    auto it = std::find_if(traces.begin(), traces.end(), [&](const ModelTrace& t) { return t.id == span.trace; });
    if (it == traces.end()) {
      traces.push_back({});
      traces.back().id = span.trace;
      ++begun;
      it = traces.end() - 1;
    }
    if (std::any_of(it->spans.begin(), it->spans.end(), [&](const TestSpan& s) { return s.id == span.id; })) {
      ++duplicates;
      return;
    }
    if (it->complete) ++late;
    const bool was_rooted = it->Rooted();
    it->last = now_;
    it->touched = ++clock_;
    if (it->spans.size() >= limits_.max_spans_per_trace) {
      ++it->truncated;
      ++truncated;
    } else {
      it->spans.push_back(span);
    }
    if (it->look == 0 || it->Rooted() != was_rooted) LookAt(&*it, now_);
    Evict();
  }

  std::vector<ModelTrace> traces;
  std::uint64_t begun = 0, completed = 0, late = 0, duplicates = 0, truncated = 0, ttl = 0, max_traces = 0, cut = 0;

 private:
  static std::int64_t Gap(const ModelTrace& trace) { return trace.Rooted() ? kSecond : 30 * kSecond; }
  void LookAt(ModelTrace* trace, std::int64_t now) {
    const std::int64_t due = (trace->last + Gap(*trace) + kTickNs - 1) / kTickNs * kTickNs;
    trace->look = std::max(due, (now / kTickNs + 1) * kTickNs);
    trace->look_order = ++clock_;
  }
  void Tick(std::int64_t tick) {
    std::vector<ModelTrace*> due;
    for (ModelTrace& trace : traces) {
      if (trace.look == tick) due.push_back(&trace);
    }
    std::sort(due.begin(), due.end(), [](auto* a, auto* b) { return a->look_order < b->look_order; });
    for (ModelTrace* trace : due) {
      if (trace->last + Gap(*trace) > tick) {
        LookAt(trace, tick);
        continue;
      }
      if (!trace->complete) ++completed;
      trace->complete = true;
      trace->look = 0;
      trace->touched = ++clock_;
    }
    ttl += std::erase_if(traces, [&](const ModelTrace& t) { return t.complete && t.last + limits_.ttl_ns <= tick; });
  }
  void Evict() {
    while (traces.size() > limits_.max_traces) {
      const auto kept = static_cast<std::uint64_t>(
          std::count_if(traces.begin(), traces.end(), [](const ModelTrace& t) { return t.complete && t.Kept(); }));
      const auto oldest = [&](bool complete, bool is_kept) {
        auto best = traces.end();
        for (auto it = traces.begin(); it != traces.end(); ++it) {
          if (it->complete != complete || (complete && it->Kept() != is_kept)) continue;
          if (best == traces.end() || it->touched < best->touched) best = it;
        }
        return best;
      };
      auto victim = kept * 2 > limits_.max_traces ? oldest(true, true) : oldest(true, false);
      if (victim == traces.end()) victim = oldest(true, true);
      if (victim == traces.end()) victim = oldest(false, false);
      if (!victim->complete) ++completed;
      ++(victim->complete ? max_traces : cut);
      traces.erase(victim);
    }
  }

  Limits limits_;
  std::int64_t now_ = kStart;
  std::int64_t clock_ = 0;
};

// Depth by walking up from each span; nothing: there is a cycle.
std::optional<std::uint32_t> Depth(const std::vector<TestSpan>& spans) {
  std::map<std::uint64_t, std::uint64_t> parent;
  for (const TestSpan& span : spans) parent[span.id] = span.parent;
  std::uint32_t deepest = 0;
  for (const TestSpan& span : spans) {
    std::uint32_t depth = 0;
    for (std::uint64_t at = span.id; parent.contains(at); at = parent[at]) {
      if (++depth > spans.size()) return std::nullopt;
    }
    deepest = std::max(deepest, depth);
  }
  return deepest;
}

void Compare(EngineDriver& driver, const Model& model, std::uint64_t seed) {
  const StoreView store = driver.engine().Stats().store;
  ASSERT_EQ(store.traces, model.traces.size()) << "seed " << seed;
  ASSERT_EQ(store.traces_total, model.begun) << "seed " << seed;
  ASSERT_EQ(store.completed_total, model.completed) << "seed " << seed;
  ASSERT_EQ(store.late_spans_total, model.late) << "seed " << seed;
  ASSERT_EQ(store.duplicate_spans_total, model.duplicates) << "seed " << seed;
  ASSERT_EQ(store.truncated_spans_total, model.truncated) << "seed " << seed;
  ASSERT_EQ(store.evicted[0].count, model.ttl) << "seed " << seed;
  ASSERT_EQ(store.evicted[1].count, model.max_traces) << "seed " << seed;
  ASSERT_EQ(store.evicted[3].count, model.cut) << "seed " << seed;
  std::uint64_t spans = 0, open = 0;
  for (const Model::ModelTrace& expected : model.traces) {
    const auto copy = driver.engine().GetTrace({0xabcdef, expected.id});
    ASSERT_TRUE(copy.has_value()) << "seed " << seed << " trace " << expected.id;
    const TraceSummary& seen = copy->summary;
    ASSERT_EQ(seen.span_count, expected.spans.size()) << "seed " << seed;
    ASSERT_EQ(seen.truncated, expected.truncated) << "seed " << seed;
    ASSERT_EQ(seen.complete, expected.complete) << "seed " << seed << " trace " << expected.id;
    std::set<std::uint64_t> ids, got;
    std::uint32_t errors = 0, orphans = 0;
    for (const TestSpan& span : expected.spans) {
      ids.insert(span.id);
      errors += span.failed ? 1 : 0;
    }
    for (const TestSpan& span : expected.spans) orphans += span.parent != 0 && !ids.contains(span.parent) ? 1 : 0;
    for (const SpanCopy& span : copy->spans) got.insert(span.span_id.value);
    ASSERT_EQ(got, ids) << "seed " << seed;
    ASSERT_EQ(seen.error_count, errors) << "seed " << seed;
    ASSERT_EQ(seen.orphans, orphans) << "seed " << seed;
    const std::optional<std::uint32_t> depth = Depth(expected.spans);
    if (depth) {
      ASSERT_EQ(seen.depth, *depth) << "seed " << seed;
    } else {
      ASSERT_LE(seen.depth, 2 * expected.spans.size()) << "seed " << seed;
    }
    spans += expected.spans.size();
    open += expected.complete ? 0 : 1;
  }
  ASSERT_EQ(store.spans, spans) << "seed " << seed;
  ASSERT_EQ(store.open_traces, open) << "seed " << seed;
}

Limits RandomLimits(std::mt19937_64& random) {
  Limits limits;
  limits.max_traces = 1 + random() % 8;
  limits.ttl_ns = static_cast<std::int64_t>(40 + random() % 100) * kSecond;
  limits.max_spans_per_trace = random() % 3 == 0 ? 1 + random() % 10 : 1000;
  return limits;
}

TEST(StoreModel, ThousandsOfRandomProgramsSeeTheSame) {
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    std::mt19937_64 random(seed);
    Limits limits = RandomLimits(random);
    EngineDriver driver(limits);
    Model model(limits);
    std::int64_t now = 0;
    const std::uint64_t ids = 2 + random() % (seed % 20 == 0 ? 80 : 12);
    const bool cycles = random() % 4 == 0;
    std::uint64_t roots = 0;
    for (int step = 0; step < 40; ++step) {
      const std::uint64_t choice = random() % 10;
      if (choice < 2) {
        now += static_cast<std::int64_t>(random() % (random() % 4 == 0 ? 60'000 : 1500)) * kMs;
        driver.At(now);
        model.At(kStart + now);
      } else if (choice == 2 && random() % 4 == 0) {
        limits = RandomLimits(random);
        driver.Reload(nullptr, limits);
        model.SetLimits(limits);
      } else {
        std::vector<TestSpan> spans;
        for (std::uint64_t i = 1 + random() % 6; i > 0; --i) {
          const std::uint64_t id = 1 + random() % ids;
          const std::uint64_t parent = cycles ? random() % (ids + 3) : id == 1 ? 0 : random() % id;
          spans.push_back({.trace = 1 + random() % 6,
                           .id = id,
                           .parent = parent,
                           .name = "root" + std::to_string(++roots),
                           .duration_ns = static_cast<std::int64_t>(random() % 1100) * kMs,
                           .failed = random() % 8 == 0,
                           .remote_parent = parent != 0 && random() % 6 == 0});
        }
        driver.Spans(spans);
        for (const TestSpan& span : spans) model.Add(span);
      }
      Compare(driver, model, seed);
      if (HasFatalFailure()) return;
    }
  }
}

}  // namespace
}  // namespace spanwatch::core
