#include "sidecar/discord_preview.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
#include <nlohmann/json.hpp>
#include <optional>

#include "sidecar/core/analysis.h"
#include "sidecar/notify/discord_text.h"

namespace spanwatch::app {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t kFirstId = 1'000'000'000'000'000'000;
constexpr std::int64_t kSecond = 1'000'000'000;
constexpr int kMaxRequestsAtOnce = 10'000;

std::string RelativeText(std::int64_t ns, std::int64_t now_ns) {
  return now_ns >= ns ? notify::FormatLength(now_ns - ns) + " ago" : "in " + notify::FormatLength(ns - now_ns);
}

// "<t:1700000000:F>" at the begin of `text`: what it shows, and its length in *used.
std::optional<std::string> TimeAt(std::string_view text, std::int64_t now_ns, std::size_t* used) {
  const std::size_t end = text.find('>');
  if (!text.starts_with("<t:") || end == std::string_view::npos || end > 20 || end < 6 || text[end - 2] != ':')
    return {};
  std::int64_t seconds = 0;
  const char* const last = text.data() + end - 2;
  const auto parsed = std::from_chars(text.data() + 3, last, seconds);
  if (parsed.ec != std::errc() || parsed.ptr != last) return {};
  *used = end + 1;
  const char style = text[end - 1];
  if (style == 'R') return RelativeText(seconds * kSecond, now_ns);
  const std::string both = UtcText(seconds * kSecond, false);  // "2024-01-01 00:00:10"
  const std::size_t space = both.find(' ');
  if (style == 'd' || style == 'D') return both.substr(0, space);
  if (style == 't' || style == 'T') return both.substr(space + 1) + " UTC";
  return both + " UTC";
}

// "[text](url)" at the begin of `text`: its parts, and its length in *used.
std::optional<std::pair<std::string_view, std::string_view>> LinkAt(std::string_view text, std::size_t* used) {
  std::size_t close = 1;
  while (close < text.size() && text[close] != ']') close += text[close] == '\\' ? 2 : 1;
  if (text.empty() || text[0] != '[' || text.substr(std::min(close, text.size())).substr(0, 6) != "](http") return {};
  const std::size_t end = text.find(')', close);
  if (end == std::string_view::npos) return {};
  *used = end + 1;
  return std::pair(text.substr(1, close - 1), text.substr(close + 2, end - close - 2));
}

bool IsMark(char c) {
  const auto u = static_cast<unsigned char>(c);
  return u > ' ' && u < 0x7f && !std::isalnum(u);
}

std::string Text(const Json& json, const char* key, std::int64_t now_ns) {
  const auto it = json.find(key);
  return it == json.end() || !it->is_string() ? "" : PlainText(it->get_ref<const std::string&>(), now_ns);
}

ShownMessage Read(const std::string& body, std::int64_t now_ns) {
  ShownMessage shown;
  shown.at_ns = now_ns;
  const Json json = Json::parse(body, nullptr, false);
  if (!json.is_object()) return shown;
  shown.content = Text(json, "content", now_ns);
  const auto embeds = json.find("embeds");
  if (embeds == json.end() || !embeds->is_array() || embeds->empty()) return shown;
  const Json& embed = embeds->front();
  shown.has_card = true;
  shown.title = Text(embed, "title", now_ns);
  shown.description = Text(embed, "description", now_ns);
  shown.color = embed.value("color", 0u);
  if (const auto footer = embed.find("footer"); footer != embed.end()) shown.footer = Text(*footer, "text", now_ns);
  if (const auto fields = embed.find("fields"); fields != embed.end() && fields->is_array()) {
    for (const Json& field : *fields)
      shown.fields.emplace_back(Text(field, "name", now_ns), Text(field, "value", now_ns));
  }
  return shown;
}

notify::CriticalPath PathOf(const core::Engine& engine, const core::Incident& incident) {
  if (!incident.worst_trace.IsValid()) return {};
  const auto trace = engine.GetTrace(incident.worst_trace);
  if (!trace) return {};
  return notify::TopOfPath(*trace, core::Analyse(*trace, {}));
}

}  // namespace

std::string UtcText(std::int64_t ns, bool millis) {
  const std::time_t seconds = static_cast<std::time_t>(ns / kSecond);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &parts);
  if (!millis) return text.data();
  std::array<char, 8> fraction{};
  std::snprintf(fraction.data(), fraction.size(), ".%03d", static_cast<int>(ns % kSecond / 1'000'000));
  return std::string(text.data()) + fraction.data();
}

