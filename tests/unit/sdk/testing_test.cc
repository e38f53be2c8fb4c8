#include "spanwatch/testing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "spanwatch/discord.h"
#include "spanwatch/propagation.h"
#include "spanwatch/spanwatch.h"

namespace spanwatch::test {
namespace {

using ::spanwatch::testing::Capture;
using ::spanwatch::testing::CapturedSpan;
using ::testing::SizeIs;

TEST(CaptureTest, HoldsAllOfASpan) {
  Capture capture;
  {
    Span root("root", SpanKind::kServer);
    Span child("child");
    child.SetTags({{"text", "a"}, {"int", -5}, {"double", 0.1}, {"bool", true}});
    child.AddLog(LogLevel::kWarn, "slow", {{"ms", 12}});
    child.Fail("TimeoutError", "too late");
  }
  const std::vector<CapturedSpan> spans = capture.Spans();
  ASSERT_THAT(spans, SizeIs(2));
  const CapturedSpan& child = spans[0];
  EXPECT_EQ(child.name, "child");
  EXPECT_EQ(child.parent_id, spans[1].span_id);
  EXPECT_EQ(child.trace_id, spans[1].trace_id);
  EXPECT_EQ(spans[1].kind, SpanKind::kServer);
  EXPECT_EQ(child.tag("text"), "a");
  EXPECT_EQ(child.tag("int"), -5);
  EXPECT_EQ(child.tag("double"), 0.1);
  EXPECT_EQ(child.tag("double").ToString(), "0.1");
  EXPECT_EQ(child.tag("bool"), true);
  EXPECT_NE(child.tag("int"), "-5");
  EXPECT_FALSE(child.tag("none"));
  EXPECT_EQ(child.tag("none").ToString(), "(none)");
  ASSERT_THAT(child.logs, SizeIs(1));
  EXPECT_EQ(child.logs[0].level, LogLevel::kWarn);
  EXPECT_EQ(child.logs[0].text, "slow");
  EXPECT_EQ(child.logs[0].fields.at("ms"), 12);
  EXPECT_TRUE(child.failed);
  EXPECT_EQ(child.error_type, "TimeoutError");
  EXPECT_EQ(child.error_message, "too late");
  EXPECT_GE(spans[1].duration_ns, child.duration_ns);
  EXPECT_GT(child.start_ns, 0);
  EXPECT_EQ(capture.dropped(), 0u);
}

TEST(CaptureTest, OneNamedTreeAndClear) {
  Capture capture;
  { const Span span("a"); }
  { const Span span("a"); }
  EXPECT_EQ(capture.One("a").name, "(2 spans named \"a\")");
  EXPECT_EQ(capture.One("b").name, "(no span named \"b\")");
  EXPECT_EQ(capture.Tree(), "a\na\n");
  capture.Clear();
  EXPECT_THAT(capture.Spans(), SizeIs(0));
}

TEST(CaptureTest, LosesNothingHoweverManySpans) {
  Capture capture;
  constexpr int kThreads = 4;
  constexpr int kSpans = 20000;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([] {
      for (int i = 0; i < kSpans; ++i) Span("many").SetTag("index", i).SetTag("text", std::string(40, 'x'));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(capture.Spans(), SizeIs(kThreads * kSpans));
  EXPECT_EQ(capture.dropped(), 0u);
}

TEST(CaptureTest, WhatIsCapturedIsWhatWouldBeSent) {
  Options options;
  options.sample_rate = 0;
  Capture nothing(options);
  { const Span span("out"); }
  { Span("failed").Fail("kept"); }
  EXPECT_EQ(nothing.Tree(), "failed!\n");
}

TEST(CaptureTest, SecretsAreRedacted) {
  Capture capture;
  { Span("op").SetTag("password", "hunter2").SetTag("note", "write to ann@example.com"); }
  EXPECT_EQ(capture.One("op").tag("password").ToString().find("hunter2"), std::string::npos);
  EXPECT_EQ(capture.One("op").tag("note").ToString().find("ann@"), std::string::npos);
}

TEST(CaptureTest, StartAndShutdownOfTheProgramChangeNothing) {
  Capture capture;
  EXPECT_TRUE(Start());
  { const Span span("a"); }
  EXPECT_EQ(Shutdown(), 0u);
  { const Span span("b"); }
  EXPECT_EQ(capture.Tree(), "a\nb\n");
}

TEST(CaptureTest, OneAtATimeAndOneAfterTheOther) {
  {
    Capture capture;
    const Capture second;
    EXPECT_TRUE(capture.ok());
    EXPECT_FALSE(second.ok());
    { const Span span("a"); }
    EXPECT_EQ(capture.Tree(), "a\n");
  }
  { const Span span("between"); }
  Capture capture;
  EXPECT_TRUE(capture.ok());
  { const Span span("b"); }
  EXPECT_EQ(capture.Tree(), "b\n");
}

TEST(ContextTest, WithNewContextBeginsATraceLinkedToTheOuterOne) {
  Capture capture;
  {
    const Span outer("outer");
    const int result = WithNewContext({{"source", "nightly"}, {"metadata", "more"}}, [](Span& span) {
      const Span child("child");
      span.SetTag("inside", true);
      return 4;
    });
    EXPECT_EQ(result, 4);
    const Span after("after");
  }
  EXPECT_EQ(capture.Tree(), "outer\n  after\nnightly\n  child\n");
  const CapturedSpan root = capture.One("nightly");
  const CapturedSpan outer = capture.One("outer");
  EXPECT_NE(root.trace_id, outer.trace_id);
  EXPECT_EQ(root.tag("metadata"), "more");
  EXPECT_EQ(root.tag("inside"), true);
  ASSERT_EQ(root.links.size(), 1u);
  EXPECT_EQ(root.links[0].trace_id, outer.trace_id);
  EXPECT_EQ(root.links[0].span_id, outer.span_id);
  EXPECT_THROW(WithNewContext({}, [] { throw std::runtime_error("x"); }), std::runtime_error);
  EXPECT_TRUE(capture.One("context").failed);
  EXPECT_TRUE(capture.One("context").links.empty());
}

TEST(ContextTest, TagsOfTheTraceGoToItsOutermostSpanLogsToTheCurrentOne) {
  Capture capture;
  Context::Current().SetTags({{"nowhere", 1}}).AddLog(LogLevel::kInfo, "nowhere");
  {
    const Span other("other");
    WithNewContext({}, [] {
      const Span middle("middle");
      const Span inner("inner");
      Context::Current().SetTags({{"operation", "custom_work"}}).AddLog(LogLevel::kError, "failed", {{"code", 3}});
    });
  }
  EXPECT_EQ(capture.One("context").tag("operation"), "custom_work");
  EXPECT_FALSE(capture.One("other").tag("operation"));
  ASSERT_THAT(capture.One("inner").logs, SizeIs(1));
  EXPECT_EQ(capture.One("inner").logs[0].fields.at("code"), 3);
}

TEST(ContextTest, TagsOnAnotherThreadGoToTheOutermostSpanThere) {
  Capture capture;
  {
    const Span root("root");
    std::thread(Bind([] {
      Context::Current().SetTags({{"dropped", 1}});
      const Span there("there");
      Context::Current().SetTags({{"key", 1}});
    })).join();
  }
  EXPECT_EQ(capture.One("there").tag("key"), 1);
  EXPECT_FALSE(capture.One("root").tag("key"));
}

template <typename Headers>
void RoundTrip() {
  Capture capture;
  Headers headers;
  TraceId trace;
  SpanId parent;
  {
    const Span client("client", SpanKind::kClient);
    trace = client.context().trace_id();
    parent = client.context().span_id();
    InjectInto(headers);
    InjectInto(headers);  // replaces
  }
  EXPECT_EQ(std::distance(headers.begin(), headers.end()), 1);
  { const Span server("server", SpanKind::kServer, ExtractFrom(headers)); }
  EXPECT_EQ(capture.One("server").trace_id, trace);
  EXPECT_EQ(capture.One("server").parent_id, parent);
}

TEST(HeadersTest, AnyCollectionCarriesTheContext) {
  RoundTrip<std::map<std::string, std::string>>();
  RoundTrip<std::multimap<std::string, std::string>>();
  RoundTrip<std::unordered_map<std::string, std::string>>();
  RoundTrip<std::vector<std::pair<std::string, std::string>>>();
}

TEST(HeadersTest, CaseDoesNotCountStatesAreJoinedParentsAreNot) {
  std::vector<std::pair<std::string, std::string>> headers = {
      {"TraceParent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
      {"TRACESTATE", "a=1"},
      {"tracestate", "b=2"}};
  const Context context = ExtractFrom(headers);
  EXPECT_TRUE(context.IsValid());
  EXPECT_EQ(context.Tracestate(), "a=1,b=2");
  headers.push_back(headers[0]);
  EXPECT_FALSE(ExtractFrom(headers).IsValid());
  EXPECT_FALSE(ExtractFrom(std::map<std::string, std::string>()).IsValid());
  std::map<std::string, std::string> none = {{"traceparent", "old"}};
  InjectInto(none);
  EXPECT_EQ(none.size(), 1u);
}

// As D++ has them.
struct Snowflake {
  std::uint64_t value = 0;
  operator std::uint64_t() const { return value; }  // NOLINT(google-explicit-constructor)
};
struct User {
  Snowflake id;
};
struct DppMessage {
  std::string content;
  User author;
  std::vector<std::string> attachments;
};
struct DppEvent {
  DppMessage msg;
};
struct OwnMessage {
  std::string content;
  std::uint64_t author_id = 0;
  int attachments = 0;
};

TEST(DiscordTest, OneTraceAMessageAndNothingAboutThePerson) {
  Options options;
  options.hash_key = "00112233445566778899aabbccddeeff";
  Capture capture(options);
  const std::function<void(const DppEvent&)> handler =
      WrapMessageHandler([](const DppEvent&) { const Span span("work"); });
  {
    const Span loop("loop");
    handler(DppEvent{{"hello there", {{80351110224678912}}, {"file"}}});
  }
  WrapMessageHandler([](Span&, const OwnMessage&) {})(OwnMessage{"abc", 80351110224678912, 0});
  EXPECT_EQ(capture.Tree(), "loop\nmessageCreate\n  work\nmessageCreate\n");
  const auto spans = capture.Named("messageCreate");
  ASSERT_THAT(spans, SizeIs(2));
  ASSERT_THAT(spans[0].tags, SizeIs(3));
  EXPECT_EQ(spans[0].kind, SpanKind::kConsumer);
  EXPECT_EQ(spans[0].tag("userId"), HashUserId(std::uint64_t{80351110224678912}));
  EXPECT_EQ(spans[0].tag("messageLength"), 11);
  EXPECT_EQ(spans[0].tag("hasAttachments"), true);
  EXPECT_EQ(spans[1].tag("userId"), spans[0].tag("userId"));
  EXPECT_EQ(spans[1].tag("hasAttachments"), false);
}

TEST(DiscordTest, AHandlersExceptionIsRecordedAndPassesThrough) {
  Capture capture;
  auto handler = WrapMessageHandler([](const OwnMessage&) { throw std::runtime_error("boom"); });
  EXPECT_THROW(handler(OwnMessage()), std::runtime_error);
  EXPECT_EQ(capture.One("messageCreate").error_message, "boom");
}

}  // namespace
}  // namespace spanwatch::test
