#include "sidecar/http/page.h"

#include <algorithm>
#include <cstdio>
#include <map>

#include "sidecar/http/page_analysis.h"
#include "sidecar/http/page_frame.h"
#include "sidecar/http/span_tree.h"
#include "sidecar/http/text.h"

namespace spanwatch::http {
namespace {

constexpr std::uint32_t kMaxIndent = 40;
constexpr std::size_t kMaxPathMarks = 50;
constexpr std::size_t kMaxKeptAlerts = 5;
constexpr double kMinBarPercent = 0.3;  // a short span is still to be seen

std::string Percent(double value) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.2f%%", value);
  return buffer;
}

// A span with its parts of the critical path.
struct Shown {
  const core::SpanCopy& span;
  const std::vector<const core::PathSegment*>& path;
};

// Percent of the trace, for x and width.
std::string Place(std::int64_t from_ns, std::int64_t to_ns, const core::TraceSummary& trace) {
  const double whole = std::max<double>(1, static_cast<double>(trace.duration_ns));
  const double left =
      std::clamp(static_cast<double>(from_ns - trace.start_ns) / whole * 100, 0.0, 100 - kMinBarPercent);
  const double width = std::clamp(static_cast<double>(to_ns - from_ns) / whole * 100, kMinBarPercent, 100 - left);
  return "x=\"" + Percent(left) + "\" width=\"" + Percent(width) + "\"";
}

// The span's place within the trace. SVG attributes, not styles: the Content-Security-Policy forbids inline ones.
std::string Bar(const Shown& shown, const core::TraceSummary& trace, std::size_t colour) {
  const bool failed = shown.span.status == core::StatusCode::kError;
  std::string svg =
      "<svg class=\"bar\" role=\"img\" aria-hidden=\"true\"><rect class=\"track\" width=\"100%\" height=\"14\" "
      "rx=\"3\"/><rect class=\"" +
      (failed ? std::string("failed") : "c" + std::to_string(colour % 8)) + "\" " +
      Place(shown.span.start_ns, shown.span.end_ns, trace) + " height=\"14\" rx=\"3\"/>";
  for (std::size_t i = 0; i < std::min(shown.path.size(), kMaxPathMarks); ++i) {
    svg += "<rect class=\"path\" " + Place(shown.path[i]->from_ns, shown.path[i]->to_ns, trace) +
           " y=\"16\" height=\"3\"/>";
  }
  return svg + "</svg>";
}

std::string ValueText(const core::SpanCopy::Attribute& attribute) {
  switch (attribute.type) {
    case core::AttributeType::kBool:
      return attribute.integer != 0 ? "true" : "false";
    case core::AttributeType::kInt:
      return std::to_string(attribute.integer);
    case core::AttributeType::kDouble: {
      char buffer[64];
      std::snprintf(buffer, sizeof buffer, "%.12g", attribute.number);
      return buffer;
    }
    case core::AttributeType::kBytes:
      return Base64(attribute.text);
    case core::AttributeType::kString:
    case core::AttributeType::kJson:
      return attribute.text;
    case core::AttributeType::kEmpty:
      break;
  }
  return {};
}

std::string List(const std::vector<core::SpanCopy::Attribute>& attributes) {
  std::string html = "<dl>";
  for (const auto& attribute : attributes) {
    html += "<dt>" + EscapeHtml(attribute.key) + "</dt><dd>" + EscapeHtml(ValueText(attribute)) + "</dd>";
  }
  return html + "</dl>";
}

std::string Details(const core::SpanCopy& span, const core::TraceSummary& trace) {
  std::string html = "<div class=\"more\"><dl><dt>span</dt><dd class=\"mono\">" + span.span_id.ToHex() +
                     "</dd><dt>parent</dt><dd class=\"mono\">";
  html += span.parent_id.IsValid() ? span.parent_id.ToHex() + (span.orphan ? " (not here)" : "") : "none: a root";
  html += "</dd><dt>kind</dt><dd>" + std::string(KindText(span.kind)) + "</dd>";
  if (!span.scope.empty()) html += "<dt>scope</dt><dd>" + EscapeHtml(span.scope) + "</dd>";
  if (!span.status_message.empty())
    html += "<dt>message</dt><dd class=\"error\">" + EscapeHtml(span.status_message) + "</dd>";
  html += "</dl>";
  if (!span.attributes.empty()) html += "<h3>Tags</h3>" + List(span.attributes);
  for (const auto& event : span.events) {
    html += "<h3>" + EscapeHtml(event.name) + " <span class=\"soft\">at +" +
            DurationText(std::max<std::int64_t>(0, event.time_ns - trace.start_ns)) + "</span></h3>" +
            List(event.attributes);
  }
  for (const auto& link : span.links) {
    const std::string id = link.trace_id.ToHex();
    html += "<h3>Link</h3><a class=\"mono\" href=\"" + id + "\">" + id + "</a>";
  }
  if (const auto dropped = span.dropped_attributes + span.dropped_events + span.dropped_links; dropped > 0) {
    html +=
        "<p class=\"soft\">" + std::to_string(dropped) + " tags, logs or links were cut at the sender's limits.</p>";
  }
  return html + "</div>";
}

std::string Row(const Shown& shown, std::uint32_t level, const core::TraceSummary& trace, std::size_t colour) {
  const core::SpanCopy& span = shown.span;
  const bool failed = span.status == core::StatusCode::kError;
  std::string html = failed ? "<details class=\"span bad\" id=\"s-" : "<details class=\"span\" id=\"s-";
  html += span.span_id.ToHex() + "\"><summary>";
  html += "<span class=\"name d" + std::to_string(std::min(level, kMaxIndent)) + "\"><bdi>" + EscapeHtml(span.name) +
          "</bdi> <span class=\"soft\"><bdi>" + EscapeHtml(span.service) + "</bdi></span>";
  if (failed) html += " " + Badge("error", "error");
  if (span.orphan) html += " " + Badge("warning", "parent missing");
  html += "</span>" + Bar(shown, trace, colour);
  html +=
      "<span class=\"n soft\">+" + DurationText(std::max<std::int64_t>(0, span.start_ns - trace.start_ns)) + "</span>";
  html +=
      "<span class=\"n\">" + DurationText(std::max<std::int64_t>(0, span.end_ns - span.start_ns)) + "</span></summary>";
  return html + Details(span, trace) + "</details>\n";
}

const char* ReasonText(std::string_view reason) {
  if (reason == "still_open") return "has not ended yet";
  if (reason == "late") return "has not arrived yet";
  if (reason == "other_host") return "is in a process that does not report here";
  if (reason == "lost") return "was lost: a process of this trace lost spans or died meanwhile";
  return "was never received, and no process told of a loss: sampling, or a client that drops";
}

std::string MissingNote(const core::TraceCopy& trace) {
  std::string html = "<div class=\"note\">" + Plural(trace.summary.orphans, "span") +
                     " without parent here (at the left edge). Of the missing parents:<ul>";
  std::map<std::string_view, std::vector<const core::MissingSpan*>> by_reason;
  for (const core::MissingSpan& missing : trace.missing) by_reason[missing.reason].push_back(&missing);
  for (const auto& [reason, all] : by_reason) {
    html += "<li>" + std::to_string(all.size()) + " " + ReasonText(reason);
    if (reason == "still_open") {
      html += ": ";
      for (std::size_t i = 0; i < std::min<std::size_t>(all.size(), 5); ++i) {
        html += (i > 0 ? ", " : "") + ("<bdi>" + EscapeHtml(all[i]->operation)) + "</bdi> (since " +
                TimeText(all[i]->start_ns) + ")";
      }
    }
    html += "</li>";
  }
  html += "</ul>";
  for (std::size_t i = 0; i < std::min<std::size_t>(trace.losses.size(), 5); ++i) {
    const core::TraceLoss& loss = trace.losses[i];
    html += "<p>Meanwhile process <span class=\"mono\">" + EscapeHtml(loss.process) + "</span> of <bdi>" +
            EscapeHtml(loss.service) + "</bdi> lost " +
            (loss.spans == 0 ? "what it had not sent" : Plural(loss.spans, "span")) + " (" + EscapeHtml(loss.reason) +
            ").</p>";
  }
  return html + "</div>";
}

std::string Heading(const core::TraceCopy& copy) {
  const core::TraceSummary& trace = copy.summary;
  std::string html = "<h1><bdi>" + EscapeHtml(trace.root_operation) + "</bdi> <span class=\"soft\"><bdi>" +
                     EscapeHtml(trace.root_service) + "</bdi></span> ";
  html += trace.error_count > 0 ? Badge("error", "error") : Badge("success", "success");
  if (trace.alerted) html += " " + Badge("warning", "alerted");
  if (!trace.complete) html += " " + Badge("open", "still open");
  const std::string id = trace.trace_id.ToHex();
  html += "</h1><div class=\"soft mono\">" + id + " &middot; <a href=\"../api/v1/traces/" + id +
          "\">JSON</a> &middot; <a href=\"../api/v1/traces/" + id +
          "/analysis\">analysis as JSON</a></div><div class=\"tiles\">";
  html += Tile("started", TimeText(trace.start_ns)) + Tile("duration", DurationText(trace.duration_ns));
  html += Tile("spans", std::to_string(trace.span_count)) + Tile("errors", std::to_string(trace.error_count));
  html +=
      Tile("depth", std::to_string(trace.depth)) + Tile("services", std::to_string(trace.services.size())) + "</div>";
  if (trace.orphans > 0) html += MissingNote(copy);
  if (trace.truncated > 0) {
    html += "<p class=\"note\">" + Plural(trace.truncated, "further span") +
            " not stored: the trace had reached its limits. They count in the metrics.</p>";
  }
  return html;
}

std::string KeptNoteHtml(const KeptNote& kept, const core::TraceCopy& trace) {
  if (!kept.kept) return "";
  std::string html = "<p class=\"note\">The store has forgotten this trace. This copy was kept because ";
  html += kept.alerts.size() > 1 ? "alerts " : "alert ";
  for (std::size_t i = 0; i < std::min(kept.alerts.size(), kMaxKeptAlerts); ++i) {
    html += (i > 0 ? ", <bdi>" : "<bdi>") + EscapeHtml(kept.alerts[i]) + "</bdi>";
  }
  if (kept.alerts.size() > kMaxKeptAlerts) html += " and others";
  html += kept.alerts.size() > 1 ? " refer to it." : " refers to it.";
  if (kept.cut) {
    html += " It was too large to be kept whole: here are the " + Plural(trace.spans.size(), "span") +
            " of its critical path, of " + std::to_string(trace.summary.span_count) + ".";
  }
  return html + "</p>";
}

}  // namespace

