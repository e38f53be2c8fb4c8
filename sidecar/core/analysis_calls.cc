// What siblings tell: repeated calls, calls that could run side by side, retries.
#include <algorithm>
#include <numeric>

#include "sidecar/core/analysis_tree.h"

namespace spanwatch::core::analysis {
namespace {

constexpr std::int64_t kSmallGapNs = 1'000'000;  // below it, one call began because the other ended
constexpr std::int64_t kMinPart = 10;            // a sibling must be over 1/10 of its parent

// Children of one parent by start, then index; calls of one operation among them in the same order.
struct Siblings {
  std::uint32_t parent;  // kNoSpan: not here
  std::vector<std::uint32_t> all;
};

std::vector<Siblings> ListSiblings(const Tree& tree, const TraceAnalysis& analysis) {
  std::vector<Siblings> lists;
  std::vector<std::uint32_t> orphans;
  for (std::uint32_t node = 0; node <= tree.top; ++node) {
    Siblings list{node, {}};
    for (const std::uint32_t child : tree.Children(node)) {
      if (analysis.spans[child].orphan) {
        orphans.push_back(child);
      } else if (!analysis.spans[child].cycle) {
        list.all.push_back(child);
      }
    }
    if (node != tree.top && list.all.size() > 1) lists.push_back(std::move(list));
  }
  const auto missing = [&](std::uint32_t i) { return tree.trace->spans[i].parent_id.value; };
  std::stable_sort(orphans.begin(), orphans.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return missing(a) < missing(b); });
  for (std::size_t i = 0; i < orphans.size(); ++i) {
    if (i == 0 || missing(orphans[i]) != missing(orphans[i - 1])) lists.push_back({kNoSpan, {}});
    lists.back().all.push_back(orphans[i]);
  }
  return lists;
}

class CallFinder {
 public:
  CallFinder(const Tree& tree, const AnalysisOptions& options, TraceAnalysis* out)
      : tree_(tree), options_(options), out_(*out) {}

