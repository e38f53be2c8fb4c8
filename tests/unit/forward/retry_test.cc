// What an answer means, and when to try again; time stepped.
#include "sidecar/forward/retry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/ingest/otlp_builder.h"

namespace spanwatch::forward {
namespace {

constexpr std::int64_t kSec = 1'000'000'000;
// 2024-06-01 12:00:00 UTC.
constexpr std::int64_t kWall = 1'717'243'200 * kSec;

client::Response Answer(int status, const std::string& body = "", const std::string& retry_after = "") {
  client::Response response;
  response.status = status;
  response.body = body;
  response.headers = {{"content-type", "application/x-protobuf"}};
  if (!retry_after.empty()) response.headers.emplace_back("Retry-After", retry_after);
  return response;
}

std::string Partial(std::int64_t rejected, const std::string& message) {
  std::string partial, body;
  {
    protozero::pbf_writer writer(partial);
    writer.add_int64(1, rejected);
    writer.add_string(2, message);
  }
  protozero::pbf_writer(body).add_message(1, partial);
  return body;
}

TEST(RetryAfter, SecondsOrADate) {
  EXPECT_EQ(ParseRetryAfter("0", kWall), 0);
  EXPECT_EQ(ParseRetryAfter("7", kWall), 7 * kSec);
  EXPECT_EQ(ParseRetryAfter("99999999999", kWall), 86'400 * kSec);
  EXPECT_EQ(ParseRetryAfter("Sat, 01 Jun 2024 12:00:30 GMT", kWall), 30 * kSec);
  EXPECT_EQ(ParseRetryAfter("Sat, 01 Jun 2024 11:00:00 GMT", kWall), 0);
  for (const char* bad : {"", "-1", "1.5", "soon", "99999999999999999999999", "Sat, 01 Jun 2024 12:00:30 CET", "7 "}) {
    EXPECT_EQ(ParseRetryAfter(bad, kWall), -1) << bad;
  }
}

TEST(Judge, ExactlyFourCodesAreRepeated) {
  for (int status = 100; status < 600; ++status) {
    const Verdict verdict = Judge(Answer(status), kWall).verdict;
    if (status >= 200 && status < 300) {
      EXPECT_EQ(verdict, Verdict::kAccepted) << status;
    } else if (status == 429 || status == 502 || status == 503 || status == 504) {
      EXPECT_EQ(verdict, Verdict::kRetry) << status;
    } else {
      EXPECT_EQ(verdict, Verdict::kRejected) << status;
    }
  }
  client::Response none;
  none.transport_error = "could not connect";
  EXPECT_EQ(Judge(none, kWall).verdict, Verdict::kRetry);
  EXPECT_EQ(Judge(none, kWall).text, "could not connect");
}

TEST(Judge, RetryAfterCountsForRepeatableAnswersOnly) {
  EXPECT_EQ(Judge(Answer(429, "", "3"), kWall).retry_after_ns, 3 * kSec);
  EXPECT_EQ(Judge(Answer(503, "", "Sat, 01 Jun 2024 12:00:09 GMT"), kWall).retry_after_ns, 9 * kSec);
  EXPECT_EQ(Judge(Answer(503, "", "nonsense"), kWall).retry_after_ns, 0);
  EXPECT_EQ(Judge(Answer(400, "", "3"), kWall).retry_after_ns, 0);
}

TEST(Judge, PartialSuccess) {
  const Judgement some = Judge(Answer(200, Partial(3, "too\nold")), kWall);
  EXPECT_EQ(some.verdict, Verdict::kAccepted);
  EXPECT_EQ(some.rejected_spans, 3u);
  EXPECT_EQ(some.text, "the backend rejected 3 spans: too old");
  const Judgement warning = Judge(Answer(200, Partial(0, "use v2")), kWall);
  EXPECT_EQ(warning.rejected_spans, 0u);
  EXPECT_EQ(warning.text, "the backend warns: use v2");
  EXPECT_EQ(Judge(Answer(200, Partial(-5, "")), kWall).rejected_spans, 0u);
  EXPECT_EQ(Judge(Answer(200, Partial(0, "")), kWall).text, "");
  EXPECT_EQ(Judge(Answer(200, "garbage\xff\xff\xff"), kWall).text, "");
}

TEST(Judge, SaysWhatTheBackendSaid) {
  std::string status;
  protozero::pbf_writer(status).add_string(2, "no tenant\r\n");
  EXPECT_EQ(Judge(Answer(401, status), kWall).text, "the backend answered 401: no tenant");
  EXPECT_EQ(Judge(Answer(400, "\xff\xff\xff"), kWall).text, "the backend answered 400");
  client::Response plain = Answer(404, "404 page not found\n");
  plain.headers = {{"Content-Type", "text/plain"}};
  EXPECT_EQ(Judge(plain, kWall).text, "the backend answered 404: 404 page not found");
  plain.body = std::string(5000, 'x');
  EXPECT_LT(Judge(plain, kWall).text.size(), 400u);
}

TEST(RetryPolicy, BacksOffTwiceAsLongWithJitterUpToALimit) {
  for (std::uint64_t seed = 1; seed < 50; ++seed) {
    RetryOptions options;
    options.seed = seed;
    RetryPolicy policy(options);
    policy.Begin(0);
    std::int64_t now = 0;
    for (const std::int64_t backoff : {1, 2, 4, 8, 16, 30, 30, 30}) {
      ASSERT_TRUE(policy.Failed(now, 0));
      EXPECT_GE(policy.not_before_ns() - now, backoff * kSec / 2);
      EXPECT_LE(policy.not_before_ns() - now, backoff * kSec);
      now = policy.not_before_ns();
    }
  }
}

TEST(RetryPolicy, JitterSpreadsTheCallers) {
  std::vector<std::int64_t> waits;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    RetryOptions options;
    options.seed = seed * 0x9e3779b97f4a7c15u;
    RetryPolicy policy(options);
    policy.Failed(0, 0);
    waits.push_back(policy.not_before_ns());
  }
  EXPECT_LT(*std::min_element(waits.begin(), waits.end()), 6 * kSec / 10);
  EXPECT_GT(*std::max_element(waits.begin(), waits.end()), 9 * kSec / 10);
}

TEST(RetryPolicy, ObeysRetryAfterAlsoForTheNextRequest) {
  RetryPolicy policy(RetryOptions{});
  policy.Begin(0);
  EXPECT_TRUE(policy.Failed(0, 100 * kSec));
  EXPECT_EQ(policy.not_before_ns(), 100 * kSec);
  EXPECT_FALSE(policy.Failed(100 * kSec, 3600 * kSec)) << "over five minutes in all";
  EXPECT_EQ(policy.not_before_ns(), 400 * kSec) << "but nobody is asked for ever";
}

TEST(RetryPolicy, GivesUpInTimeAndStartsAfreshAfterAnAnswer) {
  RetryPolicy policy(RetryOptions{});
  policy.Begin(0);
  std::int64_t now = 0;
  int attempts = 1;
  while (policy.Failed(now, 0)) {
    now = policy.not_before_ns();
    ++attempts;
  }
  EXPECT_LE(now, 300 * kSec);
  EXPECT_GT(now, 200 * kSec);
  EXPECT_GT(attempts, 10);
  policy.Answered();
  policy.Begin(now);
  EXPECT_LE(policy.not_before_ns(), now);
  EXPECT_TRUE(policy.Failed(now, 0));
  EXPECT_LE(policy.not_before_ns(), now + kSec);
}

}  // namespace
}  // namespace spanwatch::forward
