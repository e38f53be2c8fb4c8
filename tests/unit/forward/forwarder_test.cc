// The forwarder with its threads and its HTTP client against a backend on loopback.
#include "sidecar/forward/forwarder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <thread>

#include "tests/unit/forward/backend.h"
#include "tests/unit/ingest/otlp_builder.h"

namespace spanwatch::forward {
namespace {

using testing::Answer;
using testing::Backend;
using testing::Ids;
using testing::MakeTrace;
using testing::SpansOf;

constexpr std::int64_t kSec = 1'000'000'000;
constexpr std::int64_t kBudget = 60 * kSec;

Options To(const std::string& url) {
  Options options;
  options.endpoint = url;
  options.linger_ns = 0;
  options.retry.first_ns = 1'000'000;
  options.retry.longest_ns = 4'000'000;
  return options;
}

std::optional<core::TraceCopy> Stored(const TraceId& id, std::uint32_t first_span) {
  core::TraceCopy trace = MakeTrace(id.lo);
  trace.spans.erase(trace.spans.begin(), trace.spans.begin() + first_span);
  return trace;
}

std::uint64_t Dropped(const Forwarder& forwarder, Reason reason) {
  return forwarder.Counts().dropped_traces[static_cast<std::size_t>(reason)];
}

bool Until(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!condition() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  return condition();
}

// Nothing that went in is unaccounted for.
void ExpectBalance(const Forwarder& forwarder, std::uint64_t enqueued) {
  const Counters counts = forwarder.Counts();
  std::uint64_t sum = counts.forwarded_traces + forwarder.GetStatus().queued_traces;
  for (const std::uint64_t dropped : counts.dropped_traces) sum += dropped;
  EXPECT_EQ(sum, enqueued);
}

TEST(Forwarder, SendsWhatIsStoredZippedWithItsHeaders) {
  Backend backend;
  Options options = To(backend.url());
  options.headers = {{"Authorization", "Bearer sesame"}, {"X-Scope-OrgID", "team"}};
  Forwarder forwarder(options, Stored);
  forwarder.Start();
  forwarder.Enqueue(Ids(1));
  forwarder.Enqueue({{TraceId{7, 2}, 1, nullptr}});
  EXPECT_EQ(forwarder.Stop(kBudget), 0u);

  const auto requests = backend.Wait(1);
  std::vector<core::TraceCopy> expected = {MakeTrace(1), MakeTrace(2)};
  expected[1].spans.erase(expected[1].spans.begin());
  EXPECT_THAT(SpansOf(requests), ::testing::UnorderedElementsAreArray(ingest::testing::Lines(expected)));
  EXPECT_EQ(requests[0].path, "/v1/traces");
  EXPECT_EQ(requests[0].get_header_value("Content-Type"), "application/x-protobuf");
  EXPECT_EQ(requests[0].get_header_value("Content-Encoding"), "gzip");
  EXPECT_EQ(requests[0].get_header_value("Authorization"), "Bearer sesame");
  EXPECT_EQ(requests[0].get_header_value("X-Scope-OrgID"), "team");
  const Counters counts = forwarder.Counts();
  EXPECT_EQ(counts.forwarded_traces, 2u);
  EXPECT_EQ(counts.forwarded_spans, 3u);
  EXPECT_EQ(counts.requests, requests.size());
  EXPECT_EQ(counts.retries, 0u);
  EXPECT_GT(counts.bytes, 100u);
  const Status status = forwarder.GetStatus();
  EXPECT_TRUE(status.configured);
  EXPECT_FALSE(status.unencrypted);
  EXPECT_EQ(status.last_error, "");
  EXPECT_GT(status.last_forwarded_ns, 1'700'000'000 * kSec);
  EXPECT_EQ(status.queued_traces + status.queued_bytes, 0u);
  ExpectBalance(forwarder, 2);
}

TEST(Forwarder, ManyTracesShareARequestAndALargeOneHasSeveral) {
  Backend backend;
  Options options = To(backend.url());
  options.linger_ns = kBudget;  // Stop() seals
  options.gzip = false;
  options.batch_bytes = 20'000;
  Forwarder forwarder(options, [](const TraceId& id, std::uint32_t) {
    return id.lo == 100 ? MakeTrace(100, 100, 1000) : MakeTrace(id.lo, 1);
  });
  forwarder.Enqueue(Ids(1, 50));
  forwarder.Start();
  EXPECT_EQ(forwarder.Stop(kBudget), 0u);
  auto requests = backend.Wait(1);
  EXPECT_EQ(requests.size(), 1u);
  EXPECT_EQ(requests[0].get_header_value("Content-Encoding"), "");
  EXPECT_EQ(SpansOf(requests).size(), 50u);

  Forwarder large(options, [](const TraceId&, std::uint32_t) { return MakeTrace(100, 100, 1000); });
  large.Start();
  large.Enqueue(Ids(100));
  EXPECT_EQ(large.Stop(kBudget), 0u);
  requests = backend.Wait(2);
  EXPECT_GE(requests.size(), 6u);
  for (const auto& request : requests) EXPECT_LT(request.body.size(), 23'000u);
  requests.erase(requests.begin());
  EXPECT_EQ(SpansOf(requests), ingest::testing::Lines({MakeTrace(100, 100, 1000)}));
  EXPECT_EQ(large.Counts().forwarded_traces, 1u);
  EXPECT_EQ(large.Counts().forwarded_spans, 100u);
}

TEST(Forwarder, RepeatsWhatMayBeRepeatedAndLosesNothing) {
  Backend backend;
  backend.Will({{.status = 503, .retry_after = "0"}, {.status = 429}, {.status = 502}, {.status = 504}});
  Forwarder forwarder(To(backend.url()), Stored);
  forwarder.Start();
  forwarder.Enqueue(Ids(1));
  const auto requests = backend.Wait(5);
  EXPECT_EQ(forwarder.Stop(kBudget), 0u);
  ASSERT_EQ(requests.size(), 5u);
  for (const auto& request : requests) EXPECT_EQ(request.body, requests[0].body);
  EXPECT_EQ(forwarder.Counts().forwarded_traces, 1u);
  EXPECT_EQ(forwarder.Counts().requests, 5u);
  EXPECT_EQ(forwarder.Counts().retries, 4u);
  EXPECT_EQ(forwarder.GetStatus().last_error, "");
}

TEST(Forwarder, RetryAfterIsObeyed) {
  Backend backend;
  backend.Will({{.status = 429, .retry_after = "1"}});
  Forwarder forwarder(To(backend.url()), Stored);
  forwarder.Start();
  const auto begin = std::chrono::steady_clock::now();
  forwarder.Enqueue(Ids(1));
  backend.Wait(2);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(990));
  EXPECT_EQ(forwarder.Stop(kBudget), 0u);
}

TEST(Forwarder, ARejectedRequestIsCountedNotRepeatedAndShowsNoSecret) {
  Backend backend;
  backend.Will({{.status = 400, .body = "who is Bearer sesame? sesame!", .content_type = "text/plain"}});
  Options options = To(backend.url());
  options.headers = {{"Authorization", "Bearer sesame"}};
  Forwarder forwarder(options, Stored);
  forwarder.Start();
  forwarder.Enqueue(Ids(1));
  EXPECT_EQ(forwarder.Stop(kBudget), 0u) << "the backend had its say";
  EXPECT_EQ(backend.Wait(1).size(), 1u);
  EXPECT_EQ(Dropped(forwarder, Reason::kRejected), 1u);
  EXPECT_EQ(forwarder.Counts().dropped_spans[static_cast<std::size_t>(Reason::kRejected)], 2u);
  EXPECT_EQ(forwarder.GetStatus().last_error, "the backend answered 400: who is <secret>? <secret>!");
  ExpectBalance(forwarder, 1);
}

TEST(Forwarder, PartialSuccessIsCounted) {
  Backend backend;
  std::string partial, body;
  protozero::pbf_writer(partial).add_int64(1, 1);
  protozero::pbf_writer(body).add_message(1, partial);
  backend.Will({{.status = 200, .body = body}});
  Forwarder forwarder(To(backend.url()), Stored);
  forwarder.Start();
  forwarder.Enqueue(Ids(1));
  EXPECT_EQ(forwarder.Stop(kBudget), 0u);
  EXPECT_EQ(forwarder.Counts().forwarded_traces, 1u);
  EXPECT_EQ(forwarder.Counts().forwarded_spans, 1u);
  EXPECT_EQ(forwarder.Counts().dropped_spans[static_cast<std::size_t>(Reason::kPartial)], 1u);
  EXPECT_EQ(forwarder.GetStatus().last_error, "the backend rejected 1 spans");
}

TEST(Forwarder, EvictedTracesAreCountedCopiesAreSent) {
  Backend backend;
  Forwarder forwarder(To(backend.url()),
                      [](const TraceId&, std::uint32_t) { return std::optional<core::TraceCopy>(); });
  forwarder.Start();
  forwarder.Enqueue(Ids(1, 3));
  forwarder.Enqueue({{TraceId{7, 9}, 0, std::make_shared<const core::TraceCopy>(MakeTrace(9))}});
  EXPECT_EQ(forwarder.Stop(kBudget), 0u);
  EXPECT_EQ(SpansOf(backend.Wait(1)), ingest::testing::Lines({MakeTrace(9)}));
  EXPECT_EQ(Dropped(forwarder, Reason::kEvicted), 3u);
  ExpectBalance(forwarder, 4);
}

TEST(Forwarder, NobodyListensThenSomebodyDoes) {
  std::string url;
  { url = Backend().url(); }
  Options options = To(url);
  Forwarder forwarder(options, Stored);
  forwarder.Start();
  forwarder.Enqueue(Ids(1, 5));
  ASSERT_TRUE(Until([&] { return forwarder.Counts().retries >= 3; }));
  EXPECT_THAT(forwarder.GetStatus().last_error, ::testing::HasSubstr("could not connect"));
  EXPECT_EQ(forwarder.GetStatus().queued_traces, 5u);
  EXPECT_GT(forwarder.GetStatus().queued_bytes, 100u);
  Backend backend;
  options.endpoint = backend.url();
  forwarder.Reconfigure(options);
  backend.Wait(1);
  EXPECT_EQ(forwarder.Stop(kBudget), 0u);
  EXPECT_EQ(SpansOf(backend.Wait(1)).size(), 10u);
  EXPECT_EQ(forwarder.Counts().forwarded_traces, 5u);
  EXPECT_EQ(forwarder.GetStatus().last_error, "");
}

TEST(Forwarder, GivesUpInTheEnd) {
  Options options = To("http://127.0.0.1:1/v1/traces");
  options.retry.max_elapsed_ns = 20'000'000;
  Forwarder forwarder(options, Stored);
  forwarder.Start();
  forwarder.Enqueue(Ids(1, 2));
  ASSERT_TRUE(Until([&] { return Dropped(forwarder, Reason::kTimeout) == 2; }));
  EXPECT_EQ(forwarder.Stop(kBudget), 0u);
  ExpectBalance(forwarder, 2);
}

TEST(Forwarder, AFullQueueDropsTheOldest) {
  Backend backend;
  backend.Will({{.hang = true}});
  Options options = To(backend.url());
  options.queue_bytes = 100'000;
  options.batch_traces = 1;
  Forwarder forwarder(options, [](const TraceId& id, std::uint32_t) { return MakeTrace(id.lo, 1, 10'000); });
  forwarder.Start();
  forwarder.Enqueue(Ids(1));
  backend.Wait(1);
  for (std::uint64_t id = 2; id <= 101; ++id) {
    forwarder.Enqueue(Ids(id));
    EXPECT_LE(forwarder.GetStatus().queued_bytes, 111'000u) << "the limit, and one batch that is being filled";
  }
  ASSERT_TRUE(Until([&] { return Dropped(forwarder, Reason::kQueueFull) >= 90; }));
  backend.Release();
  EXPECT_EQ(forwarder.Stop(kBudget), 0u);
  const std::vector<std::string> lines = SpansOf(backend.Wait(2));
  ASSERT_GE(lines.size(), 9u);
  EXPECT_LE(lines.size(), 11u);
  EXPECT_EQ(lines.front(), ingest::testing::Lines({MakeTrace(1, 1, 10'000)})[0]);
  EXPECT_EQ(lines.back(), ingest::testing::Lines({MakeTrace(101, 1, 10'000)})[0]) << "the newest is kept";
  EXPECT_EQ(Dropped(forwarder, Reason::kQueueFull) + lines.size(), 101u);
  ExpectBalance(forwarder, 101);
}

TEST(Forwarder, TooManyIdsAndCopiesAreBoundedBeforeTheyAreEncoded) {
  Options options = To("http://127.0.0.1:1/v1/traces");
  options.queue_traces = 10;
  options.queue_bytes = 100'000;
  Forwarder forwarder(options, Stored);  // not started: nothing is encoded
  forwarder.Enqueue(Ids(1, 25));
  EXPECT_EQ(Dropped(forwarder, Reason::kQueueFull), 15u);
  EXPECT_EQ(forwarder.GetStatus().queued_traces, 10u);
  for (std::uint64_t id = 0; id < 20; ++id) {
    forwarder.Enqueue({{TraceId{7, id + 1}, 0, std::make_shared<const core::TraceCopy>(MakeTrace(id, 1, 30'000))}});
    EXPECT_LE(forwarder.GetStatus().queued_bytes, 100'000u);
  }
  EXPECT_EQ(forwarder.GetStatus().queued_traces, 3u);
  EXPECT_EQ(forwarder.Stop(0), 3u);
  EXPECT_EQ(Dropped(forwarder, Reason::kShutdown), 3u);
  forwarder.Enqueue(Ids(1));
  ExpectBalance(forwarder, 46);
}

TEST(Forwarder, StopsInItsBudgetAlthoughTheBackendHangs) {
  Backend backend;
  backend.Will({{.hang = true}});
  Forwarder forwarder(To(backend.url()), Stored);
  forwarder.Start();
  forwarder.Enqueue(Ids(1));
  backend.Wait(1);
  forwarder.Enqueue(Ids(2, 3));
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(forwarder.Stop(50'000'000), 4u);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
  EXPECT_EQ(Dropped(forwarder, Reason::kShutdown), 4u);
  EXPECT_EQ(forwarder.Stop(kBudget), 0u);
}

TEST(Forwarder, StopDoesNotWaitForABackoffThatIsTooLong) {
  Backend backend;
  backend.Will({{.status = 503, .retry_after = "200"}});
  Forwarder forwarder(To(backend.url()), Stored);
  forwarder.Start();
  forwarder.Enqueue(Ids(1));
  ASSERT_TRUE(Until([&] { return !forwarder.GetStatus().last_error.empty(); }));
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(forwarder.Stop(kBudget), 1u);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
}

TEST(Forwarder, ReconfigureChangesHeadersAndSwitchesOff) {
  Backend backend;
  Options options = To(backend.url());
  options.headers = {{"Authorization", "one"}};
  Forwarder forwarder(options, Stored);
  forwarder.Start();
  forwarder.Enqueue(Ids(1));
  EXPECT_EQ(backend.Wait(1).back().get_header_value("Authorization"), "one");
  options.headers[0].second = "two";
  forwarder.Reconfigure(options);
  forwarder.Enqueue(Ids(2));
  EXPECT_EQ(backend.Wait(2).back().get_header_value("Authorization"), "two");
  options.endpoint.clear();
  forwarder.Reconfigure(options);
  forwarder.Enqueue(Ids(3));
  ASSERT_TRUE(Until([&] { return Dropped(forwarder, Reason::kOff) == 1; }));
  EXPECT_FALSE(forwarder.GetStatus().configured);
  EXPECT_EQ(forwarder.Stop(kBudget), 0u);
  EXPECT_EQ(backend.Wait(2).size(), 2u);
  ExpectBalance(forwarder, 3);
}

TEST(Forwarder, SaysWhenSpansGoOutInTheClear) {
  const auto unencrypted = [](const std::string& url) {
    Forwarder forwarder(To(url), Stored);
    forwarder.Start();
    forwarder.Stop(kBudget);
    return forwarder.GetStatus().unencrypted;
  };
  EXPECT_TRUE(unencrypted("http://tempo.example:4318/v1/traces"));
  EXPECT_FALSE(unencrypted("https://tempo.example:4318/v1/traces"));
  EXPECT_FALSE(unencrypted("http://[::1]:4318/v1/traces"));
  EXPECT_FALSE(unencrypted("http://localhost/v1/traces"));
}

TEST(Forwarder, ManyThreadsMayUseIt) {
  Backend backend;
  Forwarder forwarder(To(backend.url()), Stored);
  forwarder.Start();
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      for (std::uint64_t i = 0; i < 100; ++i) {
        forwarder.Enqueue(Ids(1000 * t + i + 1));
        if (i % 10 == 0) forwarder.Reconfigure(To(backend.url()));
        EXPECT_LE(forwarder.Counts().forwarded_traces, 300u);
        EXPECT_TRUE(forwarder.GetStatus().configured);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(forwarder.Stop(kBudget), 0u);
  EXPECT_EQ(forwarder.Counts().forwarded_traces, 300u);
  EXPECT_EQ(SpansOf(backend.Wait(1)).size(), 600u);
}

}  // namespace
}  // namespace spanwatch::forward
