// Traces for tests of the analysis: one line a span, times in ms. Header only, tests.
#ifndef SPANWATCH_TESTS_UNIT_CORE_ANALYSIS_BUILDER_H_
#define SPANWATCH_TESTS_UNIT_CORE_ANALYSIS_BUILDER_H_

#include <algorithm>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "sidecar/core/analysis.h"

namespace spanwatch::core::testing {

inline constexpr std::int64_t kMilli = 1'000'000;

struct Tag {
  std::string key;
  std::variant<std::int64_t, double, std::string> value;
};

struct Line {
  std::uint64_t id;
  std::uint64_t parent;  // 0: a root
  std::string name;
  double start_ms;
  double end_ms;
  std::string error = {};  // type; not empty: failed
  std::string service = "bot";
  std::vector<Tag> tags = {};
  SpanKind kind = SpanKind::kInternal;
};

inline std::vector<AttributeCopy> Attributes(const std::vector<Tag>& tags) {
  std::vector<AttributeCopy> list;
  for (const Tag& tag : tags) {
    AttributeCopy attribute{tag.key, AttributeType::kString, 0, 0, ""};
    if (const auto* integer = std::get_if<std::int64_t>(&tag.value)) {
      attribute.type = AttributeType::kInt;
      attribute.integer = *integer;
    } else if (const auto* number = std::get_if<double>(&tag.value)) {
      attribute.type = AttributeType::kDouble;
      attribute.number = *number;
    } else {
      attribute.text = std::get<std::string>(tag.value);
    }
    list.push_back(std::move(attribute));
  }
  return list;
}

// In the order of the lines: the golden traces are written by start.
inline TraceCopy Trace(const std::vector<Line>& lines) {
  TraceCopy trace;
  for (const Line& line : lines) {
    SpanCopy span;
    span.span_id = {line.id};
    span.parent_id = {line.parent};
    span.name = line.name;
    span.service = line.service;
    span.start_ns = static_cast<std::int64_t>(line.start_ms * kMilli);
    span.end_ns = static_cast<std::int64_t>(line.end_ms * kMilli);
    span.kind = line.kind;
    span.attributes = Attributes(line.tags);
    if (!line.error.empty()) {
      span.status = StatusCode::kError;
      span.events.push_back({span.end_ns, "exception", Attributes({{"exception.type", line.error}})});
    }
    trace.spans.push_back(std::move(span));
  }
  return trace;
}

inline TraceAnalysis Analyse(const std::vector<Line>& lines, const AnalysisOptions& options = {}) {
  return core::Analyse(Trace(lines), options);
}

inline std::string NameOf(const TraceCopy& trace, std::uint32_t span) {
  return span == kNoSpan ? "-" : trace.spans[span].name;
}

// "root 0-10, A 10-40, X 40-100 async": the critical path in ms.
inline std::string PathText(const std::vector<Line>& lines) {
  const TraceCopy trace = Trace(lines);
  const TraceAnalysis analysis = core::Analyse(trace, {});
  std::string text;
  for (const PathSegment& segment : analysis.critical_path) {
    text += (text.empty() ? "" : ", ") + NameOf(trace, segment.span) + " " + std::to_string(segment.from_ns / kMilli) +
            "-" + std::to_string(segment.to_ns / kMilli) + (segment.async ? " async" : "");
  }
  return text;
}

// The text of the first insight or recommendation with this code; "" if there is none.
inline std::string TextOf(const std::vector<Insight>& list, std::string_view code) {
  for (const Insight& each : list) {
    if (each.code == code) return each.text;
  }
  return "";
}

inline std::string Say(std::string_view code, const std::vector<Line>& lines, const AnalysisOptions& options = {}) {
  return TextOf(Analyse(lines, options).insights, code);
}
inline std::string Advise(std::string_view code, const std::vector<Line>& lines, const AnalysisOptions& options = {}) {
  return TextOf(Analyse(lines, options).recommendations, code);
}

}  // namespace spanwatch::core::testing

#endif  // SPANWATCH_TESTS_UNIT_CORE_ANALYSIS_BUILDER_H_
