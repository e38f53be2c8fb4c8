// Tags in `match` and `by`, span.tag, trace.repeated_calls; what happens when there is no room; how a rule marks
// itself.
#include <gtest/gtest.h>

#include <limits>

#include "sidecar/core/analysis.h"
#include "tests/support/rule_builder.h"

namespace spanwatch::core {
namespace {

RuleLabel Tag(std::string key) { return RuleLabel(std::move(key)); }

TestSpan Slow(std::uint64_t id, std::vector<std::pair<std::string, std::string>> tags) {
  return {.trace = id, .id = id, .duration_ns = 2 * kSecond, .tags = std::move(tags)};
}

TEST(AlertTags, EventsAreMatchedAndGroupedByTags) {
  Rule rule = EventRule(Measure::kSpanDuration, 1e9, 5e9);
  rule.match = {Is(Tag("tier"), "paid")};
  rule.by = {LabelSource::kService, Tag("gen_ai.system")};
  rule.annotations = {{"summary", "{{ gen_ai_system }} on {{ service }}"}};
  EngineDriver driver({}, Set({rule}));
  driver.Spans({Slow(1, {{"tier", "free"}, {"gen_ai.system", "openai"}}), Slow(2, {})});
  EXPECT_EQ(driver.Told(), "");
  driver.Spans({Slow(3, {{"tier", "paid"}, {"gen_ai.system", "openai"}}),
                Slow(4, {{"tier", "paid"}, {"gen_ai.system", "gemini"}}), Slow(5, {{"tier", "paid"}}),
                Slow(6, {{"tier", "paid"}, {"gen_ai.system", "openai"}})});
  ASSERT_EQ(driver.transitions().size(), 3u) << "openai, gemini, and none";
  EXPECT_EQ(LabelOf(driver.transitions()[0].incident, "gen_ai_system"), "openai");
  EXPECT_EQ(LabelOf(driver.transitions()[1].incident, "gen_ai_system"), "gemini");
  EXPECT_EQ(LabelOf(driver.transitions()[2].incident, "gen_ai_system"), "");
  EXPECT_EQ(driver.transitions()[0].incident.annotations[0].value, "openai on bot");
  EXPECT_EQ(driver.engine().Incidents().at(2).count, 2u);
}

TEST(AlertTags, ATagOfTheResourceCountsWhereTheSpanHasNone) {
  Rule rule = EventRule(Measure::kSpanDuration, 1e9, 5e9);
  rule.by = {Tag("host")};
  EngineDriver driver({}, Set({rule}));
  TestBatch batch({Slow(1, {}), Slow(2, {{"host", "own"}})});
  const auto first = static_cast<std::uint32_t>(batch.batch().attributes.size());
  batch.batch().attributes.push_back({"host", AttributeType::kInt, 7, 0, {}});
  batch.batch().resources[0].attributes = {first, 1};
  Decoded decoded;
  decoded.spans = &batch.batch();
  driver.engine().Apply({1, driver.now_ns(), RecordKind::kOtlp, 0}, decoded);
  driver.At(0);
  ASSERT_EQ(driver.transitions().size(), 2u);
  EXPECT_EQ(LabelOf(driver.transitions()[0].incident, "host"), "7");
  EXPECT_EQ(LabelOf(driver.transitions()[1].incident, "host"), "own");
}

TEST(AlertTags, WindowsAreGroupedByTags) {
  Rule rule = WindowRule(Measure::kErrorRate, 0.5, 1);
  rule.critical.reset();
  rule.by = {Tag("model")};
  rule.match = {Begins(Tag("model"), "g")};
  EngineDriver driver({}, Set({rule}));
  for (std::uint64_t i = 1; i <= 4; ++i) {
    driver.Spans({{.trace = i, .id = i, .failed = i > 2, .tags = {{"model", "gpt"}}},
                  {.trace = i, .id = 10 + i, .failed = i > 1, .tags = {{"model", "gemini"}}},
                  {.trace = i, .id = 20 + i, .failed = true, .tags = {{"model", "other"}}},
                  {.trace = i, .id = 30 + i, .failed = true}});
  }
  driver.At(2 * kSecond);
  ASSERT_EQ(driver.transitions().size(), 1u) << "gpt: exactly half";
  EXPECT_EQ(LabelOf(driver.transitions()[0].incident, "model"), "gemini");
  EXPECT_EQ(driver.transitions()[0].incident.value, 0.75);
  EXPECT_EQ(driver.engine().GetRuleStatus().at(0).groups, 2u);
}

TEST(AlertTags, ATraceIsMatchedByTheSpanThatNamesIt) {
  Rule rule = EventRule(Measure::kTraceDuration, 1e9, 5e9);
  rule.match = {Is(Tag("guild"), "42")};
  rule.by = {Tag("guild"), LabelSource::kOperation};
  EngineDriver driver({}, Set({rule}));
  driver.Spans(
      {{.trace = 1, .id = 2, .parent = 1, .name = "call", .duration_ns = 2 * kSecond, .tags = {{"guild", "42"}}},
       {.trace = 1, .id = 1, .name = "turn", .duration_ns = 2 * kSecond, .tags = {{"guild", "1"}}},
       {.trace = 2, .id = 3, .name = "turn", .duration_ns = 2 * kSecond, .tags = {{"guild", "42"}}}});
  driver.At(kSecond);
  ASSERT_EQ(driver.transitions().size(), 1u);
  EXPECT_EQ(LabelOf(driver.transitions()[0].incident, "guild"), "42");
  EXPECT_EQ(LabelOf(driver.transitions()[0].incident, "operation"), "turn");
  EXPECT_EQ(driver.transitions()[0].incident.worst_trace, (TraceId{0xabcdef, 2}));
}

TEST(AlertTags, ANumberInATagIsJudgedWhateverItIsWrittenAs) {
  Rule rule = EventRule(Measure::kSpanTag, 10, 100);
  rule.tag = "queue.length";
  rule.by = {LabelSource::kOperation};
  EngineDriver driver({}, Set({rule}));
  std::uint64_t id = 0;
  for (const auto& [text, told] : std::vector<std::pair<std::string, std::string>>{{"10", ""},
                                                                                   {"10.5", "firing Alert warning"},
                                                                                   {"1e3", "firing Alert critical"},
                                                                                   {"11 items", ""},
                                                                                   {"", ""},
                                                                                   {" 11", ""}}) {
    driver.Spans({{.id = ++id, .name = "op" + text, .tags = {{"queue.length", text}}}});
    EXPECT_EQ(driver.Told(), told) << text;
  }
  TestBatch batch({{.trace = 9, .id = 9, .name = "typed", .tags = {{"queue.length", "x"}}}});
  Decoded decoded;
  decoded.spans = &batch.batch();
  const auto apply = [&](AttributeView attribute) {
    attribute.key = "queue.length";
    batch.batch().attributes[0] = attribute;
    ++batch.batch().spans[0].span_id.value;
    driver.engine().Apply({1, driver.now_ns(), RecordKind::kOtlp, 0}, decoded);
    driver.At(0);
    return driver.Told();
  };
  EXPECT_EQ(apply({{}, AttributeType::kBool, 11, 0, {}}), "");
  EXPECT_EQ(apply({{}, AttributeType::kInt, 10, 0, {}}), "");
  EXPECT_TRUE(driver.engine().GetRuleStatus().at(0).ok);
  EXPECT_EQ(apply({{}, AttributeType::kDouble, 0, std::numeric_limits<double>::infinity(), {}}), "");
  EXPECT_EQ(driver.engine().GetRuleStatus().at(0).failures, 1u) << "a rule that cannot judge says so";
  EXPECT_NE(driver.engine().GetRuleStatus().at(0).last_error.find("finite"), std::string::npos);
  EXPECT_EQ(apply({{}, AttributeType::kInt, 11, 0, {}}), "firing Alert warning") << "and goes on";
  driver.At(5 * kMinute);
  EXPECT_TRUE(driver.engine().GetRuleStatus().at(0).ok) << "five minutes later it is well again";
  EXPECT_EQ(driver.engine().GetRuleStatus().at(0).last_error, "");
}

TEST(AlertTags, RepeatedCallsAreThoseOfTheAnalysis) {
  Rule rule = EventRule(Measure::kTraceRepeatedCalls, 0, 100);
  for (const std::uint64_t calls : {4, 5, 7}) {
    for (const bool orphans : {false, true}) {
      EngineDriver driver({}, Set({rule}));
      std::vector<TestSpan> spans;
      for (std::uint64_t i = 0; i < calls; ++i)
        spans.push_back({.id = 10 + i, .parent = orphans ? 99u : 2u, .name = "SELECT"});
      for (std::uint64_t i = 0; i < 4; ++i)
        spans.push_back({.id = 30 + i, .parent = 2, .service = "db", .name = "SELECT"});
      for (std::uint64_t i = 0; i < 4; ++i) spans.push_back({.id = 40 + i, .parent = 1, .name = "SELECT"});
      spans.push_back({.id = 2, .parent = 1, .name = "load"});
      spans.push_back({.id = 1, .name = "turn"});
      driver.Spans(spans);
      driver.At(kMinute);
      const TraceAnalysis analysis = Analyse(*driver.engine().GetTrace({0xabcdef, 1}), {});
      ASSERT_EQ(analysis.repeated_calls.size(), calls >= 5 ? 1u : 0u);
      ASSERT_EQ(driver.transitions().size(), calls >= 5 ? 1u : 0u)
          << calls << " calls: five are repeated, four are not";
      if (calls < 5) continue;
      EXPECT_EQ(driver.transitions()[0].incident.value, analysis.repeated_calls[0].count);
      EXPECT_EQ(driver.transitions()[0].incident.worst_span, SpanId{orphans ? 1u : 2u}) << "the parent, if it is here";
    }
  }
}

TEST(AlertTags, OneRuleWithManyGroupsMarksItselfAndLeavesRoomForTheOthers) {
  Rule wide = WindowRule(Measure::kRate, 1e9, 2e9);
  wide.alert = "Wide";
  wide.by = {Tag("user")};
  Rule narrow = WindowRule(Measure::kErrorRate, 0.5, 2);
  narrow.alert = "Narrow";
  EngineDriver driver({}, Set({wide, narrow}));
  for (std::uint64_t i = 0; i < 20'000; i += 100) {
    std::vector<TestSpan> spans;
    for (std::uint64_t n = i; n < i + 100; ++n)
      spans.push_back({.trace = n, .id = n + 1, .tags = {{"user", "user-" + std::to_string(n)}}});
    driver.Spans(std::move(spans));
  }
  driver.Spans({{.trace = 1'000'000, .id = 1'000'000, .service = "late", .failed = true}});
  driver.At(2 * kSecond);
  const std::vector<RuleStatus> status = driver.engine().GetRuleStatus();
  EXPECT_GE(status.at(0).groups, 10'000u);
  EXPECT_LE(status.at(0).groups, 12'000u);
  EXPECT_GT(status.at(0).dropped_groups, 5'000u);
  EXPECT_FALSE(status.at(0).ok);
  EXPECT_NE(status.at(0).last_error.find("too many groups"), std::string::npos) << status.at(0).last_error;
  EXPECT_TRUE(status.at(1).ok);
  EXPECT_EQ(driver.Told(), "firing Narrow warning");
  EXPECT_LE(driver.engine().Stats().statistics.bytes, driver.engine().Stats().statistics.max_bytes);
}

TEST(AlertTags, OneRuleWithManyIncidentsMarksItselfAndLeavesRoomForTheOthers) {
  Limits limits;
  limits.max_incidents = 20;
  Rule noisy = EventRule(Measure::kSpanDuration, 1e9, 5e9);
  noisy.by = {Tag("user")};
  Rule quiet = EventRule(Measure::kSpanMemoryDelta, 1, 2);
  quiet.alert = "Quiet";
  EngineDriver driver(limits, Set({noisy, quiet}));
  for (std::uint64_t i = 1; i <= 50; ++i) driver.Spans({Slow(i, {{"user", std::to_string(i)}})});
  EXPECT_EQ(driver.engine().Stats().alerts_firing, 15u);
  EXPECT_EQ(driver.engine().GetRuleStatus().at(0).dropped_incidents, 35u);
  EXPECT_NE(driver.engine().GetRuleStatus().at(0).last_error.find("too many incidents"), std::string::npos);
  driver.Told();
  driver.Spans({{.trace = 100, .id = 100, .memory_delta = 2}});
  EXPECT_EQ(driver.Told(), "firing Quiet warning");
  EXPECT_TRUE(driver.engine().GetRuleStatus().at(1).ok);
}

TEST(AlertTags, LongTagsAreCutBetweenCharacters) {
  Rule rule = EventRule(Measure::kSpanDuration, 1e9, 5e9);
  rule.by = {Tag("text")};
  EngineDriver driver({}, Set({rule}));
  std::string text = "x";
  for (int i = 0; i < 100; ++i) text += "ä";
  driver.Spans({Slow(1, {{"text", text}})});
  EXPECT_EQ(LabelOf(driver.transitions().at(0).incident, "text"), text.substr(0, 127));
}

TEST(AlertTags, AnnotationsAreGivenNumbersWindowsAndTraces) {
  Rule rule = WindowRule(Measure::kSloBurnRate, 1, 100);
  rule.short_window_ns = kMinute;
  rule.objective = 0.9995;
  rule.annotations = {{"summary", "{{ value }} of {{ objective }} in {{ window }}: {{ trace }}"}};
  EngineDriver driver({}, Set({rule}));
  driver.Spans({{.failed = true}});
  driver.At(kSecond);
  EXPECT_EQ(driver.transitions().at(0).incident.annotations.at(0).value,
            "2000 x of 99.95 % in 5 min: 0000000000abcdef0000000000000001");
}

}  // namespace
}  // namespace spanwatch::core
