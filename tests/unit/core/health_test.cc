// The health of services in virtual time: borders, hysteresis, processes, restart, and the rule service.health.
#include "sidecar/core/health.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sidecar/core/health_view.h"
#include "tests/support/engine_driver.h"

namespace spanwatch::core {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::uint64_t NextId() {
  static std::uint64_t id = 0;
  return ++id;
}

struct Mix {
  std::string service = "bot";
  int spans = 100, failed = 0;
  std::int64_t duration_ns = kMs;
  double weight = 1;
};

// Spans that end now, the first ones failed.
void Send(EngineDriver* driver, const Mix& mix) {
  std::vector<TestSpan> spans;
  for (int i = 0; i < mix.spans; ++i) {
    const std::uint64_t id = NextId();
    spans.push_back({.trace = id,
                     .id = id,
                     .service = mix.service,
                     .start_ns = driver->now_ns() - mix.duration_ns,
                     .duration_ns = mix.duration_ns,
                     .failed = i < mix.failed,
                     .error_type = i < mix.failed ? "TimeoutError" : "",
                     .error_message = i < mix.failed ? "no answer" : "",
                     .weight = mix.weight});
  }
  driver->Spans(std::move(spans));
}

ServiceHealth HealthOf(const EngineDriver& driver, const std::string& service = "bot") {
  for (const ServiceHealth& each : const_cast<EngineDriver&>(driver).engine().GetHealth().services) {
    if (each.service == service) return each;
  }
  ADD_FAILURE() << "no service " << service;
  return {};
}

std::string StatusOf(const EngineDriver& driver, const std::string& service = "bot") {
  return ToString(HealthOf(driver, service).status);
}

// What is said of `mixes` at the next judgement.
ServiceHealth Judged(const std::vector<Mix>& mixes, const Limits& limits = {}) {
  EngineDriver driver(limits);
  for (const Mix& mix : mixes) Send(&driver, mix);
  driver.At(10 * kSecond);
  return HealthOf(driver);
}

TEST(Health, ErrorRatesAtTheirBorders) {
  EXPECT_EQ(Judged({{.spans = 200, .failed = 20}}).status, HealthStatus::kHealthy) << "exactly 10 %";
  EXPECT_EQ(Judged({{.spans = 200, .failed = 21}}).status, HealthStatus::kWarning);
  EXPECT_EQ(Judged({{.spans = 200, .failed = 40}}).status, HealthStatus::kWarning) << "exactly 20 %";
  EXPECT_EQ(Judged({{.spans = 200, .failed = 41}}).status, HealthStatus::kCritical);
  EXPECT_EQ(Judged({{.spans = 19, .failed = 19}}).status, HealthStatus::kHealthy) << "fewer than 20 spans";
  EXPECT_EQ(Judged({{.spans = 20, .failed = 20}}).status, HealthStatus::kCritical);
}

TEST(Health, SaysWhyInNumbers) {
  const ServiceHealth bot = Judged({{.spans = 200, .failed = 46}});
  EXPECT_THAT(bot.issues, ElementsAre("error rate 23 % over 5 min (46 of 200 spans), critical above 20 %"));
  ASSERT_EQ(bot.recommendations.size(), 1u);
  EXPECT_THAT(bot.recommendations[0], HasSubstr("/api/v1/errors"));
  EXPECT_DOUBLE_EQ(bot.error_rate, 0.23);
  EXPECT_DOUBLE_EQ(bot.spans, 200);
  EXPECT_DOUBLE_EQ(bot.avg_duration_ns, static_cast<double>(kMs));
  const ServiceHealth well = Judged({{.spans = 200}});
  EXPECT_THAT(well.issues, IsEmpty());
  EXPECT_THAT(well.recommendations, IsEmpty());
}

TEST(Health, ThresholdsComeFromTheLimits) {
  Limits limits;
  limits.error_rate_warning = 0.5;
  limits.error_rate_critical = 0.6;
  limits.slow_warning_ns = 10 * kMs;
  limits.slow_critical_ns = 20 * kMs;
  EXPECT_EQ(Judged({{.spans = 100, .failed = 50}}, limits).status, HealthStatus::kHealthy);
  EXPECT_EQ(Judged({{.spans = 100, .failed = 51}}, limits).status, HealthStatus::kWarning);
  EXPECT_EQ(Judged({{.duration_ns = 20 * kMs}}, limits).status, HealthStatus::kWarning);
  EXPECT_EQ(Judged({{.duration_ns = 20 * kMs + 1}}, limits).status, HealthStatus::kCritical);
}

// The service is slow when most of its spans are: an LLM call and what waits for it are few among the others.
TEST(Health, OneSlowOperationMakesNoSlowService) {
  const Mix slow{.spans = 100, .duration_ns = 8 * kSecond};
  EXPECT_EQ(Judged({slow, {.spans = 100}}).status, HealthStatus::kHealthy) << "half of them, but an average of 4 s";
  EXPECT_EQ(Judged({slow, {.spans = 99}}).status, HealthStatus::kCritical);
  EXPECT_EQ(Judged({{.spans = 100, .duration_ns = kSecond}}).status, HealthStatus::kHealthy) << "exactly 1 s";
  const ServiceHealth warning = Judged({{.spans = 60, .duration_ns = 2 * kSecond}, {.spans = 40, .duration_ns = 0}});
  EXPECT_THAT(warning.issues,
              ElementsAre("60 % of the spans took longer than 1 s over 5 min (60 of 100, average 1.2 s), "
                          "warning above 50 %"));
  EXPECT_DOUBLE_EQ(warning.slow_rate, 0.6);
}

TEST(Health, CountsByWeight) {
  // 10 failed ones of weight 1 among 90 that stand for 900.
  EXPECT_EQ(Judged({{.spans = 10, .failed = 10}, {.spans = 90, .weight = 10}}).status, HealthStatus::kHealthy);
  EXPECT_EQ(Judged({{.spans = 10, .failed = 10, .weight = 11}, {.spans = 90, .weight = 10}}).status,
            HealthStatus::kWarning);
  EXPECT_EQ(Judged({{.spans = 2, .failed = 2, .weight = 100}}).status, HealthStatus::kHealthy) << "two spans seen";
}

TEST(Health, SpansThatEndedLongAgoDoNotCount) {
  EngineDriver driver;
  const std::uint64_t id = NextId();
  std::vector<TestSpan> old;
  for (std::uint64_t i = 0; i < 100; ++i)
    old.push_back({.trace = id, .id = i + 1, .start_ns = kStart - 6 * kMinute, .failed = true});
  driver.Spans(old);
  driver.At(10 * kSecond);
  EXPECT_EQ(StatusOf(driver), "healthy");
  EXPECT_EQ(HealthOf(driver).spans, 0);
}

TEST(Health, GetsWorseAtOnceAndBetterAfterAMinuteBelow) {
  EngineDriver driver;
  Send(&driver, {.spans = 100, .failed = 21});
  driver.At(10 * kSecond - 1);
  EXPECT_EQ(StatusOf(driver), "healthy") << "not judged yet";
  driver.At(10 * kSecond);
  EXPECT_EQ(StatusOf(driver), "critical");
  EXPECT_EQ(HealthOf(driver).since_ns, kStart + 10 * kSecond);
  const std::vector<std::string> issues = HealthOf(driver).issues;
  Send(&driver, {.spans = 50});  // 21 of 150: 14 %, a warning, from the judgement at 20 s on
  driver.At(69 * kSecond);
  EXPECT_EQ(StatusOf(driver), "critical");
  EXPECT_EQ(HealthOf(driver).issues, issues) << "those that made it so";
  driver.At(70 * kSecond);
  EXPECT_EQ(StatusOf(driver), "warning");
  EXPECT_THAT(HealthOf(driver).issues, ElementsAre(HasSubstr("error rate 14 % over 5 min (21 of 150 spans), warning")));
  EXPECT_EQ(HealthOf(driver).since_ns, kStart + 70 * kSecond);
  Send(&driver, {.spans = 150});  // 7 %
  driver.At(129 * kSecond);
  EXPECT_EQ(StatusOf(driver), "warning");
  driver.At(130 * kSecond);
  EXPECT_EQ(StatusOf(driver), "healthy");
}

TEST(Health, ARelapseWithinTheMinuteBeginsItAnew) {
  EngineDriver driver;
  Send(&driver, {.spans = 100, .failed = 21});
  driver.At(10 * kSecond);
  Send(&driver, {.spans = 5});  // 20 %: a warning alone
  driver.At(50 * kSecond);
  Send(&driver, {.spans = 10, .failed = 10});  // 31 of 115
  driver.At(60 * kSecond);
  Send(&driver, {.spans = 200});  // 31 of 315: under 10 %
  driver.At(119 * kSecond);
  EXPECT_EQ(StatusOf(driver), "critical");
  driver.At(120 * kSecond);
  EXPECT_EQ(StatusOf(driver), "healthy") << "both levels were reached last at 60 s";
}

TEST(Health, WithoutSpansForFiveMinutesNoRateStays) {
  EngineDriver driver;
  Send(&driver, {.spans = 100, .failed = 100});
  driver.At(5 * kMinute);
  EXPECT_EQ(StatusOf(driver), "critical") << "the window still holds them";
  driver.At(5 * kMinute + 10 * kSecond);
  EXPECT_EQ(StatusOf(driver), "healthy");
  EXPECT_THAT(HealthOf(driver).issues, IsEmpty());
}

TEST(Health, ServicesAreShownWorstFirst) {
  EngineDriver driver;
  Send(&driver, {.service = "b"});
  Send(&driver, {.service = "a"});
  Send(&driver, {.service = "w", .failed = 15});
  Send(&driver, {.service = "z", .failed = 50});
  driver.At(10 * kSecond);
  std::string order;
  for (const ServiceHealth& each : driver.engine().GetHealth().services)
    order += each.service + ":" + ToString(each.status) + " ";
  EXPECT_EQ(order, "z:critical w:warning a:healthy b:healthy ");
}

class Process {
 public:
  Process(EngineDriver* driver, std::uint8_t number, std::string service = "bot")
      : driver_(driver), service_(std::move(service)), number_(number) {
    Say(EnvelopeKind::kHello);
  }
  void Say(EnvelopeKind kind, std::uint64_t rss_bytes = 0, std::uint64_t dropped = 0) {
    EnvelopeView envelope;
    envelope.kind = kind;
    envelope.process_id.fill(number_);
    envelope.oldest_held = 1;
    envelope.rss_bytes = rss_bytes;
    if (dropped > 0) envelope.drops = {{"ring_full", dropped}};
    const TestBatch named({{.service = service_}});
    Decoded decoded;
    decoded.envelope = &envelope;
    SpanBatch batch;
    batch.resources = named.batch().resources;
    decoded.spans = &batch;
    driver_->engine().Apply({0, driver_->now_ns(), RecordKind::kMessage, number_}, decoded);
  }

