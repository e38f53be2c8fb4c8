// Each measure of window and process rules by figures that were worked out by hand, with what just misses.
#include <gtest/gtest.h>

#include "sidecar/core/analysis.h"
#include "sidecar/core/utf8.h"
#include "tests/support/rule_builder.h"

namespace spanwatch::core {
namespace {

// Spans with ids of their own.
class Feed {
 public:
  explicit Feed(EngineDriver* driver) : driver_(driver) {}
  void Span(TestSpan span) {
    span.id = span.trace = ++next_;
    span.start_ns = driver_->now_ns() - span.duration_ns;
    driver_->Spans({std::move(span)});
  }
  void Many(int count, const TestSpan& span) {
    for (int i = 0; i < count; ++i) Span(span);
  }

 private:
  EngineDriver* driver_;
  std::uint64_t next_ = 0;
};

// The numbers of a rule that fires at every value, one evaluation after what `feed` did.
double ValueOf(Rule rule, const std::function<void(Feed*, EngineDriver*)>& feed) {
  rule.warning = -1;
  rule.critical.reset();
  EngineDriver driver({}, Set({rule}));
  Feed feeder(&driver);
  feed(&feeder, &driver);
  driver.At(driver.now_ns() - kStart + 2 * kSecond);
  const std::vector<Incident> incidents = driver.engine().Incidents();
  return incidents.size() == 1 ? incidents[0].value : -1;
}

TEST(AlertMeasures, TheLastErrorIsCutBetweenCharacters) {
  EngineDriver driver({}, Set({WindowRule(Measure::kErrorCount, 0, 100)}));
  std::string type = "T", message;
  for (int i = 0; i < 200; ++i) {
    type += "é";
    message += "日";
  }
  Feed(&driver).Span({.failed = true, .error_type = type, .error_message = message});
  driver.At(2 * kSecond);
  const std::vector<Incident> incidents = driver.engine().Incidents();
  ASSERT_EQ(incidents.size(), 1u);
  EXPECT_TRUE(IsUtf8(incidents[0].last_error)) << incidents[0].last_error;
  EXPECT_EQ(incidents[0].last_error.size(), 99u + 2u + 198u);
}

TEST(AlertMeasures, PercentilesAreWithinOnePercentOfTheNearestRank) {
  // 1 ms to 100 ms: the nearest ranks are 50, 90, 95 and 99 ms.
  const auto feed = [](Feed* feeder, EngineDriver*) {
    for (int i = 100; i >= 1; --i) feeder->Span({.duration_ns = i * kMs});
  };
  EXPECT_NEAR(ValueOf(WindowRule(Measure::kDurationP50, 0, 0), feed), 50e6, 0.5e6);
  EXPECT_NEAR(ValueOf(WindowRule(Measure::kDurationP90, 0, 0), feed), 90e6, 0.9e6);
  EXPECT_NEAR(ValueOf(WindowRule(Measure::kDurationP95, 0, 0), feed), 95e6, 0.95e6);
  EXPECT_NEAR(ValueOf(WindowRule(Measure::kDurationP99, 0, 0), feed), 99e6, 0.99e6);
}

TEST(AlertMeasures, PercentilesForgetWhatLeftTheWindowAndWeighSampledSpans) {
  EXPECT_NEAR(ValueOf(WindowRule(Measure::kDurationP50, 0, 0),
                      [](Feed* feeder, EngineDriver* driver) {
                        feeder->Many(50, {.duration_ns = kSecond});
                        driver->At(2 * kMinute);
                        feeder->Many(3, {.duration_ns = 10 * kMs});
                        driver->At(6 * kMinute);
                        feeder->Many(2, {.duration_ns = 100 * kMs});
                      }),
              10e6, 0.1e6)
      << "the 50 are gone";
  EXPECT_NEAR(ValueOf(WindowRule(Measure::kDurationP50, 0, 0),
                      [](Feed* feeder, EngineDriver*) {
                        feeder->Many(3, {.duration_ns = 10 * kMs});
                        feeder->Span({.duration_ns = kSecond, .weight = 4});
                      }),
              1e9, 0.01e9);
}

TEST(AlertMeasures, AnAverageAndARateOverTheWindow) {
  const auto feed = [](Feed* feeder, EngineDriver*) {
    feeder->Many(2, {.duration_ns = 100 * kMs});
    feeder->Span({.duration_ns = 400 * kMs});
  };
  EXPECT_DOUBLE_EQ(ValueOf(WindowRule(Measure::kDurationAvg, 0, 0), feed), 200e6);
  EXPECT_DOUBLE_EQ(ValueOf(WindowRule(Measure::kRate, 0, 0), feed), 0.01) << "3 in 300 s";
}

TEST(AlertMeasures, TheSlowestTraceOfTheWindowIsNamed) {
  Rule rule = WindowRule(Measure::kDurationP99, 1, 1e18);
  EngineDriver driver({}, Set({rule}));
  driver.Spans({{.trace = 1, .id = 1, .duration_ns = 10 * kMs},
                {.trace = 2, .id = 2, .duration_ns = 90 * kMs},
                {.trace = 3, .id = 3, .duration_ns = 20 * kMs}});
  driver.At(2 * kSecond);
  ASSERT_EQ(driver.engine().Incidents().size(), 1u);
  EXPECT_EQ(driver.engine().Incidents()[0].worst_trace, (TraceId{0xabcdef, 2}));
  EXPECT_EQ(driver.engine().Incidents()[0].worst_trace_duration_ns, 90e6);
}

TEST(AlertMeasures, ExactlyAtTheThresholdDoesNotFireInEitherDirection) {
  for (const int spans : {29, 30, 31}) {  // 0.1 /s is 30 spans in five minutes
    for (const Direction direction : {Direction::kAbove, Direction::kBelow}) {
      Rule rule = WindowRule(Measure::kRate, 0.1, 0.1);
      rule.critical.reset();
      rule.direction = direction;
      EngineDriver driver({}, Set({rule}));
      Feed feed(&driver);
      if (direction == Direction::kBelow) feed.Span({});  // counted from here on; left the window when it is judged
      driver.At(10 * kSecond);
      feed.Many(spans, {});
      driver.At(5 * kMinute + 5 * kSecond);
      const bool fires = direction == Direction::kAbove ? spans == 31 : spans == 29;
      EXPECT_EQ(driver.Told().starts_with("firing Alert warning"), fires) << spans;
    }
  }
}

constexpr std::int64_t kHour = 60 * kMinute, kDay = 24 * kHour;

Rule LowRate() {
  Rule rule = WindowRule(Measure::kRate, 0.1, 0);
  rule.critical.reset();
  rule.direction = Direction::kBelow;
  return rule;
}

TEST(AlertMeasures, ALowRateIsNoneBeforeItWasCountedForAWholeWindow) {
  EngineDriver driver({}, Set({LowRate()}));
  Feed feed(&driver);
  for (int i = 0; i < 30; ++i) {
    feed.Many(2, {});
    driver.At((i + 1) * 10 * kSecond);
  }
  EXPECT_EQ(driver.Told(), "") << "0.2 /s from the first span on";
}

TEST(AlertMeasures, ALowRateFiresOnWhenNothingComesAtAll) {
  EngineDriver driver({}, Set({LowRate()}));
  Feed feed(&driver);
  feed.Many(5, {});
  driver.At(5 * kMinute + kSecond);
  EXPECT_EQ(driver.Told(), "firing Alert warning") << "none left in the window";
  driver.At(kDay);
  EXPECT_EQ(driver.Told(), "");
  ASSERT_EQ(driver.engine().Incidents().size(), 1u);
  EXPECT_EQ(driver.engine().Incidents()[0].value, 0);
  feed.Many(31, {});
  driver.At(kDay + 2 * kSecond);
  EXPECT_EQ(driver.Told(), "resolved Alert none");
  driver.At(kDay + kHour);
  EXPECT_EQ(driver.Told(), "firing Alert warning");
  driver.At(2 * kDay + kHour);
  EXPECT_EQ(driver.Told(), "resolved Alert none") << "gone for a day: not missed any more";
}

TEST(AlertMeasures, ALowRateWithAMinimumSaysNothingOfLess) {
  Rule rule = LowRate();
  rule.min_count = 3;
  EngineDriver driver({}, Set({rule}));
  Feed feed(&driver);
  feed.Many(5, {});
  driver.At(kHour);
  EXPECT_EQ(driver.Told(), "");
}

TEST(AlertMeasures, ALowRateDoesNotCountTheTimeInWhichNobodyListened) {
  EngineDriver driver({}, Set({LowRate()}));
  Feed feed(&driver);
  for (int i = 0; i < 60; ++i) {
    feed.Many(2, {});
    driver.At((i + 1) * 10 * kSecond);
  }
  driver.engine().Apply({1, kStart + kHour, RecordKind::kRestart, 0}, {});
  driver.At(kHour);
  for (int i = 0; i < 60; ++i) {
    feed.Many(2, {});
    driver.At(kHour + (i + 1) * 10 * kSecond);
  }
  EXPECT_EQ(driver.Told(), "");
  driver.At(2 * kHour);
  EXPECT_TRUE(driver.Told().starts_with("firing Alert warning"));
  driver.engine().Apply({1, kStart + 3 * kHour, RecordKind::kRestart, 0}, {});
  driver.At(3 * kHour + kMinute);
  EXPECT_EQ(driver.Told(), "") << "what fired fires on";
}

// --- tokens and cost

TestSpan Call(const std::string& in, const std::string& out, const std::string& cost = "") {
  TestSpan span;
  span.tags = {{"gen_ai.operation.name", "chat"}, {"gen_ai.request.model", "m"}, {"gen_ai.usage.input_tokens", in}};
  if (!out.empty()) span.tags.emplace_back("gen_ai.usage.output_tokens", out);
  if (!cost.empty()) span.tags.emplace_back("gen_ai.usage.cost", cost);
  return span;
}

TEST(AlertMeasures, TokensAreInputAndOutputOfCallsNotOfWhatWrapsThem) {
  const Rule rule = WindowRule(Measure::kTokens, 0, 0);
  EXPECT_EQ(ValueOf(rule,
                    [](Feed* feeder, EngineDriver*) {
                      feeder->Span(Call("100", "20"));
                      feeder->Span(Call("3", ""));
                      feeder->Span({.tags = {{"gen_ai.operation.name", "invoke_agent"},
                                             {"gen_ai.usage.input_tokens", "103"},
                                             {"gen_ai.usage.output_tokens", "20"}}});
                      feeder->Span({.tags = {{"gen_ai.usage.prompt_tokens", "1000"}}});
                      feeder->Span({.tags = {{"gen_ai.usage.input_tokens", "-5"}}});
                      feeder->Span({.tags = {{"gen_ai.usage.input_tokens", "many"}}});
                    }),
            1123);
}

TEST(AlertMeasures, CostIsWhatSpansTellAndUnpricedOnesMarkTheRule) {
  Rule rule = WindowRule(Measure::kCost, 1, 2);
  EngineDriver driver({}, Set({rule}));
  Feed feed(&driver);
  feed.Span(Call("100", "20", "0.75"));
  feed.Span(Call("100", "20", "0.25"));
  driver.At(2 * kSecond);
  EXPECT_EQ(driver.Told(), "") << "exactly the budget";
  EXPECT_TRUE(driver.engine().GetRuleStatus().at(0).ok);
  feed.Span(Call("100000", "20"));
  driver.At(4 * kSecond);
  EXPECT_EQ(driver.Told(), "") << "an unknown price is not 0, nor anything else";
  EXPECT_FALSE(driver.engine().GetRuleStatus().at(0).ok);
  EXPECT_EQ(driver.engine().GetRuleStatus().at(0).unpriced_spans, 1u);
  feed.Span(Call("1", "1", "0.000001"));
  driver.At(6 * kSecond);
  EXPECT_EQ(driver.Told(), "firing Alert warning");
}

TEST(AlertMeasures, ABudgetSaysEachThresholdOnceUntilItsSumFellBelowTheLevelUnderIt) {
  Rule rule = WindowRule(Measure::kTokens, 1000, 2000);
  rule.window_ns = kMinute;
  EngineDriver driver({}, Set({rule}));
  Feed feed(&driver);
  feed.Span(Call("950", ""));
  driver.At(10 * kSecond);
  EXPECT_EQ(driver.Told(), "");
  feed.Span(Call("51", ""));  // 1001
  driver.At(20 * kSecond);
  EXPECT_EQ(driver.Told(), "firing Alert warning");
  feed.Span(Call("1000", ""));  // 2001
  driver.At(30 * kSecond);
  EXPECT_EQ(driver.Told(), "escalated Alert critical");
  driver.At(61 * kSecond);     // the first 950 left: 1051 is below critical, above warning
  feed.Span(Call("960", ""));  // 2011: again above critical
  driver.At(65 * kSecond);
  for (const Transition& transition : driver.transitions()) EXPECT_EQ(transition.kind, TransitionKind::kUpdated);
  driver.Told();
  driver.At(85 * kSecond);  // 960 is not above warning, not below 9/10 of it
  EXPECT_NE(driver.Told().find("deescalated Alert warning"), std::string::npos);
  EXPECT_EQ(driver.engine().Stats().alerts_firing, 1u);
  driver.At(3 * kMinute);
  EXPECT_EQ(driver.Told(), "resolved Alert none");
}

// --- slo.burn_rate

Rule Slo() {
  Rule rule = WindowRule(Measure::kSloBurnRate, 14.4, 100);
  rule.critical.reset();
  rule.window_ns = 60 * kMinute;
  rule.short_window_ns = 5 * kMinute;
  rule.objective = 0.99;
  return rule;
}

TEST(AlertMeasures, BurnRateIsTheBadShareOverWhatTheObjectiveAllows) {
  // 3 of 20 are bad: 15 % of spans where 1 % is allowed.
  const auto feed = [](Feed* feeder, EngineDriver*) {
    feeder->Many(17, {});
    feeder->Many(2, {.failed = true});
    feeder->Span({.duration_ns = 2 * kSecond + 1});
    feeder->Span({.duration_ns = 2 * kSecond});
  };
  Rule rule = Slo();
  rule.slower_than_ns = 2 * kSecond;
  EXPECT_NEAR(ValueOf(rule, feed), 3.0 / 21 / 0.01, 1e-9);
  rule.slower_than_ns = 0;
  EXPECT_NEAR(ValueOf(rule, feed), 2.0 / 21 / 0.01, 1e-9) << "slow ones are good without a limit";
}

TEST(AlertMeasures, BothWindowsMustBurn) {
  EngineDriver driver({}, Set({Slo()}));
  Feed feed(&driver);
  feed.Many(1000, {});
  driver.At(30 * kMinute);
  feed.Many(10, {.failed = true});
  feed.Many(10, {});
  driver.At(31 * kMinute);
  EXPECT_EQ(driver.Told(), "") << "50 in the short one, under 1 in the long one: it does not matter yet";
  feed.Many(300, {.failed = true});
  driver.At(32 * kMinute);
  EXPECT_EQ(driver.Told(), "firing Alert warning") << "310 of 1320: 23 in the long one";
  driver.At(36 * kMinute + 40 * kSecond);
  feed.Many(100, {});
  driver.At(38 * kMinute);
  EXPECT_NE(driver.Told().find("resolved"), std::string::npos) << "the long one still burns, but it is over";
}

// --- absent

Rule Absent(std::int64_t after_ns) {
  Rule rule = WindowRule(Measure::kAbsent, static_cast<double>(after_ns), 0);
  rule.critical.reset();
  rule.window_ns = 0;
  rule.text = "absent";
  return rule;
}

TEST(AlertMeasures, AServiceThatStopsIsMissedAndComesBack) {
  EngineDriver driver({}, Set({Absent(kMinute)}));
  Feed feed(&driver);
  driver.At(10 * kMinute);
  EXPECT_EQ(driver.Told(), "") << "nobody was ever here";
  feed.Span({.service = "bot"});
  driver.At(11 * kMinute);
  EXPECT_EQ(driver.Told(), "") << "exactly a minute";
  driver.At(11 * kMinute + 100 * kMs);
  EXPECT_EQ(driver.Told(), "firing Alert warning");
  EXPECT_EQ(LabelOf(driver.engine().Incidents().at(0), "service"), "bot");
  driver.At(30 * kMinute);
  EXPECT_EQ(driver.Told(), "") << "that time goes on is no news";
  EXPECT_GT(driver.engine().Incidents().at(0).value, 18.0 * kMinute);
  feed.Span({.service = "bot"});
  driver.At(30 * kMinute + 2 * kSecond);
  EXPECT_EQ(driver.Told(), "resolved Alert none");
}

TEST(AlertMeasures, AServiceThatTheRuleNamesIsMissedBeforeItEverSpoke) {
  Rule rule = Absent(kMinute);
  rule.match = {Is(LabelSource::kService, "bot")};
  EngineDriver driver({}, Set({rule}));
  Feed(&driver).Span({.service = "other"});
  driver.At(59 * kSecond);
  EXPECT_EQ(driver.Told(), "");
  driver.At(62 * kSecond);
  EXPECT_EQ(driver.Told(), "firing Alert warning");
  EXPECT_EQ(LabelOf(driver.engine().Incidents().at(0), "service"), "bot");
  driver.At(5 * 24 * 60 * kMinute);
  EXPECT_EQ(driver.engine().Stats().alerts_firing, 1u) << "who is named is never given up";
}

TEST(AlertMeasures, AServiceThatNobodyNamedIsGivenUpAfterADay) {
  Rule rule = Absent(kMinute);
  rule.match = {Begins(LabelSource::kService, "b")};
  EngineDriver driver({}, Set({rule}));
  Feed(&driver).Span({.service = "bot"});
  driver.At(24 * 60 * kMinute);
  EXPECT_EQ(driver.Told(), "firing Alert warning");
  driver.At(24 * 60 * kMinute + 2 * kMinute);
  EXPECT_EQ(driver.Told(), "resolved Alert none");
  EXPECT_EQ(driver.engine().GetRuleStatus().at(0).groups, 0u);
}

TEST(AlertMeasures, TheTimeInWhichTheSidecarWasAwayIsNoAbsence) {
  EngineDriver driver({}, Set({Absent(kMinute)}));
  Feed(&driver).Span({.service = "bot"});
  driver.At(40 * kSecond);
  driver.engine().Apply({1, kStart + 10 * kMinute, RecordKind::kRestart, 0}, {});
  driver.At(10 * kMinute + 19 * kSecond);
  EXPECT_EQ(driver.Told(), "") << "40 s before, 19 s after";
  driver.At(10 * kMinute + 21 * kSecond);
  EXPECT_EQ(driver.Told(), "firing Alert warning");
}

// --- processes

class Process {
 public:
  Process(EngineDriver* driver, std::uint8_t number, std::string service = "bot")
      : driver_(driver), number_(number), service_(std::move(service)) {
    Say(EnvelopeKind::kHello);
  }
  void Say(EnvelopeKind kind, std::uint64_t rss_bytes = 0) {
    EnvelopeView envelope;
    envelope.kind = kind;
    envelope.process_id[0] = number_;
    envelope.oldest_held = 1;
    envelope.rss_bytes = rss_bytes;
    const TestBatch batch({{.service = service_}});
    SpanBatch identity;  // its resource alone, as the SDK sends it
    identity.resources = batch.batch().resources;
    Decoded decoded;
    decoded.envelope = &envelope;
    decoded.spans = &identity;
    driver_->engine().Apply({0, driver_->now_ns(), RecordKind::kMessage, number_}, decoded);
    driver_->At(driver_->now_ns() - kStart);
  }
  void Live(std::int64_t until_ns, std::uint64_t rss_bytes = 0) {
    for (std::int64_t at = driver_->now_ns() - kStart + kSecond; at <= until_ns; at += kSecond) {
      driver_->At(at);
      Say(EnvelopeKind::kHeartbeat, rss_bytes);
    }
  }

