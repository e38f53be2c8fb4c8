// The route tree, inhibition, and the text of matchers.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "sidecar/config/config.h"
#include "sidecar/config/matcher_text.h"

namespace spanwatch::config {
namespace {

// What a text of matchers becomes, as matchers say it again; or the error.
std::string Again(const std::string& text) {
  const auto matchers = ParseMatchers(text);
  if (!matchers) return "error: " + matchers.error().substr(0, matchers.error().find(';'));
  std::string again;
  for (const core::Matcher& matcher : *matchers) again += (again.empty() ? "" : " ") + matcher.Text();
  return again;
}

TEST(MatcherTextTest, IsReadAsAlertmanagerReadsIt) {
  EXPECT_EQ(Again(R"(severity="critical")"), R"(severity="critical")");
  EXPECT_EQ(Again(" severity = critical "), R"(severity="critical")");
  EXPECT_EQ(Again(R"(a!="x")"), R"(a!="x")");
  EXPECT_EQ(Again(R"(a=~"x|y.*")"), R"(a=~"x|y.*")");
  EXPECT_EQ(Again(R"(a!~x.+)"), R"(a!~"x.+")");
  EXPECT_EQ(Again(R"({a="x", b="y",})"), R"(a="x" b="y")");
  EXPECT_EQ(Again(R"(a="x",b=~"y,z")"), R"(a="x" b=~"y,z")");
  EXPECT_EQ(Again(R"(a="")"), R"(a="")");
  EXPECT_EQ(Again("a="), R"(a="")");
  EXPECT_EQ(Again(R"(a="say \"hi\" \\ to")"), R"(a="say \"hi\" \\ to")");
  EXPECT_EQ(Again(R"(a=~"v1\.2")"), R"(a=~"v1\\.2")") << "a backslash that escapes nothing stands for itself";
  EXPECT_EQ(Again("gen_ai.request.model=gpt-4"), R"(gen_ai.request.model="gpt-4")");
  EXPECT_EQ(Again(R"("odd name"="x")"), R"(odd name="x")");
  EXPECT_EQ(Again("a=é"), "a=\"é\"");
}

TEST(MatcherTextTest, MistakesSayWhere) {
  EXPECT_EQ(Again("severity"), R"(error: "severity", character 9: expected =, !=, =~ or !~)");
  EXPECT_EQ(Again("a==b"), R"(error: "a==b", character 2: no such comparison: ==)");
  EXPECT_EQ(Again("a=\"b"), R"(error: "a="b", character 3: this quote does not end)");
  EXPECT_EQ(Again("a=b c"), R"(error: "a=b c", character 5: expected , or the end)");
  EXPECT_EQ(Again("{a=b"), R"(error: "{a=b", character 5: expected , or })");
  EXPECT_EQ(Again("{a=b} c"), R"(error: "{a=b} c", character 7: expected the end)");
  EXPECT_EQ(Again("=b"), R"(error: "=b", character 1: expected the name of a label)");
  EXPECT_EQ(Again(""), R"(error: "", character 1: expected a matcher)");
  EXPECT_EQ(Again("a=b\"c\""), R"(error: "a=b"c"", character 4: put the whole value into double quotes)");
  EXPECT_EQ(Again("a=\xff"), "error: matchers: not UTF-8");
  EXPECT_EQ(Again("a=~(").substr(0, 57), R"(error: "a=~(", character 4: "(" is not a regular expressi)");
}

class RouteTest : public testing::Test {
 protected:
  RouteTest() { std::filesystem::create_directories(directory_); }
  ~RouteTest() override { std::filesystem::remove_all(directory_); }

  Config Read(const std::string& text) {
    const std::string path = directory_ + "/c.yaml";
    std::ofstream(path) << "receivers:\n"
                           "  - {name: a, discord: {webhook_url_env: NO_SUCH_VARIABLE}}\n"
                           "  - {name: b, discord: {webhook_url_env: NO_SUCH_VARIABLE}}\n"
                        << text;
    auto config = Load({.path = path, .use_environment = false});
    if (config) return *config;
    for (const Problem& problem : config.error()) ADD_FAILURE() << problem.ToString();
    return {};
  }

 private:
  const std::string directory_ = testing::TempDir() + "route-test-" + std::to_string(::getpid());
};

TEST_F(RouteTest, AChildInheritsWhatItDoesNotSay) {
  const core::Routing routing = Read(
                                    "route:\n"
                                    "  receiver: b\n"
                                    "  group_by: [service, alertname]\n"
                                    "  group_wait: 3s\n"
                                    "  repeat_interval: 1h\n"
                                    "  routes:\n"
                                    "    - matchers: ['severity=\"critical\"', 'service=~\"bot|api\"']\n"
                                    "      group_wait: 0s\n"
                                    "      continue: true\n"
                                    "      routes: [{receiver: a, group_by: ['...']}]\n"
                                    "    - {receiver: a, group_by: []}\n")
                                    .routing;
  const core::Route& root = routing.route;
  EXPECT_EQ(root.group_by, (std::vector<std::string>{"service", "alertname"}));
  ASSERT_EQ(root.routes.size(), 2u);
  const core::Route& first = root.routes[0];
  EXPECT_EQ(first.receiver, "b");
  ASSERT_EQ(first.matchers.size(), 2u);
  EXPECT_EQ(first.matchers[1].Text(), "service=~\"bot|api\"");
  EXPECT_TRUE(first.matchers[1].Matches("api"));
  EXPECT_EQ(first.group_wait_ns, 0);
  EXPECT_EQ(first.repeat_interval_ns, 3'600'000'000'000);
  EXPECT_EQ(first.group_by, root.group_by);
  EXPECT_TRUE(first.go_on);
  ASSERT_EQ(first.routes.size(), 1u);
  EXPECT_EQ(first.routes[0].receiver, "a");
  EXPECT_EQ(first.routes[0].group_by, (std::vector<std::string>{"..."}));
  EXPECT_TRUE(first.routes[0].matchers.empty()) << "matchers are not inherited";
  EXPECT_FALSE(first.routes[0].go_on);
  EXPECT_EQ(root.routes[1].group_wait_ns, 3'000'000'000);
  EXPECT_TRUE(root.routes[1].group_by.empty());
  EXPECT_TRUE(root.routes[1].routes.empty());
}

TEST_F(RouteTest, WithoutInhibitRulesHealthComesFirst) {
  const core::Routing routing = Read("").routing;
  ASSERT_EQ(routing.inhibit_rules.size(), 1u);
  EXPECT_EQ(routing.inhibit_rules[0].source[0].Text(), "alertname=\"CriticalServiceHealth\"");
  EXPECT_EQ(routing.inhibit_rules[0].target[0].Text(), "alertname=\"HighErrorRate\"");
  EXPECT_EQ(routing.inhibit_rules[0].equal, (std::vector<std::string>{"service"}));
  EXPECT_TRUE(Read("inhibit_rules: []\n").routing.inhibit_rules.empty());
}

TEST_F(RouteTest, TheShippedFileSaysTheDefault) {
  const auto shipped =
      Load({.path = std::string(SPANWATCH_SOURCE_DIR) + "/config/spanwatch.yaml", .use_environment = false});
  ASSERT_TRUE(shipped.has_value());
  const core::Routing routing = Read("").routing;
  ASSERT_EQ(shipped->routing.inhibit_rules.size(), 1u);
  const core::InhibitRule &said = shipped->routing.inhibit_rules[0], &built_in = routing.inhibit_rules[0];
  EXPECT_EQ(said.name, built_in.name);
  EXPECT_EQ(said.source[0].Text(), built_in.source[0].Text());
  EXPECT_EQ(said.target[0].Text(), built_in.target[0].Text());
  EXPECT_EQ(said.equal, built_in.equal);
}

}  // namespace
}  // namespace spanwatch::config
