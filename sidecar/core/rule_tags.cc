#include "sidecar/core/rule_tags.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "sidecar/core/span_detail.h"

namespace spanwatch::core {
namespace {

constexpr std::array<std::string_view, 4> kModelCalls = {"chat", "generate_content", "text_completion", "embeddings"};
constexpr std::array<std::string_view, 2> kInputKeys = {"gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"};
constexpr std::array<std::string_view, 2> kOutputKeys = {"gen_ai.usage.output_tokens",
                                                         "gen_ai.usage.completion_tokens"};
constexpr std::array<std::string_view, 4> kCostKeys = {"gen_ai.usage.cost", "gen_ai.usage.total_cost", "gen_ai.cost",
                                                       "llm.cost.total"};

std::string_view Cut(std::string_view text) {
  if (text.size() <= kMaxTagBytes) return text;
  std::size_t end = kMaxTagBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

// The first of `keys` that is a number from 0 on.
template <typename Keys>
std::optional<double> Amount(const TagSource& tags, const Keys& keys) {
  AttributeView attribute;
  for (const std::string_view key : keys) {
    if (!tags.FindOwn(key, &attribute)) continue;
    const std::optional<double> value = NumberOf(attribute);
    if (value && *value >= 0) return value;
  }
  return std::nullopt;
}

bool IsWrapper(const TagSource& tags) {
  AttributeView operation;
  return tags.FindOwn("gen_ai.operation.name", &operation) && operation.type == AttributeType::kString &&
         std::find(kModelCalls.begin(), kModelCalls.end(), operation.text) == kModelCalls.end();
}

bool FindIn(const SpanBatch& batch, AttributeRange range, std::string_view key, AttributeView* out) {
  for (std::uint32_t i = 0; i < range.count; ++i) {
    if (batch.attributes[range.first + i].key != key) continue;
    *out = batch.attributes[range.first + i];
    return true;
  }
  return false;
}

}  // namespace

bool TagSource::FindOwn(std::string_view key, AttributeView* out) const {
  return batch_ != nullptr ? FindIn(*batch_, span_->attributes, key, out) : FindAttribute(detail_, key, out);
}

bool TagSource::Find(std::string_view key, AttributeView* out) const {
  if (FindOwn(key, out)) return true;
  if (batch_ == nullptr) return FindAttribute(resource_, key, out);
  return FindIn(*batch_, batch_->resources[span_->resource].attributes, key, out);
}

std::string TagSource::Text(std::string_view key) const {
  AttributeView attribute;
  if (!Find(key, &attribute)) return "";
  std::array<char, 32> digits{};
  const auto number = [&](auto value) {
    return std::string(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr);
  };
  switch (attribute.type) {
    case AttributeType::kString:
    case AttributeType::kJson:
      return std::string(Cut(attribute.text));
    case AttributeType::kBool:
      return attribute.integer != 0 ? "true" : "false";
    case AttributeType::kInt:
      return number(attribute.integer);
    case AttributeType::kDouble:
      return number(attribute.number);
    case AttributeType::kEmpty:
    case AttributeType::kBytes:
      break;
  }
  return "";
}

std::optional<double> NumberOf(const AttributeView& attribute) {
  if (attribute.type == AttributeType::kInt) return static_cast<double>(attribute.integer);
  if (attribute.type == AttributeType::kDouble) return attribute.number;
  if (attribute.type != AttributeType::kString || attribute.text.empty()) return std::nullopt;
  double value = 0;
  const char* end = attribute.text.data() + attribute.text.size();
  const auto read = std::from_chars(attribute.text.data(), end, value);
  if (read.ptr != end || read.ec != std::errc()) return std::nullopt;
  return value;
}

std::optional<double> TokensOf(const TagSource& tags) {
  const std::optional<double> input = Amount(tags, kInputKeys), output = Amount(tags, kOutputKeys);
  if ((!input && !output) || IsWrapper(tags)) return std::nullopt;
  return input.value_or(0) + output.value_or(0);
}

std::optional<double> CostOf(const TagSource& tags) {
  const std::optional<double> cost = Amount(tags, kCostKeys);
  return cost && !IsWrapper(tags) ? cost : std::nullopt;
}

}  // namespace spanwatch::core
