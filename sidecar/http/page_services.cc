#include "sidecar/http/page_services.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <string_view>
#include <vector>

#include "sidecar/http/page_frame.h"
#include "sidecar/http/text.h"

namespace spanwatch::http {
namespace {

constexpr std::size_t kMaxServices = 30;
constexpr std::size_t kMaxOperations = 8;
constexpr std::size_t kMaxErrors = 8;
constexpr std::size_t kFiveMinutes = 1;  // index into WindowFigures

std::string Fixed(double value, const char* format) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, format, value);
  return buffer;
}

std::string Name(std::string_view text) { return "<bdi>" + EscapeHtml(text) + "</bdi>"; }
std::string Number(const std::string& text) { return "<td class=\"n\">" + text + "</td>"; }
std::string Duration(double ns) { return DurationText(static_cast<std::int64_t>(ns)); }

// Bars of equal width, the highest as high as the picture. Oldest first.
std::string Bars(const std::vector<double>& values, const char* css) {
  const double most = values.empty() ? 0 : *std::max_element(values.begin(), values.end());
  std::string svg = "<svg class=\"spark " + std::string(css) + "\" viewBox=\"0 0 " + std::to_string(values.size()) +
                    " 20\" preserveAspectRatio=\"none\" role=\"img\" aria-hidden=\"true\">";
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (most <= 0 || values[i] <= 0) continue;
    const double height = std::max(1.0, values[i] / most * 20);
    svg += "<rect x=\"" + std::to_string(i) + "\" width=\"0.8\" y=\"" + Fixed(20 - height, "%.1f") + "\" height=\"" +
           Fixed(height, "%.1f") + "\"/>";
  }
  return svg + "</svg>";
}

// Calls by minute of the last hour; minutes before the first span are empty.
std::string Throughput(const std::vector<core::RecentMinute>& recent) {
  std::vector<double> values(60, 0);
  for (std::size_t i = 0; i < std::min<std::size_t>(recent.size(), values.size()); ++i) {
    values[values.size() - 1 - i] = recent[i].calls;
  }
  return Bars(values, "");
}

std::string TrendBadges(const core::Trends& trends) {
  std::string html;
  for (const auto& [trend, what] : {std::pair{trends.error_rate, "errors"}, std::pair{trends.response_time, "times"}}) {
    if (trend == core::Trend::kStable) continue;
    html += " " + Badge(trend == core::Trend::kDegrading ? "warning" : "success",
                        std::string(what) + " " + core::ToString(trend));
  }
  return html;
}

std::string ServiceRow(const core::ServiceHealth& service, const core::ServiceOverview* figures) {
  const std::string status = core::ToString(service.status);
  std::string html = "<tr><td class=\"s\">" + Badge(status, status) + "</td><td class=\"x\">" + Name(service.service);
  if (figures != nullptr) html += TrendBadges(figures->trends);
  for (const std::string& issue : service.issues) html += "<div class=\"soft\">" + Name(issue) + "</div>";
  html += "</td>";
  if (figures == nullptr) return html + "<td></td><td></td><td></td><td></td><td></td></tr>\n";
  const core::WindowFigures& now = figures->windows[kFiveMinutes];
  return html + "<td>" + Throughput(figures->recent) + "</td>" + Number(Fixed(now.rate, "%.1f /s")) +
         Number(Fixed(now.error_rate * 100, "%.1f %%")) + Number(Duration(now.avg_ns)) + Number(Duration(now.p95_ns)) +
         "</tr>\n";
}

}  // namespace

