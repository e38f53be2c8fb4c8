// Groups of errors, from outside: failed spans in, GetErrors() out, time stepped.
#include "sidecar/core/error_groups.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <tuple>

#include "tests/support/engine_driver.h"

namespace spanwatch::core {
namespace {

using ::testing::ElementsAre;

constexpr std::int64_t kHour = 60 * kMinute;

TraceId Id(std::uint64_t trace) { return {0xabcdef, trace}; }

TestSpan Failed(std::uint64_t trace, std::uint64_t id, std::uint64_t parent, std::string name, std::string message) {
  return {.trace = trace,
          .id = id,
          .parent = parent,
          .name = std::move(name),
          .failed = true,
          .error_type = "Error",
          .error_message = std::move(message)};
}

const ErrorGroupView* Find(const ErrorsView& view, std::string_view operation) {
  for (const ErrorGroupView& group : view.groups) {
    if (group.operation == operation) return &group;
  }
  return nullptr;
}

// All that a view shows, as text.
std::string Text(const ErrorsView& view) {
  std::string text = std::to_string(view.total) + " " + std::to_string(view.forgotten_groups) + " " +
                     std::to_string(view.forgotten_errors) + "\n";
  for (const ErrorGroupView& group : view.groups) {
    text += group.service + "|" + group.operation + "|" + group.type + "|" + group.message + "|" + group.example + "|" +
            ToString(group.trend);
    for (const double value : {group.count, group.judged, group.root_causes}) text += " " + std::to_string(value);
    for (const double minute : group.per_minute) text += "," + std::to_string(minute);
    for (const TraceId& id : group.traces) text += " " + id.ToHex();
    text += " " + std::to_string(group.first_seen_ns) + " " + std::to_string(group.last_seen_ns) + " " +
            std::to_string(group.traces_seen);
    for (const auto& each : group.together)
      text += " +" + std::to_string(each.group) + ":" + std::to_string(each.count);
    text += "\n";
  }
  return text;
}

TEST(ErrorGroups, SpansWithTheSameTextButForWhatVariesAreOneGroup) {
  EngineDriver driver;
  driver.Spans({Failed(1, 1, 0, "call", "timeout after 100ms"), Failed(2, 1, 0, "call", "timeout after 2s"),
                Failed(3, 1, 0, "call", "refused"), Failed(4, 1, 0, "other", "refused")});
  TestSpan typed = Failed(5, 1, 0, "call", "refused"), weighted = Failed(6, 1, 0, "call", "refused");
  typed.error_type = "TypeError";
  weighted.weight = 10;
  TestSpan elsewhere = Failed(7, 1, 0, "call", "refused");
  elsewhere.service = "web";
  driver.Spans({typed, weighted, elsewhere, {.trace = 8, .id = 1, .name = "call"}});
  const ErrorsView view = driver.engine().GetErrors();
  ASSERT_EQ(view.groups.size(), 5u);
  EXPECT_EQ(view.groups[0].message, "refused");
  EXPECT_EQ(view.groups[0].count, 11);
  EXPECT_EQ(view.groups[1].message, "timeout after <n>");
  EXPECT_EQ(view.groups[1].example, "timeout after 2s");
  EXPECT_EQ(view.groups[1].count, 2);
  // One each, seen at the same moment: by names.
  EXPECT_EQ(view.groups[2].service + view.groups[2].operation + view.groups[2].type, "botcallTypeError");
  EXPECT_EQ(view.groups[3].operation, "other");
  EXPECT_EQ(view.groups[4].service, "web");
  EXPECT_EQ(view.total, 16);
  EXPECT_EQ(view.since_ns, kStart);
}

TEST(ErrorGroups, ASpanSentTwiceIsCountedOnce) {
  EngineDriver driver;
  for (int i = 0; i < 3; ++i) driver.Spans({Failed(1, 1, 0, "call", "refused")});
  EXPECT_EQ(driver.engine().GetErrors().total, 1);
}

TEST(ErrorGroups, MinutesAndTimes) {
  EngineDriver driver;
  const std::int64_t first = kMinute - kStart % kMinute;  // a minute begins
  const auto fail = [&](std::int64_t at, std::uint64_t trace) {
    driver.At(at);
    driver.Spans({Failed(trace, 1, 0, "call", "refused")});
  };
  fail(first, 1);
  fail(first + 59 * kSecond, 2);
  fail(first + kMinute, 3);
  fail(first + 59 * kMinute, 4);
  const ErrorGroupView group = driver.engine().GetErrors().groups.at(0);
  EXPECT_EQ(group.per_minute[0], 2);
  EXPECT_EQ(group.per_minute[1], 1);
  EXPECT_EQ(group.per_minute[59], 1);
  EXPECT_EQ(group.first_seen_ns, kStart + first);
  EXPECT_EQ(group.last_seen_ns, kStart + first + 59 * kMinute);
  driver.At(first + 60 * kMinute);
  const ErrorGroupView later = driver.engine().GetErrors().groups.at(0);
  EXPECT_EQ(later.per_minute[0], 1);
  EXPECT_EQ(later.per_minute[58], 1);
  EXPECT_EQ(later.per_minute[59], 0);
  fail(first + 150 * kMinute, 5);
  const ErrorGroupView last = driver.engine().GetErrors().groups.at(0);
  EXPECT_EQ(last.count, 5);
  EXPECT_EQ(last.per_minute[59], 1);
  for (std::size_t i = 0; i < 59; ++i) EXPECT_EQ(last.per_minute[i], 0) << i;
}

// 20 minutes of 2 a minute, then `recent` in the last five; half of the running minute is over.
ErrorTrend Trend(double recent, double weight = 1, std::int64_t age = kHour, std::int64_t quiet = 0) {
  std::array<double, kErrorMinutes> minutes{};
  for (std::size_t i = 35; i < 55; ++i) minutes[i] = 2 * weight;
  minutes[57] = recent * weight;
  const std::int64_t now = kHour * 1000 + 30 * kSecond;
  return TrendOf(minutes, weight, now - age, now - quiet, now);
}

TEST(ErrorGroups, TrendAndItsNearMisses) {
  // Known for 20 minutes before the last five: 2 a minute, so that 9 are to be expected in 4.5 minutes.
  const std::int64_t age = 24 * kMinute + 30 * kSecond;
  EXPECT_EQ(Trend(9, 1, age), ErrorTrend::kStable);
  EXPECT_EQ(Trend(17, 1, age), ErrorTrend::kStable);
  EXPECT_EQ(Trend(18, 1, age), ErrorTrend::kRising);
  EXPECT_EQ(Trend(5, 1, age), ErrorTrend::kStable);
  EXPECT_EQ(Trend(4, 1, age), ErrorTrend::kFalling);
  EXPECT_EQ(Trend(4, 100, age), ErrorTrend::kFalling);
  EXPECT_EQ(Trend(18, 100, age), ErrorTrend::kRising);
  // Within the hour: 40 in 55 minutes, 3.3 are to be expected.
  EXPECT_EQ(Trend(6), ErrorTrend::kStable) << "less than three more";
  EXPECT_EQ(Trend(7), ErrorTrend::kRising);
  EXPECT_EQ(Trend(1), ErrorTrend::kStable) << "less than three fewer";
  EXPECT_EQ(Trend(0), ErrorTrend::kFalling);
  // New, and quiet.
  EXPECT_EQ(Trend(40, 1, 10 * kMinute - 1), ErrorTrend::kNew);
  EXPECT_NE(Trend(40, 1, 10 * kMinute), ErrorTrend::kNew);
  EXPECT_EQ(Trend(1, 1, kHour, 15 * kMinute - 1), ErrorTrend::kStable);
  EXPECT_EQ(Trend(1, 1, kHour, 15 * kMinute), ErrorTrend::kFalling);
}

TEST(ErrorGroups, TheDeepestFailingSpanIsTheCauseAndTheOthersPassItOn) {
  EngineDriver driver;
  driver.Spans({Failed(1, 1, 0, "handle", "failed"),
                Failed(1, 2, 1, "reply", "failed"),
                Failed(1, 3, 2, "model", "HTTP 503"),
                Failed(1, 4, 1, "store", "disk"),
                {.trace = 1, .id = 5}});
  EXPECT_EQ(driver.engine().GetErrors().groups.at(0).judged, 0) << "not complete";
  driver.At(kMinute);
  const ErrorsView view = driver.engine().GetErrors();
  for (const char* operation : {"handle", "reply"}) EXPECT_EQ(Find(view, operation)->root_causes, 0) << operation;
  for (const char* operation : {"model", "store"}) EXPECT_EQ(Find(view, operation)->root_causes, 1) << operation;
  for (const ErrorGroupView& group : view.groups) EXPECT_EQ(group.judged, 1);
}

TEST(ErrorGroups, ALateChildTakesTheBlameAndNothingIsCountedTwice) {
  EngineDriver driver;
  driver.Spans({Failed(1, 1, 0, "handle", "failed"), Failed(1, 2, 1, "reply", "failed")});
  driver.At(kMinute);
  EXPECT_EQ(Find(driver.engine().GetErrors(), "reply")->root_causes, 1);
  driver.Spans({Failed(1, 3, 2, "model", "HTTP 503"), {.trace = 1, .id = 4, .parent = 1, .name = "fine"}});
  driver.At(2 * kMinute);
  driver.Spans({{.trace = 1, .id = 5, .parent = 1, .name = "fine"}});
  driver.At(3 * kMinute);
  const ErrorsView view = driver.engine().GetErrors();
  EXPECT_EQ(Find(view, "reply")->root_causes, 0);
  EXPECT_EQ(Find(view, "model")->root_causes, 1);
  for (const ErrorGroupView& group : view.groups) {
    EXPECT_EQ(group.judged, 1);
    EXPECT_EQ(group.traces_seen, 1u);
    ASSERT_EQ(group.together.size(), 2u);
    for (const auto& each : group.together) EXPECT_EQ(each.count, 1u);
  }
}

TEST(ErrorGroups, ErrorsThatOccurTogether) {
  EngineDriver driver;
  for (std::uint64_t trace = 1; trace <= 10; ++trace) {
    driver.Spans({Failed(trace, 1, 0, "handle", "failed")});
    if (trace <= 7) driver.Spans({Failed(trace, 2, 1, "model", "x"), Failed(trace, 3, 1, "model", "x")});
    if (trace == 9) driver.Spans({Failed(trace, 4, 1, "store", "y")});
  }
  driver.At(kMinute);
  const ErrorsView view = driver.engine().GetErrors();
  const ErrorGroupView& handle = *Find(view, "handle");
  EXPECT_EQ(handle.traces_seen, 10u);
  ASSERT_EQ(handle.together.size(), 2u);
  EXPECT_EQ(view.groups[handle.together[0].group].operation, "model");
  EXPECT_EQ(handle.together[0].count, 7u);
  EXPECT_EQ(view.groups[handle.together[1].group].operation, "store");
  EXPECT_EQ(handle.together[1].count, 1u);
  EXPECT_EQ(Find(view, "model")->traces_seen, 7u);
  EXPECT_EQ(Find(view, "store")->together.size(), 1u);
}

TEST(ErrorGroups, TheMostFrequentPartnersSurviveManyRareOnes) {
  EngineDriver driver;
  std::uint64_t trace = 0;
  for (int round = 0; round < 30; ++round) {
    for (const char* partner : {"a", "b", "c", "d", "e"}) {
      ++trace;
      driver.Spans({Failed(trace, 1, 0, "handle", "failed"), Failed(trace, 2, 1, partner, "x")});
    }
    ++trace;
    driver.Spans({Failed(trace, 1, 0, "handle", "failed"), Failed(trace, 2, 1, "rare" + std::to_string(round), "x")});
    driver.At(driver.now_ns() - kStart + 40 * kSecond);
  }
  const ErrorsView view = driver.engine().GetErrors();
  std::set<std::string> partners;
  for (const auto& each : Find(view, "handle")->together) {
    partners.insert(view.groups[each.group].operation);
    EXPECT_EQ(each.count, 30u);
  }
  EXPECT_EQ(partners, (std::set<std::string>{"a", "b", "c", "d", "e"}));
}

TEST(ErrorGroups, ExamplesAreTheNewestTracesAndTheFirst) {
  Limits limits;
  limits.max_traces = 4;
  EngineDriver driver(limits);
  for (std::uint64_t trace = 1; trace <= 3; ++trace) {
    driver.Spans({Failed(trace, 1, 0, "call", "x"), Failed(trace, 2, 1, "call", "x")});
  }
  EXPECT_THAT(driver.engine().GetErrors().groups.at(0).traces, ElementsAre(Id(3), Id(2), Id(1)));
  driver.Spans({Failed(1, 3, 1, "call", "x")});
  EXPECT_THAT(driver.engine().GetErrors().groups.at(0).traces, ElementsAre(Id(1), Id(3), Id(2)));
  for (std::uint64_t trace = 4; trace <= 8; ++trace) driver.Spans({Failed(trace, 1, 0, "call", "x")});
  const ErrorsView view = driver.engine().GetErrors();
  EXPECT_THAT(view.groups.at(0).traces, ElementsAre(Id(8), Id(7), Id(6), Id(5))) << "only what can be looked at";
  EngineDriver roomy;
  for (std::uint64_t trace = 1; trace <= 8; ++trace) roomy.Spans({Failed(trace, 1, 0, "call", "x")});
  EXPECT_THAT(roomy.engine().GetErrors().groups.at(0).traces, ElementsAre(Id(8), Id(7), Id(6), Id(5), Id(4), Id(1)));
}

std::string Word(std::uint64_t number) {
  std::string word = "w";
  for (; number > 0; number /= 26) word += static_cast<char>('a' + number % 26);
  return word;
}

TEST(ErrorGroups, AFullTableForgetsTheOldestAndTheTotalStaysExact) {
  EngineDriver driver;
  for (std::uint64_t i = 0; i < kMaxErrorGroups; ++i) {
    TestSpan span = Failed(i + 1, 1, 0, "call", Word(i));
    span.weight = 3;
    driver.Spans({span});
  }
  EXPECT_EQ(driver.engine().GetErrors().forgotten_groups, 0u);
  driver.Spans({Failed(1, 2, 1, "call", Word(0))});  // seen again: the second oldest goes now
  driver.Spans({Failed(9000, 1, 0, "call", "one too many")});
  const ErrorsView view = driver.engine().GetErrors();
  EXPECT_EQ(view.groups.size(), kMaxErrorGroups);
  EXPECT_EQ(view.forgotten_groups, 1u);
  EXPECT_EQ(view.forgotten_errors, 3);
  std::set<std::string> messages;
  double shown = 0;
  for (const ErrorGroupView& group : view.groups) {
    messages.insert(group.message);
    shown += group.count;
  }
  EXPECT_TRUE(messages.contains(Word(0)));
  EXPECT_FALSE(messages.contains(Word(1)));
  EXPECT_EQ(view.total, 3.0 * kMaxErrorGroups + 2);
  EXPECT_EQ(shown + view.forgotten_errors, view.total);
}

TEST(ErrorGroups, AFloodOfLongMessagesStaysWithinTheBytes) {
  ErrorGroups groups;
  const std::string type(5000, 't');
  SpanView span;
  span.error_type = type;
  std::set<std::uint32_t> numbers;
  for (std::uint64_t i = 0; i < 3 * kMaxErrorGroups; ++i) {
    const std::string message = Word(i) + " " + std::string(5000, 'm');
    span.error_message = message;
    span.trace_id = Id(i + 1);
    EXPECT_TRUE(numbers.insert(groups.OnSpan(kStart, 1, span)).second) << "a number is not used again";
    ASSERT_LE(groups.bytes(), kMaxErrorBytes);
  }
  EXPECT_GT(groups.bytes(), kMaxErrorBytes / 2);
  groups.ForgetOperation(1);
  EXPECT_EQ(groups.bytes(), 0u);
}

TEST(ErrorGroups, AnOperationThatIsForgottenTakesItsGroupsAlong) {
  EngineDriver driver;
  driver.Spans({Failed(1, 1, 0, "call", "x")});
  driver.At(12 * kHour);
  EXPECT_EQ(driver.engine().GetErrors().groups.size(), 0u);
  driver.Spans({Failed(2, 1, 0, "another", "y")});
  const ErrorsView view = driver.engine().GetErrors();
  ASSERT_EQ(view.groups.size(), 1u);
  EXPECT_EQ(view.groups[0].operation, "another");
  EXPECT_EQ(view.forgotten_errors, 1);
  EXPECT_EQ(view.total, 2);
}

// More failures than are looked at in one hold, in two parts: every third span fails, each chain of three has one
// cause.
TEST(ErrorGroups, ALargeTraceIsCountedLikeASmallOne) {
  constexpr std::uint64_t kChains = 6000;
  EngineDriver driver;
  std::vector<TestSpan> inner, outer;
  for (std::uint64_t i = 1; i <= kChains; ++i) {
    inner.push_back(Failed(1, 3 * i, 3 * i - 1, "inner", "x"));
    outer.push_back(Failed(1, 3 * i - 1, 3 * i - 2, "outer", "x"));
    outer.push_back({.trace = 1, .id = 3 * i - 2, .name = "caller"});
  }
  driver.Spans(outer);
  driver.At(kMinute);
  const ErrorsView before = driver.engine().GetErrors();
  EXPECT_EQ(Find(before, "outer")->root_causes, kChains) << "nothing is known below them";
  driver.Spans(inner);
  driver.At(2 * kMinute);
  const ErrorsView view = driver.engine().GetErrors();
  EXPECT_EQ(Find(view, "inner")->judged, kChains);
  EXPECT_EQ(Find(view, "inner")->root_causes, kChains);
  EXPECT_EQ(Find(view, "outer")->judged, kChains);
  EXPECT_EQ(Find(view, "outer")->root_causes, 0);
  EXPECT_EQ(Find(view, "inner")->traces_seen, 1u);
  ASSERT_EQ(Find(view, "inner")->together.size(), 1u);
}

// Random traces whose spans come in any order and late, some of them failed.
class Traffic {
 public:
  explicit Traffic(std::uint64_t seed) : random_(seed) {}
  void Step(EngineDriver* driver) {
    now_ns_ += static_cast<std::int64_t>(random_() % (random_() % 5 == 0 ? 60 : 2)) * kSecond;
    driver->At(now_ns_);
    std::vector<TestSpan> spans;
    for (std::uint64_t n = random_() % 8; n > 0; --n) {
      const std::uint64_t id = 1 + random_() % 40;
      TestSpan span = Failed(1 + random_() % 30, id, id / 2, "op" + std::to_string(random_() % 4),
                             random_() % 2 == 0 ? "timeout after " + std::to_string(random_() % 999) : "refused");
      span.failed = random_() % 3 != 0;
      spans.push_back(span);
    }
    driver->Spans(std::move(spans));
  }

