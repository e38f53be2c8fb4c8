#include "sidecar/notify/discord_text.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>
#include <regex>

#include "tests/unit/notify/discord_check.h"

namespace spanwatch::notify {
namespace {

TEST(DiscordText, CountsAsDiscordAtMostDoes) {
  EXPECT_EQ(Utf16Units(""), 0u);
  EXPECT_EQ(Utf16Units("abc"), 3u);
  EXPECT_EQ(Utf16Units("\u00e4\u20ac"), 2u);
  EXPECT_EQ(Utf16Units("\U0001F600"), 2u);
}

TEST(DiscordText, EscapesMarkup) {
  EXPECT_EQ(EscapeUserText("plain text", 100), "plain text");
  EXPECT_EQ(EscapeUserText("a_b*c~d`e|f", 100), "a\\_b\\*c\\~d\\`e\\|f");
  EXPECT_EQ(EscapeUserText("](http://evil)", 100), "\\]\\(http\\://evil\\)");
  EXPECT_EQ(EscapeUserText("- item", 100), "\\- item");
  EXPECT_EQ(EscapeUserText("a - b", 100), "a - b");
  EXPECT_EQ(EscapeUserText("12. item", 100), "12\\. item");
  EXPECT_EQ(EscapeUserText("12.\u200b", 100), "12\\.");
  EXPECT_EQ(EscapeUserText("v1.2 3.4 s", 100), "v1.2 3.4 s");
  EXPECT_EQ(EscapeUserText("3.2 s", 100), "3.2 s");
  EXPECT_EQ(EscapeUserText("# head > quote", 100), "\\# head \\> quote");
  EXPECT_EQ(EscapeUserText("<t:1:R> <@1> :smile:", 100), "\\<t\\:1\\:R\\> \\<\\@\u200b1\\> \\:smile\\:");
  EXPECT_EQ(EscapeUserText("@everyone", 100), "\\@\u200beveryone");
  EXPECT_EQ(EscapeUserText("back\\slash", 100), "back\\\\slash");
}

TEST(DiscordText, RemovesWhatDeceives) {
  EXPECT_EQ(EscapeUserText("  a \r\n\t b\u2028c  ", 100), "a b c");
  EXPECT_EQ(EscapeUserText("a\u202eb\u200bc\u2066d\ufeffe\u00adf", 100), "abcdef");
  EXPECT_EQ(EscapeUserText(std::string("a\0b\x1b[31mc\x7f", 10), 100), "ab\\[31mc");
  EXPECT_EQ(EscapeUserText("\u200b\u3164 \u2800", 100), "");
  EXPECT_EQ(EscapeUserText("a\xff\xc3(\xed\xa0\x80z", 100), "a\ufffd\ufffd\\(\ufffd\ufffd\ufffdz");
  EXPECT_EQ(CleanText("a_b\u202e\nc", 100), "a_b c");
}

TEST(DiscordText, CutsWithAMarkAndNeverInsideAPiece) {
  EXPECT_EQ(EscapeUserText("abcdef", 6), "abcdef");
  EXPECT_EQ(EscapeUserText("abcdefg", 6), "abcde\u2026");
  EXPECT_EQ(EscapeUserText("abcd__", 6), "abcd\u2026");
  EXPECT_EQ(EscapeUserText("abcde____", 8), "abcde\\_\u2026");
  EXPECT_EQ(EscapeUserText("\U0001F600\U0001F600\U0001F600", 5), "\U0001F600\U0001F600\u2026");
  EXPECT_EQ(EscapeUserText("\U0001F600\U0001F600\U0001F600", 4), "\U0001F600\u2026");
  EXPECT_EQ(EscapeUserText("abc defg", 5), "abc\u2026");
  EXPECT_EQ(EscapeUserText("abc", 0), "");
  EXPECT_EQ(EscapeUserText("abc", 1), "\u2026");
}

std::string Nasty(std::mt19937_64* random) {
  static const std::vector<std::string> kPieces = {"a",
                                                   "word",
                                                   " ",
                                                   "\n",
                                                   "\\",
                                                   "*",
                                                   "_",
                                                   "`",
                                                   "```",
                                                   "||",
                                                   "[x](http://evil)",
                                                   "<@1>",
                                                   "@everyone",
                                                   "@here",
                                                   "<t:1:R>",
                                                   "#",
                                                   "-",
                                                   "1.",
                                                   ":x:",
                                                   "\U0001F600",
                                                   "\u202e",
                                                   "\u200b",
                                                   "\u200d",
                                                   "\xff",
                                                   "\xc3",
                                                   "\xed\xa0\x80",
                                                   std::string(1, '\0'),
                                                   "\x1b",
                                                   "\u20ac",
                                                   "://"};
  std::string text;
  for (std::uint64_t n = (*random)() % 40; n > 0; --n) text += kPieces[(*random)() % kPieces.size()];
  return text;
}

// A reader of escapes: every markup character left after taking "\x" pairs away would come alive.
bool HasLiveMarkup(const std::string& text) {
  static const std::regex kPair(R"(\\[^0-9A-Za-z\s])");
  return std::regex_search(std::regex_replace(text, kPair, ""), std::regex(R"([*_~`|<>#\[\]()@:\\])"));
}

TEST(DiscordText, WhateverComesIsHarmlessValidAndShortEnough) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 8000; ++i) {
    const std::string text = Nasty(&random);
    const std::size_t limit = random() % 60;
    const std::string escaped = EscapeUserText(text, limit);
    ASSERT_LE(CountUtf16(escaped), limit);
    ASSERT_EQ(CountUtf16(escaped), Utf16Units(escaped));
    ASSERT_FALSE(HasLiveMarkup(escaped)) << escaped;
    ASSERT_EQ(escaped.find("@everyone"), std::string::npos);
    ASSERT_NO_THROW(nlohmann::json(escaped).dump()) << "invalid UTF-8";
    ASSERT_TRUE(escaped.empty() || (escaped.front() != ' ' && escaped.back() != ' '));
    // The same text with room enough is the same, or the cut text is a beginning of it.
    const std::string whole = EscapeUserText(text, 1'000'000);
    const bool is_whole = escaped == whole;
    ASSERT_TRUE(is_whole || limit == 0 || escaped.ends_with("\u2026"));
    if (!is_whole && limit > 0) {
      ASSERT_TRUE(whole.starts_with(escaped.substr(0, escaped.size() - 3)));
    }
  }
}