 private:
  EngineDriver* driver_;
  std::uint8_t number_;
  std::string service_;
};

Rule Silent() {
  Rule rule = WindowRule(Measure::kProcessSilentFor, 30e9, 0);
  rule.critical.reset();
  rule.window_ns = 0;
  return rule;
}

TEST(AlertMeasures, ASilentBotIsMissedUntilOneLivesAgain) {
  EngineDriver driver({}, Set({Silent()}));
  Process bot(&driver, 1);
  bot.Live(10 * kSecond);
  driver.At(40 * kSecond);
  EXPECT_EQ(driver.Told(), "") << "exactly 30 s";
  driver.At(40 * kSecond + 100 * kMs);
  EXPECT_EQ(driver.Told(), "firing Alert warning");
  EXPECT_EQ(LabelOf(driver.engine().Incidents().at(0), "service"), "bot");
  driver.At(10 * kMinute);
  EXPECT_EQ(driver.Told(), "") << "died, and is still missed";
  Process next(&driver, 2);
  driver.At(10 * kMinute + 2 * kSecond);
  EXPECT_EQ(driver.Told(), "resolved Alert none");
  next.Live(10 * kMinute + 10 * kSecond);
  next.Say(EnvelopeKind::kGoodbye);
  driver.At(60 * kMinute);
  EXPECT_EQ(driver.Told(), "") << "the end of the second was in order";
}

TEST(AlertMeasures, AGoodbyeIsNoSilence) {
  EngineDriver driver({}, Set({Silent()}));
  Process bot(&driver, 1);
  bot.Live(10 * kSecond);
  bot.Say(EnvelopeKind::kGoodbye);
  Process old(&driver, 2, "other"), young(&driver, 3, "other");
  old.Say(EnvelopeKind::kGoodbye);
  driver.At(2 * kMinute);
  EXPECT_EQ(driver.Told(), "firing Alert warning") << "the older one's goodbye is not the younger one's";
  EXPECT_EQ(LabelOf(driver.engine().Incidents().at(0), "service"), "other");
  driver.At(25 * 60 * kMinute);
  EXPECT_EQ(driver.Told(), "resolved Alert none") << "given up after a day";
}

TEST(AlertMeasures, ARestartOfTheSidecarNeitherMissesNorFindsAnyone) {
  EngineDriver driver({}, Set({Silent()}));
  Process bot(&driver, 1);
  Process hung(&driver, 2, "hung");
  bot.Live(35 * kSecond);
  EXPECT_EQ(driver.Told(), "firing Alert warning") << "hung";
  driver.engine().Apply({1, kStart + 10 * kMinute, RecordKind::kRestart, 0}, {});
  driver.At(10 * kMinute + 20 * kSecond);
  EXPECT_EQ(driver.Told(), "");
  driver.At(10 * kMinute + 31 * kSecond);
  EXPECT_EQ(driver.Told(), "firing Alert warning") << "the bot did not come back";
}

TEST(AlertMeasures, MemoryIsThatOfTheLargestLivingProcess) {
  Rule rule = WindowRule(Measure::kProcessMemory, 100.0 * kMb, 200.0 * kMb);
  rule.window_ns = 0;
  EngineDriver driver({}, Set({rule}));
  Process small(&driver, 1), large(&driver, 2);
  small.Live(kSecond, 10 * kMb);
  large.Live(3 * kSecond, 100 * kMb);
  driver.At(8 * kSecond);
  EXPECT_EQ(driver.Told(), "") << "exactly 100 MB";
  large.Say(EnvelopeKind::kHeartbeat, 100 * kMb + 1);
  driver.At(10 * kSecond);
  EXPECT_EQ(driver.Told(), "firing Alert warning");
  EXPECT_EQ(driver.engine().Incidents().at(0).value, 100.0 * kMb + 1);
  large.Say(EnvelopeKind::kGoodbye);
  driver.At(12 * kSecond);
  EXPECT_EQ(driver.Told(), "resolved Alert none") << "the living one has 10 MB";
}

}  // namespace
}  // namespace spanwatch::core
