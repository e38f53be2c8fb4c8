#include "sidecar/notify/discord_card.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <random>

#include "tests/unit/notify/discord_check.h"
#include "tests/unit/notify/incidents.h"

namespace spanwatch::notify {
namespace {

using core::Severity;
using core::TransitionKind;
using Json = nlohmann::json;

std::string Field(const Json& message, const std::string& name) {
  for (const auto& field : message["embeds"][0]["fields"]) {
    if (field["name"] == name) return field["value"];
  }
  return "(none)";
}

CardContext Context() {
  CardContext context;
  context.external_url = "http://localhost:9464";
  return context;
}

TEST(DiscordCard, FiringSaysWhatWhereSinceWhenAndWhy) {
  const std::string body = RenderCard(MakeIncident("a"), Context());
  EXPECT_THAT(DiscordCheck(body).problems(), testing::IsEmpty());
  const Json card = Json::parse(body);
  const Json& embed = card["embeds"][0];
  EXPECT_EQ(embed["title"], "Warning: SlowOperation: GeminiService.generate in gemini");
  EXPECT_EQ(embed["description"], "GeminiService.generate took 3.2 s");
  EXPECT_EQ(embed["color"], 0xF29900);
  EXPECT_EQ(embed["footer"]["text"], "Spanwatch 00112233aabbccdd");
  EXPECT_EQ(embed["timestamp"], "2023-11-14T22:13:25.000Z");
  EXPECT_EQ(Field(card, "Value"), "**3.2 s**, at worst 4.5 s, limit 1 s");
  EXPECT_EQ(Field(card, "Since"), "<t:1700000000:R>, <t:1700000000:F>");
  EXPECT_EQ(Field(card, "How often"), "17 times");
  EXPECT_EQ(Field(card, "Severity"), "warning");
  EXPECT_EQ(Field(card, "Service"), "gemini");
  EXPECT_EQ(Field(card, "Operation"), "GeminiService.generate");
  EXPECT_EQ(Field(card, "Slowest trace"),
            "[4.5 s](http://localhost:9464/trace/0123456789abcdeffedcba9876543210) `01234567`");
  EXPECT_EQ(Field(card, "Last error"), "TimeoutError\\: model did not answer");
  EXPECT_EQ(Field(card, "Lost spans"), "none");
  EXPECT_EQ(Field(card, "Lasted"), "(none)");
  EXPECT_EQ(Field(card, "History"), "(none)");
}

TEST(DiscordCard, ResolvedIsGreenWithItsLength) {
  const auto resolved = MakeTransition(MakeIncident("a", Severity::kCritical), TransitionKind::kResolved).incident;
  const Json card = Json::parse(RenderCard(resolved, Context()));
  EXPECT_EQ(card["embeds"][0]["title"], "Resolved: SlowOperation: GeminiService.generate in gemini");
  EXPECT_EQ(card["embeds"][0]["color"], 0x1E8E3E);
  EXPECT_EQ(Field(card, "Lasted"), "2 min 5 s");
  EXPECT_EQ(Field(card, "Severity"), "critical");
}

TEST(DiscordCard, CriticalWindowsLossesAndHistory) {
  auto incident = MakeIncident("a", Severity::kCritical);
  incident.unit = core::Unit::kRatio;
  incident.value = incident.worst_value = 0.25;
  incident.threshold = 0.2;
  incident.window_ns = 300 * kSec;
  incident.count = 80;
  incident.lost_spans = 12;
  incident.worst_trace = {};
  incident.last_error.clear();
  incident.labels.push_back({"team", "bots_"});
  CardContext context = Context();
  context.reason = Reason::kEscalated;
  context.earlier_link = "https://discord.com/channels/1/2/3";
  const Json card = Json::parse(RenderCard(incident, context));
  EXPECT_EQ(card["embeds"][0]["color"], 0xD93025);
  EXPECT_EQ(Field(card, "Value"), "**25 %**, limit 20 %");
  EXPECT_EQ(Field(card, "How often"), "80 spans in 5 min");
  EXPECT_EQ(Field(card, "Lost spans"), "12 lost: the numbers may be too low");
  EXPECT_EQ(Field(card, "Slowest trace"), "(none)");
  EXPECT_EQ(Field(card, "Last error"), "(none)");
  EXPECT_EQ(Field(card, "Labels"), "team = bots\\_");
  EXPECT_EQ(Field(card, "History"),
            "raised from warning to critical, [earlier message](https://discord.com/channels/1/2/3)");
}

TEST(DiscordCard, ATraceThatIsGoneIsNotLinked) {
  CardContext context = Context();
  context.trace_stored = false;
  const Json card = Json::parse(RenderCard(MakeIncident("a"), context));
  EXPECT_EQ(Field(card, "Slowest trace"), "`0123456789abcdeffedcba9876543210`, 4.5 s (no longer stored)");
}

TEST(DiscordCard, AFallenSeverityTellsItsPeak) {
  auto incident = MakeIncident("a");
  incident.peak_severity = Severity::kCritical;
  EXPECT_EQ(Field(Json::parse(RenderCard(incident, Context())), "Severity"), "warning, was critical");
}

TEST(DiscordCard, Fold) {
  const auto first = MakeIncident("a");
  const auto second = MakeIncident("b", Severity::kCritical);
  const auto over = MakeTransition(MakeIncident("c"), TransitionKind::kResolved).incident;
  const std::string body = RenderFold({"SlowOperation", "gemini", {&first, &second, &over}}, Context());
  EXPECT_THAT(DiscordCheck(body).problems(), testing::IsEmpty());
  const Json card = Json::parse(body);
  EXPECT_EQ(card["embeds"][0]["title"], "Critical: 3 more SlowOperation in gemini");
  EXPECT_EQ(Field(card, "Firing"), "2 of 3");
  EXPECT_EQ(card["embeds"][0]["description"],
            "critical: GeminiService.generate in gemini, 4.5 s\nwarning: GeminiService.generate in gemini, 4.5 s\n"
            "over: GeminiService.generate in gemini, 4.5 s");
  const Json green = Json::parse(RenderFold({"", "", {&over}}, Context()));
  EXPECT_EQ(green["embeds"][0]["title"], "Resolved: 1 more alert");
  EXPECT_EQ(green["embeds"][0]["color"], 0x1E8E3E);
}

TEST(DiscordCard, CutAndFallback) {
  const Json cut = Json::parse(RenderCut(Reason::kEscalated, "https://discord.com/channels/1/2/3"));
  EXPECT_EQ(cut["content"], "Now critical: https://discord.com/channels/1/2/3");
  EXPECT_EQ(cut["embeds"], Json::array());
  EXPECT_THAT(DiscordCheck(RenderCut(Reason::kRepeated, "")).problems(), testing::IsEmpty());
  const Json plain = Json::parse(RenderFallback(MakeIncident("a"), 2, false));
  EXPECT_EQ(plain["content"], "Warning: SlowOperation: GeminiService.generate in gemini, 3.2 s, and 2 more");
  EXPECT_FALSE(plain.contains("embeds"));
  EXPECT_TRUE(Json::parse(RenderFallback(MakeIncident("a"), 0, true)).contains("embeds"));
}

TEST(DiscordCard, SameArgumentsSameBytes) {
  EXPECT_EQ(RenderCard(MakeIncident("a"), Context()), RenderCard(MakeIncident("a"), Context()));
}

class Nasty {
 public:
  explicit Nasty(std::uint64_t seed) : random_(seed) {}

