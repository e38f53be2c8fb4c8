// Receivers "webhook" and "alertmanager", and "watchdog": where URL and credentials come from, and that none is shown.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "sidecar/config/address.h"
#include "sidecar/config/config.h"
#include "tests/unit/config/environment.h"

namespace spanwatch::config {
namespace {

using testing::HasSubstr;
using testing::Not;

const std::string kMinimal = std::string(SPANWATCH_SOURCE_DIR) + "/tests/config/good/minimal.yaml";

tl::expected<Config, std::string> With(const std::vector<std::string>& sets) {
  auto config = Load({.path = kMinimal, .sets = sets});
  if (config) return std::move(*config);
  std::string text;
  for (const Problem& problem : config.error()) text += problem.ToString() + "\n";
  return tl::make_unexpected(text);
}

tl::expected<core::Receiver, std::string> Receiver(const std::string& kind) {
  auto config = With({"receivers=[{name: r, " + kind + "}]", "route={receiver: r}"});
  if (!config) return tl::make_unexpected(config.error());
  return config->routing.receivers.at(0);
}

TEST(UrlReceivers, InlineUrl) {
  const auto hook = Receiver("webhook: {url: \"http://127.0.0.1:5001/a\", format: json, send_resolved: false}");
  ASSERT_TRUE(hook.has_value()) << hook.error();
  EXPECT_EQ(hook->kind, core::ReceiverKind::kWebhook);
  EXPECT_EQ(hook->url.Reveal(), "http://127.0.0.1:5001/a");
  EXPECT_EQ(hook->url_source, "http://127.0.0.1:5001/a");
  EXPECT_EQ(hook->format, core::WebhookFormat::kJson);
  EXPECT_FALSE(hook->send_resolved);
  EXPECT_TRUE(hook->authorization.empty());
  const auto am = Receiver("alertmanager: {url: \"http://[::1]:9093\", resend_interval: 5s}");
  ASSERT_TRUE(am.has_value()) << am.error();
  EXPECT_EQ(am->kind, core::ReceiverKind::kAlertmanager);
  EXPECT_EQ(am->resend_interval_ns, 5'000'000'000);
  EXPECT_TRUE(am->send_resolved);
}

TEST(UrlReceivers, SecretsFromElsewhere) {
  const std::string file = testing::TempDir() + "/spanwatch-password";
  std::ofstream(file) << "open:sesame\n";
  const ScopedEnvironment environment(
      {{"TEST_HOOK", "https://discord.example/T0/abc?token=x"}, {"TEST_TOKEN", "t0ken"}});
  const auto bearer = Receiver("webhook: {url_env: TEST_HOOK, bearer_token_env: TEST_TOKEN}");
  ASSERT_TRUE(bearer.has_value()) << bearer.error();
  EXPECT_EQ(bearer->url.Reveal(), "https://discord.example/T0/abc?token=x");
  EXPECT_EQ(bearer->url_source, "environment variable TEST_HOOK");
  EXPECT_EQ(bearer->authorization.Reveal(), "Bearer t0ken");
  const auto basic =
      Receiver("webhook: {url_env: TEST_HOOK, basic_auth: {username: Aladdin, password_file: \"" + file + "\"}}");
  ASSERT_TRUE(basic.has_value()) << basic.error();
  EXPECT_EQ(basic->authorization.Reveal(), "Basic QWxhZGRpbjpvcGVuOnNlc2FtZQ==");
  std::filesystem::remove(file);
}

TEST(UrlReceivers, WithoutTheVariableNothingIsSent) {
  const auto hook = Receiver("webhook: {url_env: TEST_NOT_SET}");
  ASSERT_TRUE(hook.has_value()) << hook.error();
  EXPECT_TRUE(hook->url.empty());
  EXPECT_EQ(hook->url_source, "environment variable TEST_NOT_SET");
  const auto token = Receiver("webhook: {url: \"http://127.0.0.1/\", bearer_token_env: TEST_NOT_SET}");
  ASSERT_FALSE(token.has_value());
  EXPECT_THAT(token.error(), HasSubstr("environment variable TEST_NOT_SET is empty or not set"));
}

TEST(UrlReceivers, BadValuesAreNotShown) {
  const ScopedEnvironment environment({{"TEST_HOOK", "http://hunter2.example/x"}, {"TEST_TOKEN", "hunter2 and more"}});
  for (const char* kind : {"webhook: {url_env: TEST_HOOK}", "alertmanager: {url_env: TEST_HOOK}",
                           "webhook: {url: \"http://127.0.0.1/\", bearer_token_env: TEST_TOKEN}"}) {
    const auto bad = Receiver(kind);
    ASSERT_FALSE(bad.has_value()) << kind;
    EXPECT_THAT(bad.error(), Not(HasSubstr("hunter2"))) << kind;
  }
  EXPECT_TRUE(Receiver("webhook: {url_env: TEST_HOOK, insecure_http: true}").has_value());
}

TEST(UrlReceivers, WhatLooksSecret) {
  for (const char* text : {"/services/T00000000/B00000000/XXXXXXXX1XXXXXXXXXXXXXXX", "/x?key=1", "/?sig=2",
                           "/0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0"}) {
    EXPECT_TRUE(LooksSecret(text)) << text;
  }
  for (const char* text : {"", "/", "/alerts", "/api/v2/alerts", "/spanwatch-alerts-of-production", "/?team=core"}) {
    EXPECT_FALSE(LooksSecret(text)) << text;
  }
}

TEST(WatchdogConfig, UrlIsASecret) {
  const ScopedEnvironment environment(ScopedEnvironment::Values{{"TEST_PING", "https://hunter2.example/ping"}});
  const auto config = With({"watchdog={url_env: TEST_PING, interval: 30s}"});
  ASSERT_TRUE(config.has_value()) << config.error();
  EXPECT_EQ(config->watchdog.url.Reveal(), "https://hunter2.example/ping");
  EXPECT_EQ(config->watchdog.url_source, "environment variable TEST_PING");
  EXPECT_EQ(config->watchdog.interval_ns, 30'000'000'000);
  EXPECT_TRUE(With({"watchdog={url_env: TEST_NOT_SET}"})->watchdog.url.empty());
  EXPECT_TRUE(With({})->watchdog.url_source.empty());
}

}  // namespace
}  // namespace spanwatch::config
