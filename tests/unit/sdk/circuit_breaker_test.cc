#include "spanwatch/circuit_breaker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <iterator>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "spanwatch/testing.h"
#include "tests/unit/sdk/traced.h"

namespace spanwatch::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::atomic<std::int64_t> g_now{0};
std::int64_t StepNow() noexcept { return g_now.load(); }
void Step(std::int64_t ms) { g_now += ms * 1000000; }

class CircuitBreakerTest : public ::testing::Test {
 protected:
  CircuitBreakerTest() { g_now = 1000000000; }

  CircuitBreakerOptions Stepped() {
    CircuitBreakerOptions options;
    options.now_ns = StepNow;
    options.on_change = [this](const BreakerChange& change) {
      changes.push_back(std::to_string(change.number) + " " + std::string(change.name) + ": " +
                        BreakerStateName(change.from) + " -> " + BreakerStateName(change.to) + " " + change.reason);
    };
    return options;
  }
  static void Fail(CircuitBreaker* breaker, int times = 1) {
    for (int i = 0; i < times; ++i) breaker->TryAcquire().Failure();
  }
  static void Succeed(CircuitBreaker* breaker, int times = 1) {
    for (int i = 0; i < times; ++i) breaker->TryAcquire().Success();
  }

  std::vector<std::string> changes;
};

TEST_F(CircuitBreakerTest, OpensHalfOpensAndCloses) {
  CircuitBreaker breaker("gemini", Stepped());
  EXPECT_EQ(breaker.name(), "gemini");
  Fail(&breaker, 4);
  Succeed(&breaker);
  Fail(&breaker, 4);
  EXPECT_EQ(breaker.state(), BreakerState::kClosed) << "four, a success, four: never five in a row";
  Fail(&breaker);
  EXPECT_EQ(breaker.state(), BreakerState::kOpen);
  Step(29999);
  EXPECT_FALSE(breaker.TryAcquire());
  Step(1);
  {
    BreakerPermit probe = breaker.TryAcquire();
    EXPECT_TRUE(probe);
    EXPECT_EQ(breaker.state(), BreakerState::kHalfOpen);
    EXPECT_FALSE(breaker.TryAcquire()) << "one probe at a time";
    probe.Failure();
  }
  EXPECT_EQ(breaker.state(), BreakerState::kOpen);
  Step(30000);
  breaker.TryAcquire().Success();
  EXPECT_EQ(breaker.state(), BreakerState::kClosed);
  EXPECT_EQ(breaker.opened(), 2u);
  EXPECT_EQ(breaker.refused(), 2u);
  EXPECT_THAT(changes,
              ElementsAre("1 gemini: closed -> open failures_in_a_row", "2 gemini: open -> half_open reset_time",
                          "3 gemini: half_open -> open probe_failed", "4 gemini: open -> half_open reset_time",
                          "5 gemini: half_open -> closed probes_succeeded"));
}

TEST_F(CircuitBreakerTest, OpensByTheShareOfFailuresInTheWindow) {
  CircuitBreakerOptions options = Stepped();
  options.failures_in_a_row = 0;
  options.failure_rate = 0.5;
  options.minimum_calls = 10;
  CircuitBreaker breaker("model", std::move(options));
  for (int i = 0; i < 4; ++i) {
    Fail(&breaker);
    Succeed(&breaker);
  }
  EXPECT_EQ(breaker.state(), BreakerState::kClosed) << "half of eight calls: too few";
  Step(11000);
  for (int i = 0; i < 4; ++i) {
    Fail(&breaker);
    Succeed(&breaker);
    Step(100);
  }
  Succeed(&breaker);
  EXPECT_EQ(breaker.state(), BreakerState::kClosed) << "the former calls are too long ago";
  Fail(&breaker);
  EXPECT_THAT(changes, ElementsAre("1 model: closed -> open failure_rate"));
}

