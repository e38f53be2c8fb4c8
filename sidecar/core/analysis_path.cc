// Self times, the critical path, and what is ranked by them.
#include <algorithm>
#include <utility>

#include "sidecar/core/analysis_tree.h"

namespace spanwatch::core::analysis {
namespace {

// Walks back from the end of the root. At time t inside a span: the child that runs at t and ends within its parent
// takes the time back to its start; of several the one that began first. Where there is none, a child that outlives
// the parent takes it, marked; else it is the span's own, back to the last end of a child.
class PathWalk {
 public:
  PathWalk(const Tree& tree, TraceAnalysis* out) : tree_(tree), out_(*out) { OrderChildren(); }

  void Walk(std::uint32_t node) {
    Enter(node, tree_.start[node], tree_.end[node], false);
    while (!frames_.empty()) Step();
    std::reverse(out_.critical_path.begin(), out_.critical_path.end());
  }

 private:
  struct Frame {
    std::uint32_t node;
    std::uint32_t at;  // waited_[at..] of this node end before t
    std::int64_t from, t;
    bool async;
  };

  bool Before(std::uint32_t a, std::uint32_t b) const {
    return tree_.start[a] != tree_.start[b] ? tree_.start[a] < tree_.start[b] : a < b;
  }

  // Of each node, children that it waited for, by end, last first; best_[k]: which of the ones up to k began first.
  void OrderChildren() {
    first_.assign(tree_.top + 2, 0);
    outliving_.assign(tree_.top + 1, kNoSpan);
    for (std::uint32_t node = 0; node <= tree_.top; ++node) {
      first_[node] = static_cast<std::uint32_t>(waited_.size());
      for (const std::uint32_t child : tree_.Children(node)) {
        if (tree_.Duration(child) == 0) continue;
        if (!out_.spans[child].async) {
          waited_.push_back(child);
        } else if (outliving_[node] == kNoSpan) {  // by start: the first of them runs whenever another does
          outliving_[node] = child;
        }
      }
      std::stable_sort(waited_.begin() + first_[node], waited_.end(),
                       [&](std::uint32_t a, std::uint32_t b) { return tree_.end[a] > tree_.end[b]; });
      for (std::size_t k = first_[node]; k < waited_.size(); ++k) {
        best_.push_back(k == first_[node] || Before(waited_[k], best_.back()) ? waited_[k] : best_.back());
      }
    }
    first_[tree_.top + 1] = static_cast<std::uint32_t>(waited_.size());
  }

  void Enter(std::uint32_t node, std::int64_t from, std::int64_t to, bool async) {
    ++visits_;
    const auto begin = waited_.begin() + first_[node], end = waited_.begin() + first_[node + 1];
    const auto at = std::partition_point(begin, end, [&](std::uint32_t child) { return tree_.end[child] >= to; });
    frames_.push_back({node, static_cast<std::uint32_t>(at - waited_.begin()), from, to, async});
  }

  void Step() {
    Frame& frame = frames_.back();
    if (frame.t == frame.from) return frames_.pop_back();
    const std::uint32_t last = first_[frame.node + 1];
    while (frame.at < last && tree_.end[waited_[frame.at]] >= frame.t) ++frame.at;
    const std::uint32_t waited = frame.at > first_[frame.node] ? best_[frame.at - 1] : kNoSpan;
    const std::int64_t to = frame.t;
    if (waited != kNoSpan && tree_.start[waited] < to) {
      frame.t = std::max(tree_.start[waited], frame.from);
      return Enter(waited, frame.t, to, frame.async);  // `frame` dangles from here
    }
    const std::int64_t gap = frame.at < last ? std::max(tree_.end[waited_[frame.at]], frame.from) : frame.from;
    const std::uint32_t outliving = outliving_[frame.node];
    if (outliving == kNoSpan || tree_.start[outliving] >= to) {
      frame.t = gap;
      return Emit(frame.node, gap, to, frame.async);
    }
    frame.t = std::max(tree_.start[outliving], gap);
    // A child that outlives its parent may fill many gaps, and so may one below it: the work is bounded.
    if (visits_ < 4 * std::size_t{tree_.top} + 64) return Enter(outliving, frame.t, to, true);
    Emit(outliving, frame.t, to, true);
  }

  void Emit(std::uint32_t node, std::int64_t from, std::int64_t to, bool async) {
    if (node == tree_.top) {
      out_.idle_ns += to - from;
      return;
    }
    out_.spans[node].critical_ns += to - from;
    auto& path = out_.critical_path;
    if (!path.empty() && path.back().span == node && path.back().async == async && path.back().from_ns == to) {
      path.back().from_ns = from;
    } else {
      path.push_back({node, from, to, async});
    }
  }

