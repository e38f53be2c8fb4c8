// A file of rule tests as `spanwatch test` reads it: YAML -> checked values that remember where they stood. Every
// mistake of a file is reported at once. docs/rule-tests.md is the language.
#ifndef SPANWATCH_SIDECAR_RULE_TEST_FILE_H_
#define SPANWATCH_SIDECAR_RULE_TEST_FILE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "sidecar/config/config.h"
#include "sidecar/config/yaml.h"
#include "sidecar/core/incident.h"

namespace spanwatch::app {

// Of one test, after everything was repeated. Times of tests are ns since the test's begin.
inline constexpr std::uint64_t kMaxTestSpans = 200'000;
inline constexpr std::int64_t kMaxTestNs = 7 * 86'400'000'000'000;

// One span and what runs below it.
struct SpanSpec {
  std::string service, operation, kind, status;
  std::string error_type, error_message;
  std::int64_t duration_ns = 1'000'000;
  std::optional<std::int64_t> after_ns;  // children: from their parent's begin on; without: where the one before ended
  std::uint64_t count = 1;               // of these, one after the other; of the top one: each a trace of its own
  std::int64_t every_ns = 0;             // 0: of children, their duration
  std::uint64_t levels = 1;              // a chain of so many, this one on top
  std::optional<std::int64_t> memory_delta, memory_peak;
  std::vector<core::NameValue> tags, resource;
  std::vector<SpanSpec> children;
};

// An entry of `spans`. Its first span ends, and arrives, at `at_ns`; one that is told to be open begins then.
struct SpanEntry {
  SpanSpec span;
  std::int64_t at_ns = 0;
  bool open = false;  // its program tells each second that it is open; ends only if it has a duration
  bool has_duration = false;
};

// A traced process: heartbeats each second from `at_ns` to `until_ns`.
struct ProcessEntry {
  std::string service;
  std::int64_t at_ns = 0;
  std::int64_t until_ns = -1;  // negative: to the end of the test
  bool goodbye = false;        // at `until`; else it goes silent
  std::uint64_t memory = 0, memory_to = 0;
};

struct LossEntry {
  std::string service, reason;
  std::int64_t at_ns = 0;
  std::uint64_t spans = 0;
};

// What is expected of an incident: what is not named may be anything.
struct AlertExpectation {
  config::Position position;
  std::string alert;
  std::vector<core::NameValue> labels, annotations;
  std::optional<std::string> severity, state;
  std::optional<std::string> value;  // as people read it
  std::optional<std::uint64_t> count;
};

// Exactly these incidents are pending or fire at a time, of all alerts or of one.
struct StateExpectation {
  config::Position position;
  std::int64_t at_ns = 0;
  std::string alert;  // empty: all
  std::vector<AlertExpectation> alerts;
};

struct TransitionExpectation {
  std::string transition;
  std::optional<std::int64_t> at_ns;
  AlertExpectation alert;
};

struct TextExpectation {
  std::optional<std::string> title;
  std::vector<std::string> contains;
  std::vector<core::NameValue> fields;
};

struct MessageExpectation {
  config::Position position;
  std::optional<std::int64_t> at_ns;
  TextExpectation posted;
  std::optional<TextExpectation> last;
};

struct RuleTest {
  std::string name;
  config::Position position;
  std::shared_ptr<const core::RuleSet> rules;  // of the file, or those of them that `only` names
  std::vector<SpanEntry> spans;
  std::vector<ProcessEntry> processes;
  std::vector<LossEntry> losses;
  std::vector<StateExpectation> expect;
  std::optional<std::vector<TransitionExpectation>> transitions;
  std::optional<std::vector<MessageExpectation>> messages;
  config::Position transitions_at, messages_at;
  std::int64_t end_ns = 0;
};

struct RuleTestFile {
  core::Limits limits;
  std::vector<RuleTest> tests;
};

tl::expected<RuleTestFile, std::vector<config::Problem>> ReadRuleTests(const std::string& path);

// What a reader of the file's parts shares: the rules give names and units.
struct RuleTestReading {
  const core::RuleSet& rules;
  config::Problems* problems;
};

// rule_test_spans.cc: the inputs of a test.
void ReadSpans(const config::Node& node, const std::string& path, RuleTestReading reading, RuleTest* test);
void ReadProcesses(const config::Node& node, const std::string& path, RuleTestReading reading, RuleTest* test);
void ReadLosses(const config::Node& node, const std::string& path, RuleTestReading reading, RuleTest* test);
// The time at which the last of an entry's spans arrives.
std::int64_t LastArrival(const SpanEntry& entry);

// rule_test_expect.cc: what is expected of it.
void ReadExpectations(const config::Node& node, const std::string& path, RuleTestReading reading, RuleTest* test);
void ReadTransitions(const config::Node& node, const std::string& path, RuleTestReading reading, RuleTest* test);
void ReadMessages(const config::Node& node, const std::string& path, RuleTestReading reading, RuleTest* test);

// A list of maps under a key; anything else is a mistake.
const std::vector<config::Node>& ListOf(const config::Node& node, const std::string& path, const char* what,
                                        config::Problems* problems);
// A map of texts, in order.
std::vector<core::NameValue> TextMap(const config::Node& node, const std::string& path, config::Problems* problems);

}  // namespace spanwatch::app

#endif  // SPANWATCH_SIDECAR_RULE_TEST_FILE_H_
