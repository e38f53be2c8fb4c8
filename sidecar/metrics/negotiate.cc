#include "sidecar/metrics/negotiate.h"

#include <algorithm>
#include <charconv>

namespace spanwatch::metrics {
namespace {

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return Lower(x) == Lower(y); });
}

std::string_view Trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// Cuts the part before `separator` off `*rest`.
std::string_view Next(std::string_view* rest, char separator) {
  const auto at = rest->find(separator);
  const std::string_view part = rest->substr(0, at);
  *rest = at == std::string_view::npos ? std::string_view() : rest->substr(at + 1);
  return Trim(part);
}

struct MediaRange {
  std::string_view type;
  std::string_view version;
  bool escaping = false;
  double q = 1;
};

MediaRange ParseRange(std::string_view text) {
  MediaRange range;
  range.type = Next(&text, ';');
  while (!text.empty()) {
    std::string_view value = Next(&text, ';');
    const std::string_view name = Next(&value, '=');
    value = Trim(value);
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
    if (EqualsIgnoringCase(name, "version")) {
      range.version = value;
    } else if (EqualsIgnoringCase(name, "escaping")) {
      range.escaping = true;
    } else if (EqualsIgnoringCase(name, "q")) {
      double q = 0;
      const auto result = std::from_chars(value.data(), value.data() + value.size(), q);
      range.q = result.ec == std::errc() && q >= 0 && q <= 1 ? q : 0;
    }
  }
  return range;
}

}  // namespace

Negotiated Negotiate(std::string_view accept) {
  double text_q = 0, open_metrics_q = 0;
  bool escaping = false;
  while (!accept.empty()) {
    const MediaRange range = ParseRange(Next(&accept, ','));
    if (EqualsIgnoringCase(range.type, "text/plain") && (range.version.empty() || range.version == "0.0.4")) {
      text_q = std::max(text_q, range.q);
    } else if (EqualsIgnoringCase(range.type, "application/openmetrics-text") &&
               (range.version.empty() || range.version == "1.0.0") && range.q > open_metrics_q) {
      open_metrics_q = range.q;
      escaping = range.escaping;
    }
  }
  if (open_metrics_q > 0 && open_metrics_q >= text_q) {
    // All our names are legal in the old alphabet, whatever the scraper offers to unescape.
    return {Format::kOpenMetrics, std::string("application/openmetrics-text; version=1.0.0; charset=utf-8") +
                                      (escaping ? "; escaping=underscores" : "")};
  }
  return {Format::kText, "text/plain; version=0.0.4; charset=utf-8"};
}

}  // namespace spanwatch::metrics