  const Tree& tree_;
  TraceAnalysis& out_;
  std::vector<std::uint32_t> first_, waited_, best_, outliving_;
  std::vector<Frame> frames_;
  std::size_t visits_ = 0;
};

Percentiles ExactPercentiles(const TraceAnalysis& analysis) {
  std::vector<std::int64_t> durations;
  for (const SpanAnalysis& span : analysis.spans) durations.push_back(span.duration_ns);
  if (durations.empty()) return {};
  std::sort(durations.begin(), durations.end());
  const auto rank = [&](std::size_t percent) { return durations[(durations.size() * percent + 99) / 100 - 1]; };
  return {rank(50), rank(90), rank(95), rank(99)};
}

std::vector<Bottleneck> RankBottlenecks(const Tree& tree, const TraceAnalysis& out) {
  std::vector<Bottleneck> by_operation(tree.operation_example.size());
  for (const PathSegment& segment : out.critical_path) {
    Bottleneck& entry = by_operation[tree.operation[segment.span]];
    entry.critical_ns += segment.to_ns - segment.from_ns;
    entry.async_ns += segment.async ? segment.to_ns - segment.from_ns : 0;
  }
  for (std::uint32_t i = 0; i < tree.top; ++i) {
    Bottleneck& entry = by_operation[tree.operation[i]];
    if (out.spans[i].critical_ns == 0) continue;
    ++entry.spans;
    if (entry.worst == kNoSpan || out.spans[i].critical_ns > out.spans[entry.worst].critical_ns) entry.worst = i;
  }
  std::erase_if(by_operation, [](const Bottleneck& entry) { return entry.spans == 0; });
  for (Bottleneck& entry : by_operation) {
    entry.service = tree.trace->spans[entry.worst].service;
    entry.operation = tree.trace->spans[entry.worst].name;
    entry.share = static_cast<double>(entry.critical_ns) / static_cast<double>(out.root_duration_ns);
  }
  std::stable_sort(by_operation.begin(), by_operation.end(),
                   [](const Bottleneck& a, const Bottleneck& b) { return a.critical_ns > b.critical_ns; });
  return by_operation;
}

// Sums stay below INT64_MAX however long the spans pretend to be.
std::int64_t AddUp(std::int64_t a, std::int64_t b) { return a > INT64_MAX - b ? INT64_MAX : a + b; }

std::vector<OperationSelf> RankSelfTimes(const Tree& tree, const TraceAnalysis& out) {
  std::vector<OperationSelf> by_operation(tree.operation_example.size());
  for (std::uint32_t i = 0; i < tree.top; ++i) {
    OperationSelf& entry = by_operation[tree.operation[i]];
    if (entry.calls++ == 0) {
      entry.service = tree.trace->spans[i].service;
      entry.operation = tree.trace->spans[i].name;
    }
    entry.self_ns = AddUp(entry.self_ns, out.spans[i].self_ns);
    entry.duration_ns = AddUp(entry.duration_ns, out.spans[i].duration_ns);
  }
  std::stable_sort(by_operation.begin(), by_operation.end(),
                   [](const OperationSelf& a, const OperationSelf& b) { return a.self_ns > b.self_ns; });
  return by_operation;
}

}  // namespace

void SelfTimes(const Tree& tree, TraceAnalysis* out) {
  for (std::uint32_t i = 0; i < tree.top; ++i) {
    std::int64_t covered = 0, until = tree.start[i];
    for (const std::uint32_t child : tree.Children(i)) {
      const std::int64_t from = std::max(tree.start[child], until), to = std::min(tree.end[child], tree.end[i]);
      if (to <= from) continue;
      covered += to - from;
      until = to;
    }
    out->spans[i].self_ns = tree.Duration(i) - covered;
  }
}

void CriticalPath(const Tree& tree, TraceAnalysis* out) {
  if (tree.top == 0) return;
  PathWalk(tree, out).Walk(out->root == kNoSpan ? tree.top : out->root);
}

void Rankings(const Tree& tree, TraceAnalysis* out) {
  for (std::uint32_t i = 0; i < tree.top; ++i) {
    const auto beats = [&](std::uint32_t best, std::int64_t SpanAnalysis::*field) {
      return best == kNoSpan || out->spans[i].*field > out->spans[best].*field;
    };
    if (beats(out->slowest_by_self, &SpanAnalysis::self_ns)) out->slowest_by_self = i;
    if (beats(out->slowest_by_duration, &SpanAnalysis::duration_ns)) out->slowest_by_duration = i;
  }
  out->bottlenecks = RankBottlenecks(tree, *out);
  out->self_times = RankSelfTimes(tree, *out);
  out->percentiles = ExactPercentiles(*out);
}

}  // namespace spanwatch::core::analysis
