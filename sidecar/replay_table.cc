#include "sidecar/replay_table.h"

#include <algorithm>
#include <array>
#include <map>

#include "sidecar/notify/discord_text.h"

namespace spanwatch::app {
namespace {

constexpr std::size_t kColumns = 8;
constexpr std::size_t kMaxCellBytes = 72;
using Cells = std::array<std::string, kColumns>;

std::string Cell(const std::string& text) { return notify::CleanText(text, kMaxCellBytes); }

const std::string* Find(const core::Incident& incident, const char* name) {
  for (const core::NameValue& label : incident.labels) {
    if (label.name == name) return &label.value;
  }
  return nullptr;
}

// "GeminiService.generate in gemini, team=bots".
std::string Where(const core::Incident& incident) {
  const std::string* operation = Find(incident, "operation");
  const std::string* service = Find(incident, "service");
  std::string text = operation == nullptr ? "" : *operation;
  if (service != nullptr) text += (text.empty() ? "" : " in ") + *service;
  for (const core::NameValue& label : incident.labels) {
    if (label.name == "operation" || label.name == "service") continue;
    text += (text.empty() ? "" : ", ") + label.name + "=" + label.value;
  }
  return text;
}

std::size_t Width(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string Line(const Cells& cells, const std::array<std::size_t, kColumns>& widths) {
  std::string line;
  for (std::size_t i = 0; i < kColumns; ++i) {
    line += cells[i];
    if (i + 1 < kColumns) line.append(widths[i] - Width(cells[i]) + 2, ' ');
  }
  return line;
}

std::string Plural(std::uint64_t count, const char* what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

}  // namespace

void ReplayTable::Add(const core::Transition& transition) {
  preview_.Add(transition);
  const core::Incident& incident = transition.incident;
  const auto [it, is_new] = index_.try_emplace(incident.id, rows_.size());
  if (!is_new) {
    rows_[it->second].incident = incident;
    return;
  }
  if (rows_.size() >= kMaxReplayRows) {
    index_.erase(it);
    if (transition.kind == core::TransitionKind::kFiring) ++rows_left_out_;
    return;
  }
  rows_.push_back({incident, transition.kind != core::TransitionKind::kFiring});
}

std::string ReplayTable::Rows(std::int64_t last_ns, bool color) const {
  std::vector<Cells> lines = {{"FIRED AT (UTC)", "SEVERITY", "ALERT", "WHERE", "WORST", "LIMIT", "LASTED", "COUNT"}};
  std::vector<core::Severity> severities = {core::Severity::kNone};
  for (const Row& row : rows_) {
    const core::Incident& incident = row.incident;
    const bool over = incident.state == core::AlertState::kResolved;
    const std::int64_t end_ns = over ? incident.resolved_at_ns : last_ns;
    const std::string length = notify::FormatLength(end_ns - incident.fired_at_ns);
    const bool is_health = incident.unit == core::Unit::kHealth;
    const char* const sign = incident.direction == core::Direction::kAbove ? "> " : "< ";
    lines.push_back({UtcText(incident.fired_at_ns, false) + (row.began_before ? " (before)" : ""),
                     core::ToString(incident.peak_severity), Cell(incident.alertname), Cell(Where(incident)),
                     core::FormatValue(incident.worst_value, incident.unit),
                     is_health ? "" : sign + core::FormatValue(incident.threshold, incident.unit),
                     over ? length : length + ", still fires", std::to_string(incident.count)});
    severities.push_back(incident.peak_severity);
  }
  std::array<std::size_t, kColumns> widths{};
  for (const Cells& cells : lines) {
    for (std::size_t i = 0; i < kColumns; ++i) widths[i] = std::max(widths[i], Width(cells[i]));
  }
  std::string text;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string line = Line(lines[i], widths);
    const char* const code = i == 0 ? "1" : severities[i] == core::Severity::kCritical ? "31" : "33";
    text += color ? std::string("\033[") + code + "m" + line + "\033[0m\n" : line + "\n";
  }
  if (rows_left_out_ > 0) text += "and " + std::to_string(rows_left_out_) + " more\n";
  return text;
}

std::string ReplayTable::Messages(bool color) const {
  std::string text;
  for (const PreviewMessage& message : preview_.messages()) {
    std::string headline = "posted " + UtcText(message.posted.at_ns, false) + " UTC";
    if (message.edits > 0) {
      headline += ", edited " + std::to_string(message.edits) + (message.edits == 1 ? " time" : " times") +
                  ", this is as of " + UtcText(message.card.at_ns, false);
    }
    text += "\n" + MessageText(message.card, headline, color);
    if (!message.last.has_card) text += "later cut to: " + message.last.content + "\n";
  }
  return text;
}

std::string ReplayTable::Text(const Replayed& replayed, const core::Engine& engine, bool color) {
  preview_.RunUntil(replayed.last_ns + 60'000'000'000);
  std::map<std::string, std::uint64_t> alerts;
  for (const auto& rule : engine.Rules()->rules) alerts[rule.alert] = 0;
  for (const Row& row : rows_) ++alerts[row.incident.alertname];
  std::string fired, quiet;
  for (const auto& [name, count] : alerts) {
    std::string& list = count > 0 ? fired : quiet;
    list += (list.empty() ? "" : ", ") + Cell(name) + (count > 0 ? " " + std::to_string(count) : "");
  }
  std::string text = rows_.empty() ? "" : Rows(replayed.last_ns, color) + "\n";
  text +=
      Plural(rows_.size() + rows_left_out_, "alert") + " would have fired" + (fired.empty() ? "" : ": " + fired) + "\n";
  if (!quiet.empty()) text += "nothing of: " + quiet + "\n";
  text += "reaches back " + notify::FormatLength(replayed.last_ns - replayed.first_ns) + ", from " +
          UtcText(replayed.first_ns, false) + " to " + UtcText(replayed.last_ns, false) + " UTC (" + replayed.source +
          ", " + Plural(replayed.records, "record") + ", " + Plural(engine.Stats().spans_applied, "span") + ")\n";
  text += Messages(color);
  const std::uint64_t hidden = preview_.posted() - preview_.messages().size();
  if (hidden > 0 && !preview_.messages().empty()) {
    text += "\nand " + Plural(hidden, "message") + " more (--messages N shows more)\n";
  } else if (hidden > 0) {
    text += Plural(hidden, "message") + " would have been posted (--messages N shows them)\n";
  }
  return text;
}

}  // namespace spanwatch::app
