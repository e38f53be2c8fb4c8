#include "sidecar/http/span_tree.h"

#include <unordered_map>

namespace spanwatch::http {

std::vector<TreeRow> OrderAsTree(const std::vector<core::SpanCopy>& spans) {
  constexpr std::size_t kNone = SIZE_MAX;
  std::unordered_map<std::uint64_t, std::size_t> by_id;
  for (std::size_t i = 0; i < spans.size(); ++i) by_id.emplace(spans[i].span_id.value, i);
  // Children as linked lists through `next`; filled from behind, so that each list is in the order of `spans`.
  std::vector<std::size_t> first_child(spans.size(), kNone), next(spans.size(), kNone), parent(spans.size(), kNone);
  for (std::size_t i = spans.size(); i-- > 0;) {
    const auto it = spans[i].parent_id.IsValid() ? by_id.find(spans[i].parent_id.value) : by_id.end();
    if (it == by_id.end() || it->second == i) continue;
    parent[i] = it->second;
    next[i] = first_child[it->second];
    first_child[it->second] = i;
  }
  std::vector<TreeRow> rows;
  std::vector<bool> seen(spans.size(), false);
  std::vector<TreeRow> stack;
  const auto walk = [&](std::size_t root) {
    stack.push_back({root, 1});
    while (!stack.empty()) {
      const TreeRow row = stack.back();
      stack.pop_back();
      // The sibling first: it lies deeper in the stack, under all descendants of this one.
      if (row.span != root && next[row.span] != kNone) stack.push_back({next[row.span], row.level});
      if (seen[row.span]) continue;
      seen[row.span] = true;
      rows.push_back(row);
      if (first_child[row.span] != kNone) stack.push_back({first_child[row.span], row.level + 1});
    }
  };
  for (std::size_t i = 0; i < spans.size(); ++i) {
    if (parent[i] == kNone) walk(i);
  }
  for (std::size_t i = 0; i < spans.size(); ++i) {
    if (!seen[i]) walk(i);  // parents that form a ring
  }
  return rows;
}

}  // namespace spanwatch::http
