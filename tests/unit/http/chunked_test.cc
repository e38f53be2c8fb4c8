#include "sidecar/http/chunked.h"

#include <gtest/gtest.h>

#include <string_view>

namespace spanwatch::http {
namespace {

using State = ChunkedBody::State;

constexpr std::string_view kHead = "HEAD";

// Feeds `bytes` in pieces of `step`; the body and what follows it.
struct Fed {
  State state = State::kMore;
  std::string body, rest;
};
Fed Feed(std::string_view bytes, std::size_t step, std::size_t max = 1000) {
  std::string buffer(kHead);
  ChunkedBody body(kHead.size(), max);
  Fed fed;
  for (std::size_t at = 0; at < bytes.size() && fed.state == State::kMore; at += step) {
    buffer += bytes.substr(at, step);
    fed.state = body.Feed(&buffer);
    if (fed.state == State::kComplete && at + step < bytes.size()) buffer += bytes.substr(at + step);
  }
  EXPECT_EQ(buffer.substr(0, kHead.size()), kHead);
  fed.body = buffer.substr(kHead.size(), body.end() - kHead.size());
  fed.rest = buffer.substr(body.end());
  return fed;
}

TEST(ChunkedBodyTest, AnyCutsGiveTheSameBody) {
  constexpr std::string_view kBytes =
      "5\r\nhello\r\n1;name=\"value\"\r\n \r\nA \r\n0123\r\n6789\r\n0\r\nTrailer: x\r\n\r\nGET /next";
  for (std::size_t step = 1; step <= kBytes.size(); ++step) {
    const Fed fed = Feed(kBytes, step);
    EXPECT_EQ(fed.state, State::kComplete) << step;
    EXPECT_EQ(fed.body, "hello 0123\r\n6789") << step;
    EXPECT_EQ(fed.rest, "GET /next") << step;
  }
}

TEST(ChunkedBodyTest, Empty) { EXPECT_EQ(Feed("0\r\n\r\n", 1).state, State::kComplete); }

TEST(ChunkedBodyTest, Incomplete) {
  for (const std::string_view bytes :
       {"", "5", "5\r\n", "5\r\nhell", "5\r\nhello", "5\r\nhello\r\n", "0\r\n", "0\r\nA: b\r\n"}) {
    EXPECT_EQ(Feed(bytes, 1).state, State::kMore) << bytes;
  }
}

TEST(ChunkedBodyTest, TooLarge) {
  EXPECT_EQ(Feed("5\r\nhello\r\n0\r\n\r\n", 1, 5).state, State::kComplete);
  EXPECT_EQ(Feed("6\r\n", 1, 5).state, State::kTooLarge);
  EXPECT_EQ(Feed("3\r\nabc\r\n3\r\nabc\r\n", 1, 5).state, State::kTooLarge);
  EXPECT_EQ(Feed("ffffffffffffffff\r\n", 1, 5).state, State::kTooLarge);
}

TEST(ChunkedBodyTest, Broken) {
  for (const std::string_view bytes :
       {"\r\n", "x\r\n", "-1\r\n", "5 x\r\n", "2\r\nabc\r\n", "fffffffffffffffff\r\n", "0x5\r\n"}) {
    EXPECT_EQ(Feed(bytes, 1).state, State::kBad) << bytes;
  }
  EXPECT_EQ(Feed(std::string(5000, '0'), 100).state, State::kBad);
  EXPECT_EQ(Feed("0\r\n" + std::string(5000, 'a'), 100).state, State::kBad);
  std::string trailers = "0\r\n";
  while (trailers.size() < 20'000) trailers += "Name: value\r\n";
  EXPECT_EQ(Feed(trailers, 100).state, State::kBad);
}

}  // namespace
}  // namespace spanwatch::http