TEST(DiscordText, LinkUrlCannotEndTheLink) {
  EXPECT_EQ(LinkUrl("http://localhost:9464/trace/ab"), "http://localhost:9464/trace/ab");
  EXPECT_EQ(LinkUrl("http://[::1]:9464/t"), "http://[::1]:9464/t");
  EXPECT_EQ(LinkUrl("https://a/b) [x](http://evil"), "https://a/b%29%20[x]%28http://evil");
  EXPECT_EQ(LinkUrl("javascript:alert"), "");
  EXPECT_EQ(LinkUrl("https://" + std::string(600, 'a')), "");
}

TEST(DiscordText, Times) {
  EXPECT_EQ(IsoTime(kMaxContent), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(IsoTime(1'767'323'045'678'900'000), "2026-01-02T03:04:05.678Z");
  EXPECT_EQ(IsoTime(951'782'400'000'000'000), "2000-02-29T00:00:00.000Z");
  EXPECT_EQ(IsoTime(0), "");
  EXPECT_EQ(IsoTime(-5), "");
  EXPECT_EQ(FormatLength(850'000'000), "850 ms");
  EXPECT_EQ(FormatLength(42'000'000'000), "42 s");
  EXPECT_EQ(FormatLength(125'000'000'000), "2 min 5 s");
  EXPECT_EQ(FormatLength(120'000'000'000), "2 min");
  EXPECT_EQ(FormatLength(12'000'000'000'000), "3 h 20 min");
  EXPECT_EQ(FormatLength(187'200'000'000'000), "2 d 4 h");
  EXPECT_EQ(FormatLength(-1), "0 ms");
}

}  // namespace
}  // namespace spanwatch::notify
