#include "sidecar/core/rule_tags.h"

#include <array>
#include <charconv>

#include "sidecar/core/snapshot.h"
#include "sidecar/core/span_detail.h"

namespace spanwatch::core {
namespace {

std::string_view Cut(std::string_view text) {
  if (text.size() <= kMaxTagBytes) return text;
  std::size_t end = kMaxTagBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

bool FindIn(const SpanBatch& batch, AttributeRange range, std::string_view key, AttributeView* out) {
  for (std::uint32_t i = 0; i < range.count; ++i) {
    if (batch.attributes[range.first + i].key != key) continue;
    *out = batch.attributes[range.first + i];
    return true;
  }
  return false;
}

bool FindIn(const std::vector<AttributeCopy>& attributes, std::string_view key, AttributeView* out) {
  for (const AttributeCopy& a : attributes) {
    if (a.key != key) continue;
    *out = {a.key, a.type, a.integer, a.number, a.text};
    return true;
  }
  return false;
}

}  // namespace

bool TagSource::FindOwn(std::string_view key, AttributeView* out) const {
  if (own_ != nullptr) return FindIn(*own_, key, out);
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

}  // namespace spanwatch::core
