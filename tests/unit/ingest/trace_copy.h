// A decoded batch as the copies that the store would give, one a trace. Header only, tests.
#ifndef SPANWATCH_TESTS_UNIT_INGEST_TRACE_COPY_H_
#define SPANWATCH_TESTS_UNIT_INGEST_TRACE_COPY_H_

#include <string>
#include <vector>

#include "sidecar/core/snapshot.h"
#include "sidecar/core/span_batch.h"

namespace spanwatch::ingest::testing {

inline std::vector<core::AttributeCopy> OwnAttributes(const core::SpanBatch& batch, core::AttributeRange range) {
  std::vector<core::AttributeCopy> list;
  for (std::uint32_t i = range.first; i < range.first + range.count; ++i) {
    const core::AttributeView& a = batch.attributes[i];
    list.push_back({std::string(a.key), a.type, a.integer, a.number, std::string(a.text)});
  }
  return list;
}

inline core::SpanCopy OwnSpan(const core::SpanBatch& batch, const core::SpanView& view) {
  core::SpanCopy span;
  span.span_id = view.span_id;
  span.parent_id = view.parent_id;
  span.start_ns = view.start_ns;
  span.end_ns = view.end_ns;
  span.service = batch.resources[view.resource].service_name;
  span.name = view.name;
  span.scope = view.scope_name;
  span.kind = view.kind;
  span.status = view.status;
  span.status_message = view.status_message;
  span.resource = view.resource;
  span.trace_state = view.trace_state;
  span.parent_is_remote = view.parent_is_remote;
  span.attributes = OwnAttributes(batch, view.attributes);
  for (std::uint32_t i = view.first_event; i < view.first_event + view.event_count; ++i) {
    const core::EventView& event = batch.events[i];
    span.events.push_back({event.time_ns, std::string(event.name), OwnAttributes(batch, event.attributes)});
  }
  for (std::uint32_t i = view.first_link; i < view.first_link + view.link_count; ++i) {
    span.links.push_back(batch.links[i]);
  }
  span.dropped_attributes = view.dropped_attributes;
  span.dropped_events = view.dropped_events;
  span.dropped_links = view.dropped_links;
  return span;
}

inline std::vector<core::TraceCopy> OwnTraces(const core::SpanBatch& batch) {
  std::vector<core::TraceCopy> traces;
  for (const core::SpanView& view : batch.spans) {
    core::TraceCopy* trace = nullptr;
    for (core::TraceCopy& known : traces) {
      if (known.summary.trace_id == view.trace_id) trace = &known;
    }
    if (trace == nullptr) {
      trace = &traces.emplace_back();
      trace->summary.trace_id = view.trace_id;
      for (const core::ResourceView& resource : batch.resources) {
        trace->resources.push_back(OwnAttributes(batch, resource.attributes));
      }
    }
    trace->spans.push_back(OwnSpan(batch, view));
  }
  return traces;
}

inline std::string Show(const std::vector<core::AttributeCopy>& attributes) {
  std::string text = "{";
  for (const core::AttributeCopy& a : attributes) {
    text += a.key + "=" + std::to_string(static_cast<int>(a.type)) + ":" + std::to_string(a.integer) + ":" +
            std::to_string(a.number) + ":" + a.text + ";";
  }
  return text + "}";
}

// All that one span says, with its resource, as one line.
inline std::string Show(const core::TraceCopy& trace, const core::SpanCopy& span) {
  std::string text = trace.summary.trace_id.ToHex() + " " + span.span_id.ToHex() + " " + span.parent_id.ToHex() + " " +
                     span.trace_state + " " + span.name + " " + std::to_string(static_cast<int>(span.kind)) + " " +
                     std::to_string(span.start_ns) + "-" + std::to_string(span.end_ns) + " " + Show(span.attributes) +
                     " remote=" + std::to_string(span.parent_is_remote) + " scope=" + span.scope +
                     " resource=" + Show(trace.resources.at(span.resource)) + " service=" + span.service;
  for (const auto& event : span.events) {
    text += " event " + event.name + "@" + std::to_string(event.time_ns) + Show(event.attributes);
  }
  for (const core::LinkView& link : span.links) text += " link " + link.trace_id.ToHex() + "/" + link.span_id.ToHex();
  return text + " status " + std::to_string(static_cast<int>(span.status)) + " " + span.status_message + " dropped " +
         std::to_string(span.dropped_attributes) + "," + std::to_string(span.dropped_events) + "," +
         std::to_string(span.dropped_links);
}

inline std::vector<std::string> Lines(const std::vector<core::TraceCopy>& traces) {
  std::vector<std::string> lines;
  for (const core::TraceCopy& trace : traces) {
    for (const core::SpanCopy& span : trace.spans) lines.push_back(Show(trace, span));
  }
  return lines;
}

}  // namespace spanwatch::ingest::testing

#endif  // SPANWATCH_TESTS_UNIT_INGEST_TRACE_COPY_H_
