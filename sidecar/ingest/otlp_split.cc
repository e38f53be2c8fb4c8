#include "sidecar/ingest/otlp_split.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "sidecar/ingest/otlp_wire.h"

namespace spanwatch::ingest {
namespace {

constexpr std::size_t kOverhead = 64;  // tags and lengths around a span in a record of its own

// All fields of a message but those of one number, and what is broken at its end.
std::string Without(std::string_view message, std::uint32_t number, std::string* broken) {
  std::string rest;
  WireReader reader(message);
  for (WireField field; reader.Next(&field);) {
    if (field.number != number || field.wire_type != 2) rest += message.substr(field.begin, field.end - field.begin);
  }
  if (reader.broken()) *broken = message.substr(reader.at());
  return rest;
}

class Splitter {
 public:
  Splitter(const SplitLimits& limits, SplitResult* result) : limits_(limits), result_(result) {}

  void Run(std::string_view bytes) {
    WireReader reader(bytes);
    for (WireField field; reader.Next(&field);) {
      if (field.number == 1 && field.wire_type == 2) ResourceSpans(field.value);
    }
    EndRecord();
  }

 private:
  void ResourceSpans(std::string_view bytes) {
    if (bytes.size() + kOverhead <= limits_.record_bytes) {
      if (record_.size() + bytes.size() + kOverhead > limits_.record_bytes) EndRecord();
      Add(bytes);
      return;
    }
    std::string broken;
    const std::string resource = Without(bytes, 2, &broken);
    WireReader reader(bytes);
    for (WireField field; reader.Next(&field);) {
      if (field.number == 2 && field.wire_type == 2) ScopeSpans(resource, field.value);
    }
    if (!broken.empty()) Add(broken);
  }

  void ScopeSpans(const std::string& resource, std::string_view bytes) {
    std::string broken;
    const std::string scope = Without(bytes, 2, &broken);
    const std::size_t fixed = resource.size() + scope.size() + kOverhead;
    std::string spans = scope;
    const auto flush = [&] {
      if (spans.size() == scope.size()) return;
      EndRecord();
      std::string content = resource;
      AppendField(2, spans, &content);
      Add(content);
      EndRecord();
      spans = scope;
    };
    WireReader reader(bytes);
    for (WireField field; reader.Next(&field);) {
      if (field.number != 2 || field.wire_type != 2) continue;
      const std::size_t size = field.end - field.begin;
      if (fixed + size > limits_.max_record_bytes) {
        ++result_->too_large;
        continue;
      }
      if (spans.size() > scope.size() && fixed + (spans.size() - scope.size()) + size > Target(fixed)) flush();
      spans += bytes.substr(field.begin, size);
    }
    if (!broken.empty() && fixed + spans.size() + broken.size() <= limits_.max_record_bytes) spans += broken;
    flush();
  }

  // A large resource must not leave room for a single span a record.
  std::size_t Target(std::size_t fixed) const {
    return std::min(limits_.record_bytes + fixed, limits_.max_record_bytes);
  }

  void Add(std::string_view resource_spans) {
    AppendField(1, resource_spans, &record_);
    if (++resources_ >= limits_.max_resources) EndRecord();
  }

  void EndRecord() {
    if (!record_.empty()) result_->records.push_back(std::move(record_));
    record_.clear();
    resources_ = 0;
  }

  const SplitLimits& limits_;
  SplitResult* const result_;
  std::string record_;
  std::size_t resources_ = 0;
};

bool FitsInOne(std::string_view bytes, const SplitLimits& limits) {
  if (bytes.size() > limits.record_bytes) return false;
  std::size_t resources = 0;
  WireReader reader(bytes);
  for (WireField field; reader.Next(&field);) ++resources;
  return resources <= limits.max_resources;
}

}  // namespace

SplitResult SplitOtlp(std::string bytes, const SplitLimits& limits) {
  SplitResult result;
  if (bytes.empty()) return result;
  if (FitsInOne(bytes, limits)) {
    result.records.push_back(std::move(bytes));
  } else {
    Splitter(limits, &result).Run(bytes);
  }
  return result;
}

}  // namespace spanwatch::ingest
