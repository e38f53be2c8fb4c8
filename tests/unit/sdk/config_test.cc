#include "sdk/cpp/src/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <string>

#include "tests/unit/sdk/traced.h"

namespace spanwatch::internal {
namespace {

using ::testing::HasSubstr;

std::map<std::string, std::string>& Environment() {
  static std::map<std::string, std::string> environment;
  return environment;
}

char* Get(const char* name) {
  const auto found = Environment().find(name);
  return found == Environment().end() ? nullptr : found->second.data();
}

Config With(std::map<std::string, std::string> environment, const Options& options = Options()) {
  Environment() = std::move(environment);
  return MakeConfig(options, Get);
}

std::string Attribute(const Config& config, const std::string& key) {
  for (const auto& [name, value] : config.resource) {
    if (name == key) return value;
  }
  return "(none)";
}

TEST(ConfigTest, Defaults) {
  const Config config = With({});
  EXPECT_TRUE(config.enabled);
  EXPECT_EQ(config.endpoint, "");
  EXPECT_EQ(config.sample_rate, 1);
  EXPECT_EQ(config.log_level, LogLevel::kDebug);
  EXPECT_EQ(config.slow_threshold_ns, 1000000000u);
  EXPECT_EQ(Attribute(config, "service.name"), "unknown_service:sdk_tests");
  EXPECT_EQ(Attribute(config, "telemetry.sdk.language"), "cpp");
  EXPECT_EQ(config.problems, "");
}

TEST(ConfigTest, Environment) {
  const Config config =
      With({{"TRACING_ENABLED", "FALSE"},
            {"TRACING_SAMPLE_RATE", "25%"},
            {"TRACING_ENDPOINT", "tcp://127.0.0.1:7777"},
            {"TRACING_LOG_LEVEL", "warn"},
            {"OTEL_SERVICE_NAME", "bot"},
            {"OTEL_RESOURCE_ATTRIBUTES", "service.name=other, a=b%20c ,deployment.environment.name=prod"}});
  EXPECT_FALSE(config.enabled);
  EXPECT_EQ(config.sample_rate, 0.25);
  EXPECT_EQ(config.endpoint, "tcp://127.0.0.1:7777");
  EXPECT_EQ(config.log_level, LogLevel::kWarn);
  EXPECT_EQ(Attribute(config, "service.name"), "bot");
  EXPECT_EQ(Attribute(config, "a"), "b c");
  EXPECT_EQ(Attribute(config, "deployment.environment.name"), "prod");
  EXPECT_EQ(config.problems, "");
}

TEST(ConfigTest, Privacy) {
  EXPECT_EQ(With({}).redaction.mode, RedactionMode::kDefault);
  EXPECT_EQ(With({{"TRACING_REDACTION", "Strict"}}).redaction.mode, RedactionMode::kStrict);
  EXPECT_FALSE(With({}).hash_key.has_value());
  const Config bad = With({{"TRACING_REDACTION", "none"}, {"TRACING_HASH_KEY", "hunter2"}});
  EXPECT_EQ(bad.redaction.mode, RedactionMode::kDefault);
  EXPECT_THAT(bad.problems, HasSubstr("TRACING_REDACTION=\"none\" is not default, strict or off"));
  EXPECT_THAT(bad.problems, HasSubstr("TRACING_HASH_KEY is shorter than 16 bytes"));
  EXPECT_EQ(bad.problems.find("hunter2"), std::string::npos);
  EXPECT_FALSE(bad.hash_key.has_value());
  EXPECT_THAT(With({{"TRACING_REDACTION", "off"}}).problems, HasSubstr("redaction is off"));
  Options options;
  options.redaction.mode = RedactionMode::kDefault;
  options.hash_key = "000102030405060708090a0b0c0d0e0f";
  const Config code = With({{"TRACING_REDACTION", "off"}, {"TRACING_HASH_KEY", "a key of the environment"}}, options);
  EXPECT_EQ(code.redaction.mode, RedactionMode::kDefault);
  ASSERT_TRUE(code.hash_key.has_value());
  EXPECT_EQ(code.hash_key->k0, 0x0706050403020100u);
  EXPECT_EQ(code.problems, "");
}

TEST(ConfigTest, WhatTheProgramSetsWinsExceptThatTheEnvironmentCanTurnItOff) {
  Options options;
  options.service_name = "code";
  options.endpoint = "ipc:///tmp/code.sock";
  options.sample_rate = 0;
  options.log_level = LogLevel::kError;
  options.enabled = Options::Enabled::kYes;
  options.resource_attributes = {{"a", "code"}};
  const Config config = With({{"TRACING_ENABLED", "0"},
                              {"TRACING_SAMPLE_RATE", "0.5"},
                              {"TRACING_ENDPOINT", "ipc:///tmp/env.sock"},
                              {"TRACING_LOG_LEVEL", "info"},
                              {"OTEL_SERVICE_NAME", "env"},
                              {"OTEL_RESOURCE_ATTRIBUTES", "a=env"}},
                             options);
  EXPECT_FALSE(config.enabled);
  EXPECT_EQ(config.sample_rate, 0);
  EXPECT_EQ(config.endpoint, "ipc:///tmp/code.sock");
  EXPECT_EQ(config.log_level, LogLevel::kError);
  EXPECT_EQ(Attribute(config, "service.name"), "code");
  EXPECT_EQ(Attribute(config, "a"), "code");
  options.enabled = Options::Enabled::kNo;
  EXPECT_FALSE(With({{"TRACING_ENABLED", "true"}}, options).enabled);
}

struct BadValue {
  const char* name;
  const char* value;
};

TEST(ConfigTest, BadValuesAreReportedAndTheDefaultIsUsed) {
  const BadValue bad[] = {{"TRACING_ENABLED", "maybe"},
                          {"TRACING_SAMPLE_RATE", "1.5"},
                          {"TRACING_SAMPLE_RATE", "-1"},
                          {"TRACING_SAMPLE_RATE", "half"},
                          {"TRACING_SAMPLE_RATE", "0x1"},
                          {"TRACING_SAMPLE_RATE", "0,5"},
                          {"TRACING_SAMPLE_RATE", "nan"},
                          {"TRACING_SAMPLE_RATE", "150%"},
                          {"TRACING_SAMPLE_RATE", "0.5x"},
                          {"TRACING_LOG_LEVEL", "loud"},
                          {"TRACING_ENDPOINT", "localhost:80"},
                          {"TRACING_ENDPOINT", "tcp://host"},
                          {"TRACING_ENDPOINT", "tcp://host:99999"},
                          {"TRACING_ENDPOINT", "tcp://:80"},
                          {"TRACING_ENDPOINT", "ipc://"},
                          {"OTEL_RESOURCE_ATTRIBUTES", "a=b,nonsense"}};
  for (const BadValue& entry : bad) {
    const Config config = With({{entry.name, entry.value}});
    EXPECT_THAT(config.problems, HasSubstr(entry.name)) << entry.value;
    EXPECT_TRUE(config.enabled);
    EXPECT_EQ(config.sample_rate, 1);
    EXPECT_EQ(config.endpoint, "");
    EXPECT_EQ(config.log_level, LogLevel::kDebug);
    EXPECT_EQ(Attribute(config, "a"), "(none)");
  }
  EXPECT_THAT(With({{"TRACING_ENDPOINT", "ipc://" + std::string(108, 'p')}}).problems, HasSubstr("107 bytes"));
  Options options;
  options.endpoint = "nowhere";
  options.sample_rate = 7;
  const Config config = With({{"TRACING_ENDPOINT", "ipc:///tmp/env.sock"}}, options);
  EXPECT_EQ(config.endpoint, "ipc:///tmp/env.sock");
  EXPECT_THAT(config.problems, HasSubstr("Options::endpoint"));
  EXPECT_THAT(config.problems, HasSubstr("Options::sample_rate"));
}

TEST(ConfigTest, ReportsAreBounded) {
  Options options;
  for (int i = 0; i < 1000; ++i) options.resource_attributes.emplace_back("", "x");
  for (int i = 0; i < 1000; ++i) options.resource_attributes.emplace_back("k" + std::to_string(i), "x");
  const Config config = With({}, options);
  EXPECT_LE(config.problems.size(), 4096u);
  EXPECT_EQ(config.resource.size(), 128u);
}

TEST(ConfigTest, EnvironmentOfTheProcessIsRead) {
  test::FakeSidecar sidecar;
  setenv("TRACING_ENDPOINT", sidecar.endpoint().c_str(), 1);
  setenv("TRACING_SAMPLE_RATE", "lots", 1);
  setenv("TRACING_LOG_LEVEL", "error", 1);
  ASSERT_TRUE(Start());
  { Span("span").AddLog(LogLevel::kWarn, "not kept").AddLog(LogLevel::kError, "kept"); }
  EXPECT_THAT(GetStats().problems, HasSubstr("TRACING_SAMPLE_RATE=\"lots\""));
  EXPECT_EQ(Shutdown(test::kDeadlineMs), 0u);
  const test::WireSpan span = sidecar.SpansNamed("span").at(0);
  ASSERT_EQ(span.events.size(), 1u);
  EXPECT_EQ(span.events[0].attributes.at("log.message"), "kept");
  EXPECT_EQ(span.dropped_events, 0u);
  setenv("TRACING_ENABLED", "false", 1);
  EXPECT_FALSE(Start());
  EXPECT_FALSE(Span("off").IsRecording());
  EXPECT_FALSE(GetStats().running);
  for (const char* name : {"TRACING_ENDPOINT", "TRACING_SAMPLE_RATE", "TRACING_LOG_LEVEL", "TRACING_ENABLED"})
    unsetenv(name);
}

}  // namespace
}  // namespace spanwatch::internal
