// The SDK's side of the wire protocol against a fake sidecar: hello, window, resend, reconnect, closed, refused.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "tests/unit/sdk/traced.h"

namespace spanwatch::test {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

using Messages = std::vector<WireMessage>;

std::vector<WireMessage> OfKind(const Messages& messages, std::uint64_t kind) {
  std::vector<WireMessage> found;
  for (const WireMessage& message : messages) {
    if (message.kind == kind) found.push_back(message);
  }
  return found;
}

std::function<bool(const Messages&)> AtLeast(std::size_t count, std::uint64_t kind) {
  return [=](const Messages& messages) { return OfKind(messages, kind).size() >= count; };
}

// One batch for each call: the sender is waited for.
void EmitBatch(int spans) {
  for (int i = 0; i < spans; ++i) Span("span").SetTag("i", i).End();
  ASSERT_TRUE(WaitForStats([](const Stats& stats) { return stats.waiting == 0; }));
}

void ExpectHello(const WireMessage& hello) {
  EXPECT_EQ(hello.kind, kHello);
  EXPECT_EQ(hello.version, 1u);
  EXPECT_THAT(hello.process_id, SizeIs(16));
  EXPECT_EQ(hello.oldest_held, 1u);
  EXPECT_FALSE(hello.acknowledged.has_value());
  EXPECT_EQ(hello.resource.at("service.name"), "test");
  EXPECT_EQ(hello.resource.at("service.version"), "1.2.3");
  EXPECT_EQ(hello.resource.at("telemetry.sdk.name"), "spanwatch");
  EXPECT_EQ(hello.resource.at("deployment.environment.name"), "test");
  EXPECT_EQ(hello.resource.at("process.pid"), std::to_string(getpid()));
  const std::string instance = hello.resource.at("service.instance.id");
  EXPECT_THAT(instance, SizeIs(36));
  char prefix[9];
  std::snprintf(prefix, sizeof prefix, "%02x%02x%02x%02x", static_cast<unsigned char>(hello.process_id[0]),
                static_cast<unsigned char>(hello.process_id[1]), static_cast<unsigned char>(hello.process_id[2]),
                static_cast<unsigned char>(hello.process_id[3]));
  EXPECT_NE(instance.substr(0, 8), prefix) << "the process id is not for others to see";
}

TEST(WireTest, HelloBatchesHeartbeatGoodbye) {
  FakeSidecar sidecar;
  Options options = TracedOptions(sidecar.endpoint());
  options.service_version = "1.2.3";
  options.resource_attributes = {{"deployment.environment.name", "test"}};
  TracedProgram program(options);
  ASSERT_TRUE(program.connected());
  EXPECT_TRUE(SetGauge("circuit_breaker", {{"name", "gemini"}, {"kind", "http"}}, 1));
  EXPECT_TRUE(SetGauge("queue", {}, 17.5));
  EXPECT_TRUE(SetGauge("queue", {}, 18.5));
  EXPECT_FALSE(SetGauge("", {}, 1));
  EXPECT_FALSE(SetGauge(std::string(129, 'g'), {}, 1));
  EmitBatch(10);
  // A beat each second; the first may have left before all of this was done.
  const std::map<std::string, double> gauges = {{"circuit_breaker{name=gemini,kind=http}", 1}, {"queue{}", 18.5}};
  ASSERT_TRUE(sidecar.WaitFor([&](const Messages& messages) {
    const Messages beats = OfKind(messages, kHeartbeat);
    return !beats.empty() && beats.back().gauges == gauges && beats.back().sdk_bytes > 256u << 10;
  }));
  ASSERT_EQ(Shutdown(kDeadlineMs), 0u);
  ASSERT_TRUE(sidecar.WaitFor(AtLeast(1, kGoodbye)));
  const Messages messages = sidecar.Messages();
  const WireMessage& hello = messages[0];
  ExpectHello(hello);
  std::uint64_t sequence = 0, batched = 0;
  for (const WireMessage& batch : OfKind(messages, kSpans)) {
    EXPECT_EQ(batch.sequence, ++sequence);
    EXPECT_EQ(batch.batched_before, batched);
    EXPECT_EQ(batch.span_count, batch.spans.size());
    EXPECT_EQ(batch.process_id, hello.process_id);
    EXPECT_EQ(batch.resource, hello.resource);
    batched += batch.span_count;
  }
  EXPECT_EQ(batched, 10u);
  const WireMessage beat = OfKind(messages, kHeartbeat).back();
  EXPECT_GT(beat.rss_bytes, 1000000u);
  EXPECT_GT(beat.sdk_cpu_ns, 0u);
  EXPECT_EQ(beat.sample_rate, 1);
  const Stats stats = GetStats();
  EXPECT_GT(stats.highest_ring_fill, 0);
  EXPECT_LE(stats.highest_ring_fill, 1);
  EXPECT_GT(stats.sender_cpu_ns, 0u);
  const WireMessage& goodbye = messages.back();
  EXPECT_EQ(goodbye.kind, kGoodbye);
  EXPECT_EQ(goodbye.batched_before, 10u);
  EXPECT_EQ(goodbye.oldest_held, sequence + 1);
  ASSERT_TRUE(goodbye.acknowledged.has_value());
  EXPECT_EQ(goodbye.acknowledged->sequence, sequence);
  EXPECT_EQ(goodbye.acknowledged->batched, 10u);
  EXPECT_FALSE(SetGauge("after", {}, 1));
}

TEST(WireTest, FailedAndSlowSpansAreSentAtOnceAndOthersWithinMoments) {
  FakeSidecar sidecar;
  TracedProgram program(sidecar);
  Span("failed").Fail("m").End();
  EXPECT_TRUE(sidecar.WaitFor(AtLeast(1, kSpans)));
  Span("plain").End();
  EXPECT_TRUE(sidecar.WaitFor(AtLeast(2, kSpans)));
}

TEST(WireTest, NothingIsSentBeforeWelcome) {
  std::atomic<bool> welcome{false};
  FakeSidecar sidecar;
  sidecar.SetPolicy([&](FakeSidecar& self, const WireMessage& message) {
    return welcome ? self.GoodAnswer(message) : std::vector<std::string>();
  });
  ASSERT_TRUE(Start(TracedOptions(sidecar.endpoint())));
  ASSERT_TRUE(sidecar.WaitFor(AtLeast(1, kHello)));
  EmitBatch(100);
  welcome = true;  // and the second hello, after three seconds of silence, gets it
  ASSERT_TRUE(sidecar.WaitFor([](const Messages& messages) { return !OfKind(messages, kSpans).empty(); }));
  const Messages messages = sidecar.Messages();
  EXPECT_THAT(OfKind(messages, kHello), SizeIs(::testing::Ge(2u)));
  EXPECT_NE(OfKind(messages, kHello)[0].identity, OfKind(messages, kHello)[1].identity);  // a new connection
  EXPECT_EQ(messages[1].kind, kHello);
  EXPECT_EQ(Shutdown(kDeadlineMs), 0u);
  EXPECT_THAT(sidecar.Spans(), SizeIs(100));
}

TEST(WireTest, AtMostOneMiBIsOnItsWay) {
  std::atomic<bool> acknowledge{false};
  FakeSidecar sidecar;
  sidecar.SetPolicy([&](FakeSidecar& self, const WireMessage& message) {
    std::vector<std::string> good = self.GoodAnswer(message);
    if (message.kind == kHello || acknowledge) return good;
    return std::vector<std::string>{EncodeAnswer(kAck, message.process_id, 0)};  // alive, and not done
  });
  TracedProgram program(sidecar);
  const std::string text(4000, 'x');
  std::uint64_t spans = 0;
  for (int burst = 0; burst < 40; ++burst) {  // 1.6 MB
    for (int i = 0; i < 10; ++i, ++spans) Span("span").SetTag("text", text).End();
    ASSERT_TRUE(WaitForStats([](const Stats& stats) { return stats.waiting == 0; }));
  }
  ASSERT_TRUE(sidecar.WaitFor(AtLeast(2, kHeartbeat)));
  std::uint64_t received = 0;
  for (const WireMessage& batch : OfKind(sidecar.Messages(), kSpans)) received += batch.span_count;
  EXPECT_LE(received * 4000, 1u << 20);
  EXPECT_GE(received * 4000, (1u << 20) - (128u << 10));
  acknowledge = true;
  EXPECT_EQ(Shutdown(kDeadlineMs), 0u);
  EXPECT_EQ(sidecar.Spans().size(), spans);
}

TEST(WireTest, ResendFillsTheGap) {
  std::atomic<int> lose{1};
  FakeSidecar sidecar;
  sidecar.SetPolicy([&](FakeSidecar& self, const WireMessage& message) {
    if (message.kind == kSpans && message.sequence == 2 && lose-- > 0) return std::vector<std::string>();  // lost there
    return self.GoodAnswer(message);
  });
  TracedProgram program(sidecar);
  for (int i = 0; i < 5; ++i) EmitBatch(3);
  EXPECT_EQ(Shutdown(kDeadlineMs), 0u);
  EXPECT_THAT(sidecar.Spans(), SizeIs(15));
  EXPECT_THAT(OfKind(sidecar.Messages(), kHello), SizeIs(1));  // the same connection
}

TEST(WireTest, ALostLastBatchIsSentAgain) {
  std::atomic<int> lose{1};
  FakeSidecar sidecar;
  sidecar.SetPolicy([&](FakeSidecar& self, const WireMessage& message) {
    if (message.kind == kSpans && lose-- > 0) return std::vector<std::string>();
    return self.GoodAnswer(message);
  });
  TracedProgram program(sidecar);
  EmitBatch(3);
  EXPECT_TRUE(WaitForStats([](const Stats& stats) { return stats.delivered == 3; }));
}

TEST(WireTest, ReconnectAfterARestartWithAndWithoutState) {
  FakeSidecar sidecar;
  TracedProgram program(sidecar);
  EmitBatch(5);
  ASSERT_TRUE(WaitForStats([](const Stats& stats) { return stats.delivered == 5; }));
  for (const bool forgets : {false, true}) {
    sidecar.StopServing();
    ASSERT_TRUE(WaitForStats([](const Stats& stats) { return !stats.connected; }));
    EmitBatch(7);
    if (forgets) sidecar.Forget();
    sidecar.Serve();
    const std::uint64_t expected = forgets ? 19 : 12;
    ASSERT_TRUE(WaitForStats([&](const Stats& stats) { return stats.delivered == expected; }));
  }
  EXPECT_EQ(Shutdown(kDeadlineMs), 0u);
  EXPECT_THAT(sidecar.Spans(), SizeIs(19));
  const Messages hellos = OfKind(sidecar.Messages(), kHello);
  ASSERT_GE(hellos.size(), 3u);
  ASSERT_TRUE(hellos.back().acknowledged.has_value());
  EXPECT_EQ(hellos.back().acknowledged->batched, 12u);  // where the ledger of a sidecar without state starts
  EXPECT_EQ(hellos.back().oldest_held, hellos.back().acknowledged->sequence + 1);
}

TEST(WireTest, SilenceMeansANewConnection) {
  std::atomic<bool> silent{false};
  FakeSidecar sidecar;
  sidecar.SetPolicy([&](FakeSidecar& self, const WireMessage& message) {
    return silent ? std::vector<std::string>() : self.GoodAnswer(message);
  });
  TracedProgram program(sidecar);
  EmitBatch(3);
  ASSERT_TRUE(WaitForStats([](const Stats& stats) { return stats.delivered == 3; }));
  silent = true;
  EmitBatch(3);
  ASSERT_TRUE(WaitForStats([](const Stats& stats) { return !stats.connected; }));
  silent = false;
  ASSERT_TRUE(WaitForStats([](const Stats& stats) { return stats.connected && stats.delivered == 6; }));
  EXPECT_THAT(sidecar.Spans(), SizeIs(6));
}

TEST(WireTest, SaysWhyNobodyAnswersAndTakesItBack) {
  FakeSidecar sidecar;
  sidecar.StopServing();
  const std::string path = sidecar.endpoint().substr(6);
  ASSERT_EQ(access(path.c_str(), F_OK), 0);  // as one that was killed leaves it
  ASSERT_TRUE(Start(TracedOptions(sidecar.endpoint())));
  const auto says = [&](const std::string& why) {
    return WaitForStats([&](const Stats& stats) {
      return stats.problems.find("no answer from " + sidecar.endpoint() + ": " + why) != std::string::npos;
    });
  };
  EXPECT_TRUE(says("does the sidecar run?"));
  if (geteuid() != 0) {
    ASSERT_EQ(chmod(path.c_str(), 0), 0);
    EXPECT_TRUE(says("this user may not use it"));
  }
  ASSERT_EQ(unlink(path.c_str()), 0);
  EXPECT_TRUE(says("there is no such socket"));
  sidecar.Serve();
  EXPECT_TRUE(WaitForStats([](const Stats& stats) { return stats.connected && stats.problems.empty(); }));
  Shutdown(0);
}

TEST(WireTest, ClosedIdGoesOnUnderANewOne) {
  std::atomic<int> close{0};
  std::string closed_id;
  FakeSidecar sidecar;
  sidecar.SetPolicy([&](FakeSidecar& self, const WireMessage& message) {
    if (close.exchange(0) != 0) closed_id = message.process_id;
    if (message.process_id == closed_id) {
      return std::vector<std::string>{EncodeAnswer(kClosed, closed_id, self.Applied(closed_id))};
    }
    return self.GoodAnswer(message);
  });
  Options options = TracedOptions(sidecar.endpoint());
  options.sample_rate = 0;
  TracedProgram program(options);
  for (int i = 0; i < 5; ++i) Span("out").End();
  for (int i = 0; i < 3; ++i) Span("failed").Fail("m").End();
  ASSERT_TRUE(WaitForStats([](const Stats& stats) { return stats.delivered == 3; }));
  close = 1;
  for (int i = 0; i < 2; ++i) Span("out").End();
  for (int i = 0; i < 4; ++i) Span("failed").Fail("m").End();
  ASSERT_TRUE(WaitForStats([](const Stats& stats) { return stats.delivered == 7; }));
  EXPECT_EQ(Shutdown(kDeadlineMs), 0u);
  ASSERT_TRUE(sidecar.WaitFor(AtLeast(1, kGoodbye)));
  const WireMessage goodbye = sidecar.Messages().back();
  EXPECT_NE(goodbye.process_id, closed_id);
  EXPECT_EQ(goodbye.batched_before, 4u);  // of the new id alone
  EXPECT_LE(goodbye.sampled_out, 2u);     // what the old id reported stays there
  EXPECT_THAT(sidecar.Spans(), SizeIs(7));
  const Stats stats = GetStats();
  EXPECT_EQ(stats.emitted, 14u);
  EXPECT_TRUE(EquationHolds(stats));
}

TEST(WireTest, AlwaysClosedIsNotAStorm) {
  FakeSidecar sidecar;
  sidecar.SetPolicy([](FakeSidecar&, const WireMessage& message) {
    return std::vector<std::string>{EncodeAnswer(kClosed, message.process_id, 0)};
  });
  ASSERT_TRUE(Start(TracedOptions(sidecar.endpoint())));
  ASSERT_TRUE(sidecar.WaitFor(AtLeast(4, kHello)));
  const auto before = std::chrono::steady_clock::now();
  ASSERT_TRUE(sidecar.WaitFor(AtLeast(6, kHello)));
  EXPECT_GT(std::chrono::steady_clock::now() - before, std::chrono::milliseconds(300));
  Shutdown(100);
}

TEST(WireTest, RefusedIsReportedAndTriedAgain) {
  std::atomic<int> refuse{1};
  FakeSidecar sidecar;
  sidecar.SetPolicy([&](FakeSidecar& self, const WireMessage& message) {
    if (message.kind == kHello && refuse-- > 0) {
      return std::vector<std::string>{EncodeAnswer(kRefused, message.process_id, 0, "too_many_processes")};
    }
    return self.GoodAnswer(message);
  });
  ASSERT_TRUE(Start(TracedOptions(sidecar.endpoint())));
  EmitBatch(3);
  EXPECT_TRUE(WaitForStats([](const Stats& stats) { return stats.refused == 1 && stats.delivered == 3; }));
  EXPECT_THAT(GetStats().problems, ::testing::HasSubstr("too_many_processes"));
  Shutdown(0);
}

TEST(WireTest, ABatchRefusedAgainAndAgainIsGivenUp) {
  FakeSidecar sidecar;
  sidecar.SetPolicy([&](FakeSidecar& self, const WireMessage& message) {
    if (message.kind == kSpans && message.sequence == 1) {
      return std::vector<std::string>{EncodeAnswer(kRefused, message.process_id, 0, "inconsistent_counters")};
    }
    return self.GoodAnswer(message);
  });
  TracedProgram program(sidecar);
  EmitBatch(3);
  ASSERT_TRUE(WaitForStats([](const Stats& stats) { return stats.evicted == 3; }));
  EmitBatch(4);
  EXPECT_TRUE(WaitForStats([](const Stats& stats) { return stats.delivered == 4; }));
  EXPECT_EQ(Shutdown(kDeadlineMs), 3u);
  EXPECT_TRUE(EquationHolds(GetStats()));
}

TEST(WireTest, NonsenseAnswersDoNoHarm) {
  FakeSidecar sidecar;
  sidecar.SetPolicy([](FakeSidecar& self, const WireMessage& message) {
    std::vector<std::string> answers = {"",
                                        "\xff\xff\xff",
                                        std::string(1000, '\x0a'),
                                        EncodeAnswer(kAck, "short", 1),
                                        EncodeAnswer(kAck, message.process_id, 1u << 30),  // never sent
                                        EncodeAnswer(77, message.process_id, 1),
                                        EncodeAnswer(kAck, std::string(16, 'z'), 1)};
    for (const std::string& answer : self.GoodAnswer(message)) answers.push_back(answer);
    return answers;
  });
  TracedProgram program(sidecar);
  ASSERT_TRUE(program.connected());
  for (int i = 0; i < 3; ++i) EmitBatch(3);
  EXPECT_EQ(Shutdown(kDeadlineMs), 0u);
  EXPECT_THAT(sidecar.Spans(), SizeIs(9));
}

TEST(WireTest, OpenSpansAreListedEachSecondUntilTheyEnd) {
  FakeSidecar sidecar;
  TracedProgram program(sidecar);
  Span stuck("stuck", SpanKind::kClient);
  Span dynamic(std::string("stuck too, with a name of its own"));
  ASSERT_TRUE(sidecar.WaitFor([](const Messages& messages) {
    const Messages lists = OfKind(messages, kOpenSpans);
    return lists.size() >= 2 && lists.back().spans.size() == 2;
  }));
  const WireMessage list = OfKind(sidecar.Messages(), kOpenSpans).back();
  EXPECT_EQ(list.sequence, 0u);
  EXPECT_EQ(list.span_count, 2u);
  const bool stuck_first = list.spans[0].name == "stuck";
  const WireSpan& first = list.spans[stuck_first ? 0 : 1];
  const WireSpan& second = list.spans[stuck_first ? 1 : 0];
  EXPECT_EQ(first.name, "stuck");
  EXPECT_EQ(first.kind, 3u);
  EXPECT_EQ(first.end_ns, 0u);
  EXPECT_EQ(first.span_id, stuck.context().span_id().ToHex());
  EXPECT_EQ(second.name, "stuck too, with a name of its own");
  EXPECT_EQ(second.parent_id, first.span_id);
  dynamic.End();
  stuck.End();
  EXPECT_TRUE(
      sidecar.WaitFor([](const Messages& messages) { return OfKind(messages, kOpenSpans).back().spans.empty(); }));
  // They lasted for many memory samples, so they say what the process's memory did.
  ASSERT_TRUE(WaitForStats([](const Stats& stats) { return stats.delivered == 2; }));
  const WireSpan ended = sidecar.SpansNamed("stuck")[0];
  EXPECT_EQ(ended.attributes.count("spanwatch.mem.delta"), 1u);
  EXPECT_GT(std::stoull(ended.attributes.at("spanwatch.mem.peak")), 1000000u);
}

TEST(WireTest, DefaultEndpointIsSearchedAtEachReconnect) {
  char base[] = "/tmp/swx-XXXXXX";
  ASSERT_NE(mkdtemp(base), nullptr);
  const std::string directory = std::string(base) + "/spanwatch";
  setenv("XDG_RUNTIME_DIR", base, 1);
  Options options;
  options.service_name = "test";
  ASSERT_TRUE(Start(options));
  ASSERT_EQ(mkdir(directory.c_str(), 0700), 0);
  {
    FakeSidecar sidecar(directory);
    EXPECT_TRUE(WaitForStats([](const Stats& stats) { return stats.connected; }));
    EXPECT_EQ(GetStats().endpoint, sidecar.endpoint());
    Shutdown(1000);
  }
  unsetenv("XDG_RUNTIME_DIR");
  rmdir(directory.c_str());
  rmdir(base);
}

}  // namespace
}  // namespace spanwatch::test
