#include <gtest/gtest.h>

#include "sidecar/ingest/otlp_gzip.h"
#include "tests/unit/ingest/gzip.h"

namespace spanwatch::ingest {
namespace {

using testing::Gzip;

constexpr std::size_t kLimit = 1u << 20;

TEST(OtlpGzip, Inflates) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{65'536}, kLimit}) {
    std::string text;
    for (std::size_t i = 0; i < size; ++i) text.push_back(static_cast<char>(i * i >> 7));
    std::string out;
    EXPECT_EQ(Gunzip(Gzip(text), kLimit, &out), GzipResult::kGood);
    EXPECT_EQ(out, text);
  }
}

TEST(OtlpGzip, SeveralMembersAndPadding) {
  std::string out;
  EXPECT_EQ(Gunzip(Gzip("one ") + Gzip("") + Gzip("two") + std::string(512, '\0'), kLimit, &out), GzipResult::kGood);
  EXPECT_EQ(out, "one two");
  EXPECT_EQ(Gunzip(Gzip("one") + "rest", kLimit, &out), GzipResult::kBroken);
  EXPECT_EQ(out, "");
}

TEST(OtlpGzip, EveryTruncationIsSeen) {
  const std::string whole = Gzip("some text that is long enough to be packed, some text that is long enough");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    std::string out;
    EXPECT_EQ(Gunzip(whole.substr(0, size), kLimit, &out), GzipResult::kTruncated) << size;
    EXPECT_EQ(out, "");
  }
}

TEST(OtlpGzip, BombsStopAtTheLimit) {
  std::string out;
  EXPECT_EQ(Gunzip(Gzip(std::string(kLimit + 1, 'x')), kLimit, &out), GzipResult::kTooLarge);
  const std::string half = Gzip(std::string(kLimit / 2 + 1, 'x'));
  EXPECT_EQ(Gunzip(half + half, kLimit, &out), GzipResult::kTooLarge);
  const std::string bomb = Gzip(std::string(200u << 20, '\0'));
  ASSERT_LT(bomb.size(), 1u << 20);
  EXPECT_EQ(Gunzip(bomb, kLimit, &out), GzipResult::kTooLarge);
  EXPECT_LT(out.capacity(), 1u << 20);
}

TEST(OtlpGzip, RubbishIsBroken) {
  std::string out;
  EXPECT_EQ(Gunzip("this is no gzip at all", kLimit, &out), GzipResult::kBroken);
  std::string wrong_sum = Gzip("text");
  wrong_sum[wrong_sum.size() - 6] ^= 1;
  EXPECT_EQ(Gunzip(wrong_sum, kLimit, &out), GzipResult::kBroken);
}

}  // namespace
}  // namespace spanwatch::ingest
