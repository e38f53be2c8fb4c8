// W3C Trace Context, level 2: the cases of the W3C test suite, and sampling weights in tracestate.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "sdk/cpp/src/trace_state.h"
#include "tests/unit/sdk/traced.h"

namespace spanwatch::test {
namespace {

using ::testing::SizeIs;

const std::string kTrace = "12345678901234567890123456789012";
const std::string kParent = "1234567890123456";

struct TraceparentCase {
  const char* text;
  bool valid;
};

TEST(TraceparentTest, Table) {
  const TraceparentCase cases[] = {
      {"00-12345678901234567890123456789012-1234567890123456-01", true},
      {"00-12345678901234567890123456789012-1234567890123456-00", true},
      {"00-12345678901234567890123456789012-1234567890123456-ff", true},
      {" \t00-12345678901234567890123456789012-1234567890123456-01 \t", true},
      {"cc-12345678901234567890123456789012-1234567890123456-01", true},
      {"cc-12345678901234567890123456789012-1234567890123456-01-what-the-future-will-be-like", true},
      {"fe-12345678901234567890123456789012-1234567890123456-01-", true},
      {"cc-12345678901234567890123456789012-1234567890123456-01.what-the-future-will-not-be-like", false},
      {"ff-12345678901234567890123456789012-1234567890123456-01", false},
      {"00-12345678901234567890123456789012-1234567890123456-01.", false},
      {"00-12345678901234567890123456789012-1234567890123456-01-what-the-future-will-be-like", false},
      {"00-12345678901234567890123456789012-1234567890123456-01,00-12345678901234567890123456789013-1234567890123456-"
       "01",
       false},
      {"", false},
      {"00", false},
      {"0x-12345678901234567890123456789012-1234567890123456-01", false},
      {".0-12345678901234567890123456789012-1234567890123456-01", false},
      {"0-12345678901234567890123456789012-1234567890123456-01", false},
      {"000-12345678901234567890123456789012-1234567890123456-01", false},
      {"00-00000000000000000000000000000000-1234567890123456-01", false},
      {"00-.2345678901234567890123456789012-1234567890123456-01", false},
      {"00-1234567890123456789012345678901.-1234567890123456-01", false},
      {"00-1234567890123456789012345678901-1234567890123456-01", false},
      {"00-123456789012345678901234567890123-1234567890123456-01", false},
      {"00-1234567890123456789012345678901A-1234567890123456-01", false},
      {"00-12345678901234567890123456789012-0000000000000000-01", false},
      {"00-12345678901234567890123456789012-.234567890123456-01", false},
      {"00-12345678901234567890123456789012-123456789012345-01", false},
      {"00-12345678901234567890123456789012-12345678901234567-01", false},
      {"00-12345678901234567890123456789012-123456789012345F-01", false},
      {"00-12345678901234567890123456789012-1234567890123456-.0", false},
      {"00-12345678901234567890123456789012-1234567890123456-0x", false},
      {"00-12345678901234567890123456789012-1234567890123456-1", false},
      {"00-12345678901234567890123456789012-1234567890123456-001", false},
      {"00-12345678901234567890123456789012-1234567890123456-0A", false},
      {"00_12345678901234567890123456789012_1234567890123456_01", false},
  };
  for (const TraceparentCase& entry : cases) {
    const Context context = Context::FromTraceparent(entry.text, "foo=1");
    EXPECT_EQ(context.IsValid(), entry.valid) << entry.text;
    EXPECT_EQ(context.Tracestate(), entry.valid ? "foo=1" : "") << entry.text;
    if (!entry.valid) continue;
    EXPECT_EQ(context.trace_id().ToHex(), kTrace);
    EXPECT_EQ(context.span_id().ToHex(), kParent);
    EXPECT_TRUE(context.IsRemote());
  }
}

TEST(TraceparentTest, FlagsAreSampledAndRandomAndNothingElse) {
  const auto sent = [](const std::string& flags) {
    return Context::FromTraceparent("00-" + kTrace + "-" + kParent + "-" + flags).Traceparent();
  };
  EXPECT_EQ(sent("00"), "00-" + kTrace + "-" + kParent + "-00");
  EXPECT_EQ(sent("01"), "00-" + kTrace + "-" + kParent + "-01");
  EXPECT_EQ(sent("02"), "00-" + kTrace + "-" + kParent + "-02");
  EXPECT_EQ(sent("ff"), "00-" + kTrace + "-" + kParent + "-03");
}

struct TracestateCase {
  std::string text;
  std::string passed_on;
};

TEST(TracestateTest, Table) {
  const std::string long_key(256, 'z');
  std::string many = "bar01=01";
  for (int i = 2; i <= 32; ++i) many += ",bar" + std::to_string(i) + "=" + std::to_string(i);
  const TracestateCase cases[] = {
      {"foo=1", "foo=1"},
      {"foo=1,bar=2", "foo=1,bar=2"},
      {" foo=1 \t,\t bar=2 ", "foo=1,bar=2"},
      {"foo=1,,bar=2,", "foo=1,bar=2"},
      {"foo@=1,bar=2", "foo@=1,bar=2"},
      {"foo@@bar=1,bar=2", "foo@@bar=1,bar=2"},
      {std::string(242, 't') + "@v=1", std::string(242, 't') + "@v=1"},
      {long_key + "=1", long_key + "=1"},
      {"foo=1,foo=1", "foo=1,foo=1"},
      {"0a_-*/=a b!~", "0a_-*/=a b!~"},
      {many, many},
      {many + ",one=more", ""},
      {long_key + "z=1", ""},
      {"foo =1", ""},
      {"FOO=1", ""},
      {"foo.bar=1", ""},
      {"@foo=1,bar=2", ""},
      {"foo", ""},
      {"foo=", ""},
      {"=1", ""},
      {"foo=bar=baz", ""},
      {"foo=,bar=3", ""},
      {"foo=\x7f", ""},
      {"foo=" + std::string(257, 'v'), ""},
      {"", ""},
      {std::string(20000, ','), ""},
  };
  for (const TracestateCase& entry : cases) {
    const Context context = Context::FromTraceparent("00-" + kTrace + "-" + kParent + "-01", entry.text);
    EXPECT_TRUE(context.IsValid());
    EXPECT_EQ(context.Tracestate(), entry.passed_on) << entry.text.substr(0, 80);
  }
}

TEST(TracestateTest, LongOnesLoseLongMembersFirstThenFromTheRight) {
  std::string text = "big=" + std::string(200, 'b');
  for (int i = 10; i < 40; ++i) text += ",k" + std::to_string(i) + "=" + std::string(30, 'v');
  const std::string passed_on =
      Context::FromTraceparent("00-" + kTrace + "-" + kParent + "-01", text.substr(0, text.rfind(",k39"))).Tracestate();
  EXPECT_LE(passed_on.size(), 1024u);
  EXPECT_GE(passed_on.size(), 512u);
  EXPECT_EQ(passed_on.rfind("k10=", 0), 0u);
}

TEST(ThresholdTest, RoundsToFourDigitsAndFormatsWithoutZeros) {
  const auto digits = [](double probability) {
    bool nothing = false;
    char text[14];
    const std::uint32_t size = internal::FormatThreshold(internal::ThresholdOf(probability, &nothing), text);
    return std::string(text, size) + (nothing ? " nothing" : "");
  };
  EXPECT_EQ(digits(1), "0");
  EXPECT_EQ(digits(0.5), "8");
  EXPECT_EQ(digits(0.25), "c");
  EXPECT_EQ(digits(0.1), "e666");
  EXPECT_EQ(digits(0.01), "fd70a");
  EXPECT_EQ(digits(0), "ffffffffffffff nothing");
  EXPECT_EQ(digits(-1), "ffffffffffffff nothing");
  for (const double probability : {0.9, 0.3, 0.05, 0.001, 1e-6}) {
    bool nothing = false;
    const double kept = 1 - static_cast<double>(internal::ThresholdOf(probability, &nothing)) / std::pow(2.0, 56);
    EXPECT_NEAR(kept / probability, 1, 1e-3);
  }
}

class PropagationTest : public ::testing::Test {
 protected:
  void Begin(double rate) {
    Options options = TracedOptions(sidecar_.endpoint());
    options.sample_rate = rate;
    ASSERT_TRUE(Start(options));
  }
  void TearDown() override { Shutdown(0); }
  std::atomic<double> offered_{1};  // before the sidecar, whose policies look at it
  FakeSidecar sidecar_;
};

TEST_F(PropagationTest, RemoteParentAndWhatGoesOn) {
  Begin(1);
  std::vector<std::pair<std::string, std::string>> headers;
  {
    Span server("server", SpanKind::kServer,
                Context::FromTraceparent("00-" + kTrace + "-" + kParent + "-03", "ot=th:c;rv:1,foo=1"));
    Span client("client", SpanKind::kClient);
    InjectHeaders([&](std::string_view name, std::string value) { headers.emplace_back(name, std::move(value)); });
  }
  ASSERT_EQ(Shutdown(kDeadlineMs), 0u);
  const WireSpan server = sidecar_.SpansNamed("server")[0];
  const WireSpan client = sidecar_.SpansNamed("client")[0];
  EXPECT_EQ(server.trace_id, kTrace);
  EXPECT_EQ(server.parent_id, kParent);
  EXPECT_EQ(server.flags, 0x303u);
  EXPECT_EQ(client.flags, 0x103u);
  EXPECT_EQ(client.trace_state, "ot=th:c;rv:1,foo=1");
  ASSERT_THAT(headers, SizeIs(2));
  EXPECT_EQ(headers[0].second, "00-" + kTrace + "-" + client.span_id + "-03");
  EXPECT_EQ(headers[1].second, "ot=th:c;rv:1,foo=1");
}

TEST_F(PropagationTest, InvalidParentStartsANewTraceEvenInsideASpan) {
  Begin(1);
  {
    Span outer("outer");
    Span root("root", SpanKind::kServer, Context::FromTraceparent("00-nonsense", "foo=1"));
    EXPECT_NE(root.context().trace_id(), outer.context().trace_id());
    EXPECT_EQ(root.context().Tracestate(), "");
  }
  ASSERT_EQ(Shutdown(kDeadlineMs), 0u);
  EXPECT_EQ(sidecar_.SpansNamed("root")[0].parent_id, "");
}

TEST_F(PropagationTest, UnsampledRemoteParentIsFollowedButFailuresAreKept) {
  Begin(1);
  const Context parent = Context::FromTraceparent("00-" + kTrace + "-" + kParent + "-00", "ot=th:8,foo=1");
  { Span ok("ok", SpanKind::kServer, parent); }
  { Span("failed", SpanKind::kServer, parent).Fail("E", "m"); }
  ASSERT_EQ(Shutdown(kDeadlineMs), 0u);
  EXPECT_EQ(GetStats().sampled_out, 1u);
  ASSERT_THAT(sidecar_.Spans(), SizeIs(1));
  EXPECT_EQ(sidecar_.Spans()[0].trace_state, "ot=th:0,foo=1");  // weighs 1
  EXPECT_EQ(sidecar_.Spans()[0].flags, 0x300u);
}

TEST_F(PropagationTest, SamplingIsDecidedByTraceIdAndWeighs) {
  Begin(0.25);
  constexpr int kTraces = 2000;
  for (int i = 0; i < kTraces; ++i) {
    Span root("root");
    const bool kept = (root.context().trace_id().lo & internal::kThresholdMask) >= std::uint64_t{0xc} << 52;
    EXPECT_EQ(root.context().IsSampled(), kept);
    EXPECT_EQ(InjectTracestate(), kept ? "ot=th:c" : "");
    Span child("child");
    if (i % 10 == 0) child.Fail("m");
  }
  ASSERT_EQ(Shutdown(kDeadlineMs), 0u);
  const Stats stats = GetStats();
  EXPECT_EQ(stats.emitted, 2u * kTraces);
  EXPECT_TRUE(EquationHolds(stats));
  EXPECT_NEAR(static_cast<double>(sidecar_.SpansNamed("root").size()), kTraces / 4, 200);
  int failed = 0;
  for (const WireSpan& span : sidecar_.Spans()) {
    failed += span.status == 2 ? 1 : 0;
    EXPECT_EQ(span.trace_state, span.status == 2 ? "" : "ot=th:c");
  }
  EXPECT_EQ(failed, kTraces / 10);
}

TEST_F(PropagationTest, RateZeroKeepsFailuresAlone) {
  Begin(0);
  for (int i = 0; i < 100; ++i) Span("ok").End();
  Span("failed").Fail("m").End();
  ASSERT_EQ(Shutdown(kDeadlineMs), 0u);
  EXPECT_EQ(GetStats().sampled_out, 100u);
  ASSERT_THAT(sidecar_.Spans(), SizeIs(1));
  EXPECT_EQ(sidecar_.Spans()[0].name, "failed");
}

TEST_F(PropagationTest, TheSidecarsSampleRateIsAdopted) {
  sidecar_.SetPolicy([](FakeSidecar& self, const WireMessage& message) {
    std::vector<std::string> answers = self.GoodAnswer(message);
    if (message.kind == kHello) answers = {EncodeAnswer(kWelcome, message.process_id, 0, "", 0.0, 5000000)};
    return answers;
  });
  Begin(1);
  ASSERT_TRUE(WaitForStats([](const Stats& stats) { return stats.connected && stats.sample_rate == 0; }));
  { Span span("left out"); }
  ASSERT_EQ(Shutdown(kDeadlineMs), 0u);
  EXPECT_EQ(GetStats().sampled_out, 1u);
}

TEST_F(PropagationTest, TheSidecarLowersTheRateAtRunTimeAndNeverRaisesIt) {
  // What answers say: below 0 no rate, above 1 no settings at all.
  sidecar_.SetPolicy([&](FakeSidecar& self, const WireMessage& message) {
    std::vector<std::string> answers = self.GoodAnswer(message);
    const double rate = offered_;
    if ((message.kind == kHeartbeat || message.kind == kHello) && rate <= 1) {
      answers = {EncodeAnswer(message.kind == kHello ? kWelcome : kAck, message.process_id,
                              self.Applied(message.process_id), "", rate < 0 ? std::optional<double>() : rate,
                              5000000)};
    }
    return answers;
  });
  Begin(0.5);
  // By its own word, in a heartbeat that came after so many others.
  const auto told = [&](double rate, std::size_t after) {
    const std::size_t seen = sidecar_.Messages().size();
    return sidecar_.WaitFor([&](const std::vector<WireMessage>& messages) {
      std::size_t beats = 0;
      for (std::size_t i = seen; i < messages.size(); ++i) beats += messages[i].kind == kHeartbeat ? 1 : 0;
      return beats > after && messages.back().kind == kHeartbeat && messages.back().sample_rate == rate;
    });
  };
  EXPECT_TRUE(told(0.5, 0)) << "1 was offered in the welcome";
  offered_ = 0.25;
  EXPECT_TRUE(told(0.25, 0));
  offered_ = 2;
  EXPECT_TRUE(told(0.25, 1)) << "an answer without settings changes nothing";
  EXPECT_EQ(GetStats().sample_rate, 0.25);
  offered_ = -1;
  EXPECT_TRUE(told(0.5, 0)) << "settings without a rate: its own again";
}

}  // namespace
}  // namespace spanwatch::test
