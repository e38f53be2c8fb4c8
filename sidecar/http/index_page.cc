// IndexPage() of page.h.
#include <cstdio>

#include "sidecar/http/page.h"
#include "sidecar/http/page_frame.h"
#include "sidecar/http/page_services.h"
#include "sidecar/http/text.h"

namespace spanwatch::http {
namespace {

constexpr int kRefreshSeconds = 10;

std::string Fixed(double value, const char* format) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, format, value);
  return buffer;
}

std::string Tiles(const core::StatsView& stats) {
  const core::StoreView& store = stats.store;
  const double per_trace = store.traces > 0 ? static_cast<double>(store.spans) / static_cast<double>(store.traces) : 0;
  std::uint64_t alive = 0;
  for (const auto& process : stats.processes) alive += process.state == "alive" ? 1 : 0;
  std::string html = "<div class=\"tiles\">";
  html += Tile("traces stored", std::to_string(store.traces)) + Tile("spans per trace", Fixed(per_trace, "%.1f"));
  html += Tile("memory", Fixed(static_cast<double>(store.bytes) / (1 << 20), "%.1f MB"));
  html += Tile("spans taken in", std::to_string(stats.spans_applied)) + Tile("processes alive", std::to_string(alive));
  html += Tile("alerts firing", std::to_string(stats.alerts_firing));
  return html + "</div>";
}

std::string Notices(const std::vector<std::string>& notices) {
  if (notices.empty()) return {};
  std::string html = "<div class=\"note\"><b>Not as it should be</b> (<a href=\"api/v1/status\">status</a>)<ul>";
  for (const std::string& notice : notices) html += "<li>" + EscapeHtml(notice) + "</li>";
  return html + "</ul></div>";
}

std::string Losses(const core::StatsView& stats) {
  std::string reasons;
  const auto add = [&](const std::vector<core::ReasonCount>& counts, const char* what) {
    for (const auto& count : counts) {
      if (count.count == 0) continue;
      reasons += reasons.empty() ? "" : ", ";
      reasons += Plural(count.count, what) + " (" + EscapeHtml(count.name) + ")";
    }
  };
  add(stats.lost, "lost span");
  add(stats.rejected_spans, "refused span");
  add(stats.malformed_messages, "unusable message");
  if (reasons.empty()) return {};
  return "<p class=\"note\">The numbers are not complete: " + reasons + ".</p>";
}

// Why nobody is told, and where it is explained.
std::string Delivery(const core::Incident& incident, const MutedAlerts& muted) {
  if (incident.state == core::AlertState::kPending) return {};
  std::string html;
  if (const auto it = muted.find(incident.id); it != muted.end()) {
    if (!it->second.silences.empty()) html += Badge("open", "silenced") + " ";
    if (!it->second.inhibitors.empty()) html += Badge("open", "inhibited") + " ";
  }
  return html + "<a href=\"api/v1/alerts/" + EscapeHtml(incident.fingerprint) + "/why\">why</a>";
}

std::string Alerts(const std::vector<core::Incident>& incidents, const MutedAlerts& muted) {
  if (incidents.empty())
    return "<h2>Alerts</h2><p class=\"soft\">Nothing is pending or firing, and nothing was in the last 15 minutes.</p>";
  std::string html =
      "<h2>Alerts</h2><div class=\"panel\"><table><tr><th>state</th><th>alert</th><th>where</th><th "
      "class=\"n\">worst</th>"
      "<th class=\"n\">threshold</th><th>since</th><th class=\"n\">count</th><th>slowest trace</th><th>told</th></tr>";
  for (const auto& incident : incidents) {
    const std::string severity = core::ToString(incident.peak_severity);
    const bool firing = incident.state == core::AlertState::kFiring;
    html += "<tr><td class=\"s\">" +
            Badge(firing ? severity : core::ToString(incident.state), core::ToString(incident.state)) + " " +
            (severity == "none" ? "" : Badge(severity, severity)) + "</td><td class=\"k\">" +
            EscapeHtml(incident.alertname) + "</td><td class=\"x\">";
    for (const auto& label : incident.labels) {
      html += EscapeHtml(label.name) + "=<bdi>" + EscapeHtml(label.value) + "</bdi> ";
    }
    html += "</td><td class=\"n\">" + EscapeHtml(core::FormatValue(incident.worst_value, incident.unit)) +
            "</td><td class=\"n\">" +
            (severity == "none" ? "" : EscapeHtml(core::FormatValue(incident.threshold, incident.unit))) +
            "</td><td class=\"k\">" + TimeText(incident.active_at_ns) + "</td><td class=\"n\">" +
            std::to_string(incident.count) + "</td><td class=\"k mono\">";
    if (incident.worst_trace.IsValid()) {
      const std::string id = incident.worst_trace.ToHex();
      html += "<a href=\"trace/" + id + "\">" + id.substr(0, 8) + "</a>";
    }
    html += "</td><td class=\"k\">" + Delivery(incident, muted) + "</td></tr>\n";
  }
  return html + "</table></div>";
}

