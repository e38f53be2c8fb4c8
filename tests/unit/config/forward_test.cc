// "forward": which traces go where, and what the headers hold.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sidecar/config/config.h"
#include "tests/unit/config/environment.h"

namespace spanwatch::config {
namespace {

const std::string kMinimal = std::string(SPANWATCH_SOURCE_DIR) + "/tests/config/good/minimal.yaml";

tl::expected<Config, std::string> With(const std::string& forward) {
  auto config = Load({.path = kMinimal, .sets = {"forward=" + forward}});
  if (config) return std::move(*config);
  std::string text;
  for (const Problem& problem : config.error()) text += problem.ToString() + "\n";
  return tl::make_unexpected(text);
}

std::string EndpointOf(const std::string& text) {
  const auto config = With("{endpoint: \"" + text + "\"}");
  return config ? config->forward.endpoint : config.error();
}

TEST(ForwardConfig, OffUnlessThereIsAnEndpoint) {
  const auto config = With("{traces: all}");
  ASSERT_TRUE(config.has_value()) << config.error();
  EXPECT_EQ(config->forward.endpoint, "");
  EXPECT_FALSE(config->limits.forward.Any());
  EXPECT_EQ(EndpointOf(""), "");
}

TEST(ForwardConfig, AddsThePathOfOtlp) {
  EXPECT_EQ(EndpointOf("http://tempo:4318"), "http://tempo:4318/v1/traces");
  EXPECT_EQ(EndpointOf("http://tempo:4318/"), "http://tempo:4318/v1/traces");
  EXPECT_EQ(EndpointOf("https://[::1]/v1/traces/"), "https://[::1]/v1/traces");
  EXPECT_EQ(EndpointOf("https://otlp.example.org/otlp"), "https://otlp.example.org/otlp/v1/traces");
}

TEST(ForwardConfig, RefusesWhatIsNoUrlOrHoldsASecret) {
  for (const char* bad : {"tempo:4318", "ftp://tempo", "http://", "http://tempo:0", "http://tempo:99999",
                          "http://user:hunter2@tempo", "http://tempo/?token=hunter2", "http://tempo/#hunter2"}) {
    const std::string error = EndpointOf(bad);
    EXPECT_THAT(error, testing::HasSubstr("not a usable URL")) << bad;
    EXPECT_EQ(error.find("hunter2"), std::string::npos) << error;
  }
}

TEST(ForwardConfig, NeverToItself) {
  for (const char* own : {"http://127.0.0.1:4318", "http://localhost:4318/v1/traces", "https://[::1]:4318"}) {
    EXPECT_THAT(EndpointOf(own), testing::HasSubstr("own otlp.listen")) << own;
  }
  EXPECT_EQ(EndpointOf("http://127.0.0.1:4319"), "http://127.0.0.1:4319/v1/traces");
  EXPECT_EQ(EndpointOf("http://tempo:4318"), "http://tempo:4318/v1/traces");
}

TEST(ForwardConfig, AllUnlessChosen) {
  EXPECT_TRUE(With("{endpoint: \"http://tempo\"}")->limits.forward.all);
  const auto ratio = With("{endpoint: \"http://tempo\", sample_ratio: 0.25}");
  EXPECT_FALSE(ratio->limits.forward.all);
  EXPECT_EQ(ratio->limits.forward.sample_ratio, 0.25);
  const auto failed = With("{endpoint: \"http://tempo\", traces: failed}");
  EXPECT_TRUE(failed->limits.forward.failed);
  EXPECT_FALSE(failed->limits.forward.all || failed->limits.forward.slow || failed->limits.forward.alerted);
}

TEST(ForwardConfig, HeadersComeFromTheEnvironment) {
  const std::string forward =
      "{endpoint: \"http://tempo\", headers: {Authorization: {env: SPANWATCH_TEST_FORWARD_AUTH}}}";
  EXPECT_THAT(With(forward).error(), testing::HasSubstr("SPANWATCH_TEST_FORWARD_AUTH is empty or not set"));
  {
    const ScopedEnvironment good(ScopedEnvironment::Values{{"SPANWATCH_TEST_FORWARD_AUTH", " Bearer hunter2\n"}});
    EXPECT_EQ(With(forward)->forward.headers.at(0).value.Reveal(), "Bearer hunter2");
  }
  const ScopedEnvironment bad(ScopedEnvironment::Values{{"SPANWATCH_TEST_FORWARD_AUTH", "hunter2\r\nX-Evil: 1"}});
  const auto refused = With(forward);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().find("hunter2"), std::string::npos) << refused.error();
}

}  // namespace
}  // namespace spanwatch::config
