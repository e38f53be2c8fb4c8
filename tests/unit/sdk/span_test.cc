#include "spanwatch/span.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/sdk/traced.h"

namespace spanwatch::test {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class SpanTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(program_.connected()); }

  // Ends tracing and returns the one span of that name.
  WireSpan Finished(const std::string& name) {
    EXPECT_EQ(Shutdown(kDeadlineMs), 0u);
    const std::vector<WireSpan> found = sidecar_.SpansNamed(name);
    EXPECT_THAT(found, SizeIs(1)) << name;
    return found.empty() ? WireSpan() : found[0];
  }

  FakeSidecar sidecar_;
  TracedProgram program_{sidecar_};
};

TEST_F(SpanTest, ChildrenFollowTheCurrentSpanAndSiblingsShareAParent) {
  {
    Span root("root");
    { Span first("first"); }
    {
      Span second("second", SpanKind::kClient);
      { Span inner("inner"); }
    }
  }
  { Span other("other"); }
  const WireSpan root = Finished("root");
  const WireSpan second = sidecar_.SpansNamed("second")[0];
  EXPECT_EQ(root.parent_id, "");
  EXPECT_EQ(root.kind, 1u);
  EXPECT_EQ(second.kind, 3u);
  EXPECT_EQ(sidecar_.SpansNamed("first")[0].parent_id, root.span_id);
  EXPECT_EQ(second.parent_id, root.span_id);
  EXPECT_EQ(sidecar_.SpansNamed("inner")[0].parent_id, second.span_id);
  EXPECT_EQ(sidecar_.SpansNamed("inner")[0].trace_id, root.trace_id);
  EXPECT_NE(sidecar_.SpansNamed("other")[0].trace_id, root.trace_id);
  EXPECT_EQ(root.status, 0u);
  EXPECT_EQ(root.flags, 0x103u);  // sampled, random trace id, parent known not to be remote
}

TEST_F(SpanTest, TimesAreWallClockAndCoverTheChildren) {
  const auto now = [] {
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
            .count());
  };
  const std::uint64_t before = now();
  {
    Span outer("outer");
    Span inner("inner");
  }
  const std::uint64_t after = now();
  const WireSpan outer = Finished("outer");
  const WireSpan inner = sidecar_.SpansNamed("inner")[0];
  constexpr std::uint64_t kSlack = 20000000;
  EXPECT_GT(outer.start_ns, before - kSlack);
  EXPECT_LT(outer.end_ns, after + kSlack);
  EXPECT_LE(outer.start_ns, inner.start_ns);
  EXPECT_LE(inner.start_ns, inner.end_ns);
  EXPECT_LE(inner.end_ns, outer.end_ns);
}

TEST_F(SpanTest, TagsOfAllTypesAndTheLastOfAKeyWins) {
  {
    Span span("tags");
    const std::string text = "a string of some length";
    const char array[] = {'a', 'b', 'c', '\0', 'd'};
    const char* null = nullptr;
    span.SetTags(
        {{"literal", "gemini"}, {"string", text}, {"int", -7}, {"double", 0.5}, {"true", true}, {"false", false}});
    span.SetTag("unsigned", ~0ull).SetTag("array", array).SetTag("null", null).SetTag("empty", "").SetTag("zero", 0);
    span.SetTag(std::string("dynamic.") + "key", std::string_view("value"));
    span.SetTag("again", 1).SetTag("again", "two").SetTag("again", 3.5);
  }
  const WireSpan span = Finished("tags");
  const std::map<std::string, std::string> expected = {{"literal", "gemini"},
                                                       {"string", "a string of some length"},
                                                       {"int", "-7"},
                                                       {"double", "0.5"},
                                                       {"true", "true"},
                                                       {"false", "false"},
                                                       {"unsigned", "9223372036854775807"},
                                                       {"array", "abc"},
                                                       {"null", ""},
                                                       {"empty", ""},
                                                       {"zero", "0"},
                                                       {"dynamic.key", "value"},
                                                       {"again", "3.5"}};
  EXPECT_EQ(span.attributes, expected);
  EXPECT_THAT(span.duplicate_keys, IsEmpty());
  EXPECT_EQ(span.dropped_attributes, 0u);
}

TEST_F(SpanTest, TextsThatChangeAfterTheCallKeepTheirValue) {
  {
    std::string text = "before";
    char buffer[16] = "name-1";
    Span span(buffer);
    span.SetTag("text", text);
    text = "after!";
    buffer[5] = '2';
  }
  EXPECT_EQ(Finished("name-1").attributes["text"], "before");
}