std::string NoTraces(const core::StatsView& stats) {
  if (stats.spans_applied > 0) {
    return "<p class=\"soft\">No trace is stored now: none came in the last " + DurationText(stats.store.ttl_ns) +
           " (<code>store.ttl</code>), or they were removed by a limit.</p>";
  }
  return "<p class=\"note\">No spans have arrived yet. A program that links the Spanwatch SDK finds the sidecar by "
         "itself if both run as one user; <code>TRACING_ENDPOINT</code> names another address and "
         "<code>TRACING_ENABLED</code> must not be false. <code>spanwatch doctor</code> says what is wrong.</p>";
}

std::string Traces(const IndexData& data) {
  const std::vector<core::TraceSummary>& traces = data.traces;
  if (traces.empty()) return "<h2>Recent traces</h2>" + NoTraces(data.stats);
  std::string html =
      "<h2>Recent traces</h2><div class=\"panel\"><table><tr><th>started</th><th>root</th><th>service</th><th "
      "class=\"n\">duration</th>"
      "<th class=\"n\">spans</th><th class=\"n\">depth</th><th>status</th></tr>";
  for (const auto& trace : traces) {
    html += "<tr><td class=\"k\">" + TimeText(trace.start_ns) + "</td><td class=\"x\"><a href=\"trace/" +
            trace.trace_id.ToHex() + "\"><bdi>" +
            EscapeHtml(trace.root_operation.empty() ? "(no name)" : trace.root_operation) +
            "</bdi></a></td><td class=\"x\"><bdi>" + EscapeHtml(trace.root_service) + "</bdi></td><td class=\"n\">" +
            DurationText(trace.duration_ns) + "</td><td class=\"n\">" + std::to_string(trace.span_count) +
            "</td><td class=\"n\">" + std::to_string(trace.depth) + "</td><td>";
    html += trace.error_count > 0 ? Badge("error", Plural(trace.error_count, "error")) : Badge("success", "success");
    if (trace.alerted) html += " " + Badge("warning", "alerted");
    if (!trace.complete) html += " " + Badge("open", "open");
    html += "</td></tr>\n";
  }
  return html + "</table></div>";
}

std::string Processes(const std::vector<core::ProcessView>& processes) {
  if (processes.empty()) return {};
  std::string html =
      "<h2>Traced processes</h2><div class=\"panel\"><table><tr><th>process</th><th>service</th><th>state</th><th "
      "class=\"n\">emitted</th>"
      "<th class=\"n\">applied</th><th class=\"n\">sampled out</th><th class=\"n\">lost</th><th "
      "class=\"n\">memory</th></tr>";
  for (const auto& process : processes) {
    std::uint64_t lost = 0;
    for (const auto& reason : process.lost) lost += reason.count;
    html += "<tr><td class=\"k mono\">" + EscapeHtml(process.id) + "</td><td class=\"x\"><bdi>" +
            EscapeHtml(process.service) + "</bdi></td><td>" + Badge(process.state, process.state) +
            (process.tail_unknown ? " " + Badge("warning", "tail unknown") : "") + "</td><td class=\"n\">" +
            std::to_string(process.emitted) + "</td><td class=\"n\">" + std::to_string(process.applied) +
            "</td><td class=\"n\">" + std::to_string(process.sampled_out) + "</td><td class=\"n\">" +
            std::to_string(lost) + "</td><td class=\"n\">" +
            Fixed(static_cast<double>(process.rss_bytes) / (1 << 20), "%.1f MB") + "</td></tr>\n";
  }
  return html + "</table></div>";
}

}  // namespace

std::string IndexPage(const IndexData& data, std::string_view nonce) {
  return PageHead("Spanwatch", nonce, "./", kRefreshSeconds) + "<h1>What is slow, failing or stuck</h1>" +
         Tiles(data.stats) + Notices(data.notices) + Losses(data.stats) + Alerts(data.incidents, data.muted) +
         ServicesPanel(data.health, data.overview) + ErrorsPanel(data.errors) + OperationsPanel(data.overview) +
         Traces(data) + Processes(data.stats.processes) + PageEnd();
}

}  // namespace spanwatch::http
