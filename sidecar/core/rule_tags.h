// What rules read from attributes: tags as text, numbers, tokens, cost. Pure; any thread.
#ifndef SPANWATCH_SIDECAR_CORE_RULE_TAGS_H_
#define SPANWATCH_SIDECAR_CORE_RULE_TAGS_H_

#include <optional>
#include <string>
#include <string_view>

#include "sidecar/core/span_batch.h"

namespace spanwatch::core {

inline constexpr std::size_t kMaxTagBytes = 128;  // longer ones are cut at a character's border

// The attributes of a span and of its resource: of one that just came, of a stored one, or none. Views.
class TagSource {
 public:
  TagSource() = default;
  TagSource(const SpanBatch& batch, const SpanView& span) : batch_(&batch), span_(&span) {}
  // Encoded as span_detail.h does.
  TagSource(std::string_view detail, std::string_view resource) : detail_(detail), resource_(resource) {}

  bool FindOwn(std::string_view key, AttributeView* out) const;  // of the span alone
  bool Find(std::string_view key, AttributeView* out) const;     // of the span, else of its resource
  std::string Text(std::string_view key) const;                  // as Find(); without the tag ""

 private:
  const SpanBatch* batch_ = nullptr;
  const SpanView* span_ = nullptr;
  std::string_view detail_, resource_;
};

// An integer, a floating-point number, or a string that is a number and nothing else; may be infinite or NaN.
std::optional<double> NumberOf(const AttributeView& attribute);

// What a call of a model used. Spans that wrap calls and report their sum (gen_ai.operation.name is none of chat,
// generate_content, text_completion and embeddings) have none: their calls report for themselves.
// Input and output, without what is contained in them (cached, reasoning). Nothing: the span tells none.
std::optional<double> TokensOf(const TagSource& tags);
// What the span itself says it cost, in US dollars. Nothing: no price is known.
std::optional<double> CostOf(const TagSource& tags);

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_RULE_TAGS_H_
