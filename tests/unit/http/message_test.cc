#include "sidecar/http/message.h"

#include <gtest/gtest.h>

namespace spanwatch::http {
namespace {

TEST(MessageTest, ParsesAHead) {
  RequestHead head;
  ASSERT_TRUE(ParseRequestHead(
      "POST /v1/traces?x=1 HTTP/1.1\r\nHost: a:4318\r\nCONTENT-type:\t application/json \r\nEmpty:\r\n\r\nbody",
      &head));
  EXPECT_EQ(head.method, "POST");
  EXPECT_EQ(head.path, "/v1/traces");
  EXPECT_TRUE(head.keep_alive);
  EXPECT_EQ(head.Find("content-type"), "application/json");
  EXPECT_EQ(head.Find("empty"), "");
  EXPECT_EQ(head.Find("missing"), std::nullopt);
  EXPECT_EQ(head.headers.size(), 3u);
}

TEST(MessageTest, AbsoluteTargetsAndConnections) {
  RequestHead head;
  ASSERT_TRUE(ParseRequestHead("GET http://host:1/v1/traces HTTP/1.1\r\nConnection: Close", &head));
  EXPECT_EQ(head.path, "/v1/traces");
  EXPECT_FALSE(head.keep_alive);
  ASSERT_TRUE(ParseRequestHead("GET http://host HTTP/1.0", &head));
  EXPECT_EQ(head.path, "/");
  EXPECT_FALSE(head.keep_alive);
  ASSERT_TRUE(ParseRequestHead("GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n", &head));
  EXPECT_TRUE(head.keep_alive);
}

TEST(MessageTest, WhatIsNoHead) {
  for (const char* text : {"", "GET", "GET /", "GET / HTTP/2.0", " / HTTP/1.1", "GET  HTTP/1.1", "GET /a b HTTP/1.1",
                           "GET / HTTP/1.1\r\nno colon", "GET / HTTP/1.1\r\n: x", "\r\n\r\n"}) {
    RequestHead head;
    EXPECT_FALSE(ParseRequestHead(text, &head)) << text;
  }
}

TEST(MessageTest, Answers) {
  EXPECT_EQ(
      AnswerBytes({200, "text/plain", "hi", {{"Allow", "GET"}}, true, false}),
      "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nAllow: GET\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi");
  EXPECT_EQ(AnswerBytes({405, "text/plain", "hi", {}, false, true}),
            "HTTP/1.1 405 Method Not Allowed\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(AnswerBytes({204, "", "", {}, false, false}), "HTTP/1.1 204 No Content\r\n\r\n");
}

}  // namespace
}  // namespace spanwatch::http
