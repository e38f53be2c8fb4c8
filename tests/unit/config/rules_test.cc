#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "sidecar/config/config.h"
#include "sidecar/config/default_rules.h"
#include "sidecar/config/matcher.h"

namespace spanwatch::config {
namespace {

using core::LabelSource;
using core::Measure;
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
  ASSERT_EQ(rules.size(), 9u);
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
  EXPECT_EQ(rules[6].alert, "RepeatedCalls");
  EXPECT_EQ(rules[6].measure, Measure::kTraceRepeatedCalls);
  EXPECT_EQ(rules[6].warning, 50);
  EXPECT_FALSE(rules[6].critical.has_value());
  EXPECT_EQ(rules[7].alert, "ProcessSilent");
  EXPECT_EQ(rules[7].measure, Measure::kProcessSilentFor);
  EXPECT_EQ(rules[7].warning, 30e9);
  EXPECT_THAT(rules[7].by, ElementsAre(LabelSource::kService));
  EXPECT_EQ(rules[8].alert, "SpansLost");
  EXPECT_EQ(rules[8].measure, Measure::kSpansLost);
  EXPECT_EQ(rules[8].warning, 100);
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
  ASSERT_EQ(rules.size(), 9u);
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
  ASSERT_EQ(rules.size(), 9u);
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

TEST(RulesTest, EveryMeasureHasItsUnit) {
  EXPECT_EQ(MustParseRule("measure: span.tag(a.b), thresholds: {warning: -3, critical: 1.5k}").warning, -3);
  EXPECT_EQ(MustParseRule("measure: span.tag(a.b), thresholds: {critical: 1.5k}").tag, "a.b");
  EXPECT_EQ(MustParseRule("measure: tokens, thresholds: {warning: 1.5M}").warning, 1.5e6);
  EXPECT_EQ(MustParseRule("measure: tokens, window: 31d, thresholds: {warning: 1G}").window_ns, 31 * 86400 * kSecond);
  for (const char* five : {"$5", "$ 5", "5 USD", "5USD", "$0.005k"})
    EXPECT_EQ(MustParseRule(std::string("measure: cost, thresholds: {warning: ") + five + "}").warning, 5) << five;
  EXPECT_EQ(MustParseRule("measure: absent, thresholds: {warning: 1h}").warning, 3600e9);
  EXPECT_EQ(MustParseRule("measure: process.memory, thresholds: {warning: 1GB}").warning, 1073741824);
  EXPECT_EQ(MustParseRule("measure: duration.p99, thresholds: {warning: 2s}").measure, Measure::kDurationP99);
  EXPECT_TRUE(MustParseRule("measure: process.silent_for, by: [], thresholds: {warning: 2s}").by.empty());
}

TEST(RulesTest, WhatIsReadAsItStandsHasNoWindow) {
  for (const char* measure : {"absent, thresholds: {warning: 1h}", "process.silent_for, thresholds: {warning: 1h}",
                              "process.memory, thresholds: {warning: 1GB}"}) {
    EXPECT_EQ(MustParseRule(std::string("measure: ") + measure).window_ns, 0) << measure;
  }
}

TEST(RulesTest, ABurnRateHasTwoWindows) {
  const core::Rule rule = MustParseRule(
      "measure: slo.burn_rate, objective: 99.9%, windows: [3d, 6h], slower_than: 2s, min_count: 20, "
      "thresholds: {warning: 1, critical: 14.4x}");
  EXPECT_DOUBLE_EQ(rule.objective, 0.999);
  EXPECT_EQ(rule.window_ns, 3 * 86400 * kSecond);
  EXPECT_EQ(rule.short_window_ns, 6 * 3600 * kSecond);
  EXPECT_EQ(rule.slower_than_ns, 2 * kSecond);
  EXPECT_EQ(rule.min_count, 20u);
  EXPECT_EQ(rule.critical, 14.4);
  const core::Rule plain = MustParseRule("measure: slo.burn_rate, objective: 95%, thresholds: {warning: 6}");
  EXPECT_EQ(plain.window_ns, 3600 * kSecond);
  EXPECT_EQ(plain.short_window_ns, 300 * kSecond);
  EXPECT_EQ(plain.slower_than_ns, 0);
}

TEST(RulesTest, TagsAreLabels) {
  const core::Rule rule = MustParseRule(
      "measure: cost, match: {tag.gen_ai.system: 'x.*', service: bot}, by: [tag.gen_ai.request.model, service], "
      "thresholds: {warning: $5}, annotations: {s: '{{ gen_ai_request_model }}'}");
  EXPECT_THAT(rule.by, ElementsAre(core::RuleLabel("gen_ai.request.model"), core::RuleLabel(LabelSource::kService)));
  ASSERT_EQ(rule.match.size(), 2u);
  EXPECT_EQ(rule.match[0].label.Text(), "service");
  EXPECT_EQ(rule.match[1].label.Text(), "tag.gen_ai.system");
  EXPECT_TRUE(rule.match[1].pattern->Matches("xyz"));
  const core::Rule swapped = MustParseRule(
      "measure: cost, by: [tag.gen_ai.request.model, service], match: {service: bot, tag.gen_ai.system: 'x.*'}, "
      "thresholds: {warning: 5 USD}, annotations: {s: '{{ gen_ai_request_model }}'}");
  EXPECT_EQ(rule.text, swapped.text) << "the order of keys means nothing";
  const core::Rule none = MustParseRule("measure: rate, match: {tag.a: ''}, thresholds: {warning: 1/s}");
  EXPECT_TRUE(none.match[0].pattern->Matches("")) << "a span without the tag";
}

// What a rule says stays the same through the record that a recording keeps.
TEST(RulesTest, GoThroughARecordUnchanged) {
  Config config;
  config.rules =
      std::make_shared<core::RuleSet>(core::RuleSet{MustParse(FileText("/tests/config/good/rules/measures.yaml"))});
  ASSERT_GT(config.rules->rules.size(), 25u);
  const auto reload = ParseReload(MakeReload(config));
  ASSERT_TRUE(reload.has_value()) << reload.error();
  ASSERT_EQ(reload->rules->rules.size(), config.rules->rules.size());
  for (std::size_t i = 0; i < config.rules->rules.size(); ++i) {
    const core::Rule& before = config.rules->rules[i];
    const core::Rule& after = reload->rules->rules[i];
    EXPECT_EQ(before.text, after.text);
    EXPECT_EQ(before.tag, after.tag);
    EXPECT_EQ(before.by, after.by);
    EXPECT_EQ(before.objective, after.objective);
  }
}

TEST(RulesTest, ARecordWithARuleThatCannotBeIsRefused) {
  Config config;
  config.rules = std::make_shared<core::RuleSet>(core::RuleSet{
      {MustParseRule("measure: slo.burn_rate, objective: 99.5%, windows: [2h, 5m], thresholds: {warning: 6}")}});
  const std::string record = MakeReload(config);
  ASSERT_TRUE(ParseReload(record).has_value());
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string text = record;
    const std::size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return ParseReload(text.replace(at, from.size(), to)).has_value();
  };
  EXPECT_TRUE(changed("\"objective\":0.995", "\"objective\":0.9"));
  EXPECT_FALSE(changed("\"objective\":0.995", "\"objective\":1"));
  EXPECT_FALSE(changed("\"objective\":0.995", "\"objective\":-1"));
  EXPECT_FALSE(changed("\"short_window_ns\":300000000000", "\"short_window_ns\":0"));
  EXPECT_FALSE(changed("\"short_window_ns\":300000000000", "\"short_window_ns\":7200000000000"));
  EXPECT_FALSE(changed("\"tag\":\"\"", "\"tag\":\"a\""));
  EXPECT_FALSE(changed("slo.burn_rate", "span.tag"));
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