std::string TracePage(const core::TraceCopy& trace, const core::TraceAnalysis& analysis, std::string_view nonce,
                      const KeptNote& kept) {
  const core::TraceSummary& summary = trace.summary;
  std::string page = PageHead(summary.root_operation + " - trace - Spanwatch", nonce, "../", 0) + Heading(trace);
  page += KeptNoteHtml(kept, trace);
  std::map<std::string_view, std::size_t> colours;
  for (const auto& service : summary.services) colours.emplace(service.name, colours.size());
  std::vector<std::vector<const core::PathSegment*>> path(trace.spans.size());
  for (const core::PathSegment& segment : analysis.critical_path) {
    if (segment.span < path.size()) path[segment.span].push_back(&segment);
  }
  page += AnalysisPanels(trace, analysis) + "<h2>Spans</h2><div class=\"panel\">";
  std::size_t shown = 0;
  for (const TreeRow& row : OrderAsTree(trace.spans)) {
    if (shown++ == kMaxPageSpans) break;
    const core::SpanCopy& span = trace.spans[row.span];
    page +=
        Row({span, path[row.span]}, row.level, summary, colours.emplace(span.service, colours.size()).first->second);
  }
  page += "</div>";
  if (trace.spans.size() > kMaxPageSpans) {
    page += "<p class=\"note\">The first " + std::to_string(kMaxPageSpans) + " of " +
            std::to_string(trace.spans.size()) + " spans are shown; the JSON has all.</p>";
  }
  return page + PageEnd();
}

