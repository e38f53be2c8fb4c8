#include "sidecar/http/page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sidecar/http/span_tree.h"
#include "sidecar/http/text.h"

namespace spanwatch::http {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kScript[] = "<script>alert('x')</script>\"&";

core::SpanCopy Span(std::uint64_t id, std::uint64_t parent, std::int64_t start_ns = 0, std::int64_t end_ns = 10) {
  core::SpanCopy span;
  span.span_id = {id};
  span.parent_id = {parent};
  span.start_ns = start_ns;
  span.end_ns = end_ns;
  span.name = "op" + std::to_string(id);
  span.service = "bot";
  return span;
}

// "1:1 2:2 3:2": span id and level.
std::string Tree(const std::vector<core::SpanCopy>& spans) {
  std::string text;
  for (const TreeRow& row : OrderAsTree(spans)) {
    text += (text.empty() ? "" : " ") + std::to_string(spans[row.span].span_id.value) + ":" + std::to_string(row.level);
  }
  return text;
}

TEST(SpanTreeTest, ChildrenFollowTheirParents) {
  EXPECT_EQ(Tree({}), "");
  EXPECT_EQ(Tree({Span(1, 0), Span(2, 1), Span(3, 1), Span(4, 2), Span(5, 3)}), "1:1 2:2 4:3 3:2 5:3");
  EXPECT_EQ(Tree({Span(4, 2), Span(2, 1), Span(1, 0)}), "1:1 2:2 4:3");
}

TEST(SpanTreeTest, OrphansRingsAndRepeatsAppearOnce) {
  EXPECT_EQ(Tree({Span(1, 0), Span(2, 99), Span(3, 2)}), "1:1 2:1 3:2");
  EXPECT_EQ(Tree({Span(1, 2), Span(2, 1)}), "1:1 2:2");
  EXPECT_EQ(Tree({Span(1, 1)}), "1:1");
  EXPECT_EQ(Tree({Span(9, 0), Span(1, 3), Span(2, 1), Span(3, 2), Span(4, 2)}), "9:1 1:1 2:2 3:3 4:3");
  EXPECT_EQ(OrderAsTree({Span(1, 0), Span(1, 0), Span(2, 1)}).size(), 3u);
}

TEST(SpanTreeTest, DepthDoesNotCostStack) {
  std::vector<core::SpanCopy> chain;
  for (std::uint64_t i = 1; i <= 100'000; ++i) chain.push_back(Span(i, i - 1));
  const auto rows = OrderAsTree(chain);
  ASSERT_EQ(rows.size(), chain.size());
  EXPECT_EQ(rows.back().level, 100'000u);
}

core::TraceCopy HostileTrace() {
  core::TraceCopy trace;
  trace.summary.trace_id = {1, 2};
  trace.summary.root_operation = kScript;
  trace.summary.root_service = kScript;
  trace.summary.services = {{kScript, 1, 0}};
  trace.summary.duration_ns = 1000;
  core::SpanCopy span = Span(1, 7, 0, 500);
  span.name = span.service = span.scope = span.status_message = kScript;
  span.status = core::StatusCode::kError;
  span.orphan = true;
  core::SpanCopy::Attribute attribute;
  attribute.key = kScript;
  attribute.type = core::AttributeType::kString;
  attribute.text = kScript;
  span.attributes = {attribute};
  core::SpanCopy::Event event;
  event.name = kScript;
  event.attributes = {attribute};
  span.events = {event};
  trace.spans = {span};
  return trace;
}

TEST(PageTest, NothingOfASpanIsMarkup) {
  const std::string page = TracePage(HostileTrace(), core::Analyse(HostileTrace(), {}), "n0nce");
  EXPECT_THAT(page, Not(HasSubstr("<script")));
  EXPECT_THAT(page, Not(HasSubstr("alert('x')")));
  EXPECT_THAT(page, HasSubstr("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;&amp;"));
  EXPECT_THAT(page, HasSubstr("<style nonce=\"n0nce\">"));
  EXPECT_THAT(page, Not(HasSubstr(" style=")));  // the policy would forbid it
}

TEST(PageTest, AlertsAndProcessesAreEscapedToo) {
  core::StatsView stats;
  stats.processes.resize(1);
  stats.processes[0].service = stats.processes[0].id = stats.processes[0].state = kScript;
  stats.lost = {{kScript, 3}};
  core::Incident incident;
  incident.alertname = kScript;
  incident.labels = {{kScript, kScript}};
  core::TraceSummary trace;
  trace.root_operation = trace.root_service = kScript;
  IndexData data{stats, {trace}, {incident}, {}, {}, {}};
  data.health.services.resize(1);
  data.health.services[0].service = kScript;
  data.health.services[0].issues = {kScript};
  core::OperationOverview operation;
  operation.service = operation.operation = kScript;
  operation.windows.back().calls = 100;
  operation.windows.back().p95_ns = 5e9;
  data.overview.operations = {operation};
  data.errors.groups.resize(1);
  data.errors.groups[0].type = data.errors.groups[0].message = data.errors.groups[0].operation = kScript;
  const std::string page = IndexPage(data, "n");
  EXPECT_THAT(page, HasSubstr("<h2>Slowest operations</h2>"));
  EXPECT_THAT(page, Not(HasSubstr("<script")));
  EXPECT_THAT(page, HasSubstr("3 lost spans (&lt;script&gt;"));
  EXPECT_THAT(MissingTracePage(kScript, {}, "n"), Not(HasSubstr("<script")));
}

TEST(PageTest, WhatIsNotWellStandsAboveTheAlerts) {
  IndexData data;
  EXPECT_THAT(IndexPage(data, "n"), Not(HasSubstr("Not as it should be")));
  data.notices = {"nothing is posted: DISCORD_WEBHOOK_URL is not set", kScript};
  const std::string page = IndexPage(data, "n");
  EXPECT_LT(page.find("DISCORD_WEBHOOK_URL is not set"), page.find("<h2>Alerts</h2>"));
  EXPECT_THAT(page, Not(HasSubstr("<script")));
}

TEST(PageTest, AnEmptyStoreIsNotASilentProgram) {
  IndexData data;
  EXPECT_THAT(IndexPage(data, "n"), HasSubstr("No spans have arrived yet"));
  data.stats.spans_applied = 5;
  data.stats.store.ttl_ns = 7'200'000'000'000;
  const std::string page = IndexPage(data, "n");
  EXPECT_THAT(page, Not(HasSubstr("No spans have arrived yet")));
  EXPECT_THAT(page, HasSubstr("No trace is stored now"));
}

TEST(PageTest, BarsShowPlaceAndLength) {
  core::TraceCopy trace;
  trace.summary.start_ns = 1000;
  trace.summary.duration_ns = 2000;
  trace.spans = {Span(1, 0, 1000, 3000), Span(2, 1, 1500, 2500), Span(3, 1, 0, 9'000'000)};
  const std::string page = TracePage(trace, core::Analyse(trace, {}), "n");
  EXPECT_THAT(page, HasSubstr("x=\"0.00%\" width=\"100.00%\""));
  EXPECT_THAT(page, HasSubstr("x=\"25.00%\" width=\"50.00%\""));
  EXPECT_THAT(page, HasSubstr("<span class=\"name d2\"><bdi>op2</bdi>"));
}

TEST(PageTest, TheAnalysisComesFirstAndLinksToSpans) {
  core::TraceCopy trace;
  trace.summary.duration_ns = 6'400'000'000;
  trace.spans = {Span(1, 0, 0, 6'400'000'000), Span(2, 1, 200'000'000, 6'200'000'000)};
  trace.spans[1].name = kScript;
  const std::string page = TracePage(trace, core::Analyse(trace, {}), "n");
  EXPECT_THAT(page, HasSubstr("<h2>What stands out</h2>"));
  EXPECT_THAT(page, HasSubstr("itself took 6 s of 6.4 s (93.8 %)"));
  EXPECT_THAT(page, HasSubstr("<a href=\"#s-0000000000000002\">"));
  EXPECT_THAT(page, HasSubstr("<details class=\"span\" id=\"s-0000000000000002\">"));
  EXPECT_THAT(page, HasSubstr("<td class=\"n\">93.8 %</td><td class=\"n\">6 s</td>"));
  EXPECT_THAT(page, HasSubstr("<rect class=\"path\" x=\"3.12%\" width=\"93.75%\" y=\"16\""));
  EXPECT_THAT(page, Not(HasSubstr("<script")));
  trace.spans = {Span(1, 0, 0, 1'000'000)};
  trace.summary.duration_ns = 1'000'000;
  EXPECT_THAT(TracePage(trace, core::Analyse(trace, {}), "n"), Not(HasSubstr("What stands out")));
}

TEST(PageTest, LongTracesAreCut) {
  core::TraceCopy trace;
  for (std::uint64_t i = 1; i <= kMaxPageSpans + 5; ++i) trace.spans.push_back(Span(i, 0));
  const std::string page = TracePage(trace, core::Analyse(trace, {}), "n");
  EXPECT_THAT(page, HasSubstr("<bdi>op2000</bdi>"));
  EXPECT_THAT(page, Not(HasSubstr("<bdi>op2001</bdi>")));
  EXPECT_THAT(page, HasSubstr("The first 2000 of 2005 spans are shown"));
}

TEST(PageTest, AMissingTraceIsExplained) {
  core::StoreView store;
  store.max_traces = 2000;
  store.ttl_ns = 7'200'000'000'000;
  store.memory_limit = 50 << 20;
  const std::string page = MissingTracePage("0000000000000000000000000000000a", store, "n");
  EXPECT_THAT(page, HasSubstr("at most 2000 traces, 2 h 0 min and 50 MB"));
  EXPECT_THAT(MissingTracePage("short", store, "n"), HasSubstr("32 hexadecimal digits"));
}

TEST(TextTest, DurationsAndBytes) {
  EXPECT_EQ(DurationText(0), "0 ns");
  EXPECT_EQ(DurationText(1500), "1.5 us");
  EXPECT_EQ(DurationText(250'000'000), "250 ms");
  EXPECT_EQ(DurationText(6'210'000'000), "6.21 s");
  EXPECT_EQ(DurationText(125'000'000'000), "2 min 5 s");
  EXPECT_EQ(DurationText(7'500'000'000'000), "2 h 5 min");
  EXPECT_EQ(Plural(1, "span"), "1 span");
  EXPECT_EQ(Plural(0, "span"), "0 spans");
  EXPECT_EQ(Base64(""), "");
  EXPECT_EQ(Base64("f"), "Zg==");
  EXPECT_EQ(Base64("fo"), "Zm8=");
  EXPECT_EQ(Base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(Base64("\xff\xfe"), "//4=");
}

}  // namespace
}  // namespace spanwatch::http