std::string ServicesPanel(const core::HealthView& health, const core::OverviewView& overview) {
  if (health.services.empty()) return {};
  std::map<std::string_view, const core::ServiceOverview*> figures;
  for (const core::ServiceOverview& each : overview.services) figures.emplace(each.service, &each);
  std::string html =
      "<h2>Services</h2><div class=\"panel\"><table><tr><th></th><th>service</th><th>spans, last hour</th><th "
      "class=\"n\">rate, 5 min</th><th class=\"n\">errors</th><th class=\"n\">average</th><th "
      "class=\"n\">p95</th></tr>";
  for (std::size_t i = 0; i < std::min(health.services.size(), kMaxServices); ++i) {
    const auto found = figures.find(health.services[i].service);
    html += ServiceRow(health.services[i], found == figures.end() ? nullptr : found->second);
  }
  html += "</table></div>";
  if (health.services.size() > kMaxServices) {
    html += "<p class=\"soft\">And " + std::to_string(health.services.size() - kMaxServices) +
            " more in <a href=\"api/v1/services\">services</a>.</p>";
  }
  return html;
}

std::string OperationsPanel(const core::OverviewView& overview) {
  const auto slowest = core::RankOperations(overview, core::OverviewRank::kSlowest, {}, kMaxOperations);
  if (slowest.empty()) return {};
  std::string html =
      "<h2>Slowest operations</h2><div class=\"panel\"><table><tr><th>operation</th><th>service</th><th "
      "class=\"n\">calls, 60 min</th><th class=\"n\">errors</th><th class=\"n\">p50</th><th class=\"n\">p95</th><th "
      "class=\"n\">p99</th></tr>";
  for (const core::OperationOverview* each : slowest) {
    const core::WindowFigures& hour = each->windows.back();
    html += "<tr><td class=\"x\">" + Name(each->operation) + TrendBadges(each->trends) + "</td><td class=\"x\">" +
            Name(each->service) + "</td>" + Number(Fixed(hour.calls, "%.0f")) +
            Number(Fixed(hour.error_rate * 100, "%.1f %%")) + Number(Duration(hour.p50_ns)) +
            Number(Duration(hour.p95_ns)) + Number(Duration(hour.p99_ns)) + "</tr>\n";
  }
  return html + "</table></div>";
}

std::string ErrorsPanel(const core::ErrorsView& errors) {
  std::vector<const core::ErrorGroupView*> groups;
  for (const core::ErrorGroupView& each : errors.groups) {
    if (each.root_causes > 0 || each.judged == 0) groups.push_back(&each);  // others only passed on what failed below
  }
  if (groups.empty()) return {};
  std::string html =
      "<h2>Errors</h2><div class=\"panel\"><table><tr><th>error</th><th>where</th><th>last hour</th><th "
      "class=\"n\">count</th><th></th><th>last seen</th><th>trace</th></tr>";
  for (std::size_t i = 0; i < std::min(groups.size(), kMaxErrors); ++i) {
    const core::ErrorGroupView& group = *groups[i];
    html += "<tr><td class=\"x\">" + (group.type.empty() ? std::string() : "<b>" + Name(group.type) + "</b> ") +
            Name(group.message) + "</td><td class=\"x\">" + Name(group.operation) + " <span class=\"soft\">" +
            Name(group.service) + "</span></td><td>" + Bars({group.per_minute.begin(), group.per_minute.end()}, "bad") +
            "</td>" + Number(Fixed(group.count, "%.0f")) + "<td>";
    if (group.trend != core::ErrorTrend::kStable) {
      html += Badge(group.trend == core::ErrorTrend::kFalling ? "success" : "warning", core::ToString(group.trend));
    }
    html += "</td><td class=\"k\">" + TimeText(group.last_seen_ns) + "</td><td class=\"k mono\">";
    if (!group.traces.empty()) {
      const std::string id = group.traces.front().ToHex();
      html += "<a href=\"trace/" + id + "\">" + id.substr(0, 8) + "</a>";
    }
    html += "</td></tr>\n";
  }
  html += "</table></div>";
  return html + "<p class=\"soft\">Where they began. " + Plural(errors.groups.size(), "group") +
         ", with those that only passed them on: <a href=\"api/v1/errors\">errors</a>.</p>";
}

}  // namespace spanwatch::http
