// Where errors came from and how far they went; memory.
#include <algorithm>

#include "sidecar/core/analysis_tree.h"
#include "sidecar/core/timeouts.h"

namespace spanwatch::core::analysis {
namespace {

// As the engine's statistics take them: of the last exception event, else of the span.
SpanError Describe(const SpanCopy& span, std::uint32_t index) {
  SpanError error{index, index, std::string(Text(span, "error.type")), span.status_message};
  for (auto event = span.events.rbegin(); event != span.events.rend(); ++event) {
    if (event->name != "exception") continue;
    const AttributeCopy* type = FindAttribute(event->attributes, "exception.type");
    const AttributeCopy* message = FindAttribute(event->attributes, "exception.message");
    if (type != nullptr && !type->text.empty()) error.type = type->text;
    if (message != nullptr && !message->text.empty()) error.message = message->text;
    break;
  }
  return error;
}

}  // namespace

bool IsTimeout(const SpanCopy& span, const SpanError& error) {
  const std::optional<std::int64_t> code = Integer(span, "http.response.status_code");
  const std::int64_t status = code ? *code : Integer(span, "http.status_code").value_or(0);
  return SaysTimeout(error.type, error.message, status);
}

void Errors(const Tree& tree, TraceAnalysis* out) {
  std::vector<std::uint32_t> cause(tree.top, kNoSpan), spans(tree.top, 0);
  const auto failed = [&](std::uint32_t i) { return i != tree.top && Failed(tree.trace->spans[i]); };
  for (auto at = tree.top_down.rbegin(); at != tree.top_down.rend(); ++at) {
    const std::uint32_t i = *at, up = tree.parent[i];
    if (!failed(i)) continue;
    if (cause[i] == kNoSpan) cause[i] = i;
    ++spans[i];
    if (!failed(up)) continue;
    spans[up] += spans[i];
    const std::uint32_t best = cause[up], mine = cause[i];
    const bool deeper = best == kNoSpan || tree.level[mine] > tree.level[best];
    const bool as_deep = best != kNoSpan && tree.level[mine] == tree.level[best];
    const bool earlier = as_deep && (tree.end[mine] != tree.end[best] ? tree.end[mine] < tree.end[best] : mine < best);
    if (deeper || earlier) cause[up] = mine;
  }
  for (std::uint32_t i = 0; i < tree.top; ++i) {
    if (!failed(i)) continue;
    out->errors.push_back(Describe(tree.trace->spans[i], i));
    out->errors.back().root_cause = cause[i];
    if (failed(tree.parent[i])) continue;
    ErrorChain chain;
    chain.root_cause = cause[i];
    chain.handled_by = out->spans[i].parent;
    chain.spans = spans[i];
    for (std::uint32_t k = cause[i]; failed(k); k = tree.parent[k]) chain.spread.push_back(k);
    out->error_chains.push_back(std::move(chain));
  }
  std::stable_sort(out->error_chains.begin(), out->error_chains.end(), [&](const ErrorChain& a, const ErrorChain& b) {
    return tree.end[a.root_cause] < tree.end[b.root_cause];
  });
}

void Memory(const Tree& tree, const AnalysisOptions& options, TraceAnalysis* out) {
  MemoryAnalysis memory;
  for (std::uint32_t i = 0; i < tree.top; ++i) {
    const std::optional<std::int64_t> peak = Integer(tree.trace->spans[i], "spanwatch.mem.peak");
    const std::optional<std::int64_t> delta = Integer(tree.trace->spans[i], "spanwatch.mem.delta");
    if (peak && (!memory.peak_bytes || *peak > *memory.peak_bytes)) memory.peak_bytes = peak;
    if (!delta) continue;
    const bool deeper = memory.delta_bytes == delta && tree.level[i] > tree.level[memory.grower];
    if (memory.delta_bytes && *delta <= *memory.delta_bytes && !deeper) continue;
    memory.delta_bytes = delta;
    memory.grower = i;
  }
  if (!memory.peak_bytes && !memory.delta_bytes) return;
  const std::int64_t delta = memory.delta_bytes.value_or(0);
  memory.efficiency = delta > options.memory_critical_bytes  ? MemoryEfficiency::kPoor
                      : delta > options.memory_warning_bytes ? MemoryEfficiency::kConcerning
                                                             : MemoryEfficiency::kGood;
  out->memory = memory;
}

}  // namespace spanwatch::core::analysis