 private:
  EngineDriver* driver_;
  std::string service_;
  std::uint8_t number_;
};

// Heartbeats each second from now to `until_ns`.
void Live(EngineDriver* driver, std::vector<Process*> processes, std::int64_t until_ns, std::uint64_t rss_bytes = 0) {
  for (std::int64_t at = driver->now_ns() - kStart; at <= until_ns; at += kSecond) {
    driver->At(at);
    for (Process* process : processes) process->Say(EnvelopeKind::kHeartbeat, rss_bytes);
  }
}

TEST(Health, ASilentProcessWarnsAndTheLastDeadOneIsCritical) {
  EngineDriver driver;
  Process one(&driver, 1), two(&driver, 2);
  Send(&driver, {.spans = 1});
  Live(&driver, {&one, &two}, 20 * kSecond);
  EXPECT_EQ(StatusOf(driver), "healthy");
  Live(&driver, {&two}, 31 * kSecond);  // one was heard of last at 20 s
  EXPECT_THAT(HealthOf(driver).issues, ElementsAre("1 of 2 processes is silent: no heartbeat for 5 s"));
  EXPECT_EQ(StatusOf(driver), "warning");
  Live(&driver, {&two}, 91 * kSecond);  // dead at 80 s
  EXPECT_THAT(HealthOf(driver).issues, ElementsAre("1 process died without goodbye in the last 5 min, 1 alive"));
  EXPECT_EQ(StatusOf(driver), "warning");
  driver.At(110 * kSecond);  // two was heard of last at 91 s
  EXPECT_THAT(HealthOf(driver).issues,
              ElementsAre("1 process died without goodbye in the last 5 min, the others are silent",
                          "1 of 1 process is silent: no heartbeat for 5 s"));
  EXPECT_EQ(StatusOf(driver), "warning");
  driver.At(160 * kSecond);  // two died at 151 s
  EXPECT_THAT(HealthOf(driver).issues,
              ElementsAre("2 processes died without goodbye in the last 5 min, none is alive"));
  EXPECT_EQ(StatusOf(driver), "critical");
  driver.At(151 * kSecond + 6 * kMinute);
  EXPECT_EQ(StatusOf(driver), "healthy") << "no spans, and dead for over five minutes";
}

TEST(Health, AGoodbyeIsNoIssue) {
  EngineDriver driver;
  Process one(&driver, 1);
  Send(&driver, {.spans = 1});
  one.Say(EnvelopeKind::kGoodbye);
  driver.At(2 * kMinute);
  EXPECT_EQ(StatusOf(driver), "healthy");
}

TEST(Health, LostSpansWarnForFiveMinutes) {
  EngineDriver driver;
  Process one(&driver, 1);
  Process other(&driver, 2, "other");
  Send(&driver, {.spans = 1});
  Send(&driver, {.service = "other", .spans = 1});
  one.Say(EnvelopeKind::kHeartbeat, 0, 7);
  Live(&driver, {&other}, 4 * kSecond);
  driver.At(10 * kSecond);
  one.Say(EnvelopeKind::kHeartbeat, 0, 40);
  driver.At(20 * kSecond);
  EXPECT_THAT(HealthOf(driver).issues, testing::Contains("40 spans lost in the last 5 min: the figures are too low"));
  EXPECT_THAT(HealthOf(driver, "other").issues, testing::Not(testing::Contains(HasSubstr("lost"))));
  one.Say(EnvelopeKind::kHeartbeat, 0, 40);
  one.Say(EnvelopeKind::kGoodbye, 0, 40);
  driver.At(5 * kMinute);
  EXPECT_EQ(StatusOf(driver), "warning");
  driver.At(6 * kMinute);
  EXPECT_EQ(StatusOf(driver), "healthy");
}

TEST(Health, AProcessThatGrowsIsAnIssueButNotWhileItStarts) {
  EngineDriver driver;
  Process one(&driver, 1);
  Send(&driver, {.spans = 1});
  Live(&driver, {&one}, 4 * kMinute, 20 * kMb);
  Live(&driver, {&one}, 6 * kMinute, 900 * kMb);  // a model is loaded: the process is starting
  EXPECT_EQ(StatusOf(driver), "healthy");
  Live(&driver, {&one}, 7 * kMinute, 1000 * kMb);
  EXPECT_EQ(StatusOf(driver), "healthy") << "exactly 100 MB";
  Live(&driver, {&one}, 8 * kMinute, 1000 * kMb + 1);
  EXPECT_EQ(StatusOf(driver), "warning");
  Live(&driver, {&one}, 9 * kMinute, 1400 * kMb + 1);
  EXPECT_THAT(HealthOf(driver).issues, ElementsAre("a process grew by 500 MB in 5 min, critical above 500 MB"));
}

std::shared_ptr<const RuleSet> HealthRules(std::optional<double> warning, std::optional<double> critical) {
  Rule rule;
  rule.group = "g";
  rule.alert = "Sick";
  rule.measure = Measure::kServiceHealth;
  rule.by = {LabelSource::kService};
  rule.warning = warning;
  rule.critical = critical;
  rule.window_ns = 5 * kMinute;
  rule.for_ns = 5 * kSecond;
  rule.keep_firing_for_ns = 20 * kSecond;
  rule.annotations = {{"summary", "{{ service }} is {{ value }}: {{ issues }}"}};
  rule.text = "sick";
  auto set = std::make_shared<RuleSet>();
  set->rules = {rule};
  return set;
}

TEST(HealthRule, FiresRisesAndEndsWithTheStatus) {
  EngineDriver driver({}, HealthRules(1, 2));
  Send(&driver, {.spans = 100, .failed = 15});
  Send(&driver, {.service = "fine"});
  driver.At(14 * kSecond);
  EXPECT_EQ(driver.Told(), "") << "for: 5s";
  driver.At(15 * kSecond);
  ASSERT_EQ(driver.transitions().size(), 1u);
  const Incident& incident = driver.transitions()[0].incident;
  EXPECT_THAT(incident.labels, ElementsAre(NameValue{"service", "bot"}));
  EXPECT_THAT(incident.annotations,
              ElementsAre(NameValue{
                  "summary", "bot is warning: error rate 15 % over 5 min (15 of 100 spans), warning above 10 %"}));
  EXPECT_EQ(FormatValue(incident.threshold, incident.unit), "warning");
  EXPECT_EQ(incident.count, 100u);
  EXPECT_TRUE(incident.worst_trace.IsValid()) << "of a failed span";
  EXPECT_EQ(incident.last_error, "TimeoutError: no answer");
  EXPECT_EQ(driver.Told(), "firing Sick warning");
  Send(&driver, {.spans = 100, .failed = 100});
  driver.At(26 * kSecond);
  EXPECT_THAT(driver.Told(), HasSubstr("escalated Sick critical"));
  driver.At(5 * kMinute + 39 * kSecond);  // no spans since 5 min 20 s: healthy, kept firing for 20 s
  EXPECT_THAT(driver.Told(), testing::Not(HasSubstr("resolved")));
  driver.At(5 * kMinute + 41 * kSecond);
  EXPECT_EQ(driver.Told(), "resolved Sick none");
}

TEST(HealthRule, CriticalAloneDoesNotFireOnAWarning) {
  EngineDriver driver({}, HealthRules({}, 2));
  Send(&driver, {.spans = 100, .failed = 20});
  driver.At(kMinute);
  EXPECT_EQ(driver.Told(), "") << "exactly 20 % is a warning";
  Send(&driver, {.spans = 100, .failed = 21});
  driver.At(2 * kMinute);
  EXPECT_EQ(driver.Told().substr(0, 20), "firing Sick critical");
}

TEST(HealthRule, ARuleThatComesByReloadLooksAtWhatIsAlreadySo) {
  EngineDriver driver;
  Send(&driver, {.spans = 100, .failed = 50});
  driver.At(kMinute);
  driver.Reload(HealthRules({}, 2), {});
  driver.At(kMinute + 10 * kSecond);
  EXPECT_EQ(driver.Told(), "firing Sick critical");
}

// A checkpoint in the middle: what follows is the same, to the bit.
TEST(Health, ARestartGoesOnWhereItWas) {
  const auto fold = [](bool restart) {
    const auto rules = HealthRules(1, 2);
    EngineDriver driver({}, rules);
    Process one(&driver, 1);
    std::string told;
    for (int step = 0; step < 60; ++step) {
      driver.At(step * 7 * kSecond);
      Send(&driver, {.spans = 10 + step % 5, .failed = step % 20 < 10 ? 4 : 0});
      Send(&driver, {.service = "other", .spans = 30, .failed = step % 7 == 0 ? 9 : 2, .duration_ns = step * 40 * kMs});
      if (step < 3) Send(&driver, {.service = "brief", .failed = 30});
      one.Say(EnvelopeKind::kHeartbeat, static_cast<std::uint64_t>(100 + step * 10) << 20,
              static_cast<std::uint64_t>(step));
      if (restart) {
        const std::string bytes = driver.engine().Checkpoint();
        Decoded reload;
        const Limits limits;
        reload.limits = std::make_shared<const Limits>(limits);
        reload.rules = rules;
        EXPECT_TRUE(driver.engine().Restore(reload, bytes));
        EXPECT_EQ(driver.engine().Checkpoint(), bytes);
      }
      for (const ServiceHealth& each : driver.engine().GetHealth().services) {
        told += each.service + " " + ToString(each.status) + " " + std::to_string(each.since_ns);
        for (const std::string& issue : each.issues) told += "; " + issue;
        told += "\n";
      }
      for (const Incident& each : driver.engine().Incidents()) told += each.last_error + "\n";
      told += driver.Told() + "\n";
    }
    return told;
  };
  const std::string told = fold(false);
  EXPECT_THAT(told, HasSubstr("firing Sick"));
  EXPECT_THAT(told, HasSubstr("resolved Sick"));
  EXPECT_THAT(told, HasSubstr("lost in the last 5 min"));
  // Ids of spans go on over both folds: no figure depends on them.
  EXPECT_EQ(fold(true), told);
}

TEST(Health, IsBoundedByTheCatalogAndForgetsWithIt) {
  Limits limits;
  limits.ttl_ns = kMinute;
  limits.series_idle_ns = kMinute;
  EngineDriver driver(limits);
  for (int i = 0; i < 1100; ++i) Send(&driver, {.service = "s" + std::to_string(i), .spans = 1});
  driver.At(10 * kSecond);
  EXPECT_EQ(driver.engine().GetHealth().services.size(), kMaxServices) << "the rest is (other)";
  const std::uint64_t bytes = driver.engine().Stats().statistics.bytes;
  EXPECT_LT(bytes, 16u << 20);
  driver.At(30 * kMinute);
  EXPECT_LE(driver.engine().GetHealth().services.size(), 1u);
  Send(&driver, {.service = "new"});
  driver.At(31 * kMinute);
  EXPECT_EQ(HealthOf(driver, "new").since_ns, kStart + 30 * kMinute);
}

}  // namespace
}  // namespace spanwatch::core
