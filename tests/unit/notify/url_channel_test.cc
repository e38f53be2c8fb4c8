#include "sidecar/notify/url_channel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sidecar/notify/url_channel_reply.h"

namespace spanwatch::notify {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr std::int64_t kSec = 1'000'000'000;

TEST(UrlTest, Parts) {
  EXPECT_EQ(ParseUrl("https://hooks.example.org/services/T0?x=1#frag")->target, "/services/T0?x=1");
  EXPECT_EQ(ParseUrl("https://hooks.example.org/services/T0?x=1")->origin, "https://hooks.example.org");
  EXPECT_EQ(ParseUrl("http://[::1]:9093")->origin, "http://[::1]:9093");
  EXPECT_EQ(ParseUrl("http://[::1]:9093")->target, "/");
  EXPECT_EQ(ParseUrl("http://a?q=1")->target, "/?q=1");
  for (const char* bad :
       {"", "ftp://x/", "https://", "https:///path", "https://u:p@h/", "https://h:0/", "https://h:99999/",
        "https://h:x/", "https://a b/", "https://h/\r\nX: y", "https://h\\evil/", "https://[zz]/"}) {
    EXPECT_FALSE(ParseUrl(bad)) << bad;
  }
  EXPECT_THAT(ParseUrl("https://user:hunter2@h/").error(), Not(HasSubstr("hunter2")));
}

core::Receiver Receiver(core::ReceiverKind kind, const std::string& url) {
  core::Receiver receiver;
  receiver.kind = kind;
  receiver.url = core::Secret(url);
  receiver.authorization = core::Secret("Bearer very-secret-token");
  return receiver;
}

TEST(UrlChannelTest, Request) {
  const auto channel = MakeChannel(Receiver(core::ReceiverKind::kWebhook, "https://h.example/a/b?c=d"), "", "1.2.3");
  ASSERT_TRUE(channel.has_value());
  const client::Request http = (*channel)->ToHttp({Method::kPost, "", "{}"});
  EXPECT_EQ(http.method, "POST");
  EXPECT_EQ(http.target, "/a/b?c=d");
  EXPECT_EQ(http.body, "{}");
  EXPECT_THAT(http.headers, testing::Contains(testing::Pair("Authorization", "Bearer very-secret-token")));
  EXPECT_THAT(http.headers, testing::Contains(testing::Pair("Content-Type", "application/json")));
  EXPECT_THAT(http.headers, testing::Contains(testing::Pair("User-Agent", "Spanwatch/1.2.3")));
}

TEST(UrlChannelTest, AlertmanagersPath) {
  for (const char* url : {"http://127.0.0.1:9093", "http://127.0.0.1:9093/", "http://127.0.0.1:9093/api/v2/alerts"}) {
    const auto channel = MakeChannel(Receiver(core::ReceiverKind::kAlertmanager, url), "", "1");
    EXPECT_EQ((*channel)->ToHttp({}).target, "/api/v2/alerts") << url;
  }
  const auto below = MakeChannel(Receiver(core::ReceiverKind::kAlertmanager, "https://h/am/"), "", "1");
  EXPECT_EQ((*below)->ToHttp({}).target, "/am/api/v2/alerts");
  EXPECT_FALSE(MakeChannel(Receiver(core::ReceiverKind::kAlertmanager, "https://h/am?x=1"), "", "1"));
}

TEST(UrlChannelTest, SecretsAreRemoved) {
  const auto channel = MakeChannel(
      Receiver(core::ReceiverKind::kWebhook, "https://h/services/T00000000/abcdefghijkl123?token=zyxwvutsrqponm"), "",
      "1");
  const std::string shown = (*channel)->RemoveSecrets(
      "POST /services/T00000000/abcdefghijkl123?token=zyxwvutsrqponm, abcdefghijkl123, zyxwvutsrqponm, "
      "very-secret-token");
  EXPECT_THAT(shown, Not(HasSubstr("abcdefghijkl123")));
  EXPECT_THAT(shown, Not(HasSubstr("zyxwvutsrqponm")));
  EXPECT_THAT(shown, Not(HasSubstr("very-secret-token")));
  EXPECT_EQ((*channel)->RemoveSecrets("no services here"), "no services here");
}

UrlOutcome Of(int status, const std::string& retry_after = "") {
  Reply reply;
  reply.status = status;
  reply.retry_after = retry_after;
  reply.body = "text\x01\xff";
  return JudgeUrl(reply, 1'700'000'000 * kSec);
}

TEST(UrlReplyTest, Verdicts) {
  for (const int good : {200, 201, 202, 204}) EXPECT_EQ(Of(good).verdict, UrlVerdict::kDelivered) << good;
  for (const int again : {0, 408, 425, 500, 502, 503, 504}) EXPECT_EQ(Of(again).verdict, UrlVerdict::kRetry) << again;
  for (const int bad : {301, 400, 401, 403, 404, 410, 413, 422})
    EXPECT_EQ(Of(bad).verdict, UrlVerdict::kRefused) << bad;
  EXPECT_EQ(Of(429).verdict, UrlVerdict::kRateLimited);
  EXPECT_EQ(Of(200).text, "");
  EXPECT_THAT(Of(400).text, HasSubstr("400"));
}

TEST(UrlReplyTest, RetryAfter) {
  EXPECT_EQ(Of(503, "3").retry_after_ns, 3 * kSec);
  EXPECT_EQ(Of(429, "Tue, 14 Nov 2023 22:13:50 GMT").retry_after_ns, 30 * kSec);
  EXPECT_EQ(Of(429, "Tue, 14 Nov 2000 22:13:50 GMT").retry_after_ns, 0);
  EXPECT_EQ(Of(429, "99999999999").retry_after_ns, 86'400 * kSec);
  for (const char* bad : {"", "soon", "-1", "nan", "1e999", "Tue, 14 Nov 2023"}) {
    EXPECT_GE(Of(503, bad).retry_after_ns, 0) << bad;
    EXPECT_LE(Of(503, bad).retry_after_ns, 86'400 * kSec) << bad;
  }
  EXPECT_EQ(Of(400, "3").retry_after_ns, 0);
}

TEST(UrlReplyTest, BackOffGrowsToAMinute) {
  BackOff back_off;
  std::int64_t full = kSec;
  for (int i = 0; i < 12; ++i, full = std::min(full * 2, 60 * kSec)) {
    back_off.Failed(0, 7, 0);
    EXPECT_GE(back_off.until_ns(), full / 2);
    EXPECT_LE(back_off.until_ns(), full);
  }
  back_off.Failed(0, 7, 200 * kSec);
  EXPECT_EQ(back_off.until_ns(), 200 * kSec);
  back_off.Answered();
  EXPECT_EQ(back_off.failures(), 0);
}

}  // namespace
}  // namespace spanwatch::notify
