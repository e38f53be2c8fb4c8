// Discord messages as files, for a validator and for pictures: spanwatch-e2e-cards DIRECTORY COUNT SEED.
// Writes DIRECTORY/NAME.json for each message that a user knows (warning, critical, resolved, fold, ...), and COUNT
// nasty-N.json of what the property tests make.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "sidecar/notify/discord_card.h"
#include "tests/unit/notify/incidents.h"
#include "tests/unit/notify/nasty.h"

namespace spanwatch::notify {
namespace {

using core::Incident;
using core::Severity;

const char* const kEarlier = "https://discord.com/channels/1134567890123456789/1134567890123456790/1134567890123456791";

CardContext Context() {
  CardContext context;
  context.external_url = "https://traces.example.org";
  context.path.top = {{"GeminiService.callModel", "gemini", 6'480'000'000, 0.9, 1},
                      {"ContextManager.buildContext", "discord-bot", 610'000'000, 0.08, 2}};
  context.path.more = 3;
  context.path.more_share = 0.02;
  return context;
}

Incident Slow(Severity severity) {
  Incident incident = MakeIncident("a", severity);
  const bool critical = severity == Severity::kCritical;
  incident.labels = {{"service", "discord-bot"}, {"operation", "GeminiService.generateResponse"}};
  incident.annotations = {{"summary", critical ? "GeminiService.generateResponse took 7.2 s, more than 5 s"
                                               : "GeminiService.generateResponse took 2.3 s, more than 1 s"}};
  incident.value = incident.worst_trace_duration_ns = critical ? 7.2e9 : 2.3e9;
  incident.worst_value = incident.value;
  incident.count = critical ? 9 : 1;
  incident.last_match_ns = kEpoch + 252 * kSec;
  incident.last_error = critical ? "TimeoutError: model did not answer in 7000 ms" : "";
  return incident;
}

Incident Ill() {
  Incident incident = MakeIncident("h", Severity::kCritical);
  incident.alertname = "CriticalServiceHealth";
  incident.labels = {{"service", "discord-bot"}};
  incident.annotations = {
      {"summary", "discord-bot is critical: 34 % of its spans fail, more than 20 %; 12 % are slower than 5 s"}};
  incident.measure = "service.health";
  incident.unit = core::Unit::kHealth;
  incident.value = incident.worst_value = incident.threshold = 2;
  incident.count = 0;
  incident.window_ns = 300 * kSec;
  incident.last_error = "RateLimitError: quota exceeded for gemini-2.0-flash";
  return incident;
}

std::string FoldOf(std::size_t count, const CardContext& context) {
  static const char* const kOperations[] = {"GeminiService.callModel", "ContextManager.buildContext", "messageCreate",
                                            "CommandHandler.execute"};
  std::vector<Incident> incidents;
  for (std::size_t i = 0; i < count; ++i) {
    incidents.push_back(Slow(i % 9 == 1 ? Severity::kCritical : Severity::kWarning));
    incidents.back().labels[1].value = kOperations[i % 4] + std::string(".shard") + std::to_string(i);
    incidents.back().worst_value = (i % 9 == 1 ? 5.5e9 : 1.1e9) + static_cast<double>(i) * 3e7;
  }
  Fold fold{{{"alertname", "SlowOperation"}, {"service", "discord-bot"}}, {}};
  for (const Incident& incident : incidents) fold.members.push_back(&incident);
  return RenderFold(fold, context);
}

void Write(const std::string& directory, const std::string& name, const std::string& body) {
  std::ofstream(directory + "/" + name + ".json", std::ios::binary) << body;
}

void WriteKnown(const std::string& directory) {
  CardContext context = Context();
  Write(directory, "warning", RenderCard(Slow(Severity::kWarning), context));
  context.reason = Reason::kEscalated;
  context.earlier_link = kEarlier;
  context.mention_role = "1134567890123456792";
  Write(directory, "critical", RenderCard(Slow(Severity::kCritical), context));
  context.mention_role.clear();
  Incident over = MakeTransition(Slow(Severity::kCritical), core::TransitionKind::kResolved).incident;
  over.resolved_at_ns = over.last_match_ns + 300 * kSec;
  Write(directory, "resolved", RenderCard(over, context));
  Write(directory, "cut", RenderCut(Reason::kEscalated, kEarlier));
  context.quiet = "silenced by ada until 2023-11-14 23:30 UTC: deploy of the new model";
  Write(directory, "quiet", RenderCard(Slow(Severity::kCritical), context));
  context = Context();
  context.unwatched = true;
  Write(directory, "unwatched", RenderCard(over, context));
  context = Context();
  context.path = {};
  Write(directory, "health", RenderCard(Ill(), context));
  Write(directory, "fold", FoldOf(37, context));
  Write(directory, "fallback", RenderFallback(Slow(Severity::kCritical), 3, false, "1134567890123456792"));
}

void WriteNasty(const std::string& directory, int count, std::uint64_t seed) {
  Nasty nasty(seed);
  for (int i = 0; i < count; ++i) {
    CardContext context = Context();
    context.external_url = nasty.Next() % 2 == 0 ? "http://localhost:9464" : "https://x/" + nasty.Text();
    context.reason = static_cast<Reason>(nasty.Next() % 4);
    context.quiet = nasty.Text();
    context.earlier_link = nasty.Next() % 2 == 0 ? kEarlier : "";
    context.mention_role = nasty.Next() % 3 == 0 ? "18446744073709551615" : "";
    std::vector<Incident> incidents;
    for (std::uint64_t n = 1 + nasty.Next() % 20; n > 0; --n) incidents.push_back(nasty.Incident());
    Fold fold{{{"alertname", nasty.Text()}, {nasty.Text(), nasty.Text()}}, {}};
    for (const Incident& incident : incidents) fold.members.push_back(&incident);
    const std::string name = "nasty-" + std::to_string(i);
    Write(directory, name,
          i % 5 == 0   ? RenderFold(fold, context)
          : i % 7 == 0 ? RenderFallback(incidents[0], 9, i % 2 == 0)
                       : RenderCard(incidents[0], context));
  }
}

}  // namespace
}  // namespace spanwatch::notify

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "spanwatch-e2e-cards DIRECTORY COUNT SEED\n");
    return 2;
  }
  spanwatch::notify::WriteKnown(argv[1]);
  spanwatch::notify::WriteNasty(argv[1], std::atoi(argv[2]), std::strtoull(argv[3], nullptr, 10));
  return 0;
}
