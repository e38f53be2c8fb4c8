// The top of the critical path, from a trace to the card.
#include "sidecar/notify/critical_path.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "sidecar/notify/discord_card.h"
#include "tests/unit/core/analysis_builder.h"
#include "tests/unit/notify/discord_check.h"
#include "tests/unit/notify/incidents.h"

namespace spanwatch::notify {
namespace {

using core::testing::Line;
using testing::IsEmpty;

core::TraceCopy Complete(const std::vector<Line>& lines) {
  core::TraceCopy trace = core::testing::Trace(lines);
  for (const Line& line : lines) {
    auto& services = trace.summary.services;
    const auto is_it = [&](const auto& each) { return each.name == line.service; };
    if (std::none_of(services.begin(), services.end(), is_it)) services.push_back({line.service, 1, 0});
  }
  trace.summary.complete = true;
  return trace;
}

CriticalPath PathOf(const core::TraceCopy& trace) { return TopOfPath(trace, core::Analyse(trace, {})); }
std::string TextOf(const std::vector<Line>& lines) { return PathText(PathOf(Complete(lines))); }

std::string Card(const CriticalPath& path, const core::Incident& incident = MakeIncident("a")) {
  CardContext context;
  context.external_url = "http://localhost:9464";
  context.path = path;
  return RenderCard(incident, context);
}

std::string FieldOf(const std::string& body) {
  const nlohmann::json card = nlohmann::json::parse(body);
  for (const auto& field : card["embeds"][0]["fields"]) {
    if (field["name"] == "Critical path") return field["value"];
  }
  return "(none)";
}

const std::vector<Line> kTurn = {
    {1, 0, "messageCreate", 0, 6340}, {2, 1, "GeminiService.generateResponse", 100, 5300, "", "gemini"},
    {3, 1, "db.query", 5300, 5700},   {4, 1, "db.query", 5700, 6100},
    {5, 1, "reply", 6100, 6240},      {6, 1, "aside", 200, 300}};

TEST(CriticalPathText, TheTopThreeWithSharesAndTimes) {
  EXPECT_EQ(TextOf(kTurn),
            "GeminiService.generateResponse in gemini **82 %** (5.2 s)\n"
            "db.query in bot **13 %** (800 ms, 2 spans)\n"
            "messageCreate in bot **3 %** (200 ms)\n"
            "1 other operation 2 %");
}

TEST(CriticalPathText, OneServiceIsNotNamed) {
  EXPECT_EQ(TextOf({{1, 0, "a", 0, 1000}, {2, 1, "b", 1, 999}}), "b **100 %** (998 ms)")
      << "2 ms of 1 s are not worth a line";
}

TEST(CriticalPathText, TheFirstHasALineHoweverSmall) {
  std::vector<Line> lines = {{1, 0, "a", 0, 1000}};
  for (std::uint64_t i = 0; i < 400; ++i) {
    lines.push_back({i + 2, 1, "c" + std::to_string(i), double(i) * 2.5, double(i) * 2.5 + 2.5});
  }
  EXPECT_THAT(TextOf(lines), testing::EndsWith(" **under 1 %** (2.5 ms)\n399 other operations 100 %"));
}

TEST(CriticalPathText, AnOpenTraceSaysSo) {
  core::TraceCopy trace = Complete({{2, 1, "b", 0, 1000}});
  trace.summary.complete = false;
  EXPECT_EQ(PathText(PathOf(trace)), "b **100 %** (1 s)\nso far: the trace is not complete");
  trace = Complete({{1, 0, "a", 0, 1000}});
  trace.summary.complete = false;
  EXPECT_EQ(PathText(PathOf(trace)), "a **100 %** (1 s)") << "nothing that is known to be missing";
  trace.summary.orphans = 1;
  EXPECT_THAT(PathText(PathOf(trace)), testing::HasSubstr("so far"));
}

TEST(CriticalPathText, NothingToSayIsNothingSaid) {
  EXPECT_EQ(PathText(PathOf(core::TraceCopy())), "");
  EXPECT_EQ(TextOf({{1, 0, "instant", 5, 5}}), "") << "no time, no path";
  CriticalPath open;
  open.open = true;
  EXPECT_EQ(PathText(open), "") << "no lines, no note";
}

TEST(CriticalPathText, ACycleHasAPathToo) {
  EXPECT_THAT(TextOf({{1, 2, "a", 0, 100}, {2, 1, "b", 10, 90}}), testing::HasSubstr("**80 %** (80 ms)"));
}

TEST(CriticalPathCard, StandsBelowTheTrace) {
  const std::string body = Card(PathOf(Complete(kTurn)));
  EXPECT_THAT(DiscordCheck(body).problems(), IsEmpty());
  EXPECT_EQ(FieldOf(body), TextOf(kTurn));
  const std::string names = nlohmann::json::parse(body)["embeds"][0]["fields"].dump();
  EXPECT_LT(names.find("Slowest trace"), names.find("Critical path"));
  EXPECT_LT(names.find("Critical path"), names.find("Last error"));
}

TEST(CriticalPathCard, NoFieldWithoutPathOrTrace) {
  EXPECT_EQ(FieldOf(Card({})), "(none)");
  core::Incident incident = MakeIncident("a");
  incident.worst_trace = {};
  EXPECT_EQ(FieldOf(Card(PathOf(Complete(kTurn)), incident)), "(none)");
}

TEST(CriticalPathCard, HostileNamesKeepDiscordsLimits) {
  const std::vector<std::string> nasty = {
      "@everyone ", "**", "`", "[x](http://e)", "\u202e", "<@1>", "\xff\xfe", "\n", "猫", "😀", "_",
      "|",          "\\", "#", "@here",         "\u200d", "ab"};
  std::mt19937 random(3);
  for (int i = 0; i < 2000; ++i) {
    const auto name = [&] {
      std::string text;
      for (auto n = random() % 300; n > 0; --n) text += nasty[random() % nasty.size()];
      return text;
    };
    std::vector<Line> lines = {{1, 0, name(), 0, 1000, "", name()}};
    for (std::uint64_t id = 2; id < 7; ++id) {
      lines.push_back({id, 1, name(), double(id) * 100, double(id) * 100 + 90, "", name()});
    }
    core::TraceCopy trace = Complete(lines);
    trace.summary.complete = false;
    core::Incident incident = MakeIncident("a");
    incident.last_error = name() + name() + name();
    incident.annotations = {{"summary", name() + name() + name() + name()}};
    incident.labels = {{"service", name()}, {"operation", name()}, {"team", name()}, {name(), name()}};
    const std::string body = Card(PathOf(trace), incident);
    ASSERT_THAT(DiscordCheck(body).problems(), IsEmpty()) << body;
    ASSERT_NE(FieldOf(body), "(none)");
  }
}

TEST(CriticalPathBytes, ComeBackAndAreChecked) {
  const CriticalPath path = PathOf(Complete(kTurn));
  std::string bytes;
  core::CodecWriter writer(&bytes);
  Save(path, &writer);
  CriticalPath copy;
  core::CodecReader reader(bytes);
  ASSERT_TRUE(Load(&reader, &copy));
  EXPECT_TRUE(reader.AtEnd());
  EXPECT_EQ(copy, path);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    core::CodecReader cut(std::string_view(bytes).substr(0, size));
    EXPECT_FALSE(Load(&cut, &copy)) << size;
  }
  bytes[0] = 4;
  core::CodecReader many(bytes);
  EXPECT_FALSE(Load(&many, &copy)) << "more lines than are shown";
}

}  // namespace
}  // namespace spanwatch::notify
