// Runs one rule test in virtual time: the engine, the rules and the Discord planner that the sidecar has, no clock, no
// socket. The same test gives the same outcome, everywhere. One thread.
#ifndef SPANWATCH_SIDECAR_RULE_TEST_RUN_H_
#define SPANWATCH_SIDECAR_RULE_TEST_RUN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "sidecar/core/engine.h"
#include "sidecar/discord_preview.h"
#include "sidecar/rule_test_file.h"

namespace spanwatch::app {

// Tests begin here: 2024-01-01 00:00:00 UTC.
inline constexpr std::int64_t kTestStartNs = 1'704'067'200'000'000'000;

struct TestFailure {
  config::Position position;
  std::string what;
  struct Line {
    char sign = ' ';  // '-': expected, not there; '+': there, not expected; ' ': both
    std::string text;
  };
  std::vector<Line> lines;
};

struct TestOutcome {
  std::vector<TestFailure> failures;
  std::vector<core::Transition> transitions;
  std::vector<PreviewMessage> messages;
};

TestOutcome RunRuleTest(const RuleTest& test, const core::Limits& limits);

// "10s", "5m30s": a time of the test.
std::string TestTime(std::int64_t engine_ns);
// "SlowOperation{service="bot", operation="op"} warning firing 1.2 s".
std::string IncidentText(const core::Incident& incident);

// rule_test_compare.cc
void CompareStates(const StateExpectation& expected, const std::vector<core::Incident>& got, TestOutcome* outcome);
void CompareTransitions(const RuleTest& test, TestOutcome* outcome);
void CompareMessages(const RuleTest& test, TestOutcome* outcome);

}  // namespace spanwatch::app

#endif  // SPANWATCH_SIDECAR_RULE_TEST_RUN_H_