TEST_F(CircuitBreakerTest, SeveralProbesAndSuccessesIfAskedFor) {
  CircuitBreakerOptions options = Stepped();
  options.failures_in_a_row = 1;
  options.probes = 2;
  options.probe_successes = 3;
  CircuitBreaker breaker("b", std::move(options));
  Fail(&breaker);
  Step(30000);
  BreakerPermit first = breaker.TryAcquire();
  BreakerPermit second = breaker.TryAcquire();
  EXPECT_TRUE(first && second);
  EXPECT_FALSE(breaker.TryAcquire());
  first.Success();
  second.Success();
  EXPECT_EQ(breaker.state(), BreakerState::kHalfOpen);
  { BreakerPermit neither = breaker.TryAcquire(); }
  EXPECT_EQ(breaker.state(), BreakerState::kHalfOpen) << "nobody said how it went";
  Succeed(&breaker);
  EXPECT_EQ(breaker.state(), BreakerState::kClosed);
}

TEST_F(CircuitBreakerTest, AProbeThatNeverComesBackGivesItsPlaceUp) {
  CircuitBreakerOptions options = Stepped();
  options.failures_in_a_row = 1;
  CircuitBreaker breaker("b", std::move(options));
  Fail(&breaker);
  Step(30000);
  BreakerPermit lost = breaker.TryAcquire();
  EXPECT_FALSE(breaker.TryAcquire());
  Step(30000);
  BreakerPermit next = breaker.TryAcquire();
  EXPECT_TRUE(next);
  next.Success();
  EXPECT_EQ(breaker.state(), BreakerState::kClosed);
  lost.Failure();
  EXPECT_EQ(breaker.state(), BreakerState::kClosed) << "a verdict from an earlier state";
}

TEST_F(CircuitBreakerTest, RunGivesResultsRefusalsAndExceptionsOn) {
  CircuitBreakerOptions options = Stepped();
  options.failures_in_a_row = 2;
  CircuitBreaker breaker("b", std::move(options));
  const BreakerResult<std::string> good = breaker.Run([] { return std::string("answer"); });
  ASSERT_FALSE(good.refused());
  EXPECT_EQ(*good, "answer");
  int number = 1;
  EXPECT_EQ(&*breaker.Run([&]() -> int& { return number; }), &number);
  EXPECT_FALSE(breaker.Run([] {}).refused());
  EXPECT_EQ(*breaker.Run([] { return std::unique_ptr<int>(new int(3)); }).value_or(nullptr), 3);

  EXPECT_THROW((void)breaker.Run([]() -> int { throw std::runtime_error("down"); }), std::runtime_error);
  EXPECT_EQ(*breaker.Run([] { return std::make_error_code(std::errc::timed_out); }), std::errc::timed_out);
  EXPECT_EQ(breaker.state(), BreakerState::kOpen) << "an exception and an error that is a value";
  bool called = false;
  EXPECT_TRUE(breaker.Run([&] { called = true; }).refused());
  EXPECT_EQ(breaker.Run([&] { return called = true; }).value_or(false), false);
  EXPECT_EQ(breaker.RunOr([] { return 1; }, [] { return 2; }), 2);
  EXPECT_FALSE(called);
  try {
    breaker.RunOrThrow([&] { called = true; });
    FAIL() << "was asked to throw";
  } catch (const CircuitOpen& open) {
    EXPECT_STREQ(open.what(), "circuit breaker \"b\" is open");
  }
  Step(30000);
  EXPECT_EQ(breaker.RunOr([] { return 1; }, [] { return 2; }), 1);
  EXPECT_EQ(breaker.RunOrThrow([&]() -> int& { return number; }), 1);
  EXPECT_EQ(breaker.state(), BreakerState::kClosed);
}

TEST_F(CircuitBreakerTest, AnExceptionThatPassesAPermitIsAFailure) {
  CircuitBreakerOptions options = Stepped();
  options.failures_in_a_row = 1;
  CircuitBreaker breaker("b", std::move(options));
  { BreakerPermit unused = breaker.TryAcquire(); }
  EXPECT_EQ(breaker.state(), BreakerState::kClosed);
  try {
    const BreakerPermit permit = breaker.TryAcquire();
    throw 1;
  } catch (int) {
  }
  EXPECT_EQ(breaker.state(), BreakerState::kOpen);
}

TEST_F(CircuitBreakerTest, HooksMayThrowAndUseTheBreaker) {
  CircuitBreakerOptions options;
  options.now_ns = StepNow;
  options.failures_in_a_row = 1;
  CircuitBreaker* self = nullptr;
  int calls = 0;
  options.on_change = [&](const BreakerChange&) {
    ++calls;
    EXPECT_FALSE(self->TryAcquire());
    throw std::runtime_error("of the hook");
  };
  CircuitBreaker breaker("b", std::move(options));
  self = &breaker;
  Fail(&breaker);
  EXPECT_EQ(calls, 1);
}