 private:
  std::mt19937_64 random_;
  std::int64_t now_ns_ = 0;
};

// What the stored traces say when all is over, counted the slow way.
TEST(ErrorGroups, HoweverLateTheSpansComeTheCountsAreThoseOfTheWholeTraces) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    EngineDriver driver;
    Traffic traffic(seed);
    for (int i = 0; i < 150; ++i) traffic.Step(&driver);
    driver.At(driver.now_ns() - kStart + 2 * kMinute);
    std::map<std::string, double> judged, causes;
    std::map<std::string, std::set<std::uint64_t>> traces;
    for (std::uint64_t trace = 1; trace <= 30; ++trace) {
      const auto copy = driver.engine().GetTrace(Id(trace));
      if (!copy) continue;
      for (const SpanCopy& span : copy->spans) {
        if (span.status != StatusCode::kError) continue;
        const auto fails_below = [&](const SpanCopy& other) {
          return other.parent_id == span.span_id && other.status == StatusCode::kError;
        };
        ++judged[span.name];
        traces[span.name].insert(trace);
        if (std::none_of(copy->spans.begin(), copy->spans.end(), fails_below)) ++causes[span.name];
      }
    }
    std::map<std::string, double> shown_judged, shown_causes;
    const ErrorsView view = driver.engine().GetErrors();
    for (const ErrorGroupView& group : view.groups) {
      shown_judged[group.operation] += group.judged;
      if (group.root_causes > 0) shown_causes[group.operation] += group.root_causes;
      EXPECT_EQ(group.judged, group.count);
      EXPECT_LE(group.traces_seen, traces[group.operation].size());
      for (const auto& each : group.together) {
        const ErrorGroupView& partner = view.groups[each.group];
        EXPECT_LE(each.count, std::min(group.traces_seen, partner.traces_seen));
        const auto back = std::find_if(partner.together.begin(), partner.together.end(),
                                       [&](const auto& other) { return &view.groups[other.group] == &group; });
        if (back != partner.together.end()) {
          EXPECT_EQ(back->count, each.count);
        }
      }
    }
    EXPECT_EQ(shown_judged, judged) << "seed " << seed;
    EXPECT_EQ(shown_causes, causes) << "seed " << seed;
  }
}

