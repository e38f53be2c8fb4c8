// Parents that are not here, and incidents that are named before the root has come.
#include <gtest/gtest.h>

#include "tests/support/engine_driver.h"

namespace spanwatch::core {
namespace {

EnvelopeView Envelope(EnvelopeKind kind) {
  EnvelopeView envelope;
  envelope.kind = kind;
  envelope.process_id[0] = 1;
  return envelope;
}

std::vector<MissingSpan> MissingOf(EngineDriver* driver, std::uint64_t trace = 1) {
  return driver->engine().GetTrace({0xabcdef, trace})->missing;
}

TEST(Missing, SaysWhyAParentIsNotHere) {
  EngineDriver driver;
  driver.Message(1, Envelope(EnvelopeKind::kHello), {{.service = "bot"}});
  driver.Spans({{.trace = 1, .id = 2, .parent = 1},
                {.trace = 1, .id = 3, .parent = 1},
                {.trace = 1, .id = 5, .parent = 4, .remote_parent = true}});
  std::vector<MissingSpan> missing = MissingOf(&driver);
  ASSERT_EQ(missing.size(), 2u);
  EXPECT_STREQ(missing[0].reason, "late");
  EXPECT_EQ(missing[0].children, 2u);
  EXPECT_STREQ(missing[1].reason, "other_host");
  driver.Message(1, Envelope(EnvelopeKind::kOpenSpans), {{.trace = 1, .id = 1, .service = "bot", .name = "turn"}});
  missing = MissingOf(&driver);
  EXPECT_STREQ(missing[0].reason, "still_open");
  EXPECT_EQ(missing[0].operation, "turn");
  EXPECT_EQ(missing[0].service, "bot");
  driver.Message(1, Envelope(EnvelopeKind::kOpenSpans));
  driver.At(31 * kSecond);
  EXPECT_STREQ(MissingOf(&driver)[0].reason, "not_received");
}

TEST(Missing, ALossOfAProcessOfTheTraceMeanwhileIsNamed) {
  EngineDriver driver;
  driver.Message(1, Envelope(EnvelopeKind::kHello), {{.service = "bot"}});
  driver.Spans({{.trace = 1, .id = 2, .parent = 1}, {.trace = 2, .id = 3, .parent = 1, .service = "other"}});
  EnvelopeView beat = Envelope(EnvelopeKind::kHeartbeat);
  beat.drops = {{"ring_full", 17}};
  driver.At(kSecond);
  driver.Message(1, beat);
  const auto trace = driver.engine().GetTrace({0xabcdef, 1});
  EXPECT_STREQ(trace->missing.at(0).reason, "lost");
  ASSERT_EQ(trace->losses.size(), 1u);
  EXPECT_EQ(trace->losses[0].reason, "ring_full");
  EXPECT_EQ(trace->losses[0].spans, 17u);
  EXPECT_EQ(trace->losses[0].service, "bot");
  EXPECT_TRUE(driver.engine().GetTrace({0xabcdef, 2})->losses.empty()) << "not its service";
  driver.At(10 * kMinute);
  driver.Spans({{.trace = 3, .id = 2, .parent = 1}});
  EXPECT_TRUE(driver.engine().GetTrace({0xabcdef, 3})->losses.empty()) << "long ago";
}

TEST(Missing, WhatDiedWithItsProcessIsLost) {
  EngineDriver driver;
  driver.Message(1, Envelope(EnvelopeKind::kHello), {{.service = "bot"}});
  driver.Spans({{.trace = 1, .id = 2, .parent = 1}, {.trace = 2, .id = 3, .parent = 1, .service = "other"}});
  driver.At(20 * kSecond);
  driver.Message(1, Envelope(EnvelopeKind::kOpenSpans), {{.trace = 1, .id = 1, .name = "turn"}});
  driver.At(79 * kSecond);
  EXPECT_STREQ(MissingOf(&driver)[0].reason, "still_open") << "silent, but not dead yet";
  driver.At(81 * kSecond);
  const auto trace = driver.engine().GetTrace({0xabcdef, 1});
  EXPECT_STREQ(trace->missing.at(0).reason, "lost");
  ASSERT_EQ(trace->losses.size(), 1u);
  EXPECT_EQ(trace->losses[0].reason, "died");
  EXPECT_EQ(trace->losses[0].spans, 0u) << "nobody knows how many";
  EXPECT_STREQ(MissingOf(&driver, 2)[0].reason, "not_received") << "not its service";
  driver.Spans({{.trace = 3, .id = 2, .parent = 1}});
  EXPECT_STREQ(MissingOf(&driver, 3)[0].reason, "late") << "it was dead before";
}

TEST(Missing, WhatADeadProcessToldOfIsLostWhenItWasHeardLast) {
  EngineDriver driver;
  driver.Message(1, Envelope(EnvelopeKind::kHello), {{.service = "bot"}});
  driver.Spans({{.trace = 1, .id = 2, .parent = 1}});
  EnvelopeView beat = Envelope(EnvelopeKind::kHeartbeat);
  beat.batched_before = 5;  // of which none came
  driver.At(kSecond);
  driver.Message(1, beat);
  driver.At(2 * kMinute);
  const auto trace = driver.engine().GetTrace({0xabcdef, 1});
  ASSERT_EQ(trace->losses.size(), 1u);
  EXPECT_EQ(trace->losses[0].reason, "died");
  EXPECT_EQ(trace->losses[0].spans, 5u);
}

std::shared_ptr<const RuleSet> DeepRule() {
  Rule rule;
  rule.group = "g";
  rule.alert = "Deep";
  rule.measure = Measure::kTraceDepth;
  rule.by = {LabelSource::kService, LabelSource::kOperation};
  rule.warning = 3;
  rule.keep_firing_for_ns = 5 * kMinute;
  auto set = std::make_shared<RuleSet>();
  set->rules = {rule};
  return set;
}

// Levels 2 to 6 of a trace whose root is still open.
std::vector<TestSpan> Chain(std::uint64_t trace) {
  std::vector<TestSpan> spans;
  for (std::uint64_t id = 6; id > 1; --id)
    spans.push_back({.trace = trace, .id = id, .parent = id - 1, .name = "level-" + std::to_string(id)});
  return spans;
}

std::string NamedAfter(const EngineDriver& driver, std::size_t transition = 0) {
  return const_cast<EngineDriver&>(driver).transitions().at(transition).incident.labels.at(1).value;
}

TEST(Missing, AnIncidentWaitsForTheNameOfItsRoot) {
  EngineDriver driver({}, DeepRule());
  driver.Spans(Chain(1));
  EXPECT_TRUE(driver.transitions().empty());
  driver.At(2 * kSecond);
  driver.Spans({{.trace = 1, .id = 1, .name = "turn"}});
  ASSERT_EQ(driver.transitions().size(), 1u);
  EXPECT_EQ(NamedAfter(driver), "turn");
}

TEST(Missing, AnOpenRootNamesItsIncidentBeforeItEnds) {
  EngineDriver driver({}, DeepRule());
  driver.Message(1, Envelope(EnvelopeKind::kHello), {{.service = "bot"}});
  driver.Spans(Chain(1));
  driver.Message(1, Envelope(EnvelopeKind::kOpenSpans), {{.trace = 1, .id = 1, .name = "turn"}});
  ASSERT_EQ(driver.transitions().size(), 1u);
  EXPECT_EQ(NamedAfter(driver), "turn");
  driver.Spans(Chain(2));
  driver.Message(1, Envelope(EnvelopeKind::kOpenSpans), {{.trace = 2, .id = 1, .name = "turn"}});
  driver.Spans({{.trace = 1, .id = 1, .name = "turn"}, {.trace = 2, .id = 1, .name = "turn"}});
  EXPECT_EQ(driver.engine().Incidents().size(), 1u);
  EXPECT_EQ(driver.engine().Incidents()[0].count, 2u);
}

TEST(Missing, WithoutAnyRootTheTopOfTheChainNamesItAfterThreeSeconds) {
  EngineDriver driver({}, DeepRule());
  driver.Spans(Chain(1));
  driver.At(3 * kSecond - 100 * kMs);
  EXPECT_TRUE(driver.transitions().empty());
  driver.At(3 * kSecond);
  ASSERT_EQ(driver.transitions().size(), 1u);
  EXPECT_EQ(NamedAfter(driver), "level-2");
  driver.Spans({{.trace = 1, .id = 1, .name = "turn"}});
  driver.At(kMinute);
  EXPECT_EQ(driver.engine().Incidents().size(), 1u) << "one trace, one name";
}

TEST(Missing, NobodyRenamesWhatAnotherProcessHasOpen) {
  EngineDriver driver;
  EnvelopeView other = Envelope(EnvelopeKind::kHello);
  other.process_id[0] = 2;
  driver.Message(1, Envelope(EnvelopeKind::kHello), {{.service = "bot"}});
  driver.Message(2, other, {{.service = "thief"}});
  driver.Spans({{.trace = 1, .id = 2, .parent = 1}});
  driver.Message(1, Envelope(EnvelopeKind::kOpenSpans), {{.trace = 1, .id = 1, .name = "turn"}});
  other.kind = EnvelopeKind::kOpenSpans;
  driver.Message(2, other, {{.trace = 1, .id = 1, .service = "thief", .name = "mine"}});
  EXPECT_EQ(MissingOf(&driver).at(0).operation, "turn");
  driver.Message(1, Envelope(EnvelopeKind::kGoodbye));
  EXPECT_STREQ(MissingOf(&driver).at(0).reason, "late");
}

}  // namespace
}  // namespace spanwatch::core
