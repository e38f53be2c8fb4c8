#include "sidecar/http/silence_json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace spanwatch::http {
namespace {

constexpr std::int64_t kSec = 1'000'000'000;
constexpr std::int64_t kNow = 1'700'000'000 * kSec;  // 2023-11-14T22:13:20Z
constexpr const char* kMatcher = R"("matchers":[{"name":"service","value":"bot"}])";

std::string Mistake(const std::string& body) {
  const auto silence = ParseSilence(body, kNow);
  return silence ? "none" : silence.error();
}

TEST(SilenceJsonTest, ReadsAlertmanagersNames) {
  const auto silence = ParseSilence(
      R"({"id":"x","matchers":[{"name":"a","value":"1"},{"name":"b","value":"2","isEqual":false},)"
      R"({"name":"c","value":"3","isRegex":true},{"name":"d","value":"","isRegex":true,"isEqual":false}],)"
      R"("startsAt":"2023-11-14T23:00:00.5Z","endsAt":"2023-11-15T01:00:00+01:00","createdBy":"ada","comment":"why",)"
      R"("status":{"state":"active"},"updatedAt":"x"})",
      kNow);
  ASSERT_TRUE(silence.has_value()) << silence.error();
  EXPECT_EQ(silence->id, "x");
  std::string matchers;
  for (const core::Matcher& matcher : silence->matchers) matchers += matcher.Text() + " ";
  EXPECT_EQ(matchers, R"(a="1" b!="2" c=~"3" d!~"" )");
  EXPECT_EQ(silence->starts_ns, kNow + 2800 * kSec + kSec / 2);
  EXPECT_EQ(silence->ends_ns, kNow + 6400 * kSec);
  EXPECT_EQ(silence->created_by, "ada");
  EXPECT_EQ(silence->comment, "why");
}

TEST(SilenceJsonTest, ALengthIsFromTheStartWhichIsNowWithoutOne) {
  const auto end = [](const std::string& more) {
    const auto silence = ParseSilence(std::string("{") + kMatcher + more + "}", kNow);
    return silence ? (silence->ends_ns - kNow) / kSec : -1;
  };
  EXPECT_EQ(end(R"(,"duration":"2h")"), 7200);
  EXPECT_EQ(end(R"(,"duration":"1h30m")"), 5400);
  EXPECT_EQ(end(R"(,"duration":"1h","startsAt":"2023-11-14T22:14:20Z")"), 3660);
  EXPECT_EQ(end(R"(,"duration":"1h","startsAt":"2020-01-01T00:00:00Z")"), 3600) << "it begins now at the earliest";
}

TEST(SilenceJsonTest, MistakesNameTheirField) {
  const auto with = [](const std::string& more) { return Mistake(std::string("{") + kMatcher + "," + more + "}"); };
  EXPECT_EQ(Mistake(""), "the body must be a JSON object");
  EXPECT_EQ(Mistake("[]"), "the body must be a JSON object");
  EXPECT_EQ(Mistake("{\"a\":"), "the body must be a JSON object");
  EXPECT_EQ(Mistake(std::string(60'000, '[')), "the body must be a JSON object");
  EXPECT_EQ(Mistake(std::string("{") + kMatcher + "}"), "endsAt: is missing; give it, or a duration as in \"2h\"");
  EXPECT_EQ(with(R"("endsAt":"2024-01-01T00:00:00Z","duration":"2h")"), "duration: give either endsAt or duration");
  for (const char* bad :
       {"\"\"", "\"2\"", "2", "\"h\"", "\"-2h\"", "\"2h 3\"", "\"0s\"", "\"99999999d\"", "\"1e9s\""}) {
    EXPECT_EQ(with(std::string("\"duration\":") + bad), R"(duration: must be a length as in "2h" or "1h30m")") << bad;
  }
  for (const char* bad : {"\"-15m\"", "5", "\"tomorrow\"", "null"}) {
    EXPECT_EQ(with(std::string("\"startsAt\":") + bad), R"(startsAt: must be a time as in "2026-05-01T10:00:00Z")")
        << bad;
  }
  EXPECT_EQ(with("\"comment\":5"), "comment: must be a text");
  EXPECT_EQ(with("\"surely\":5"),
            "surely: unknown; allowed: matchers, startsAt, endsAt, duration, createdBy, comment, id");
  const auto matcher = [](const std::string& text) { return Mistake("{\"matchers\":" + text + "}"); };
  EXPECT_EQ(matcher("{}"), "matchers: must be a list");
  EXPECT_EQ(matcher("[5]"), R"(matchers[0]: must be an object as in {"name":"service","value":"bot"})");
  EXPECT_EQ(matcher(R"([{"name":"a"}])"), "matchers[0].value: is missing");
  EXPECT_EQ(matcher(R"([{"name":"a","value":"b"},{"name":"a","value":5}])"), "matchers[1].value: must be a text");
  EXPECT_EQ(matcher(R"([{"name":"a","value":"b","isRegex":"yes"}])"), "matchers[0].isRegex: must be true or false");
  EXPECT_EQ(matcher(R"([{"op":"="}])"), "matchers[0].op: unknown; allowed: name, value, isRegex, isEqual");
  std::string many = "[";
  for (int i = 0; i < 17; ++i) many += std::string(i == 0 ? "" : ",") + R"({"name":"a","value":"b"})";
  EXPECT_EQ(matcher(many + "]"), "matchers: more than 16");
}

TEST(SilenceJsonTest, WhatIsToldIsTakenBack) {
  core::Silence silence;
  silence.id = std::string(32, 'a');
  silence.matchers = {{"service", core::MatchOp::kNotRegex, "b\"\xff", nullptr}};
  silence.starts_ns = silence.updated_ns = kNow;
  silence.ends_ns = kNow + 3600 * kSec;
  silence.created_by = "ada";
  silence.comment = "line\nline";
  const auto state = [&](std::int64_t now) {
    return nlohmann::json::parse(SilenceJson(silence, now))["status"]["state"].get<std::string>();
  };
  EXPECT_EQ(state(kNow - 1), "pending");
  EXPECT_EQ(state(kNow), "active");
  EXPECT_EQ(state(kNow + 3600 * kSec), "expired");
  silence.matchers[0].value = "b";
  const auto back = ParseSilence(SilenceJson(silence, kNow), kNow);
  ASSERT_TRUE(back.has_value()) << back.error();
  EXPECT_EQ(SilenceJson(*back, kNow).size(), SilenceJson(silence, kNow).size());
  EXPECT_EQ(back->ends_ns, silence.ends_ns);
  EXPECT_EQ(back->comment, silence.comment);
  EXPECT_EQ(back->matchers[0].Text(), silence.matchers[0].Text());
  EXPECT_EQ(SilencesJson({silence}, "expired", kNow), "{\"silences\":[]}");
  EXPECT_EQ(nlohmann::json::parse(SilencesJson({silence}, "active", kNow))["silences"].size(), 1u);
}

}  // namespace
}  // namespace spanwatch::http
