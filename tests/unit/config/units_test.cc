#include "sidecar/config/units.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace spanwatch::config {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

TEST(DurationTest, TakesUnitsAndCombinations) {
  EXPECT_EQ(ParseDuration("500ms"), kSecond / 2);
  EXPECT_EQ(ParseDuration("2h"), 7200 * kSecond);
  EXPECT_EQ(ParseDuration("1h30m"), 5400 * kSecond);
  EXPECT_EQ(ParseDuration("1d2h3m4s5ms"), (86400 + 7200 + 180 + 4) * kSecond + 5'000'000);
  EXPECT_EQ(ParseDuration("1.5s"), kSecond * 3 / 2);
  EXPECT_EQ(ParseDuration("0"), 0);
  EXPECT_EQ(ParseDuration("0s"), 0);
}

TEST(DurationTest, RefusesTheRest) {
  for (const char* text : {"", "5", "s", "5 s", "-5s", "5sec", "30m1h", "1h1h", "1e3s", "infs", "nans", ".s", "1..5s",
                           "5s ", "4000d", "99999999999999999999h"}) {
    EXPECT_FALSE(ParseDuration(text).has_value()) << text;
  }
  EXPECT_NE(ParseDuration("7200").error().find("has no unit"), std::string::npos);
  EXPECT_NE(ParseDuration("-5s").error().find("is negative"), std::string::npos);
}

TEST(DurationTest, TextRoundTrips) {
  for (const std::int64_t ns : {std::int64_t{0}, 1'000'000L, kSecond, 5400 * kSecond, 90061 * kSecond + 7'000'000}) {
    EXPECT_EQ(ParseDuration(DurationText(ns)), ns) << DurationText(ns);
  }
  EXPECT_EQ(DurationText(5400 * kSecond), "1h30m");
}

TEST(SizeTest, UnitsArePowersOfTwo) {
  EXPECT_EQ(ParseSize("50MB"), 50u << 20);
  EXPECT_EQ(ParseSize("1KB"), 1024u);
  EXPECT_EQ(ParseSize("52428800B"), 52428800u);
  EXPECT_EQ(ParseSize("0.5GB"), 1u << 29);
  for (const char* text : {"", "50", "-1MB", "50MiB", "50mb", "MB", "50 MB", "99999999999GB"}) {
    EXPECT_FALSE(ParseSize(text).has_value()) << text;
  }
}

TEST(PercentTest, IsARatio) {
  EXPECT_DOUBLE_EQ(*ParsePercent("10%"), 0.1);
  EXPECT_DOUBLE_EQ(*ParsePercent("0.5%"), 0.005);
  EXPECT_DOUBLE_EQ(*ParsePercent("100%"), 1);
  for (const char* text : {"", "10", "0.1", "%", "101%", "-1%"}) EXPECT_FALSE(ParsePercent(text).has_value()) << text;
}

TEST(ShareTest, IsARatioOrAPercentage) {
  EXPECT_DOUBLE_EQ(*ParseShare("10%"), 0.1);
  EXPECT_DOUBLE_EQ(*ParseShare("0.25"), 0.25);
  EXPECT_DOUBLE_EQ(*ParseShare("0"), 0);
  EXPECT_DOUBLE_EQ(*ParseShare("1"), 1);
  for (const char* text : {"", "10", "1.01", "%", "101%", "-0.1", "nan", "half"})
    EXPECT_FALSE(ParseShare(text).has_value()) << text;
}

TEST(RateTest, IsPerSecond) {
  EXPECT_DOUBLE_EQ(*ParseRate("5/s"), 5);
  EXPECT_DOUBLE_EQ(*ParseRate("60/m"), 1);
  EXPECT_DOUBLE_EQ(*ParseRate("3600/h"), 1);
  EXPECT_FALSE(ParseRate("5").has_value());
}

TEST(WholeTest, TakesNoFractions) {
  EXPECT_EQ(ParseWhole("2000"), 2000u);
  for (const char* text : {"", "-1", "1.5", "2k", "1e3", "0x10"}) EXPECT_FALSE(ParseWhole(text).has_value()) << text;
  EXPECT_THAT(ParseWhole("99999999999999999999999").error(), ::testing::HasSubstr("is too large"));
}

TEST(QuoteTest, HidesWhatMayBeSecret) {
  EXPECT_EQ(Quote("5s"), "\"5s\"");
  EXPECT_EQ(Quote("https://user:password@host/x"), "<hidden>");
  EXPECT_EQ(Quote("discord.com/api/Webhooks/1/token"), "<hidden>");
  EXPECT_EQ(Quote("ipc:///run/x.sock"), "\"ipc:///run/x.sock\"");
  EXPECT_EQ(Quote("a\nb"), "\"a?b\"");
  EXPECT_EQ(Quote(std::string(100, 'x')), "\"" + std::string(60, 'x') + "...\"");
}

TEST(DidYouMeanTest, FindsTheNearest) {
  const std::vector<std::string> names = {"listen", "insecure_listen", "warning"};
  EXPECT_EQ(DidYouMean("lisen", names), " (did you mean \"listen\"?)");
  EXPECT_EQ(DidYouMean("ilsten", names), " (did you mean \"listen\"?)");
  EXPECT_EQ(DidYouMean("warn", names), " (did you mean \"warning\"?)");
  EXPECT_EQ(DidYouMean("Insecure-Listen", names), " (did you mean \"insecure_listen\"?)");
  EXPECT_EQ(DidYouMean("colour", names), "");
}

TEST(UnitsTest, CountsMoneyAndFactors) {
  EXPECT_EQ(ParseCount("15"), 15);
  EXPECT_EQ(ParseCount("1.5M"), 1.5e6);
  EXPECT_EQ(ParseCount("2G"), 2e9);
  EXPECT_EQ(ParseSigned("-3"), -3);
  EXPECT_EQ(ParseSigned("2k"), 2000);
  EXPECT_EQ(ParseDollars("$ 0.50"), 0.5);
  EXPECT_EQ(ParseDollars("5 USD"), 5);
  EXPECT_EQ(ParseDollars("$2k"), 2000);
  EXPECT_EQ(ParseFactor("14.4x"), 14.4);
  for (const char* wrong : {"", "k", "5K", "5 k", "1e3", "-1", "inf", "99999999999999999999"})
    EXPECT_FALSE(ParseCount(wrong)) << wrong;
  for (const char* wrong : {"", "-", "--1", "- 1", "high"}) EXPECT_FALSE(ParseSigned(wrong)) << wrong;
  for (const char* wrong : {"", "$", "USD", "5", "$5 USD", "$-5", "5 EUR", "5 $"})
    EXPECT_FALSE(ParseDollars(wrong)) << wrong;
  for (const char* wrong : {"", "x", "14%", "-1"}) EXPECT_FALSE(ParseFactor(wrong)) << wrong;
}

}  // namespace
}  // namespace spanwatch::config
