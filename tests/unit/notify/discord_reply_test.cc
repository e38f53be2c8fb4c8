#include "sidecar/notify/discord_reply.h"

#include <gtest/gtest.h>

#include "sidecar/notify/rate_limit.h"

namespace spanwatch::notify {
namespace {

Reply Answer(int status, const std::string& body) {
  Reply reply;
  reply.status = status;
  reply.body = body;
  return reply;
}

TEST(DiscordReply, Verdicts) {
  struct Case {
    Method method;
    int status;
    const char* body;
    ReplyVerdict verdict;
  };
  const Case kCases[] = {
      {Method::kPost, 200, R"({"id":"12","channel_id":"34"})", ReplyVerdict::kDelivered},
      {Method::kPost, 204, "", ReplyVerdict::kDelivered},
      {Method::kPost, 400, R"({"code":50035})", ReplyVerdict::kRefused},
      {Method::kPost, 400, R"({"code":50006})", ReplyVerdict::kRefused},
      {Method::kPost, 413, R"({"code":40005})", ReplyVerdict::kRefused},
      {Method::kPost, 400, R"({"code":220001})", ReplyVerdict::kGiveUp},
      {Method::kPost, 400, R"({"code":50083})", ReplyVerdict::kGiveUp},
      {Method::kPost, 401, R"({"code":50027})", ReplyVerdict::kGiveUp},
      {Method::kPost, 403, "<html>", ReplyVerdict::kGiveUp},
      {Method::kPost, 404, R"({"code":10015})", ReplyVerdict::kGiveUp},
      {Method::kPatch, 404, R"({"code":10015})", ReplyVerdict::kGiveUp},
      {Method::kPatch, 404, R"({"code":10003})", ReplyVerdict::kGiveUp},
      {Method::kPatch, 404, R"({"code":10008})", ReplyVerdict::kUnknownMessage},
      {Method::kPatch, 404, "", ReplyVerdict::kUnknownMessage},
      {Method::kPost, 404, "", ReplyVerdict::kGiveUp},
      {Method::kPatch, 400, R"({"code":30046})", ReplyVerdict::kTooManyEdits},
      {Method::kPatch, 429, R"({"code":30046})", ReplyVerdict::kTooManyEdits},
      {Method::kPost, 408, "", ReplyVerdict::kRetry},
      {Method::kPost, 500, "", ReplyVerdict::kRetry},
      {Method::kPost, 502, "<html>", ReplyVerdict::kRetry},
      {Method::kPost, 503, R"({"code":130000})", ReplyVerdict::kRetry},
      {Method::kPost, 301, "", ReplyVerdict::kRetry},
      {Method::kPost, 0, "", ReplyVerdict::kRetry},
      {Method::kPost, 429, R"({"retry_after":0.65})", ReplyVerdict::kRateLimited},
  };
  for (const Case& c : kCases) {
    EXPECT_EQ(Judge(c.method, Answer(c.status, c.body)).verdict, c.verdict) << ToString(c.method) << c.status << c.body;
  }
}

TEST(DiscordReply, IdsAreDigitsOrNothing) {
  const Outcome good = Judge(Method::kPost, Answer(200, R"({"id":"12","channel_id":"34","guild_id":"56"})"));
  EXPECT_EQ(good.message_id, "12");
  EXPECT_EQ(good.channel_id, "34");
  EXPECT_EQ(good.guild_id, "56");
  for (const char* body :
       {R"({"id":12})", R"({"id":"../x"})", R"({"id":""})", "[]", "nonsense", R"({"id":"123456789012345678901"})"}) {
    EXPECT_EQ(Judge(Method::kPost, Answer(200, body)).message_id, "");
  }
}

TEST(DiscordReply, TheWaitComesFromBodyThenHeadersThenAFixedTime) {
  EXPECT_EQ(Judge(Method::kPost, Answer(429, R"({"retry_after":0.65})")).retry_after_ns, 650'000'000);
  Reply reply = Answer(429, "<html>");
  EXPECT_EQ(Judge(Method::kPost, reply).retry_after_ns, 5'000'000'000);
  reply.reset_after = "1.5";
  EXPECT_EQ(Judge(Method::kPost, reply).retry_after_ns, 1'500'000'000);
  reply.retry_after = "7";
  EXPECT_EQ(Judge(Method::kPost, reply).retry_after_ns, 7'000'000'000);
  reply.body = R"({"retry_after":"soon"})";
  EXPECT_EQ(Judge(Method::kPost, reply).retry_after_ns, 7'000'000'000);
  reply.body = R"({"retry_after":-1})";
  EXPECT_EQ(Judge(Method::kPost, reply).retry_after_ns, 7'000'000'000);
  EXPECT_EQ(Judge(Method::kPost, Answer(429, R"({"retry_after":1e99})")).retry_after_ns, 86'400'000'000'000);
  EXPECT_TRUE(Judge(Method::kPost, Answer(429, R"({"retry_after":1,"global":true})")).global);
  EXPECT_FALSE(ParseSeconds("1.5x"));
  EXPECT_FALSE(ParseSeconds("nan"));
  EXPECT_FALSE(ParseSeconds(""));
}

TEST(DiscordReply, TextIsBoundedAndClean) {
  const Outcome outcome = Judge(Method::kPost, Answer(400, "bad\n\x1b[31m" + std::string(10000, 'x')));
  EXPECT_EQ(outcome.text.substr(0, 30), "Discord answered 400: bad [31m");
  EXPECT_LE(outcome.text.size(), 503u);
}

TEST(RateLimiter, ObeysRemainingPerBucket) {
  RateLimiter limiter;
  EXPECT_LE(limiter.ReadyAt(Method::kPost), 0);
  Reply reply = Answer(200, "{}");
  reply.bucket = "abc";
  reply.remaining = "1";
  reply.reset_after = "1.25";
  limiter.Observe(Method::kPost, reply, 100);
  EXPECT_LE(limiter.ReadyAt(Method::kPost), 100);
  reply.remaining = "0";
  limiter.Observe(Method::kPost, reply, 100);
  EXPECT_EQ(limiter.ReadyAt(Method::kPost), 100 + 1'250'000'000);
  EXPECT_LE(limiter.ReadyAt(Method::kPatch), 100) << "not known to share the bucket";
  reply.remaining = "4";
  limiter.Observe(Method::kPatch, reply, 100);
  EXPECT_EQ(limiter.ReadyAt(Method::kPatch), 100 + 1'250'000'000) << "shares it now";
}

TEST(RateLimiter, RefusalsBlockTheBucketOrEverything) {
  RateLimiter limiter;
  Reply reply = Answer(429, R"({"retry_after":2})");
  reply.bucket = "abc";
  limiter.Refused(Method::kPost, Judge(Method::kPost, reply), reply, 0);
  EXPECT_EQ(limiter.ReadyAt(Method::kPost), 2'000'000'000);
  EXPECT_LE(limiter.ReadyAt(Method::kPatch), 0);
  reply.body = R"({"retry_after":3,"global":true})";
  limiter.Refused(Method::kPost, Judge(Method::kPost, reply), reply, 0);
  EXPECT_EQ(limiter.ReadyAt(Method::kPatch), 3'000'000'000);
}

TEST(RateLimiter, ASenselessWaitStillSlowsUsDown) {
  RateLimiter limiter;
  const Reply reply = Answer(429, R"({"retry_after":0})");
  std::int64_t now = 0;
  for (int i = 0; i < 20; ++i) {
    limiter.Refused(Method::kPost, Judge(Method::kPost, reply), reply, now);
    now = limiter.ReadyAt(Method::kPost);
  }
  EXPECT_GT(now, 60'000'000'000) << "twenty refusals in a row take over a minute";
}

}  // namespace
}  // namespace spanwatch::notify
