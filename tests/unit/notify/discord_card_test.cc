#include "sidecar/notify/discord_card.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/unit/notify/discord_check.h"
#include "tests/unit/notify/incidents.h"
#include "tests/unit/notify/nasty.h"

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

const std::vector<core::NameValue> kGroup = {{"alertname", "SlowOperation"}, {"service", "gemini"}};

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
  EXPECT_EQ(embed["footer"]["text"], "Spanwatch 00112233aabbccdd, no spans lost");
  EXPECT_EQ(embed["timestamp"], "2023-11-14T22:13:25.000Z");
  EXPECT_EQ(Field(card, "Value"), "**3.2 s**, at worst 4.5 s, limit 1 s");
  EXPECT_EQ(Field(card, "Since"), "<t:1700000000:R>\n<t:1700000000:d> <t:1700000000:t>");
  EXPECT_EQ(Field(card, "How often"), "17 times");
  for (const char* told : {"Severity", "Service", "Operation"})
    EXPECT_EQ(Field(card, told), "(none)") << "in the title";
  EXPECT_EQ(Field(card, "Slowest trace"),
            "[Open the trace](http://localhost:9464/trace/0123456789abcdeffedcba9876543210), 4.5 s, `01234567`");
  EXPECT_EQ(Field(card, "Last error"), "TimeoutError\\: model did not answer");
  EXPECT_EQ(Field(card, "Lost spans"), "(none)");
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

TEST(DiscordCard, LargeCountsAreShownAsPeopleSayThem) {
  auto incident = MakeIncident("a");
  incident.measure = "tokens";
  incident.unit = core::Unit::kCount;
  incident.value = incident.worst_value = 1'500'000;
  incident.threshold = 900'000;
  incident.window_ns = 86'400 * kSec;
  incident.count = 12'345;
  incident.lost_spans = 1'200'000;
  const Json card = Json::parse(RenderCard(incident, Context()));
  EXPECT_EQ(Field(card, "Value"), "**1.5 M**, limit 900 k");
  EXPECT_EQ(Field(card, "How often"), "12.3 k spans in 1 d");
  EXPECT_EQ(Field(card, "Lost spans"), "1.2 M lost: the numbers may be too low");
  const Json fold = Json::parse(RenderFold({{}, {&incident}}, Context()));
  EXPECT_NE(fold["embeds"][0]["description"].get<std::string>().find(", 1.5 M"), std::string::npos);
}

TEST(DiscordCard, ARuleWithoutTextsSaysWhatItMeasures) {
  auto incident = MakeIncident("a");
  incident.annotations.clear();
  incident.measure = "tokens";
  incident.window_ns = 86'400 * kSec;
  EXPECT_EQ(Json::parse(RenderCard(incident, Context()))["embeds"][0]["description"], "tokens of the last 1 d");
  incident.annotations = {{"description", "who pays for this?"}};
  EXPECT_EQ(Json::parse(RenderCard(incident, Context()))["embeds"][0]["description"], "who pays for this?");
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
  const std::string body = RenderFold({kGroup, {&first, &second, &over}}, Context());
  EXPECT_THAT(DiscordCheck(body).problems(), testing::IsEmpty());
  const Json card = Json::parse(body);
  EXPECT_EQ(card["embeds"][0]["title"], "Critical: 3 more SlowOperation in gemini");
  EXPECT_EQ(Field(card, "Firing"), "2 of 3");
  EXPECT_EQ(card["embeds"][0]["description"],
            "**critical**: GeminiService.generate, 4.5 s\n**warning**: GeminiService.generate, 4.5 s\n"
            "over: GeminiService.generate, 4.5 s");
  const Json green = Json::parse(RenderFold({{}, {&over}}, Context()));
  EXPECT_EQ(green["embeds"][0]["title"], "Resolved: 1 more alert");
  EXPECT_EQ(green["embeds"][0]["color"], 0x1E8E3E);
  EXPECT_EQ(green["embeds"][0]["description"], "over: SlowOperation: GeminiService.generate in gemini, 4.5 s");
}

