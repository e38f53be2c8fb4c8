// What rules read from attributes: tags as text and numbers (tokens and cost: model_call.h). Pure; any thread.
#ifndef SPANWATCH_SIDECAR_CORE_RULE_TAGS_H_
#define SPANWATCH_SIDECAR_CORE_RULE_TAGS_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sidecar/core/span_batch.h"

namespace spanwatch::core {

struct AttributeCopy;  // snapshot.h

inline constexpr std::size_t kMaxTagBytes = 128;  // longer ones are cut at a character's border

// The attributes of a span and of its resource: of one that just came, of a stored one, of a copy (without its
// resource), or none. Views.
class TagSource {
 public:
  TagSource() = default;
  TagSource(const SpanBatch& batch, const SpanView& span) : batch_(&batch), span_(&span) {}
  // Encoded as span_detail.h does.
  TagSource(std::string_view detail, std::string_view resource) : detail_(detail), resource_(resource) {}
  explicit TagSource(const std::vector<AttributeCopy>& own) : own_(&own) {}

  bool FindOwn(std::string_view key, AttributeView* out) const;  // of the span alone
  bool Find(std::string_view key, AttributeView* out) const;     // of the span, else of its resource
  std::string Text(std::string_view key) const;                  // as Find(); without the tag ""

 private:
  const SpanBatch* batch_ = nullptr;
  const SpanView* span_ = nullptr;
  std::string_view detail_, resource_;
  const std::vector<AttributeCopy>* own_ = nullptr;
};

// An integer, a floating-point number, or a string that is a number and nothing else; may be infinite or NaN.
std::optional<double> NumberOf(const AttributeView& attribute);

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_RULE_TAGS_H_
