// Calls of language models, for readers. Plain values.
#ifndef SPANWATCH_SIDECAR_CORE_GEN_AI_VIEW_H_
#define SPANWATCH_SIDECAR_CORE_GEN_AI_VIEW_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace spanwatch::core {

enum class TokenType : std::uint8_t { kInput, kOutput, kCachedInput, kCacheWrite, kReasoning };
inline constexpr std::size_t kTokenTypes = 5;
const char* ToString(TokenType type);  // "input", "output", "cached_input", "cache_write", "reasoning"

// One service's calls of one model, weighed by their sampling probability.
struct ModelCalls {
  std::string service, model;
  double calls = 0;
  double unpriced = 0;                                    // of them told tokens whose price is not known
  std::array<std::optional<double>, kTokenTypes> tokens;  // by TokenType; null: no call ever told
  std::optional<double> cost;                             // US dollars; null: no call ever had a price
};

struct GenAiView {
  std::vector<ModelCalls> models;  // by service, then model
};

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_GEN_AI_VIEW_H_