TEST(DiscordCard, AFoldIsNamedAfterWhatItsGroupIsMadeBy) {
  const auto one = MakeIncident("a");
  const auto title = [&](std::vector<core::NameValue> labels) {
    return Json::parse(RenderFold({std::move(labels), {&one}}, Context()))["embeds"][0]["title"].get<std::string>();
  };
  EXPECT_EQ(title({{"service", "gemini"}}), "Warning: 1 more alert in gemini");
  EXPECT_EQ(title({{"alertname", "Slow*"}, {"gen_ai_system", "gemini"}, {"region", ""}}),
            "Warning: 1 more Slow\\* (gen\\_ai\\_system = gemini)");
}

TEST(DiscordCard, NewMeasuresHaveTheirUnits) {
  auto incident = MakeIncident("a");
  const auto value = [&](const char* measure, core::Unit unit, double number, double limit) {
    incident.measure = measure;
    incident.unit = unit;
    incident.value = incident.worst_value = number;
    incident.threshold = limit;
    return Field(Json::parse(RenderCard(incident, Context())), "Value");
  };
  EXPECT_EQ(value("cost", core::Unit::kDollars, 12.5, 10), "**$ 12.50**, limit $ 10.00");
  EXPECT_EQ(value("slo.burn_rate", core::Unit::kFactor, 14.4, 6), "**14.4 x**, limit 6 x");
  EXPECT_EQ(value("duration.p95", core::Unit::kNanoseconds, 2.5e9, 1e9), "**2.5 s**, limit 1 s");
  incident.direction = core::Direction::kBelow;
  EXPECT_EQ(value("rate", core::Unit::kPerSecond, 0.5, 2), "**0.5 /s**, lower limit 2 /s");
}

TEST(DiscordCard, TheTraceIsCalledByWhatItIs) {
  auto incident = MakeIncident("a");
  incident.measure = "error_rate";
  incident.unit = core::Unit::kRatio;
  EXPECT_NE(Field(Json::parse(RenderCard(incident, Context())), "Failed trace"), "(none)");
  incident.measure = "trace.depth";
  incident.unit = core::Unit::kCount;
  EXPECT_NE(Field(Json::parse(RenderCard(incident, Context())), "Worst trace"), "(none)");
}

TEST(DiscordCard, AServiceThatIsIllIsNamedWithItsIssues) {
  auto incident = MakeIncident("a", Severity::kCritical);
  incident.alertname = "CriticalServiceHealth";
  incident.labels = {{"service", "gemini"}};
  incident.annotations = {
      {"summary", "gemini is critical: 34 % of its spans fail (critical above 20 %); its last process died"}};
  incident.measure = "service.health";
  incident.unit = core::Unit::kHealth;
  incident.value = incident.worst_value = 2;
  incident.count = 0;
  incident.window_ns = 300 * kSec;
  const Json card = Json::parse(RenderCard(incident, Context()));
  EXPECT_EQ(card["embeds"][0]["title"], "Critical: CriticalServiceHealth: gemini");
  EXPECT_EQ(card["embeds"][0]["description"],
            "gemini is critical\\: 34 % of its spans fail \\(critical above 20 %\\); its last process died");
  EXPECT_EQ(Field(card, "Value"), "**critical**");
  EXPECT_EQ(Field(card, "How often"), "(none)");
}

TEST(DiscordCard, LongNamesStandInFullBelowTheTitle) {
  auto incident = MakeIncident("a");
  incident.labels[1].value = std::string(200, 'x');
  const Json card = Json::parse(RenderCard(incident, Context()));
  EXPECT_EQ(Field(card, "Operation"), std::string(200, 'x'));
  EXPECT_EQ(Field(card, "Service"), "gemini");
}