  void Look(const Siblings& siblings) {
    std::vector<std::uint32_t> order(siblings.all.size());  // positions, by operation
    std::iota(order.begin(), order.end(), 0u);
    std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
      return tree_.operation[siblings.all[a]] < tree_.operation[siblings.all[b]];
    });
    earliest_end_.assign(siblings.all.size() + 1, INT64_MAX);
    for (std::size_t k = siblings.all.size(); k-- > 0;)
      earliest_end_[k] = std::min(earliest_end_[k + 1], tree_.end[siblings.all[k]]);
    for (std::size_t i = 0, j = 0; i < order.size(); i = j) {
      const std::uint32_t operation = tree_.operation[siblings.all[order[i]]];
      while (j < order.size() && tree_.operation[siblings.all[order[j]]] == operation) ++j;
      const std::span<const std::uint32_t> calls(order.data() + i, j - i);
      if (calls.size() >= options_.repeated_calls) AddRepeated(siblings, calls);
      if (calls.size() > 1) FindRetries(siblings, calls);
    }
    if (siblings.parent != kNoSpan) FindSequential(siblings);
  }

 private:
  bool IsFailed(std::uint32_t i) const { return Failed(tree_.trace->spans[i]); }

  void AddRepeated(const Siblings& siblings, std::span<const std::uint32_t> calls) {
    RepeatedCalls found;
    found.parent = siblings.parent;
    found.first = siblings.all[calls.front()];
    found.service = tree_.trace->spans[found.first].service;
    found.operation = tree_.trace->spans[found.first].name;
    found.count = static_cast<std::uint32_t>(calls.size());
    std::int64_t until = INT64_MIN;
    for (const std::uint32_t position : calls) {
      const std::uint32_t i = siblings.all[position];
      const std::int64_t duration = tree_.Duration(i);
      found.total_ns = found.total_ns > INT64_MAX - duration ? INT64_MAX : found.total_ns + duration;
      found.parallel = found.parallel || (tree_.start[i] < until && duration > 0);
      const std::int64_t from = std::max(until, tree_.start[i]);
      found.wall_ns += std::max<std::int64_t>(0, tree_.end[i] - from);
      until = std::max(until, tree_.end[i]);
    }
    out_.repeated_calls.push_back(std::move(found));
  }

  // Whether the call at position `b` came right after the failed one at `a`: not while it ran, and no sibling began and
  // ended between them.
  bool Follows(const Siblings& siblings, std::uint32_t a, std::uint32_t b) const {
    const std::int64_t from = tree_.end[siblings.all[a]], to = tree_.start[siblings.all[b]];
    if (to < from) return false;
    const auto begin = siblings.all.begin() + a + 1;
    const auto next =
        std::partition_point(begin, siblings.all.end(), [&](std::uint32_t i) { return tree_.start[i] < from; });
    return earliest_end_[static_cast<std::size_t>(next - siblings.all.begin())] >= to;
  }

  // A loop in which one of many calls fails goes on with the next item: that is no retry.
  void FindRetries(const Siblings& siblings, std::span<const std::uint32_t> calls) {
    std::size_t succeeded = 0;
    for (const std::uint32_t position : calls) succeeded += IsFailed(siblings.all[position]) ? 0 : 1;
    if (succeeded >= options_.repeated_calls) return;
    for (std::size_t i = 0; i + 1 < calls.size();) {
      std::size_t last = i;
      while (last + 1 < calls.size() && IsFailed(siblings.all[calls[last]]) &&
             Follows(siblings, calls[last], calls[last + 1])) {
        ++last;
      }
      if (last > i) {
        Retry found;
        for (std::size_t k = i; k <= last; ++k) found.attempts.push_back(siblings.all[calls[k]]);
        found.cost_ns = tree_.start[found.attempts.back()] - tree_.start[found.attempts.front()];
        found.recovered = !IsFailed(found.attempts.back());
        out_.retries.push_back(std::move(found));
      }
      i = last + 1;
    }
  }

  // It is a call of a model, or holds one.
  bool Generates(std::uint32_t wanted) {
    if (generates_.empty()) {
      generates_.assign(tree_.top + 1, false);
      for (auto at = tree_.top_down.rbegin(); at != tree_.top_down.rend(); ++at) {
        if (ClassOf(tree_.trace->spans[*at], TurnClass::kOther) == TurnClass::kGenerating) generates_[*at] = true;
        if (generates_[*at]) generates_[tree_.parent[*at]] = true;
      }
    }
    return generates_[wanted];
  }

  // Nothing known says that `b` needs what `a` gave.
  bool Independent(std::uint32_t a, std::uint32_t b) {
    const SpanCopy &first = tree_.trace->spans[a], &second = tree_.trace->spans[b];
    if (tree_.start[b] < tree_.end[a] || tree_.start[b] - tree_.end[a] >= kSmallGapNs || Failed(first)) return false;
    // What a model says decides what follows; what it is asked, and what is sent, was made before.
    if (Generates(a) || Generates(b) || ClassOf(second, TurnClass::kOther) == TurnClass::kSending) return false;
    return std::none_of(second.links.begin(), second.links.end(),
                        [&](const LinkView& link) { return link.span_id.value == first.span_id.value; });
  }

  void FindSequential(const Siblings& siblings) {
    SequentialCalls run;
    const auto finish = [&] {
      if (run.spans.size() > 1) {
        run.parent = siblings.parent;
        std::int64_t longest = 0;
        for (const std::uint32_t i : run.spans) {
          run.total_ns += tree_.Duration(i);
          longest = std::max(longest, tree_.Duration(i));
        }
        run.saving_ns = run.total_ns - longest;
        out_.sequential.push_back(std::move(run));
      }
      run = {};
    };
    for (const std::uint32_t i : siblings.all) {
      const SpanAnalysis& span = out_.spans[i];
      if (span.async || span.skewed || tree_.Duration(i) <= tree_.Duration(siblings.parent) / kMinPart) continue;
      if (!run.spans.empty() && !Independent(run.spans.back(), i)) finish();
      run.spans.push_back(i);
    }
    finish();
  }

  const Tree& tree_;
  const AnalysisOptions& options_;
  TraceAnalysis& out_;
  std::vector<std::int64_t> earliest_end_;  // of the siblings from a position on
  std::vector<bool> generates_;             // filled when first asked for
};

}  // namespace

void Calls(const Tree& tree, const AnalysisOptions& options, TraceAnalysis* out) {
  CallFinder finder(tree, options, out);
  for (const Siblings& siblings : ListSiblings(tree, *out)) finder.Look(siblings);
  std::stable_sort(out->repeated_calls.begin(), out->repeated_calls.end(),
                   [](const RepeatedCalls& a, const RepeatedCalls& b) { return a.total_ns > b.total_ns; });
  std::stable_sort(out->sequential.begin(), out->sequential.end(),
                   [](const SequentialCalls& a, const SequentialCalls& b) { return a.saving_ns > b.saving_ns; });
  std::stable_sort(out->retries.begin(), out->retries.end(),
                   [](const Retry& a, const Retry& b) { return a.cost_ns > b.cost_ns; });
}

}  // namespace spanwatch::core::analysis