TEST_F(SpanTest, LogsHaveLevelTextFieldsAndTime) {
  {
    Span span("logs");
    span.AddLog(LogLevel::kInfo, "cache miss", {{"key", "user:7"}, {"size", 12}});
    span.AddLog(LogLevel::kError, std::string("second"));
  }
  const WireSpan span = Finished("logs");
  ASSERT_THAT(span.events, SizeIs(2));
  const std::map<std::string, std::string> first = {
      {"log.severity", "info"}, {"log.message", "cache miss"}, {"key", "user:7"}, {"size", "12"}};
  EXPECT_EQ(span.events[0].attributes, first);
  EXPECT_EQ(span.events[0].name, "log");
  EXPECT_EQ(span.events[1].attributes.at("log.severity"), "error");
  EXPECT_LE(span.start_ns, span.events[0].time_ns);
  EXPECT_LE(span.events[0].time_ns, span.events[1].time_ns);
  EXPECT_LE(span.events[1].time_ns, span.end_ns);
}

TEST_F(SpanTest, LinksLeadToOtherTracesAndCountAsLogs) {
  {
    const Span first("first", SpanKind::kInternal, Context());
    const Span second("second", SpanKind::kInternal, Context());
    Span span("linked", SpanKind::kInternal, Context());
    span.LinkTo(first.context()).SetTag("between", 1).LinkTo(second.context()).LinkTo(Context());
    span.AddLog(LogLevel::kInfo, "a log");
    Span many("many links");
    for (int i = 0; i < 40; ++i) many.LinkTo(first.context());
  }
  const WireSpan span = Finished("linked");
  const WireSpan first = sidecar_.SpansNamed("first")[0], second = sidecar_.SpansNamed("second")[0];
  const std::vector<std::pair<std::string, std::string>> wanted = {{first.trace_id, first.span_id},
                                                                   {second.trace_id, second.span_id}};
  EXPECT_EQ(span.links, wanted);
  EXPECT_EQ(span.attributes.at("between"), "1");
  EXPECT_THAT(span.events, SizeIs(1));
  EXPECT_THAT(sidecar_.SpansNamed("many links")[0].links, SizeIs(32));
  EXPECT_EQ(sidecar_.SpansNamed("many links")[0].dropped_events, 8u);
}

TEST_F(SpanTest, LimitsCutAndCount) {
  {
    Span span("limits");
    for (int i = 0; i < 70; ++i) span.SetTag("tag" + std::to_string(i), i);
    span.SetTag("tag5", 500);     // full, but the key is there
    span.SetTag("tag6", "text");  // and may change its type
    for (int i = 0; i < 40; ++i) span.AddLog(LogLevel::kInfo, "log");
  }
  {
    Span span("long");
    span.SetTag("text", std::string(5000, 'x'));
    span.SetTag("utf8", std::string(4095, 'x') + "\xc3\xa9");  // é would be cut in two
    span.SetTag(std::string(300, 'k'), 1);
  }
  { Span span(std::string(300, 'n')); }
  const WireSpan limits = Finished("limits");
  EXPECT_THAT(limits.attributes, SizeIs(64));
  EXPECT_EQ(limits.dropped_attributes, 6u);
  EXPECT_EQ(limits.attributes.at("tag5"), "500");
  EXPECT_EQ(limits.attributes.at("tag6"), "text");
  EXPECT_THAT(limits.events, SizeIs(32));
  EXPECT_EQ(limits.dropped_events, 8u);
  const WireSpan cut = sidecar_.SpansNamed("long")[0];
  EXPECT_THAT(cut.attributes.at("text"), SizeIs(4096));
  EXPECT_THAT(cut.attributes.at("utf8"), SizeIs(4095));
  EXPECT_EQ(cut.attributes.count(std::string(256, 'k')), 1u);
  EXPECT_THAT(sidecar_.SpansNamed(std::string(256, 'n')), SizeIs(1));
}

TEST_F(SpanTest, TextOfOneSpanIsBounded) {
  {
    Span span("big");
    for (int i = 0; i < 64; ++i) span.SetTag("t" + std::to_string(i), std::string(4096, 'x'));
  }
  const WireSpan big = Finished("big");
  EXPECT_EQ(big.attributes.size() + big.dropped_attributes, 64u);
  EXPECT_THAT(big.attributes, SizeIs(11));  // 48 KiB
}

