// The record of kReload: the canonical text of limits and rules, and back.
#include <gtest/gtest.h>

#include "sidecar/config/config.h"

namespace spanwatch::config {
namespace {

Config FullConfig() {
  const auto config =
      Load({.path = std::string(SPANWATCH_SOURCE_DIR) + "/tests/config/good/full.yaml", .use_environment = false});
  EXPECT_TRUE(config.has_value());
  return config ? *config : Config{};
}

TEST(ReloadTest, RoundTrips) {
  Config config = FullConfig();
  config.limits.sample_rate = 0.1;
  config.limits.error_rate_warning = 0.03;
  config.limits.error_rate_critical = 0.3;
  config.limits.memory_warning_bytes = 7;
  config.limits.memory_critical_bytes = 77;
  const std::string text = MakeReload(config);
  const auto reload = ParseReload(text);
  ASSERT_TRUE(reload.has_value()) << reload.error();
  Config again;
  again.limits = *reload->limits;
  again.rules = reload->rules;
  EXPECT_EQ(MakeReload(again), text);
  EXPECT_EQ(reload->limits->max_traces, 7u);
  EXPECT_EQ(reload->limits->update_interval_ns, 100'000'000);
  EXPECT_EQ(reload->limits->sample_rate, 0.1);
  EXPECT_EQ(reload->limits->max_series_per_service, 5u);
  EXPECT_EQ(reload->limits->series_idle_ns, 600'000'000'000);
  EXPECT_EQ(reload->limits->span_names, config.limits.span_names);
  EXPECT_EQ(reload->limits->error_rate_warning, 0.03);
  EXPECT_EQ(reload->limits->error_rate_critical, 0.3);
  EXPECT_EQ(reload->limits->memory_warning_bytes, 7);
  EXPECT_EQ(reload->limits->memory_critical_bytes, 77);
  EXPECT_TRUE(reload->limits->forward.slow && reload->limits->forward.alerted);
  EXPECT_FALSE(reload->limits->forward.all || reload->limits->forward.failed);
  EXPECT_EQ(reload->limits->forward.sample_ratio, 0.05);
  ASSERT_EQ(reload->rules->rules.size(), config.rules->rules.size());
  for (std::size_t i = 0; i < config.rules->rules.size(); ++i) {
    const core::Rule& before = config.rules->rules[i];
    const core::Rule& after = reload->rules->rules[i];
    EXPECT_EQ(after.text, before.text);
    EXPECT_EQ(after.alert, before.alert);
    EXPECT_EQ(after.measure, before.measure);
    EXPECT_EQ(after.by, before.by);
    EXPECT_EQ(after.warning, before.warning);
    EXPECT_EQ(after.critical, before.critical);
    EXPECT_EQ(after.direction, before.direction);
    EXPECT_EQ(after.labels, before.labels);
    EXPECT_EQ(after.annotations, before.annotations);
    ASSERT_EQ(after.match.size(), before.match.size());
    for (std::size_t m = 0; m < before.match.size(); ++m) {
      for (const char* probe : {"gemini", "GeminiService.x", "client", "error", "other"}) {
        EXPECT_EQ(after.match[m].pattern->Matches(probe), before.match[m].pattern->Matches(probe)) << probe;
      }
    }
  }
}

TEST(ReloadTest, TextTellsRulesApart) {
  const auto text = [](const std::string& fields) {
    const auto rules = ParseRules("t", "groups: [{name: g, rules: [{alert: A, " + fields + "}]}]", {});
    EXPECT_TRUE(rules.has_value());
    return rules ? rules->rules.at(0).text : "";
  };
  const std::string base = text("measure: span.duration, thresholds: {warning: 1s}");
  EXPECT_EQ(text("thresholds: {warning: 1000ms}, measure: span.duration"), base);
  EXPECT_NE(text("measure: span.duration, thresholds: {warning: 2s}"), base);
  EXPECT_NE(text("measure: span.duration, thresholds: {warning: 1s}, match: {service: bot}"), base);
}

TEST(ReloadTest, HostileBytesAreRefused) {
  const std::string good = MakeReload(FullConfig());
  for (std::size_t length = 0; length < good.size(); length += 11) {
    EXPECT_FALSE(ParseReload(std::string_view(good).substr(0, length)).has_value());
  }
  for (const char* text :
       {"", "{}", "[]", "null", "{\"version\":2,\"limits\":{},\"rules\":[]}",
        "{\"version\":1,\"limits\":{},\"rules\":[]}", "{\"version\":1,\"limits\":3,\"rules\":[{}]}"}) {
    EXPECT_FALSE(ParseReload(text).has_value()) << text;
  }
  EXPECT_FALSE(ParseReload(std::string(5u << 20, '[')).has_value());
  EXPECT_FALSE(ParseReload(std::string(1u << 20, '[')).has_value());
}

}  // namespace
}  // namespace spanwatch::config
