#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "sidecar/config/config.h"
#include "sidecar/config/default_rules.h"
#include "sidecar/config/matcher.h"

namespace spanwatch::config {
namespace {

using core::Measure;
using core::LabelSource;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::int64_t kSecond = 1'000'000'000;

std::string FileText(const std::string& path) {
  std::ifstream stream(std::string(SPANWATCH_SOURCE_DIR) + path);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

std::vector<core::Rule> MustParse(const std::string& text, const Thresholds& thresholds = {}) {
  const auto rules = ParseRules("test.yaml", text, thresholds);
  EXPECT_TRUE(rules.has_value()) << (rules ? "" : rules.error().front().ToString());
  return rules ? rules->rules : std::vector<core::Rule>{};
}

core::Rule MustParseRule(const std::string& fields) {
  const auto rules = MustParse("groups: [{name: g, rules: [{alert: A, " + fields + "}]}]");
  EXPECT_EQ(rules.size(), 1u);
  return rules.empty() ? core::Rule{} : rules[0];
}

TEST(DefaultRulesTest, BinaryHoldsTheFile) { EXPECT_EQ(kDefaultRules, FileText("/rules/default.yaml")); }

TEST(DefaultRulesTest, AreWhatTheDesignSays) {
  const std::vector<core::Rule> rules = MustParse(std::string(kDefaultRules));
  ASSERT_EQ(rules.size(), 6u);
  EXPECT_EQ(rules[0].alert, "SlowOperation");
  EXPECT_EQ(rules[0].measure, Measure::kSpanDuration);
  EXPECT_EQ(rules[0].warning, 1e9);
  EXPECT_EQ(rules[0].critical, 5e9);
  EXPECT_EQ(rules[1].alert, "DeepCallStack");
  EXPECT_EQ(rules[1].measure, Measure::kTraceDepth);
  EXPECT_EQ(rules[1].warning, 15);
  EXPECT_EQ(rules[1].critical, 25);
  EXPECT_EQ(rules[2].alert, "HighErrorRate");
  EXPECT_EQ(rules[2].measure, Measure::kErrorRate);
  EXPECT_EQ(rules[2].warning, 0.1);
  EXPECT_EQ(rules[2].critical, 0.2);
  EXPECT_EQ(rules[2].window_ns, 300 * kSecond);
  EXPECT_EQ(rules[2].min_count, 20u);
  EXPECT_EQ(rules[2].for_ns, 30 * kSecond);
  EXPECT_EQ(rules[2].keep_firing_for_ns, 120 * kSecond);
  EXPECT_THAT(rules[2].by, ElementsAre(LabelSource::kService));
  EXPECT_EQ(rules[3].alert, "MemoryGrowth");
  EXPECT_EQ(rules[3].measure, Measure::kTraceMemoryDelta);
  EXPECT_EQ(rules[3].warning, 104857600);
  EXPECT_EQ(rules[3].critical, 524288000);
  EXPECT_EQ(rules[4].alert, "TraceStoreNearLimit");
  EXPECT_EQ(rules[4].measure, Measure::kStoreFill);
  EXPECT_EQ(rules[4].warning, 0.9);
  EXPECT_FALSE(rules[4].critical.has_value());
  EXPECT_EQ(rules[5].alert, "CriticalServiceHealth");
  EXPECT_EQ(rules[5].measure, Measure::kServiceHealth);
  EXPECT_FALSE(rules[5].warning.has_value());
  EXPECT_EQ(rules[5].critical, 2);
  EXPECT_THAT(rules[5].by, ElementsAre(LabelSource::kService));
  for (const core::Rule& rule : rules) {
    EXPECT_EQ(rule.group, "default");
    ASSERT_EQ(rule.annotations.size(), 1u) << rule.alert;
    EXPECT_EQ(rule.annotations[0].name, "summary");
    EXPECT_FALSE(rule.text.empty());
  }
}

// Strict on both sides: exactly at the threshold nothing fires.
TEST(DefaultRulesTest, BordersAreStrict) {
  const std::vector<core::Rule> rules = MustParse(std::string(kDefaultRules));
  ASSERT_EQ(rules.size(), 6u);
  const auto border = [&](std::size_t rule, double value) { return core::ToString(rules[rule].Judge(value)); };
  EXPECT_STREQ(border(0, 1e9), "none");
  EXPECT_STREQ(border(0, 1e9 + 1), "warning");
  EXPECT_STREQ(border(0, 5e9), "warning");
  EXPECT_STREQ(border(0, 5e9 + 1), "critical");
  EXPECT_STREQ(border(1, 15), "none");
  EXPECT_STREQ(border(1, 16), "warning");
  EXPECT_STREQ(border(1, 25), "warning");
  EXPECT_STREQ(border(1, 26), "critical");
  EXPECT_STREQ(border(2, 2.0 / 20), "none");
  EXPECT_STREQ(border(2, 3.0 / 20), "warning");
  EXPECT_STREQ(border(2, 4.0 / 20), "warning");
  EXPECT_STREQ(border(2, 5.0 / 20), "critical");
  EXPECT_STREQ(border(3, 100.0 * (1 << 20)), "none");
  EXPECT_STREQ(border(3, 100.0 * (1 << 20) + 1), "warning");
  EXPECT_STREQ(border(4, 0.9), "none");
  EXPECT_STREQ(border(4, 0.91), "warning");
  EXPECT_STREQ(border(5, 1), "none");
  EXPECT_STREQ(border(5, 2), "critical") << "at that status, not beyond it";
}

TEST(RulesTest, NamedThresholdsFollowTheConfiguration) {
  Thresholds thresholds;
  thresholds.slow_ns = {7e9, 8e9};
  thresholds.depth = {2, 3};
  const std::vector<core::Rule> rules = MustParse(std::string(kDefaultRules), thresholds);
  ASSERT_EQ(rules.size(), 6u);
  EXPECT_EQ(rules[0].warning, 7e9);
  EXPECT_EQ(rules[1].critical, 3);
}

TEST(RulesTest, Defaults) {
  const core::Rule event = MustParseRule("measure: span.duration, thresholds: {warning: 1s}");
  EXPECT_THAT(event.by, ElementsAre(LabelSource::kService, LabelSource::kOperation));
  EXPECT_EQ(event.keep_firing_for_ns, 300 * kSecond);
  EXPECT_EQ(event.window_ns, 0);
  EXPECT_EQ(event.direction, core::Direction::kAbove);
  const core::Rule window = MustParseRule("measure: error_count, thresholds: {critical: 5}");
  EXPECT_THAT(window.by, ElementsAre(LabelSource::kService));
  EXPECT_EQ(window.keep_firing_for_ns, 0);
  EXPECT_EQ(window.window_ns, 300 * kSecond);
  EXPECT_FALSE(window.warning.has_value());
  for (const char* measure : {"store.fill, thresholds: {warning: 90%}", "spans_lost, thresholds: {warning: 0}"}) {
    const core::Rule whole = MustParseRule(std::string("measure: ") + measure);
    EXPECT_TRUE(whole.by.empty());
    EXPECT_GT(whole.window_ns, 0);
  }
}

TEST(RulesTest, ThresholdsAreInTheMeasuresUnit) {
  EXPECT_EQ(MustParseRule("measure: span.memory_delta, thresholds: {warning: 1KB}").warning, 1024);
  EXPECT_EQ(MustParseRule("measure: error_rate, thresholds: {warning: 25%}").warning, 0.25);
  EXPECT_EQ(MustParseRule("measure: rate, thresholds: {warning: 120/m}").warning, 2);
  EXPECT_EQ(MustParseRule("measure: duration.avg, thresholds: {warning: 250ms}").warning, 250e6);
  const core::Rule below = MustParseRule("measure: rate, direction: below, thresholds: {warning: 5/s, critical: 1/s}");
  EXPECT_EQ(below.Judge(3), core::Severity::kWarning);
  EXPECT_EQ(below.Judge(5), core::Severity::kNone);
  EXPECT_EQ(below.Judge(0), core::Severity::kCritical);
}

TEST(RulesTest, TooManyAreRefused) {
  std::string text = "groups:\n- name: g\n  rules:\n";
  for (int i = 0; i < 257; ++i) {
    text += "  - {alert: A" + std::to_string(i) + ", measure: span.duration, thresholds: $slow}\n";
  }
  const auto rules = ParseRules("many.yaml", text, {});
  ASSERT_FALSE(rules.has_value());
  EXPECT_THAT(rules.error().front().ToString(), HasSubstr("257 rules; allowed: at most 256"));
}

TEST(MatcherTest, IsAnchored) {
  const auto matches = [](const std::string& pattern, std::string_view text) {
    const auto matcher = MakeMatcher(pattern);
    EXPECT_TRUE(matcher.has_value()) << pattern;
    return matcher && (*matcher)->Matches(text);
  };
  EXPECT_TRUE(matches("gemini|bot", "bot"));
  EXPECT_FALSE(matches("gemini|bot", "robot"));
  EXPECT_FALSE(matches("bot", "bots"));
  EXPECT_TRUE(matches("bot", "bot"));
  EXPECT_TRUE(matches("GeminiService\\..*", "GeminiService.generate"));
  EXPECT_FALSE(matches("GeminiService\\..*", "GeminiServiceX"));
  EXPECT_TRUE(matches(".*", "two\nlines"));
  EXPECT_TRUE(matches("(?i)BOT", "bot"));
}

TEST(MatcherTest, IsBounded) {
  EXPECT_FALSE(MakeMatcher(std::string(2000, 'a')).has_value());
  EXPECT_FALSE(MakeMatcher("((a{1000}){1000}){1000}").has_value());
  EXPECT_FALSE(MakeMatcher("a(").has_value());
  // Exponential for a backtracking engine.
  const auto matcher = MakeMatcher("(a|a)*(a|aa)*b");
  ASSERT_TRUE(matcher.has_value());
  EXPECT_FALSE((*matcher)->Matches(std::string(100'000, 'a')));
}

}  // namespace
}  // namespace spanwatch::config