  std::string Text() {
    static const std::vector<std::string> kPieces = {"word ",
                                                     "@everyone",
                                                     "`",
                                                     "```",
                                                     "**",
                                                     "__",
                                                     "\\",
                                                     "](http://evil)",
                                                     "<@&1>",
                                                     "\U0001F600",
                                                     "\u202e",
                                                     "\u200d",
                                                     "\xff",
                                                     "\n",
                                                     std::string(1, '\0'),
                                                     std::string(900, 'x'),
                                                     std::string(5000, '*'),
                                                     std::string(3000, '_'),
                                                     "\u3164",
                                                     ""};
    std::string text;
    for (std::uint64_t n = random_() % 8; n > 0; --n) text += kPieces[random_() % kPieces.size()];
    return text;
  }
  double Number() {
    constexpr double kNumbers[] = {0,
                                   -1,
                                   1,
                                   1e300,
                                   -1e300,
                                   0.1,
                                   std::numeric_limits<double>::infinity(),
                                   std::numeric_limits<double>::quiet_NaN(),
                                   123456789};
    return kNumbers[random_() % std::size(kNumbers)];
  }
  std::int64_t Time() {
    constexpr std::int64_t kTimes[] = {0, 1, -1, kEpoch, INT64_MAX, INT64_MIN / 4, kEpoch * 2};
    return kTimes[random_() % std::size(kTimes)];
  }
  core::Incident Incident() {
    core::Incident incident = MakeIncident("x", random_() % 2 == 0 ? Severity::kCritical : Severity::kWarning);
    incident.alertname = Text();
    incident.fingerprint = Text();
    incident.last_error = Text();
    incident.annotations = {{"summary", Text()}};
    incident.labels.clear();
    for (const char* name : {"service", "operation"}) {
      if (random_() % 3 != 0) incident.labels.push_back({name, Text()});
    }
    for (std::uint64_t n = random_() % 3 == 0 ? random_() % 500 : random_() % 3; n > 0; --n) {
      incident.labels.push_back({Text().substr(0, 50), Text().substr(0, 50)});
    }
    incident.value = Number();
    incident.worst_value = Number();
    incident.threshold = Number();
    incident.worst_trace_duration_ns = Number();
    incident.unit = static_cast<core::Unit>(random_() % 5);
    incident.active_at_ns = Time();
    incident.fired_at_ns = Time();
    incident.last_match_ns = Time();
    incident.window_ns = Time();
    incident.count = random_();
    incident.lost_spans = random_() % 2 == 0 ? random_() : 0;
    if (random_() % 2 == 0) {
      incident.state = core::AlertState::kResolved;
      incident.resolved_at_ns = kEpoch;
    }
    return incident;
  }
  std::uint64_t Next() { return random_(); }

