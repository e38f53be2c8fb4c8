// What a span says of a call of a language model (OpenTelemetry's gen_ai.*): its model, tokens and cost. The one home
// of the attributes' names, for rules, metrics and the analysis of traces. Pure; any thread.
#ifndef SPANWATCH_SIDECAR_CORE_MODEL_CALL_H_
#define SPANWATCH_SIDECAR_CORE_MODEL_CALL_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sidecar/core/prices.h"
#include "sidecar/core/rule_tags.h"

namespace spanwatch::core {

// gen_ai.operation.name of calls: chat, generate_content, text_completion, embeddings.
bool IsModelCall(std::string_view operation);
// Its operation has a name that is none of these (an agent's turn, a tool): the calls below report for themselves.
bool IsWrapper(const TagSource& tags);

// gen_ai.response.model, else gen_ai.request.model; "" if there is neither. A view on the source.
std::string_view ModelOf(const TagSource& tags);

// What the span tells, each from 0 on; nothing at all without input and output. Cached and written tokens are contained
// in the input, reasoning in the output.
struct TokenUse {
  std::optional<double> input, output, cached_input, cache_write, reasoning;
  bool Any() const { return input || output; }
  double Sum() const { return input.value_or(0) + output.value_or(0); }
};
TokenUse UseOf(const TagSource& tags);

// US dollars: what the span itself says it cost; else its tokens at the price of its model when it ended. Nothing: it
// tells no tokens, or no price is known (`prices` may be null). Asks not whether the span is a wrapper.
std::optional<double> CostOf(const TagSource& tags, const Prices* prices, std::int64_t end_ns);
// The same for who knows the use already.
std::optional<double> CostOf(const TagSource& tags, const TokenUse& use, const Prices* prices, std::int64_t end_ns);

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_MODEL_CALL_H_