TEST(ErrorGroups, TwoFoldsAreEqualAndSoIsOneThatTookOverACheckpoint) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    EngineDriver one, two;
    Traffic first(seed), second(seed);
    for (int i = 0; i < 200; ++i) {
      first.Step(&one);
      second.Step(&two);
      if (i % 41 == 7) {
        ASSERT_TRUE(two.engine().Restore({}, one.engine().Checkpoint()));
      }
    }
    EXPECT_EQ(Text(one.engine().GetErrors()), Text(two.engine().GetErrors())) << "seed " << seed;
  }
}

TEST(ErrorGroups, ACheckpointKeepsTheGroupsWithoutTheTraces) {
  EngineDriver live, restored;
  Traffic traffic(1);
  for (int i = 0; i < 200; ++i) traffic.Step(&live);
  ASSERT_TRUE(restored.engine().Restore({}, live.engine().Checkpoint()));
  ErrorsView expected = live.engine().GetErrors();
  ASSERT_GT(expected.groups.size(), 4u);
  for (ErrorGroupView& group : expected.groups) group.traces.clear();
  EXPECT_EQ(Text(restored.engine().GetErrors()), Text(expected));
}

TEST(ErrorGroups, DamagedBytesAreRefusedOrHarmless) {
  ErrorGroups groups;
  SpanView span;
  for (std::uint64_t i = 0; i < 40; ++i) {
    const std::string message = Word(i);
    span.error_message = message;
    span.trace_id = Id(i + 1);
    groups.OnSpan(kStart + static_cast<std::int64_t>(i) * kMinute, static_cast<std::uint32_t>(i % 7), span);
  }
  groups.ForgetOperation(3);
  std::string bytes;
  CodecWriter writer(&bytes);
  groups.Save(&writer);
  {
    ErrorGroups loaded;
    CodecReader in(bytes);
    ASSERT_TRUE(loaded.Load(&in, 7) && in.AtEnd());
    std::string again;
    CodecWriter out(&again);
    loaded.Save(&out);
    EXPECT_EQ(again, bytes);
    EXPECT_EQ(loaded.bytes(), groups.bytes());
    CodecReader fewer(bytes);
    EXPECT_FALSE(ErrorGroups().Load(&fewer, 6)) << "operations that are not there";
  }
  std::mt19937_64 random(1);
  for (int i = 0; i < 3000; ++i) {
    std::string damaged = bytes;
    damaged[random() % damaged.size()] = static_cast<char>(random());
    if (i % 3 == 0) damaged.resize(random() % damaged.size());
    ErrorGroups loaded;
    CodecReader in(damaged);
    if (!loaded.Load(&in, 7)) continue;
    span.error_message = "after it";
    loaded.OnSpan(kStart + kHour, 1, span);
    loaded.ForgetOperation(1);
  }
}

}  // namespace
}  // namespace spanwatch::core
