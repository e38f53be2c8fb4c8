// The longest holds of the engine's mutex where much happens at once: large traces, many of them in one tick, a
// thousand services that are ill, a thousand processes, reloads. One line for each, `hold_WHAT_max_ms value ms`.
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "tests/bench/mutex_holds.h"
#include "tests/support/rule_builder.h"

namespace spanwatch::core {
namespace {

constexpr std::int64_t kSecond = 1000 * kMs;
constexpr double kNever = 1e18;

void Report(const char* what) {
  bench::MeasureHolds(false);
  const std::vector<double> holds = bench::TakeHolds();
  std::printf("hold_%s_max_ms %.3f ms the next %.3f, of %zu holds; CPU time\n", what, holds.back() / 1e6,
              holds[holds.size() - 2] / 1e6, holds.size());
  std::fflush(stdout);
}

// A rule of each kind that looks at whole traces or at processes; none fires but for health.
std::shared_ptr<const RuleSet> Rules() {
  std::vector<Rule> rules;
  for (const Measure measure : {Measure::kTraceDepth, Measure::kTraceSpanCount, Measure::kTraceDuration,
                                Measure::kTraceErrorCount, Measure::kTraceMemoryDelta}) {
    rules.push_back(EventRule(measure, kNever, 2 * kNever));
  }
  rules.push_back(EventRule(Measure::kTraceRepeatedCalls, 50, kNever));
  rules.push_back(WindowRule(Measure::kServiceHealth, 1, 2));
  rules.push_back(WindowRule(Measure::kProcessMemory, kNever, 2 * kNever));
  rules.push_back(WindowRule(Measure::kProcessSilentFor, kNever, 2 * kNever));
  for (std::size_t i = 0; i < rules.size(); ++i) rules[i].alert = "Rule" + std::to_string(i);
  return Set(std::move(rules));
}

void Pass(EngineDriver* driver, std::int64_t duration_ns) {
  const std::int64_t until = driver->now_ns() + duration_ns;
  while (driver->now_ns() < until) driver->At(driver->now_ns() + kTickNs - kStart);
}

// One of `count` spans over 40 services: each span calls five more.
std::vector<TestSpan> Tree(std::uint64_t trace, std::uint64_t count) {
  std::vector<TestSpan> spans;
  for (std::uint64_t i = count; i-- > 0;) {  // children first, as they end
    spans.push_back({.trace = trace,
                     .id = trace << 32 | (i + 1),
                     .parent = i == 0 ? 0 : trace << 32 | ((i - 1) / 5 + 1),
                     .service = "service-" + std::to_string(i % 40),
                     .name = "operation-" + std::to_string(i % 7),
                     .duration_ns = kMs * static_cast<std::int64_t>(1 + i % 50),
                     .failed = i % 3 == 0,
                     .error_type = i % 3 == 0 ? "Error" + std::to_string(i % 300) : ""});
  }
  return spans;
}

void Send(EngineDriver* driver, const std::vector<TestSpan>& spans) {
  constexpr std::size_t kPerBatch = 500;
  for (std::size_t begin = 0; begin < spans.size(); begin += kPerBatch) {
    const std::size_t end = std::min(begin + kPerBatch, spans.size());
    driver->Spans(
        {spans.begin() + static_cast<std::ptrdiff_t>(begin), spans.begin() + static_cast<std::ptrdiff_t>(end)});
  }
}

void LargeTrace() {
  Limits limits;
  limits.memory_limit_bytes = 500u << 20;
  EngineDriver driver(limits, Rules());
  Send(&driver, Tree(1, 50'000));  // what is only touched once is not measured
  Pass(&driver, 40 * kSecond);
  bench::MeasureHolds(true);
  Send(&driver, Tree(2, 100'000));
  Pass(&driver, 40 * kSecond);
  Report("large_trace");
}

void ManyTraces() {
  EngineDriver driver({}, Rules());
  for (std::uint64_t round = 0; round < 3; ++round) {
    if (round == 1) bench::MeasureHolds(true);
    for (std::uint64_t trace = 1; trace <= 200; ++trace) Send(&driver, Tree(round * 1000 + trace, 500));
    Pass(&driver, 40 * kSecond);
  }
  Report("many_traces");
}

void IllServices() {
  EngineDriver driver({}, Rules());
  std::uint64_t next = 0;
  for (int round = 0; round < 60; ++round) {
    std::vector<TestSpan> spans;
    for (int i = 0; i < 1000; ++i) {
      ++next;
      spans.push_back({.trace = next,
                       .id = next,
                       .service = "service-" + std::to_string(i),
                       .duration_ns = 6 * kSecond,
                       .failed = true,
                       .error_type = "Error"});
    }
    Send(&driver, spans);
    if (round == 30) bench::MeasureHolds(true);
    Pass(&driver, kSecond);
  }
  Report("ill_services");
}

void Processes() {
  EngineDriver driver({}, Rules());
  const auto say = [&](std::uint64_t number, EnvelopeKind kind) {
    EnvelopeView envelope;
    envelope.kind = kind;
    for (std::size_t i = 0; i < 8; ++i) envelope.process_id[i] = static_cast<std::uint8_t>(number >> (8 * i) & 0xFF);
    envelope.oldest_held = 1;
    envelope.rss_bytes = number << 20;
    if (kind == EnvelopeKind::kSpans) {
      envelope.sequence = 1;
      envelope.span_count = 1;
      driver.Message(number, envelope,
                     {{.trace = number, .id = number, .service = "service-" + std::to_string(number)}});
    } else {
      driver.Message(number, envelope);
    }
  };
  for (std::uint64_t i = 1; i <= 1000; ++i) {
    say(i, EnvelopeKind::kHello);
    say(i, EnvelopeKind::kSpans);
  }
  for (int round = 0; round < 60; ++round) {
    for (std::uint64_t i = 1; i <= 1000; ++i) say(i, EnvelopeKind::kHeartbeat);
    if (round == 5) bench::MeasureHolds(true);
    Pass(&driver, kSecond);
  }
  Report("processes");
}

void Reload() {
  const auto rules = [](double border) {
    Rule rule = WindowRule(Measure::kErrorRate, 1e18, border);
    rule.by = {RuleLabel("user")};
    return Set({rule});
  };
  Limits limits;
  limits.max_traces = 100'000;
  limits.memory_limit_bytes = 500u << 20;
  EngineDriver driver(limits, rules(2e18));
  for (std::uint64_t user = 0; user < 10'000; user += 500) {
    std::vector<TestSpan> spans;
    for (std::uint64_t i = user; i < user + 500; ++i)
      spans.push_back({.trace = i + 1, .id = i + 1, .tags = {{"user", "user-" + std::to_string(i)}}});
    driver.Spans(std::move(spans));
  }
  bench::MeasureHolds(true);
  driver.Reload(rules(2e18), limits);
  Report("reload_same");
  bench::MeasureHolds(true);
  driver.Reload(rules(3e18), limits);
  Report("reload_changed");
  limits.max_traces = 100;
  bench::MeasureHolds(true);
  driver.Reload(rules(3e18), limits);
  Report("reload_less_room");
}

}  // namespace
}  // namespace spanwatch::core

int main() {
  spanwatch::core::LargeTrace();
  spanwatch::core::ManyTraces();
  spanwatch::core::IllServices();
  spanwatch::core::Processes();
  spanwatch::core::Reload();
}