TEST_F(CircuitBreakerTest, ByHandAndWithOptionsThatMakeNoSense) {
  CircuitBreakerOptions options = Stepped();
  options.probes = options.probe_successes = options.window_ms = options.minimum_calls = 0;
  options.failure_rate = -1;
  CircuitBreaker breaker(std::string(500, 'n'), std::move(options));
  EXPECT_EQ(breaker.name(), std::string(64, 'n'));
  breaker.Open();
  breaker.Open();
  EXPECT_EQ(breaker.opened(), 1u);
  EXPECT_FALSE(breaker.TryAcquire());
  Step(30000);
  EXPECT_TRUE(breaker.TryAcquire());
  breaker.Close();
  EXPECT_EQ(breaker.state(), BreakerState::kClosed);
  Succeed(&breaker);
}

TEST_F(CircuitBreakerTest, SpansSayWhatItDid) {
  testing::Capture capture;
  CircuitBreakerOptions options = Stepped();
  options.failures_in_a_row = 1;
  CircuitBreaker breaker("gemini", std::move(options));
  { Span without("without"); }
  {
    Span healthy("healthy");
    for (int i = 0; i < 200; ++i) breaker.Run([] {});
    healthy.SetTag("own", "kept");
  }
  {
    Span opening("opening");
    Fail(&breaker);
  }
  {
    Span refused("refused");
    EXPECT_TRUE(breaker.Run([] {}).refused());
  }
  Step(30000);
  {
    Span mixed("mixed");
    Succeed(&breaker);
    Succeed(&breaker);
  }
  breaker.Open();
  Traced("failed by refusal", [&] { return breaker.Run([] {}); });

  EXPECT_THAT(capture.One("without").tags, IsEmpty());
  const testing::CapturedSpan healthy = capture.One("healthy");
  EXPECT_EQ(healthy.tag("circuit_breaker.name"), "gemini");
  EXPECT_EQ(healthy.tag("circuit_breaker.state"), "closed");
  EXPECT_FALSE(healthy.tag("circuit_breaker.refused"));
  EXPECT_EQ(healthy.tag("own"), "kept");
  const testing::CapturedSpan opening = capture.One("opening");
  ASSERT_EQ(opening.logs.size(), 1u);
  EXPECT_EQ(opening.logs[0].level, LogLevel::kWarn);
  EXPECT_EQ(opening.logs[0].text, "circuit breaker changed");
  testing::CapturedTags fields = opening.logs[0].fields;
  EXPECT_EQ(fields["circuit_breaker.name"], "gemini");
  EXPECT_EQ(fields["circuit_breaker.state"], "open");
  EXPECT_EQ(fields["reason"], "failures_in_a_row");
  EXPECT_EQ(capture.One("refused").tag("circuit_breaker.state"), "open");
  EXPECT_EQ(capture.One("refused").tag("circuit_breaker.refused"), true);
  EXPECT_FALSE(capture.One("refused").failed) << "whoever asked decides that";
  EXPECT_EQ(capture.One("mixed").tag("circuit_breaker.state"), "closed") << "the last one asked";
  EXPECT_EQ(capture.One("mixed").logs.size(), 2u);
  EXPECT_EQ(capture.One("failed by refusal").error_type, "CircuitOpen");
  EXPECT_EQ(capture.dropped(), 0u);
}

