// Traces of language models: tokens, first token, and where the turn went.
#include <algorithm>
#include <array>

#include "sidecar/core/analysis_tree.h"
#include "sidecar/core/model_call.h"

namespace spanwatch::core::analysis {
namespace {

constexpr std::string_view kPrefix = "gen_ai.";
constexpr std::array<std::string_view, 9> kQueueWords = {"queue",   "queued", "queueing", "queuing", "enqueue",
                                                         "dequeue", "wait",   "waiting",  "throttle"};
constexpr std::array<std::string_view, 4> kSendWords = {"send", "sending", "publish", "deliver"};
constexpr std::array<std::string_view, 2> kToolWords = {"tool", "tools"};
constexpr std::array<std::string_view, 4> kFirstTokenEvents = {
    "gen_ai.server.time_to_first_token", "time_to_first_token", "gen_ai.first_token", "first_token"};

template <typename List>
bool Contains(const List& list, std::string_view text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

// The name in small letters, a space between its words and at both ends; of long names the begin.
std::string Words(std::string_view name) {
  constexpr std::size_t kMostBytes = 256;
  std::string words = " ";
  char before = ' ';
  for (const char c : name.substr(0, kMostBytes)) {
    const bool small = c >= 'a' && c <= 'z', capital = c >= 'A' && c <= 'Z';
    const bool begins = !(small || capital) || (capital && before >= 'a' && before <= 'z');
    if (begins && words.back() != ' ') words += ' ';
    if (small || capital) words += capital ? static_cast<char>(c - 'A' + 'a') : c;
    before = c;
  }
  return words + " ";
}

template <typename List>
bool HasWord(const std::string& words, const List& list) {
  return std::any_of(list.begin(), list.end(), [&](std::string_view word) {
    return words.find(" " + std::string(word) + " ") != std::string::npos;
  });
}

std::string_view Model(const SpanCopy& span) { return ModelOf(TagSource(span.attributes)); }

TokenUse UseOf(const SpanCopy& span) { return core::UseOf(TagSource(span.attributes)); }

void Add(const TokenUse& use, const std::optional<double>& cost, ModelUse* sum) {
  const auto add = [](std::optional<std::int64_t>* to, const std::optional<double>& value) {
    if (!value) return;
    const auto count = static_cast<std::int64_t>(*value);  // of one call: below 2^62
    *to = std::min(to->value_or(0), INT64_MAX - count) + count;
  };
  ++sum->calls;
  add(&sum->input_tokens, use.input);
  add(&sum->output_tokens, use.output);
  add(&sum->cached_tokens, use.cached_input);
  add(&sum->cache_write_tokens, use.cache_write);
  add(&sum->reasoning_tokens, use.reasoning);
  if (cost) sum->cost = sum->cost.value_or(0) + *cost;
  if (!cost && use.Any()) ++sum->unpriced_calls;
}

std::optional<std::int64_t> FirstToken(const SpanCopy& span) {
  constexpr double kMaxSeconds = 1e9;
  for (const std::string_view key : {"gen_ai.server.time_to_first_token", "gen_ai.response.time_to_first_chunk"}) {
    const auto seconds = Number(span, key);
    if (seconds && *seconds >= 0 && *seconds < kMaxSeconds) return static_cast<std::int64_t>(*seconds * 1e9 + 0.5);
  }
  for (const SpanCopy::Event& event : span.events) {
    if (Contains(kFirstTokenEvents, event.name) && span.start_ns >= 0 && event.time_ns >= span.start_ns)
      return event.time_ns - span.start_ns;
  }
  return std::nullopt;
}

// Spans that count as a call: with tokens or a model call, and nothing such below them.
std::vector<std::uint32_t> ListCalls(const Tree& tree) {
  std::vector<bool> below(tree.top + 1, false);
  std::vector<std::uint32_t> calls;
  for (auto at = tree.top_down.rbegin(); at != tree.top_down.rend(); ++at) {
    const SpanCopy& span = tree.trace->spans[*at];
    const bool is_call = UseOf(span).Any() || ClassOf(span, TurnClass::kOther) == TurnClass::kGenerating;
    if (is_call && !below[*at]) calls.push_back(*at);
    if (is_call || below[*at]) below[tree.parent[*at]] = true;
  }
  std::sort(calls.begin(), calls.end(), [&](std::uint32_t a, std::uint32_t b) {
    return tree.start[a] != tree.start[b] ? tree.start[a] < tree.start[b] : a < b;
  });
  return calls;
}

void CountTokens(const Tree& tree, const Prices* prices, LlmAnalysis* llm) {
  for (const std::uint32_t call : ListCalls(tree)) {
    const SpanCopy& span = tree.trace->spans[call];
    const TokenUse used = UseOf(span);
    const std::string_view model = Model(span);
    const std::optional<double> cost = CostOf(TagSource(span.attributes), used, prices, span.end_ns);
    auto use = std::find_if(llm->models.begin(), llm->models.end(),
                            [&](const ModelUse& known) { return known.model == model; });
    constexpr std::size_t kMaxModels = 50;  // further ones count in the total alone
    if (use == llm->models.end() && llm->models.size() < kMaxModels) {
      use = llm->models.insert(use, ModelUse{});
      use->model = model;
    }
    if (use != llm->models.end()) Add(used, cost, &*use);
    Add(used, cost, &llm->total);
  }
  if (!llm->models.empty()) llm->total.model = llm->models.front().model;
}

}  // namespace

TurnClass ClassOf(const SpanCopy& span, TurnClass above) {
  const std::string words = Words(span.name);
  if (HasWord(words, kQueueWords)) return TurnClass::kQueueing;
  const std::string_view operation = Text(span, "gen_ai.operation.name");
  if (operation == "execute_tool" || operation == "retrieval" || !Text(span, "gen_ai.tool.name").empty() ||
      HasWord(words, kToolWords)) {
    return TurnClass::kTools;
  }
  if (IsModelCall(operation) || (operation.empty() && !Model(span).empty())) return TurnClass::kGenerating;
  if (above == TurnClass::kTools || above == TurnClass::kGenerating) return above;
  return span.kind == SpanKind::kProducer || HasWord(words, kSendWords) ? TurnClass::kSending : above;
}

void Llm(const Tree& tree, const AnalysisOptions& options, TraceAnalysis* out) {
  const auto has_any = [](const SpanCopy& span) {
    return std::any_of(span.attributes.begin(), span.attributes.end(),
                       [](const AttributeCopy& attribute) { return attribute.key.starts_with(kPrefix); });
  };
  if (std::none_of(tree.trace->spans.begin(), tree.trace->spans.end(), has_any)) return;
  LlmAnalysis& llm = out->llm.emplace();
  CountTokens(tree, options.prices.get(), &llm);
  for (std::uint32_t i = 0; i < tree.top; ++i) {
    const auto first = FirstToken(tree.trace->spans[i]);
    const std::uint32_t known = llm.first_token_span;
    if (!first || (known != kNoSpan && tree.start[i] >= tree.start[known])) continue;
    llm.time_to_first_token_ns = first;
    llm.first_token_span = i;
  }
  std::vector<TurnClass> classes(tree.top + 1, TurnClass::kOther);
  for (const std::uint32_t i : tree.top_down) classes[i] = ClassOf(tree.trace->spans[i], classes[tree.parent[i]]);
  for (const PathSegment& segment : out->critical_path)
    llm.class_ns[static_cast<std::size_t>(classes[segment.span])] += segment.to_ns - segment.from_ns;
}

}  // namespace spanwatch::core::analysis
