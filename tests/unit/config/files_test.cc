// tests/config/bad: each NAME.yaml gives exactly the lines of NAME.expected. tests/config/good: no problem at all.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "sidecar/config/config.h"

namespace spanwatch::config {
namespace {

const std::string kRoot = SPANWATCH_SOURCE_DIR;

std::string ReadAll(const std::string& path) {
  std::ifstream stream(path);
  EXPECT_TRUE(stream.is_open()) << path;
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

std::vector<std::string> YamlFilesIn(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".yaml") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string Lines(const std::vector<Problem>& problems) {
  std::string text;
  for (const Problem& problem : problems) text += problem.ToString() + "\n";
  return text;
}

class BadFileTest : public testing::TestWithParam<std::string> {};

TEST_P(BadFileTest, GivesItsLines) {
  const std::string folder = kRoot + "/tests/config/bad/";
  std::filesystem::current_path(folder);  // so that messages name the file alone
  EXPECT_EQ(Lines(CheckFiles({GetParam() + ".yaml"})), ReadAll(folder + GetParam() + ".expected"));
}

INSTANTIATE_TEST_SUITE_P(All, BadFileTest, testing::ValuesIn(YamlFilesIn(kRoot + "/tests/config/bad")),
                         [](const auto& file) { return file.param; });

TEST(BadFilesTest, AreManyAndShowNoSecret) {
  const std::vector<std::string> names = YamlFilesIn(kRoot + "/tests/config/bad");
  EXPECT_GE(names.size(), 25u);
  for (const std::string& name : names) {
    const std::string expected = ReadAll(kRoot + "/tests/config/bad/" + name + ".expected");
    EXPECT_FALSE(expected.empty()) << name;
    EXPECT_EQ(expected.find("discord.example"), std::string::npos) << name;
  }
}

TEST(BadFilesTest, AllFilesOfACallAreChecked) {
  std::filesystem::current_path(kRoot + "/tests/config/bad");
  const std::vector<Problem> problems = CheckFiles({"size_negative.yaml", "no-such-file.yaml", "rule_regex.yaml"});
  ASSERT_EQ(problems.size(), 3u);
  EXPECT_EQ(problems[0].file, "size_negative.yaml");
  EXPECT_EQ(problems[1].ToString(), "file \"no-such-file.yaml\" cannot be read: No such file or directory");
  EXPECT_EQ(problems[2].file, "rule_regex.yaml");
}

TEST(GoodFilesTest, HaveNoProblem) {
  for (const std::string folder : {"/tests/config/good", "/tests/config/good/rules", "/tests/config/good/profiles",
                                   "/config", "/config/profiles", "/rules"}) {
    const std::vector<std::string> names = YamlFilesIn(kRoot + folder);
    EXPECT_FALSE(names.empty()) << folder;
    for (const std::string& name : names) EXPECT_EQ(Lines(CheckFiles({kRoot + folder + "/" + name + ".yaml"})), "");
  }
}

// Cut anywhere, a file gives problems or a configuration, never a crash.
TEST(GoodFilesTest, SurviveBeingCut) {
  const std::string text = ReadAll(kRoot + "/tests/config/good/rules/measures.yaml");
  for (std::size_t length = 0; length < text.size(); length += 7) {
    const auto rules = ParseRules("cut", text.substr(0, length), {});
    EXPECT_TRUE(rules.has_value() || !rules.error().empty());
  }
}

TEST(GoodFilesTest, SurviveDeepNesting) {
  const auto rules = ParseRules("deep", std::string(100'000, '['), {});
  ASSERT_FALSE(rules.has_value());
  EXPECT_EQ(rules.error().front().file, "deep");
}

}  // namespace
}  // namespace spanwatch::config