std::string MissingTracePage(std::string_view id, const core::StoreView& store, std::string_view nonce) {
  std::string page = PageHead("No such trace - Spanwatch", nonce, "../", 0);
  page += "<h1>This trace is not here</h1><p class=\"mono\">" + EscapeHtml(id.substr(0, 128)) + "</p>";
  TraceId parsed;
  if (!TraceId::FromHex(id, &parsed)) {
    page += "<p>A trace id has 32 hexadecimal digits; this has not. The link may have been cut.</p>";
    return page + PageEnd();
  }
  char memory[32];
  std::snprintf(memory, sizeof memory, "%.0f MB", static_cast<double>(store.memory_limit) / (1 << 20));
  page += "<p>The sidecar keeps traces in memory, within limits: at most " + std::to_string(store.max_traces) +
          " traces, " + DurationText(store.ttl_ns) + " and " + memory +
          ". When one is reached the oldest complete traces go first; slow, failed and alerted ones stay longest. This "
          "trace was "
          "removed so, or came before the sidecar was last started, or its spans never arrived.</p>"
          "<p>To keep more, raise <code>store.max_traces</code>, <code>store.ttl</code> or "
          "<code>store.memory_limit</code> in the configuration.</p>";
  return page + PageEnd();
}

}  // namespace spanwatch::http
