// Families of language models: calls, tokens and cost, by service and model.
#include <string>

#include "sidecar/metrics/families.h"

namespace spanwatch::metrics {

void WriteGenAi(const core::GenAiView& view, Writer* writer) {
  const auto labels = [](const core::ModelCalls& calls) {
    return Labels().Add("service_name", calls.service).Add("model", calls.model);
  };
  writer->Family("spanwatch_gen_ai_calls", Type::kCounter,
                 "Calls of language models, weighed by their sampling probability.");
  for (const core::ModelCalls& calls : view.models) writer->Sample(labels(calls).text(), calls.calls);
  writer->Family("spanwatch_gen_ai_unpriced_calls", Type::kCounter,
                 "Calls that told tokens and whose cost is not known: no price of the model.");
  for (const core::ModelCalls& calls : view.models) writer->Sample(labels(calls).text(), calls.unpriced);
  writer->Family("spanwatch_gen_ai_tokens", Type::kCounter,
                 "Tokens by type; input contains cached_input and cache_write, output contains reasoning.");
  for (const core::ModelCalls& calls : view.models) {
    for (std::size_t i = 0; i < core::kTokenTypes; ++i) {
      if (!calls.tokens[i]) continue;
      writer->Sample(labels(calls).Add("type", ToString(static_cast<core::TokenType>(i))).text(), *calls.tokens[i]);
    }
  }
  writer->Family("spanwatch_gen_ai_cost_dollars", Type::kCounter,
                 "US dollars: what spans say they cost, else tokens at the price of their model.");
  for (const core::ModelCalls& calls : view.models) {
    if (calls.cost) writer->Sample(labels(calls).text(), *calls.cost);
  }
}

}  // namespace spanwatch::metrics
