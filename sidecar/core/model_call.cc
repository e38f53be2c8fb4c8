#include "sidecar/core/model_call.h"

#include <algorithm>
#include <array>

namespace spanwatch::core {
namespace {

using std::string_view;

constexpr std::array<string_view, 4> kModelCalls = {"chat", "generate_content", "text_completion", "embeddings"};
constexpr std::array<string_view, 2> kModelKeys = {"gen_ai.response.model", "gen_ai.request.model"};
// Of each the name that is in force, then what it was called before.
constexpr std::array<string_view, 2> kInputKeys = {"gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"};
constexpr std::array<string_view, 2> kOutputKeys = {"gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"};
constexpr std::array<string_view, 3> kCachedKeys = {
    "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens", "gen_ai.usage.cached_tokens"};
constexpr std::array<string_view, 2> kWriteKeys = {"gen_ai.usage.cache_creation.input_tokens",
                                                   "gen_ai.usage.cache_creation_input_tokens"};
constexpr std::array<string_view, 2> kReasoningKeys = {"gen_ai.usage.reasoning.output_tokens",
                                                       "gen_ai.usage.reasoning_tokens"};
constexpr std::array<string_view, 4> kCostKeys = {"gen_ai.usage.cost", "gen_ai.usage.total_cost", "gen_ai.cost",
                                                  "llm.cost.total"};
constexpr double kMillion = 1e6;
constexpr double kMostAmount = 1e15;  // of one call; what is larger is no figure

// The first of `keys` that is a number from 0 on.
template <typename Keys>
std::optional<double> Amount(const TagSource& tags, const Keys& keys) {
  AttributeView attribute;
  for (const string_view key : keys) {
    if (!tags.FindOwn(key, &attribute)) continue;
    const std::optional<double> value = NumberOf(attribute);
    if (value && *value >= 0 && *value <= kMostAmount) return value;
  }
  return std::nullopt;
}

}  // namespace

bool IsModelCall(string_view operation) {
  return std::find(kModelCalls.begin(), kModelCalls.end(), operation) != kModelCalls.end();
}

bool IsWrapper(const TagSource& tags) {
  AttributeView operation;
  return tags.FindOwn("gen_ai.operation.name", &operation) && operation.type == AttributeType::kString &&
         !IsModelCall(operation.text);
}

string_view ModelOf(const TagSource& tags) {
  AttributeView model;
  for (const string_view key : kModelKeys) {
    if (tags.FindOwn(key, &model) && model.type == AttributeType::kString && !model.text.empty()) return model.text;
  }
  return {};
}

TokenUse UseOf(const TagSource& tags) {
  TokenUse use;
  use.input = Amount(tags, kInputKeys);
  use.output = Amount(tags, kOutputKeys);
  if (!use.Any()) return use;  // most spans
  use.cached_input = Amount(tags, kCachedKeys);
  use.cache_write = Amount(tags, kWriteKeys);
  use.reasoning = Amount(tags, kReasoningKeys);
  return use;
}

std::optional<double> CostOf(const TagSource& tags, const TokenUse& use, const Prices* prices, std::int64_t end_ns) {
  if (const auto told = Amount(tags, kCostKeys)) return told;
  if (prices == nullptr || !use.Any()) return std::nullopt;
  const Price* price = prices->Find(ModelOf(tags), end_ns);
  if (price == nullptr) return std::nullopt;
  const double cached = use.cached_input.value_or(0), written = use.cache_write.value_or(0);
  const double input = use.input.value_or(0);
  // Some instrumentations report them beside the input: seen where they are more than it.
  const double plain = cached + written > input ? input : input - cached - written;
  return (plain * price->input + cached * price->cached_input + written * price->cache_write +
          use.output.value_or(0) * price->output) /
         kMillion;
}

std::optional<double> CostOf(const TagSource& tags, const Prices* prices, std::int64_t end_ns) {
  return CostOf(tags, UseOf(tags), prices, end_ns);
}

}  // namespace spanwatch::core
