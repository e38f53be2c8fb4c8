#include "sidecar/http/page_analysis.h"

#include <algorithm>
#include <cstdio>

#include "sidecar/http/page_frame.h"
#include "sidecar/http/text.h"

namespace spanwatch::http {
namespace {

constexpr std::size_t kMaxBottlenecks = 6;
constexpr double kMinShare = 0.005;  // less is not worth a line

std::string Percent(double share, const char* format) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, format, std::clamp(share, 0.0, 1.0) * 100);
  return buffer;
}

// The text, as a link to the span that it is about.
std::string Linked(const core::TraceCopy& trace, std::uint32_t span, std::string_view text) {
  const std::string escaped = "<bdi>" + EscapeHtml(text) + "</bdi>";
  if (span >= trace.spans.size()) return escaped;
  return "<a href=\"#s-" + trace.spans[span].span_id.ToHex() + "\">" + escaped + "</a>";
}

std::string ShareBar(double share) {
  return "<svg class=\"bar\" role=\"img\" aria-hidden=\"true\"><rect class=\"track\" width=\"100%\" height=\"14\" "
         "rx=\"3\"/><rect class=\"c0\" width=\"" +
         Percent(share, "%.2f%%") + "\" height=\"14\" rx=\"3\"/></svg>";
}

std::string WhereTheTimeWent(const core::TraceCopy& trace, const core::TraceAnalysis& analysis) {
  std::string rows;
  std::size_t shown = 0;
  for (const core::Bottleneck& each : analysis.bottlenecks) {
    if (shown == kMaxBottlenecks || each.share < kMinShare) break;
    ++shown;
    rows += "<tr><td class=\"w\">" + Linked(trace, each.worst, each.operation) + " <span class=\"soft\"><bdi>" +
            EscapeHtml(each.service) + "</bdi></span>" +
            (each.async_ns > 0 ? " " + Badge("open", "partly not waited for") : "") + "</td><td class=\"b\">" +
            ShareBar(each.share) + "</td><td class=\"n\">" + Percent(each.share, "%.1f %%") + "</td><td class=\"n\">" +
            DurationText(each.critical_ns) + "</td></tr>\n";
  }
  if (rows.empty()) return {};
  return "<h2>Where the time went</h2><p class=\"soft\">The critical path: what the end of the trace waited for. "
         "Marked "
         "below by a line under the bars.</p><div class=\"panel path\"><table>" +
         rows + "</table></div>";
}

std::string Sentences(const char* title, const core::TraceCopy& trace, const std::vector<core::Insight>& all) {
  if (all.empty()) return {};
  std::string html = "<h2>" + std::string(title) + "</h2><div class=\"panel\"><table>";
  for (const core::Insight& each : all) {
    const std::string severity = core::ToString(each.severity);
    html += "<tr><td class=\"s\">" + Badge(severity == "info" ? "open" : severity, severity) + "</td><td>" +
            Linked(trace, each.span, each.text) + "</td></tr>\n";
  }
  return html + "</table></div>";
}

}  // namespace

std::string AnalysisPanels(const core::TraceCopy& trace, const core::TraceAnalysis& analysis) {
  return Sentences("What stands out", trace, analysis.insights) +
         Sentences("What to do", trace, analysis.recommendations) + WhereTheTimeWent(trace, analysis);
}

}  // namespace spanwatch::http
