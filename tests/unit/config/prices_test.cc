// The setting "prices", the shipped file, and prices in the record of kReload.
#include "sidecar/core/prices.h"

#include <gtest/gtest.h>

#include <cmath>

#include "sidecar/config/config.h"
#include "sidecar/config/prices.h"

namespace spanwatch::config {
namespace {

constexpr std::int64_t kDay = 86'400'000'000'000;

// The problems of a file of prices, or "".
std::string ProblemsOf(const std::string& text, std::shared_ptr<const core::Prices>* prices = nullptr) {
  Problems problems;
  auto source = std::make_shared<Source>();
  source->name = "p";
  const auto root = ParseYaml(text, source, &problems);
  const auto read = root ? ReadPriceFile(*root, &problems) : nullptr;
  if (prices != nullptr) *prices = read;
  std::string lines;
  for (const Problem& problem : problems.Take()) lines += problem.ToString() + "\n";
  return lines;
}

std::shared_ptr<const core::Prices> PricesOf(const std::string& setting) {
  const auto config = Load({.path = std::string(SPANWATCH_SOURCE_DIR) + "/tests/config/good/minimal.yaml",
                            .sets = setting.empty() ? std::vector<std::string>{} : std::vector<std::string>{setting},
                            .use_environment = false});
  EXPECT_TRUE(config.has_value()) << setting;
  return config ? config->limits.prices : nullptr;
}

TEST(PricesSetting, BuiltInOnesHoldUnlessItIsEmptyOrNamesAFile) {
  const auto built_in = PricesOf("");
  const auto shipped = PricesOf("prices=" + std::string(SPANWATCH_SOURCE_DIR) + "/config/prices.yaml");
  ASSERT_TRUE(built_in && shipped);
  EXPECT_EQ(built_in->list(), shipped->list());
  EXPECT_EQ(PricesOf("prices=''"), nullptr);
  EXPECT_EQ(PricesOf("prices="), nullptr);
}

TEST(PricesSetting, TheShippedOnesKnowModelsByTheNamesThatSpansHave) {
  const auto prices = PricesOf("");
  ASSERT_TRUE(prices);
  EXPECT_GE(prices->list().size(), 40u);
  for (const char* model : {"gemini-2.5-flash", "models/gemini-2.5-pro", "gpt-4o-2024-08-06", "openai/gpt-5-mini",
                            "claude-sonnet-4-5-20250929", "mistral-large-latest", "deepseek-chat"}) {
    EXPECT_NE(prices->Find(model, 0), nullptr) << model;
  }
  const core::Price* flash = prices->Find("gemini-2.5-flash", 0);
  EXPECT_EQ(flash->input, 0.3);
  EXPECT_EQ(flash->cache_write, 0.3) << "as the input, unless it is given";
  EXPECT_EQ(flash->cached_input, 0.03);
  for (const core::Price& price : prices->list()) {
    EXPECT_LE(price.cached_input, price.input) << price.model;
    EXPECT_LE(price.input, 30) << price.model;
    EXPECT_FALSE(price.model.ends_with('*')) << "a model to come must not get this one's price";
  }
}

TEST(PriceFile, EntriesAreReadAndBounded) {
  std::shared_ptr<const core::Prices> prices;
  EXPECT_EQ(
      ProblemsOf("models: [{model: [a, 'b*'], from: 1970-01-02, input: 1, output: $2.5}]"),
      "p:1:35: models[0].from: \"1970-01-02\" is not a day; allowed: 2000-01-01 to 2100-12-31, as in 2025-01-31\n");
  EXPECT_EQ(ProblemsOf("models: [{model: [a, 'b*'], from: 2000-01-02, input: 1, output: $2.5}]", &prices), "");
  ASSERT_EQ(prices->list().size(), 2u);
  EXPECT_EQ(prices->list()[1].model, "b*");
  EXPECT_EQ(prices->list()[1].from_ns, 10'958 * kDay);
  EXPECT_EQ(prices->list()[1].output, 2.5);
  const auto many = [](int count) {
    std::string text = "models:\n";
    for (int i = 0; i < count; ++i) text += "- {model: m" + std::to_string(i) + ", input: 1, output: 1}\n";
    return text;
  };
  EXPECT_EQ(ProblemsOf(many(1000)), "");
  EXPECT_EQ(ProblemsOf(many(1001)), "p:1002:11: 1001 prices; allowed: at most 1000\n");
  EXPECT_EQ(ProblemsOf("models: []"), "");
}

TEST(PriceRecord, RoundTripsAndOlderOnesHaveNone) {
  Config config;
  config.rules = std::make_shared<core::RuleSet>();
  const std::string without = MakeReload(config);
  EXPECT_EQ(ParseReload(without)->limits->prices, nullptr);
  std::vector<core::Price> list = {{"a*", INT64_MIN, 0.1, 1.0 / 3, 1e-9, 10'000}, {"ä \"", 5 * kDay, 0, 0, 0, 0}};
  config.limits.prices = std::make_shared<core::Prices>(list);
  const std::string with = MakeReload(config);
  const auto reload = ParseReload(with);
  ASSERT_TRUE(reload.has_value()) << reload.error();
  ASSERT_TRUE(reload->limits->prices);
  EXPECT_EQ(reload->limits->prices->list(), list);
  config.limits.prices = reload->limits->prices;
  EXPECT_EQ(MakeReload(config), with);
}

TEST(PriceRecord, HostileOnesAreRefused) {
  Config config;
  config.rules = std::make_shared<core::RuleSet>();
  config.limits.prices = std::make_shared<core::Prices>(std::vector<core::Price>{{"m", 7, 1, 2, 3, 4}});
  const std::string good = MakeReload(config), entry = "[\"m\",7,1.0,2.0,3.0,4.0]";
  ASSERT_NE(good.find(entry), std::string::npos) << good;
  const auto with = [&](const std::string& other) {
    std::string text = good;
    return text.replace(text.find(entry), entry.size(), other);
  };
  EXPECT_TRUE(ParseReload(with(entry + "," + entry)).has_value());
  for (const std::string& bad :
       {std::string("7"), std::string("[]"), std::string(R"(["m",7,1.0,2.0,3.0])"), std::string(R"(["",7,1,2,3,4])"),
        std::string(R"(["m",7,-1,2,3,4])"), std::string(R"(["m",7,1,2,3,1e9])"), std::string(R"(["m","x",1,2,3,4])"),
        "[\"" + std::string(129, 'x') + "\",7,1,2,3,4]"}) {
    EXPECT_FALSE(ParseReload(with(bad)).has_value()) << bad;
  }
  std::string many = entry;
  for (int i = 0; i < 1000; ++i) many += "," + entry;
  EXPECT_FALSE(ParseReload(with(many)).has_value());
}

}  // namespace
}  // namespace spanwatch::config