std::string PlainText(std::string_view markup, std::int64_t now_ns) {
  std::string plain;
  for (std::size_t i = 0; i < markup.size();) {
    const std::string_view rest = markup.substr(i);
    std::size_t used = 1;
    if (rest[0] == '\\' && rest.size() > 1 && IsMark(rest[1])) {
      plain += rest[1];
      used = 2;
    } else if (const auto time = TimeAt(rest, now_ns, &used)) {
      plain += *time;
    } else if (const auto link = LinkAt(rest, &used)) {
      plain += PlainText(link->first, now_ns) + " " + std::string(link->second);
    } else if (rest.starts_with("**")) {
      used = 2;
    } else if (rest[0] != '`') {
      plain += rest[0];
    }
    i += used;
  }
  return plain;
}

std::string MessageText(const ShownMessage& message, const std::string& headline, bool color) {
  const auto paint = [&](const std::string& code, const std::string& text) {
    return color ? "\033[" + code + "m" + text + "\033[0m" : text;
  };
  const std::string bar_color = "38;2;" + std::to_string(message.color >> 16 & 255) + ";" +
                                std::to_string(message.color >> 8 & 255) + ";" + std::to_string(message.color & 255);
  const std::string bar = paint(bar_color, "|") + " ";
  std::string text = paint("2", "-- " + headline + " --") + "\n";
  const auto lines = [&](const std::string& begin, const std::string& value) {
    std::size_t at = 0;
    while (at <= value.size()) {
      const std::size_t end = std::min(value.find('\n', at), value.size());
      text += bar + (at == 0 ? begin : std::string(begin.empty() ? 0 : 15, ' ')) + value.substr(at, end - at) + "\n";
      at = end + 1;
    }
  };
  if (!message.content.empty()) text += message.content + "\n";
  if (!message.title.empty()) text += bar + paint("1", message.title) + "\n";
  if (!message.description.empty()) lines("", message.description);
  for (const auto& [name, value] : message.fields) {
    std::string label = name + ":";
    label.resize(std::max<std::size_t>(15, label.size() + 1), ' ');
    lines(paint("2", label), value);
  }
  if (!message.footer.empty()) text += bar + paint("2", message.footer) + "\n";
  return text;
}

DiscordPreview::DiscordPreview(const std::string& external_url, const core::Engine* engine, std::size_t max_messages)
    : max_messages_(max_messages) {
  notify::PlannerOptions options;
  options.receiver.name = "preview";
  options.receiver.kind = core::ReceiverKind::kDiscord;
  options.external_url = external_url;
  options.trace_stored = [engine](const TraceId& id) { return engine->HasTrace(id); };
  options.path_of = [engine](const core::Incident& incident) { return PathOf(*engine, incident); };
  planner_ = notify::MakePlanner(std::move(options));
  planner_->SetTarget(true, true, 0);
}

void DiscordPreview::Add(const core::Transition& transition) {
  RunUntil(transition.at_ns);
  planner_->Add(transition, now_ns_);
  Send();
}

void DiscordPreview::RunUntil(std::int64_t now_ns) {
  if (now_ns <= now_ns_) return;
  if (now_ns_ > 0) {
    for (std::int64_t due = planner_->NextDue(); due < now_ns && due > now_ns_; due = planner_->NextDue()) {
      now_ns_ = due;
      Send();
    }
  }
  now_ns_ = now_ns;
  Send();
}

void DiscordPreview::Send() {
  for (int i = 0; i < kMaxRequestsAtOnce; ++i) {
    const auto request = planner_->Next(now_ns_);
    if (!request) return;
    Take(*request);
  }
}

void DiscordPreview::Take(const notify::Request& request) {
  std::string id = request.message_id;
  if (request.method == notify::Method::kPost) {
    id = std::to_string(kFirstId + posted_++);
    if (messages_.size() < max_messages_) {
      const ShownMessage shown = Read(request.body, now_ns_);
      messages_.push_back({shown, shown, shown, 0});
    }
  } else if (request.method == notify::Method::kPatch) {
    std::uint64_t number = 0;
    std::from_chars(id.data(), id.data() + id.size(), number);
    if (number >= kFirstId && number - kFirstId < messages_.size()) {
      PreviewMessage& message = messages_[number - kFirstId];
      message.last = Read(request.body, now_ns_);
      if (message.last.has_card) message.card = message.last;
      ++message.edits;
    }
  }
  notify::Reply reply;
  reply.status = 200;
  reply.body = Json({{"id", id}, {"channel_id", "2222222222222222222"}, {"guild_id", "3333333333333333333"}}).dump();
  planner_->OnReply(reply, now_ns_, now_ns_);
}

}  // namespace spanwatch::app
