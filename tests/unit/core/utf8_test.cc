#include "sidecar/core/utf8.h"

#include <gtest/gtest.h>

namespace spanwatch::core {
namespace {

constexpr char kMark[] = "\xEF\xBF\xBD";

TEST(Utf8, AsciiAtEveryLengthAndPlace) {
  for (std::size_t size = 0; size < 40; ++size) {
    std::string text(size, 'a');
    EXPECT_TRUE(IsAscii(text)) << size;
    for (std::size_t i = 0; i < size; ++i) {
      text[i] = '\x80';
      EXPECT_FALSE(IsAscii(text)) << size << " " << i;
      text[i] = 'a';
    }
  }
}

TEST(Utf8, WellFormedAndNot) {
  for (const char* good : {"", "a", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80",
                           "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"}) {
    EXPECT_TRUE(IsUtf8(good)) << good;
    EXPECT_EQ(RepairUtf8(good), good);
  }
  for (const char* bad : {"\x80", "\xC0\xAF", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xF0\x8F\xBF\xBF",
                          "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xC3", "\xE2\x82", "\xF0\x9F\x98", "a\xFFz"}) {
    EXPECT_FALSE(IsUtf8(bad));
    EXPECT_TRUE(IsUtf8(RepairUtf8(bad)));
  }
}

TEST(Utf8, OneMarkForEachBrokenCharacter) {
  EXPECT_EQ(RepairUtf8("a\xE2\x82z"), std::string("a") + kMark + "z");
  EXPECT_EQ(RepairUtf8("\xFF\xFF"), std::string(kMark) + kMark);
  EXPECT_EQ(RepairUtf8("\xED\xA0\x80"), std::string(kMark) + kMark + kMark);
}

TEST(Utf8, CutsBetweenCharacters) {
  EXPECT_EQ(CutUtf8("abc", 3), "abc");
  EXPECT_EQ(CutUtf8("abc", 2), "ab");
  EXPECT_EQ(CutUtf8("a\xC3\xA9", 2), "a");
  EXPECT_EQ(CutUtf8("\xF0\x9F\x98\x80", 3), "");
  EXPECT_EQ(CutUtf8("a\xE2\x82\xAC"
                    "b",
                    4),
            "a\xE2\x82\xAC");
}

}  // namespace
}  // namespace spanwatch::core
