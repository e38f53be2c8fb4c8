#include "sidecar/core/analysis_tree.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

namespace spanwatch::core::analysis {
namespace {

// Differences of clamped times do not overflow.
constexpr std::int64_t kFar = INT64_MAX / 2;

void CopyTimes(const TraceCopy& trace, Tree* tree, TraceAnalysis* out) {
  std::int64_t first = 0, last = 0;
  for (std::uint32_t i = 0; i < tree->top; ++i) {
    const SpanCopy& span = trace.spans[i];
    const std::int64_t start = std::clamp(span.start_ns, -kFar, kFar);
    const std::int64_t end = std::max(start, std::clamp(span.end_ns, -kFar, kFar));
    first = i == 0 ? start : std::min(first, start);
    last = i == 0 ? end : std::max(last, end);
    tree->start.push_back(start);
    tree->end.push_back(end);
    out->spans[i].duration_ns = end - start;
    out->error_count += Failed(span) ? 1 : 0;
  }
  tree->start.push_back(first);
  tree->end.push_back(last);
  for (std::uint32_t i = 0; i < tree->top; ++i) out->spans[i].offset_ns = tree->start[i] - first;
  out->start_ns = first;
  out->duration_ns = last - first;
}

// Stored parents; of equal ids the first span is meant. kNoSpan: none here.
std::vector<std::uint32_t> StoredParents(const TraceCopy& trace) {
  std::vector<std::pair<std::uint64_t, std::uint32_t>> ids;
  for (std::uint32_t i = 0; i < trace.spans.size(); ++i) ids.emplace_back(trace.spans[i].span_id.value, i);
  std::sort(ids.begin(), ids.end());
  std::vector<std::uint32_t> parents(ids.size(), kNoSpan);
  for (std::uint32_t i = 0; i < parents.size(); ++i) {
    const SpanId id = trace.spans[i].parent_id;
    if (!id.IsValid()) continue;
    const auto at = std::lower_bound(ids.begin(), ids.end(), std::pair<std::uint64_t, std::uint32_t>(id.value, 0));
    if (at != ids.end() && at->first == id.value) parents[i] = at->second;
  }
  return parents;
}

// Cuts each cycle at one link: where the store's depths cut it, else at the last one of the walk, as the store does.
void CutCycles(const TraceCopy& trace, std::vector<std::uint32_t>* parents, TraceAnalysis* out) {
  enum : std::uint8_t { kUnknown, kOnPath, kDone };
  std::vector<std::uint8_t> states(parents->size(), kUnknown);
  std::vector<std::uint32_t> path;
  for (std::uint32_t i = 0; i < parents->size(); ++i) {
    std::uint32_t at = i;
    while (at != kNoSpan && states[at] == kUnknown) {
      states[at] = kOnPath;
      path.push_back(at);
      at = (*parents)[at];
    }
    if (at != kNoSpan && states[at] == kOnPath) {
      std::uint32_t cut = path.back();
      for (auto member = path.rbegin(); *member != at; ++member) {
        if (trace.spans[*member].depth == 1) cut = *member;
      }
      if (trace.spans[at].depth == 1) cut = at;
      (*parents)[cut] = kNoSpan;
      out->spans[cut].cycle = true;
    }
    for (; !path.empty(); path.pop_back()) states[path.back()] = kDone;
  }
}

void HangUp(const TraceCopy& trace, Tree* tree, TraceAnalysis* out) {
  tree->parent = StoredParents(trace);
  for (std::uint32_t i = 0; i < tree->top; ++i) {
    const bool names_one = trace.spans[i].parent_id.IsValid();
    out->spans[i].orphan = names_one && tree->parent[i] == kNoSpan;
    if (names_one) continue;
    out->root = ++out->roots == 1 ? i : kNoSpan;
  }
  CutCycles(trace, &tree->parent, out);
  for (std::uint32_t i = 0; i < tree->top; ++i) {
    if (tree->parent[i] == kNoSpan) tree->parent[i] = out->root == kNoSpan || out->root == i ? tree->top : out->root;
    out->spans[i].parent = tree->parent[i] == tree->top ? kNoSpan : tree->parent[i];
  }
}

void ListChildren(Tree* tree) {
  const std::uint32_t n = tree->top;
  std::vector<std::uint32_t> order(n);
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return tree->start[a] < tree->start[b]; });
  tree->first_child.assign(n + 2, 0);
  for (std::uint32_t i = 0; i < n; ++i) ++tree->first_child[tree->parent[i] + 1];
  std::partial_sum(tree->first_child.begin(), tree->first_child.end(), tree->first_child.begin());
  std::vector<std::uint32_t> next(tree->first_child.begin(), tree->first_child.end() - 1);
  tree->children.resize(n);
  for (const std::uint32_t i : order) tree->children[next[tree->parent[i]]++] = i;
  for (const std::uint32_t child : tree->Children(tree->top)) tree->top_down.push_back(child);
  for (std::size_t at = 0; at < tree->top_down.size(); ++at) {
    const auto below = tree->Children(tree->top_down[at]);
    tree->top_down.insert(tree->top_down.end(), below.begin(), below.end());
  }
}