TEST_F(SpanTest, LogFieldsAreBounded) {
  {
    Span("fields").AddLog(LogLevel::kWarn, "m",
                          {{"a", 1},
                           {"b", 1},
                           {"c", 1},
                           {"d", 1},
                           {"e", 1},
                           {"f", 1},
                           {"g", 1},
                           {"h", 1},
                           {"i", 1},
                           {"j", 1},
                           {"k", 1},
                           {"l", 1},
                           {"m", 1},
                           {"n", 1},
                           {"o", 1},
                           {"p", 1},
                           {"q", 1},
                           {"r", 1}});
  }
  const WireSpan span = Finished("fields");
  ASSERT_THAT(span.events, SizeIs(1));
  EXPECT_THAT(span.events[0].attributes, SizeIs(18));  // with severity and message
  EXPECT_EQ(span.events[0].dropped, 2u);
}

TEST_F(SpanTest, FailSetsStatusAndType) {
  {
    Span span("failed");
    span.Fail("first").Fail("TimeoutError", "after 30 s");
  }
  const WireSpan span = Finished("failed");
  EXPECT_EQ(span.status, 2u);
  EXPECT_EQ(span.status_message, "after 30 s");
  EXPECT_EQ(span.attributes.at("error.type"), "TimeoutError");
}

TEST_F(SpanTest, EndsOnce) {
  {
    Span span("once");
    EXPECT_TRUE(span.IsRecording());
    span.End();
    EXPECT_FALSE(span.IsRecording());
    EXPECT_FALSE(span.context().IsValid());
    span.SetTag("late", 1);
    span.End();
  }
  EXPECT_THAT(Finished("once").attributes, IsEmpty());
}

Span MadeElsewhere() {
  Span span("moved");
  span.SetTag("where", "made");
  return span;
}

TEST_F(SpanTest, MovedSpanGoesOn) {
  {
    Span target("replaced");
    Span span = MadeElsewhere();
    target = std::move(span);
    Span child("child");
    EXPECT_EQ(child.context().trace_id(), target.context().trace_id());
  }
  const WireSpan moved = Finished("moved");
  EXPECT_EQ(sidecar_.SpansNamed("child")[0].parent_id, moved.span_id);
  EXPECT_THAT(sidecar_.SpansNamed("replaced"), SizeIs(1));
}

TEST_F(SpanTest, EndOutOfOrderKeepsTheStackRight) {
  Span a("a");
  Span b("b");
  a.End();
  { Span c("c"); }
  b.End();
  { Span d("d"); }
  const WireSpan wire_b = Finished("b");
  EXPECT_EQ(sidecar_.SpansNamed("c")[0].parent_id, wire_b.span_id);
  EXPECT_EQ(sidecar_.SpansNamed("d")[0].parent_id, "");
}

TEST_F(SpanTest, DetachedSpanIsNobodysParent) {
  Span outer("outer");
  Span detached("detached");
  detached.Detach();
  { Span child("child"); }
  detached.End();
  outer.End();
  const WireSpan wire_outer = Finished("outer");
  EXPECT_EQ(sidecar_.SpansNamed("child")[0].parent_id, wire_outer.span_id);
  EXPECT_EQ(sidecar_.SpansNamed("detached")[0].parent_id, wire_outer.span_id);
}

TEST_F(SpanTest, SpanMayEndOnAnotherThread) {
  Span outer("outer");
  {
    Span travelling("travelling");
    std::thread([span = std::move(travelling)]() mutable { span.SetTag("thread", "other").End(); }).join();
  }
  { Span after("after"); }
  outer.End();
  const WireSpan wire_outer = Finished("outer");
  EXPECT_EQ(sidecar_.SpansNamed("travelling")[0].attributes.at("thread"), "other");
  EXPECT_EQ(sidecar_.SpansNamed("after")[0].parent_id, wire_outer.span_id);
}

TEST_F(SpanTest, SpanMayOutliveItsThread) {
  std::vector<Span> spans;
  std::thread([&] { spans.emplace_back("orphan"); }).join();
  std::thread([&] { Span("reuses the block").End(); }).join();
  spans.clear();
  EXPECT_EQ(Finished("orphan").status, 0u);
  EXPECT_EQ(sidecar_.SpansNamed("reuses the block")[0].parent_id, "");
}

TEST_F(SpanTest, BindCarriesTheContext) {
  {
    Span outer("outer");
    std::thread(Bind([](int value) { Span("bound").SetTag("value", value); }), 7).join();
    const Context context = outer.context();
    std::thread([&] {
      const ContextScope scope(context);
      EXPECT_EQ(Context::Current().span_id(), context.span_id());
      Span("scoped").End();
    }).join();
    std::thread([] { EXPECT_FALSE(Context::Current().IsValid()); }).join();
  }
  const WireSpan outer = Finished("outer");
  EXPECT_EQ(sidecar_.SpansNamed("bound")[0].parent_id, outer.span_id);
  EXPECT_EQ(sidecar_.SpansNamed("scoped")[0].trace_id, outer.trace_id);
}