TEST_F(CircuitBreakerTest, TheHeartbeatTakesItAlong) {
  CircuitBreakerOptions options = Stepped();
  options.failures_in_a_row = 1;
  CircuitBreaker before("made.before.start", Stepped());
  CircuitBreaker gemini("gemini", options);
  const CircuitBreaker other_gemini("gemini", options);
  Fail(&gemini);
  (void)gemini.TryAcquire();
  FakeSidecar sidecar;
  TracedProgram program(sidecar);
  ASSERT_TRUE(program.connected());
  EXPECT_TRUE(SetGauge("queue", {}, 2));
  CircuitBreaker secret("sk-ant-api03-" + std::string(40, 'A'), options);
  const std::map<std::string, double> wanted = {{"queue{}", 2},
                                                {"circuit_breaker.state{name=made.before.start}", 0},
                                                {"circuit_breaker.state{name=gemini}", 2},
                                                {"circuit_breaker.opened{name=made.before.start}", 0},
                                                {"circuit_breaker.opened{name=gemini}", 1},
                                                {"circuit_breaker.refused{name=made.before.start}", 0},
                                                {"circuit_breaker.refused{name=gemini}", 1}};
  ASSERT_TRUE(sidecar.WaitFor([&](const std::vector<WireMessage>& messages) {
    if (messages.back().kind != kHeartbeat || messages.back().gauges.size() != 10) return false;
    std::map<std::string, double> seen = messages.back().gauges;
    for (auto it = seen.begin(); it != seen.end();) {
      EXPECT_THAT(it->first, ::testing::Not(HasSubstr("sk-ant")));
      it = wanted.count(it->first) > 0 ? std::next(it) : seen.erase(it);
    }
    return seen == wanted;
  }));
}

// One such text, and the sidecar would refuse the whole heartbeat.
TEST_F(CircuitBreakerTest, TextsThatAreNoUtf8ArriveAsQuestionMarks) {
  FakeSidecar sidecar;
  TracedProgram program(sidecar);
  ASSERT_TRUE(program.connected());
  const CircuitBreaker latin("caf\xe9", Stepped());
  EXPECT_TRUE(SetGauge("queue\xff", {{"k\xc3", "\xed\xa0\x80 caf\xc3\xa9 \xf0\x9f\x98\x80 \xe2\x82"}}, 2));
  ASSERT_TRUE(sidecar.WaitFor([&](const std::vector<WireMessage>& messages) {
    const std::map<std::string, double>& gauges = messages.back().gauges;
    return gauges.count("circuit_breaker.state{name=caf?}") == 1 &&
           gauges.count("queue?{k?=??? caf\xc3\xa9 \xf0\x9f\x98\x80 ??}") == 1;
  }));
}

TEST_F(CircuitBreakerTest, MoreBreakersThanGaugesIsSaid) {
  std::vector<std::unique_ptr<CircuitBreaker>> many;
  for (int i = 0; i < 70; ++i) many.push_back(std::make_unique<CircuitBreaker>("b" + std::to_string(i)));
  FakeSidecar sidecar;
  TracedProgram program(sidecar);
  ASSERT_TRUE(
      WaitForStats([](const Stats& stats) { return stats.problems.find("more than 64 gauges") != std::string::npos; }));
  ASSERT_TRUE(sidecar.WaitFor([](const std::vector<WireMessage>& messages) {
    return messages.back().kind == kHeartbeat && messages.back().gauges.size() == 64;
  }));
}

TEST_F(CircuitBreakerTest, ManyThreadsAtOnce) {
  CircuitBreakerOptions options;
  options.failures_in_a_row = 3;
  options.failure_rate = 0.9;
  options.reset_ms = 0;
  std::atomic<int> changes_seen{0};
  options.on_change = [&](const BreakerChange&) { ++changes_seen; };
  CircuitBreaker breaker("busy", std::move(options));
  std::atomic<int> inside{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20000; ++i) {
        BreakerPermit permit = breaker.TryAcquire();
        if (!permit) continue;
        ++inside;
        (i + t) % 7 < 4 ? permit.Failure() : permit.Success();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(inside, 0);
  EXPECT_GT(breaker.opened(), 0u);
  EXPECT_GE(changes_seen, static_cast<int>(breaker.opened()));
  breaker.Close();
  EXPECT_EQ(breaker.RunOr([] { return 1; }, [] { return 2; }), 1);
}

TEST_F(CircuitBreakerTest, WorksInAForkedChild) {
  CircuitBreaker breaker("forked");
  std::atomic<bool> stop{false};
  std::thread busy([&] {
    while (!stop) Fail(&breaker);
  });
  for (int i = 0; i < 20; ++i) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      alarm(20);  // a lock that nobody holds any more would hang
      breaker.Close();
      const CircuitBreaker other("child");
      _exit(breaker.TryAcquire() ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  stop = true;
  busy.join();
}

}  // namespace
}  // namespace spanwatch::test