TEST(DiscordCard, ADescriptionAndARunbookStandInIt) {
  auto incident = MakeIncident("a");
  incident.annotations.push_back({"description", "The model is overloaded."});
  incident.annotations.push_back({"runbook_url", "https://wiki.example/slow_(model)"});
  const Json card = Json::parse(RenderCard(incident, Context()));
  EXPECT_EQ(card["embeds"][0]["description"], "GeminiService.generate took 3.2 s\nThe model is overloaded.");
  EXPECT_EQ(Field(card, "Runbook"), "[What to do](https://wiki.example/slow_%28model%29)");
  incident.annotations.back().value = "javascript:alert(1)";
  EXPECT_EQ(Field(Json::parse(RenderCard(incident, Context())), "Runbook"), "(none)");
}

TEST(DiscordCard, QuietIsSaidOnTop) {
  CardContext context = Context();
  context.quiet = "silenced by ada until 14:05 UTC: deploy @everyone";
  const Json card = Json::parse(RenderCard(MakeIncident("a"), context));
  EXPECT_EQ(card["embeds"][0]["fields"][0]["name"], "Quiet");
  EXPECT_EQ(Field(card, "Quiet"), "silenced by ada until 14\\:05 UTC\\: deploy \\@\u200beveryone");
}

TEST(DiscordCard, ARoleIsPingedAndNobodyElse) {
  CardContext context = Context();
  context.mention_role = "4711";
  auto incident = MakeIncident("a");
  incident.alertname = "<@&666> @everyone";
  for (const std::string& body : {RenderCard(incident, context), RenderFold({kGroup, {&incident}}, context),
                                  RenderFallback(incident, 0, false, "4711")}) {
    EXPECT_THAT(DiscordCheck(body).problems(), testing::IsEmpty()) << body;
    const Json message = Json::parse(body);
    EXPECT_THAT(message["content"].get<std::string>(), testing::StartsWith("<@&4711>"));
    EXPECT_EQ(message["allowed_mentions"], Json::parse(R"({"parse":[],"roles":["4711"]})"));
  }
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

TEST(DiscordCard, AlwaysValidWhateverTheIncidentHolds) {
  Nasty nasty(11);
  for (int i = 0; i < 600; ++i) {
    const core::Incident incident = nasty.Incident();
    CardContext context;
    context.external_url = nasty.Next() % 2 == 0 ? "http://localhost:9464" : "https://x/" + nasty.Text();
    context.reason = static_cast<Reason>(nasty.Next() % 4);
    context.quiet = nasty.Text();
    if (nasty.Next() % 3 == 0) context.mention_role = "18446744073709551615";
    context.earlier_link =
        "https://discord.com/channels/12345678901234567890/12345678901234567890/12345678901234567890";
    context.trace_stored = nasty.Next() % 2 == 0;
    for (const std::string& body : {RenderCard(incident, context), RenderFallback(incident, 99999, true),
                                    RenderFallback(incident, 0, false, "18446744073709551615")}) {
      ASSERT_THAT(DiscordCheck(body).problems(), testing::IsEmpty()) << body;
    }
  }
}

TEST(DiscordCard, AlwaysValidWhateverTheFoldHolds) {
  Nasty nasty(12);
  for (int i = 0; i < 60; ++i) {
    std::vector<core::Incident> incidents;
    for (std::uint64_t n = 1 + nasty.Next() % 20; n > 0; --n) incidents.push_back(nasty.Incident());
    Fold fold{{{"alertname", nasty.Text()}, {"service", nasty.Text()}, {nasty.Text(), nasty.Text()}}, {}};
    if (nasty.Next() % 3 == 0) fold.group_labels.clear();
    for (const auto& incident : incidents) fold.members.push_back(&incident);
    const std::string body = RenderFold(fold, Context());
    ASSERT_THAT(DiscordCheck(body).problems(), testing::IsEmpty()) << body;
  }
}

}  // namespace
}  // namespace spanwatch::notify
