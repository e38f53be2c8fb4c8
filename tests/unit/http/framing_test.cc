#include "sidecar/http/framing.h"

#include <gtest/gtest.h>

namespace spanwatch::http {
namespace {

Frame Find(std::string_view data) { return FindFrame(data, 8192, 100); }

TEST(FramingTest, RequestWithoutBody) {
  constexpr std::string_view kRequest = "GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\n\r\n";
  for (std::size_t n = 0; n < kRequest.size(); ++n)
    EXPECT_EQ(Find(kRequest.substr(0, n)).state, FrameState::kHead) << n;
  const std::string both = std::string(kRequest) + "GET /next";
  const Frame frame = Find(both);
  EXPECT_EQ(frame.state, FrameState::kComplete);
  EXPECT_EQ(frame.size, kRequest.size());
  EXPECT_EQ(frame.target, "/metrics?x=1");
}

TEST(FramingTest, RequestWithBody) {
  const std::string head = "POST /x HTTP/1.1\r\ncontent-length:  5 \r\n\r\n";
  EXPECT_EQ(Find(head + "1234").state, FrameState::kBody);
  EXPECT_EQ(Find(head + "123456").state, FrameState::kComplete);
  EXPECT_EQ(Find(head + "123456").size, head.size() + 5);
}

TEST(FramingTest, LimitsAndTricks) {
  EXPECT_EQ(Find(std::string(8192, 'x')).state, FrameState::kHeadTooLarge);
  EXPECT_EQ(Find("GET / HTTP/1.1\r\nA: " + std::string(9000, 'x') + "\r\n\r\n").state, FrameState::kHeadTooLarge);
  EXPECT_EQ(Find("POST / HTTP/1.1\r\nContent-Length: 101\r\n\r\n").state, FrameState::kBodyTooLarge);
  EXPECT_EQ(Find("POST / HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\n").state, FrameState::kBodyTooLarge);
  for (const char* value : {"-1", "1a", "", "0x5", "1, 2", "99999999999999999999"}) {
    EXPECT_EQ(Find(std::string("POST / HTTP/1.1\r\nContent-Length: ") + value + "\r\n\r\n").state,
              FrameState::kBadLength)
        << value;
  }
  EXPECT_EQ(Find("POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n").state, FrameState::kBadLength);
  EXPECT_EQ(Find("POST / HTTP/1.1\r\nContent-Length : 1\r\n\r\n").state, FrameState::kBadLength);
  EXPECT_EQ(Find("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n").state, FrameState::kNeedsLength);
  EXPECT_EQ(Find("garbage\r\n\r\n").state, FrameState::kComplete);  // the parser's business
}

}  // namespace
}  // namespace spanwatch::http