 private:
  std::mt19937_64 random_;
};

TEST(DiscordCard, AlwaysValidWhateverTheIncidentHolds) {
  Nasty nasty(11);
  for (int i = 0; i < 600; ++i) {
    const core::Incident incident = nasty.Incident();
    CardContext context;
    context.external_url = nasty.Next() % 2 == 0 ? "http://localhost:9464" : "https://x/" + nasty.Text();
    context.reason = static_cast<Reason>(nasty.Next() % 3);
    context.earlier_link =
        "https://discord.com/channels/12345678901234567890/12345678901234567890/12345678901234567890";
    context.trace_stored = nasty.Next() % 2 == 0;
    for (const std::string& body : {RenderCard(incident, context), RenderFallback(incident, 99999, true)}) {
      ASSERT_THAT(DiscordCheck(body).problems(), testing::IsEmpty()) << body;
    }
  }
}

TEST(DiscordCard, AlwaysValidWhateverTheFoldHolds) {
  Nasty nasty(12);
  for (int i = 0; i < 60; ++i) {
    std::vector<core::Incident> incidents;
    for (std::uint64_t n = 1 + nasty.Next() % 20; n > 0; --n) incidents.push_back(nasty.Incident());
    Fold fold{nasty.Text(), nasty.Text(), {}};
    for (const auto& incident : incidents) fold.members.push_back(&incident);
    const std::string body = RenderFold(fold, Context());
    ASSERT_THAT(DiscordCheck(body).problems(), testing::IsEmpty()) << body;
  }
}

}  // namespace
}  // namespace spanwatch::notify
