// The inputs of a rule test as the engine gets them: spans as OTLP that goes through the real receiver and decoder,
// processes as envelopes of the wire protocol. Deterministic; no clock. One thread.
#ifndef SPANWATCH_SIDECAR_RULE_TEST_TRAFFIC_H_
#define SPANWATCH_SIDECAR_RULE_TEST_TRAFFIC_H_

#include <cstdint>
#include <string>
#include <vector>

#include "sidecar/core/engine.h"
#include "sidecar/rule_test_file.h"

namespace spanwatch::app {

class TestTraffic {
 public:
  // `test` outlives this. Its begin is `start_ns` of engine time.
  TestTraffic(const RuleTest& test, std::int64_t start_ns);

  // Engine time of the next input; INT64_MAX: there is none.
  std::int64_t NextNs() const;
  // Applies all inputs of that time.
  void ApplyNext(core::Engine* engine);
  // What the receiver refused, in a sentence; empty: nothing.
  const std::string& problem() const { return problem_; }

 private:
  // A span on its way.
  struct Arrival {
    std::int64_t at_ns = 0;
    const SpanSpec* spec = nullptr;
    TraceId trace;
    SpanId id, parent;
    std::int64_t start_ns = 0, end_ns = 0;
  };
  // A traced process: what it tells about itself.
  struct Process {
    core::ProcessId id{};
    std::uint64_t connection = 0;
    std::string service;
    std::int64_t from_ns = 0, until_ns = 0;  // until: the last word
    std::int64_t next_ns = 0;
    bool goodbye = false;
    std::uint64_t memory = 0, memory_to = 0;
    const LossEntry* loss = nullptr;
    Arrival open;  // without spec: none
  };

  void AddEntry(const SpanEntry& entry);
  std::int64_t Grow(const SpanSpec& spec, const TraceId& trace, SpanId parent, std::int64_t start_ns);
  void AddProcess(Process process);
  SpanId NewSpanId() { return SpanId{++last_span_}; }

  std::vector<std::string> Encode(const std::vector<Arrival>& spans);
  void ApplySpans(std::int64_t now_ns, core::Engine* engine);
  void ApplyProcess(std::int64_t now_ns, Process* process, core::Engine* engine);
  void Tell(std::int64_t now_ns, const Process& process, core::EnvelopeKind kind, core::Engine* engine);

  const std::int64_t start_ns_;
  std::vector<Arrival> arrivals_;  // in order of arrival
  std::size_t next_arrival_ = 0;
  std::vector<Process> processes_;
  std::uint64_t last_trace_ = 0, last_span_ = 0, last_index_ = 0;
  std::string problem_;
};

}  // namespace spanwatch::app

#endif  // SPANWATCH_SIDECAR_RULE_TEST_TRAFFIC_H_