TEST_F(SpanTest, UnwindingIsAnErrorAndASpanInADestructorIsNot) {
  struct CleansUp {
    ~CleansUp() { Span span("cleanup"); }
  };
  try {
    Span span("unwound");
    CleansUp cleaner;
    throw std::runtime_error("boom");
  } catch (const std::runtime_error&) {
    Span handled("handled");
  }
  const WireSpan unwound = Finished("unwound");
  EXPECT_EQ(unwound.status, 2u);
  EXPECT_EQ(unwound.attributes.count("error.type"), 0u);
  EXPECT_EQ(sidecar_.SpansNamed("cleanup")[0].status, 0u);
  EXPECT_EQ(sidecar_.SpansNamed("handled")[0].status, 0u);
}

struct NotAnException {};

TEST_F(SpanTest, TracedDescribesExceptionsAndRethrows) {
  EXPECT_EQ(spanwatch::Traced("value", [] { return 42; }), 42);
  spanwatch::Traced("with span", [](Span& span) { span.SetTag("k", "v"); });
  EXPECT_THROW(spanwatch::Traced("throws", [] { throw std::out_of_range("no such key"); }), std::out_of_range);
  EXPECT_THROW(spanwatch::Traced("odd", [] { throw NotAnException(); }), NotAnException);
  EXPECT_THROW(spanwatch::Traced("nested",
                                 [] {
                                   try {
                                     throw std::invalid_argument("inner");
                                   } catch (...) {
                                     std::throw_with_nested(std::runtime_error("outer"));
                                   }
                                 }),
               std::runtime_error);
  const WireSpan throws = Finished("throws");
  EXPECT_EQ(throws.status, 2u);
  EXPECT_EQ(throws.status_message, "no such key");
  EXPECT_EQ(throws.attributes.at("error.type"), "std::out_of_range");
  ASSERT_THAT(throws.events, SizeIs(1));
  EXPECT_EQ(throws.events[0].name, "exception");
  EXPECT_EQ(throws.events[0].attributes.at("exception.type"), "std::out_of_range");
  EXPECT_EQ(throws.events[0].attributes.at("exception.message"), "no such key");
  EXPECT_EQ(sidecar_.SpansNamed("odd")[0].attributes.at("error.type"),
            "spanwatch::test::(anonymous namespace)::NotAnException");
  const WireSpan nested = sidecar_.SpansNamed("nested")[0];
  EXPECT_EQ(nested.attributes.at("error.type"), "std::runtime_error");
  EXPECT_EQ(nested.events[0].attributes.at("spanwatch.exception.causes"), "std::invalid_argument: inner");
  EXPECT_EQ(sidecar_.SpansNamed("value")[0].status, 0u);
  EXPECT_EQ(sidecar_.SpansNamed("with span")[0].attributes.at("k"), "v");
}

TEST_F(SpanTest, MoreSpansOpenThanATableHolds) {
  std::vector<Span> spans;
  for (int i = 0; i < 3000; ++i) spans.emplace_back("open");
  spans.clear();
  Shutdown(kDeadlineMs);
  const Stats stats = GetStats();
  EXPECT_EQ(stats.emitted, 3000u);
  EXPECT_GE(Dropped(stats, "open_limit"), 3000u - 2048u);  // more, if threads of earlier tests hold parts of the table
  EXPECT_EQ(stats.batched + Dropped(stats, "open_limit"), 3000u);
  EXPECT_TRUE(EquationHolds(stats));
}

TEST_F(SpanTest, DeepChainOfSpans) {
  std::function<void(int)> down = [&](int depth) {
    Span span("level");
    if (depth > 1) down(depth - 1);
  };
  down(500);
  Shutdown(kDeadlineMs);
  EXPECT_THAT(sidecar_.SpansNamed("level"), SizeIs(500));
}

TEST(TracingOffTest, NothingHappens) {
  Span span("off");
  EXPECT_FALSE(span.IsRecording());
  span.SetTag("k", "v").AddLog(LogLevel::kInfo, "m").Fail("m");
  EXPECT_FALSE(Context::Current().IsValid());
  EXPECT_EQ(InjectTraceparent(), "");
  EXPECT_FALSE(SetGauge("g", {}, 1));
  EXPECT_EQ(Shutdown(100), 0u);
}

}  // namespace
}  // namespace spanwatch::test
