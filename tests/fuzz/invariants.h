// What holds for every decoded batch, whatever the bytes were. Aborts if it does not.
#ifndef SPANWATCH_TESTS_FUZZ_INVARIANTS_H_
#define SPANWATCH_TESTS_FUZZ_INVARIANTS_H_

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "sidecar/core/span_batch.h"
#include "sidecar/core/utf8.h"

namespace spanwatch::fuzz {

inline void Require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "invariant broken: %s\n", what);
  std::abort();
}

inline void CheckText(std::string_view text) {
  Require(text.size() <= (64u << 10) * 3 + 64, "text is bounded");
  Require(core::IsUtf8(text), "text is UTF-8");
}

inline void CheckAttributes(const core::SpanBatch& batch, core::AttributeRange range) {
  Require(range.count <= 128, "attributes are bounded");
  Require(std::size_t{range.first} + range.count <= batch.attributes.size(), "attributes are in range");
  for (std::uint32_t i = 0; i < range.count; ++i) {
    const core::AttributeView& attribute = batch.attributes[range.first + i];
    Require(!attribute.key.empty() || !batch.owned.empty(), "attributes have keys");
    CheckText(attribute.key);
    if (attribute.type != core::AttributeType::kBytes) CheckText(attribute.text);
  }
}

inline void CheckBatch(const core::SpanBatch& batch) {
  Require(batch.spans.size() <= 100'000, "spans are bounded");
  for (const core::ResourceView& resource : batch.resources) {
    Require(!resource.service_name.empty(), "a service has a name");
    CheckText(resource.service_name);
    CheckAttributes(batch, resource.attributes);
  }
  for (const core::SpanView& span : batch.spans) {
    Require(span.trace_id.IsValid() && span.span_id.IsValid(), "ids are valid");
    Require(span.resource < batch.resources.size(), "the resource exists");
    Require(span.weight >= 1, "a span stands for at least itself");
    Require(span.start_ns >= 0 && span.end_ns >= 0, "times are not negative");
    Require(span.event_count <= 64 && span.link_count <= 64, "events and links are bounded");
    Require(std::size_t{span.first_event} + span.event_count <= batch.events.size(), "events are in range");
    Require(std::size_t{span.first_link} + span.link_count <= batch.links.size(), "links are in range");
    for (const std::string_view text :
         {span.name, span.status_message, span.scope_name, span.error_type, span.error_message}) {
      CheckText(text);
    }
    CheckAttributes(batch, span.attributes);
    for (std::uint32_t i = 0; i < span.event_count; ++i) {
      CheckText(batch.events[span.first_event + i].name);
      CheckAttributes(batch, batch.events[span.first_event + i].attributes);
    }
  }
}

}  // namespace spanwatch::fuzz

#endif  // SPANWATCH_TESTS_FUZZ_INVARIANTS_H_