void Mark(const Tree& tree, std::uint32_t i, TraceAnalysis* out) {
  SpanAnalysis& marks = out->spans[i];
  const std::uint32_t up = tree.parent[i];
  const bool linked = up != tree.top && !marks.orphan && !marks.cycle;
  marks.depth = linked ? out->spans[up].depth + 1 : 1;
  out->depth = std::max(out->depth, marks.depth);
  if (up == tree.top) return;
  marks.async = tree.end[i] > tree.end[up];
  if (!linked) return;
  const SpanCopy &child = tree.trace->spans[i], &parent = tree.trace->spans[up];
  const bool queued = child.kind == SpanKind::kConsumer || parent.kind == SpanKind::kProducer;
  const bool would_fit = tree.start[i] < tree.end[up] && tree.Duration(i) <= tree.Duration(up);
  if (marks.async && !queued && would_fit && OtherHost(child, parent)) {
    marks.async = false;
    marks.skewed = true;
  }
  if (tree.start[i] < tree.start[up]) marks.skewed = true;
}

void NumberOperations(const TraceCopy& trace, Tree* tree) {
  std::map<std::pair<std::string_view, std::string_view>, std::uint32_t> numbers;
  for (std::uint32_t i = 0; i < tree->top; ++i) {
    const SpanCopy& span = trace.spans[i];
    const auto [at, is_new] =
        numbers.try_emplace({span.service, span.name}, static_cast<std::uint32_t>(tree->operation_example.size()));
    if (is_new) tree->operation_example.push_back(i);
    tree->operation.push_back(at->second);
  }
}

}  // namespace

bool OtherHost(const SpanCopy& child, const SpanCopy& parent) {
  return child.parent_is_remote || child.resource != parent.resource || child.service != parent.service;
}

Tree BuildTree(const TraceCopy& trace, TraceAnalysis* out) {
  Tree tree;
  tree.trace = &trace;
  tree.top = static_cast<std::uint32_t>(trace.spans.size());
  out->span_count = tree.top;
  out->spans.assign(tree.top, {});
  CopyTimes(trace, &tree, out);
  HangUp(trace, &tree, out);
  ListChildren(&tree);
  tree.level.assign(tree.top + 1, 0);
  for (const std::uint32_t i : tree.top_down) {
    tree.level[i] = tree.level[tree.parent[i]] + 1;
    Mark(tree, i, out);
  }
  NumberOperations(trace, &tree);
  const std::uint32_t root = out->root == kNoSpan ? tree.top : out->root;
  out->root_start_ns = tree.start[root];
  out->root_duration_ns = tree.Duration(root);
  out->before_root_ns = tree.start[root] - tree.start[tree.top];
  out->after_root_ns = tree.end[tree.top] - tree.end[root];
  return tree;
}

}  // namespace spanwatch::core::analysis
