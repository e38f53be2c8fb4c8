#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <thread>

#include "spanwatch/propagation.h"
#include "spanwatch/spanwatch.h"
#include "spanwatch/testing.h"

namespace spanwatch::test {
namespace {

using ::spanwatch::testing::Capture;

constexpr char kTraceparent[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

TEST(BaggageTest, EntriesAreReadReplacedAndEncoded) {
  const Context context = Context::FromTraceparent(kTraceparent, "", "user=7, plan = gold;priority=1 ,city=K%C3%B6ln");
  EXPECT_EQ(context.BaggageValue("user"), "7");
  EXPECT_EQ(context.BaggageValue("plan"), "gold");
  EXPECT_EQ(context.BaggageValue("city"), "Köln");
  EXPECT_EQ(context.BaggageValue("none"), "");
  EXPECT_EQ(context.Baggage(), "user=7,plan = gold;priority=1,city=K%C3%B6ln");
  EXPECT_EQ(context.Tracestate(), "");
  const Context more = context.WithBaggage("user", "a,b \"c\" 100%").WithBaggage("plan", "");
  EXPECT_EQ(more.Baggage(), "city=K%C3%B6ln,user=a%2Cb%20%22c%22%20100%25");
  EXPECT_EQ(more.BaggageValue("user"), "a,b \"c\" 100%");
  EXPECT_EQ(more.trace_id(), context.trace_id());
  EXPECT_EQ(more.WithBaggage("user", "").WithBaggage("city", "").Baggage(), "");
}

TEST(BaggageTest, WhatIsIllegalOrTooMuchIsLeftOut) {
  const Context context = Context::FromTraceparent(kTraceparent, "a=1", "=x,no,b ad=1,\x01=2,ok=1,q=\"");
  EXPECT_EQ(context.Baggage(), "ok=1");
  EXPECT_EQ(context.Tracestate(), "a=1");
  EXPECT_EQ(context.WithBaggage("bad key", "x").Baggage(), "ok=1");
  EXPECT_EQ(context.WithBaggage("big", std::string(2000, 'x')).Baggage(), "ok=1");
  EXPECT_EQ(Context::FromTraceparent(kTraceparent, "", std::string(9000, 'x') + "=1").Baggage(), "");
  EXPECT_EQ(Context::FromTraceparent(kTraceparent, "", std::string(1020, 'x') + "=1,ok=1").Baggage().size(), 1022u);
  EXPECT_FALSE(Context().WithBaggage("a", "b").IsValid());
}

TEST(BaggageTest, ItFollowsToOtherThreadsAndHeaders) {
  Capture capture;
  std::map<std::string, std::string> headers;
  {
    const Span root("root");
    const ContextScope scope(root.context().WithBaggage("tenant", "spark"));
    std::thread(Bind([&] {
      const Span there("there");
      InjectInto(headers);
    })).join();
  }
  EXPECT_EQ(headers.at("baggage"), "tenant=spark");
  EXPECT_EQ(ExtractFrom(headers).BaggageValue("tenant"), "spark");
  EXPECT_EQ(capture.Tree(), "root\n  there\n");
}

TEST(BaggageTest, ASampledTraceKeepsItsThreshold) {
  Options options;
  options.sample_rate = 0.5;
  Capture capture(options);
  for (int i = 0; i < 200; ++i) {
    const Span root("root");
    if (!root.context().IsSampled()) continue;
    EXPECT_EQ(root.context().Tracestate(), "ot=th:8");
    EXPECT_EQ(root.context().WithBaggage("a", "b").Tracestate(), "ot=th:8");
  }
}

TEST(CorrelationTest, TheIdIsTheTracesUnlessSetAndTravels) {
  Capture capture;
  std::map<std::string, std::string> headers;
  {
    const Span root("root");
    EXPECT_EQ(Context::Current().CorrelationId(), root.context().trace_id().ToHex());
    const CorrelationScope correlation("order 17");
    EXPECT_EQ(Context::Current().CorrelationId(), "order 17");
    const Span child("child", SpanKind::kClient);
    const Span inner("inner");
    InjectInto(headers);
  }
  {
    const Span server("server", SpanKind::kServer, ExtractFrom(headers));
    const Span below("below");
    EXPECT_EQ(Context::Current().CorrelationId(), "order 17");
  }
  { const CorrelationScope nowhere("x"); }
  EXPECT_EQ(capture.One("root").tag("correlation.id"), "order 17");
  EXPECT_EQ(capture.One("server").tag("correlation.id"), "order 17");
  EXPECT_FALSE(capture.One("inner").tag("correlation.id"));
  EXPECT_FALSE(capture.One("below").tag("correlation.id"));
}

}  // namespace
}  // namespace spanwatch::test
