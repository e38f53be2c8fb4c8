// Drives an Engine in virtual time: spans and messages as plain calls, transitions collected. For tests and benches.
#ifndef SPANWATCH_TESTS_SUPPORT_ENGINE_DRIVER_H_
#define SPANWATCH_TESTS_SUPPORT_ENGINE_DRIVER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sidecar/core/engine.h"

namespace spanwatch::core {

inline constexpr std::int64_t kMs = 1'000'000;
inline constexpr std::int64_t kSecond = 1'000 * kMs;
inline constexpr std::int64_t kMinute = 60 * kSecond;
inline constexpr std::int64_t kMb = 1 << 20;
inline constexpr std::int64_t kStart = 1'700'000'000 * kSecond;

struct TestSpan {
  std::uint64_t trace = 1;
  std::uint64_t id = 1;
  std::uint64_t parent = 0;
  std::string service = "bot";
  std::string name = "op";
  std::int64_t start_ns = kStart;
  std::int64_t duration_ns = kMs;
  bool failed = false;
  std::string error_type = {}, error_message = {};
  std::int64_t memory_delta = kNoMemory;
  bool remote_parent = false;
  SpanKind kind = SpanKind::kInternal;
  double weight = 1;
  std::vector<std::pair<std::string, std::string>> tags = {};
};

// Owns what the batch's views point to.
class TestBatch {
 public:
  explicit TestBatch(std::vector<TestSpan> spans) : spans_(std::move(spans)) {
    for (const TestSpan& span : spans_) Add(span);
  }
  TestBatch(const TestBatch&) = delete;
  const SpanBatch& batch() const { return batch_; }
  SpanBatch& batch() { return batch_; }

 private:
  void Add(const TestSpan& in) {
    std::uint32_t resource = 0;
    while (resource < batch_.resources.size() && batch_.resources[resource].service_name != in.service) ++resource;
    if (resource == batch_.resources.size()) batch_.resources.push_back({in.service, {}, {}});
    SpanView span;
    span.trace_id = {0xabcdef, in.trace};
    span.span_id = {in.id};
    span.parent_id = {in.parent};
    span.start_ns = in.start_ns;
    span.end_ns = in.start_ns + in.duration_ns;
    span.name = in.name;
    span.kind = in.kind;
    span.status = in.failed ? StatusCode::kError : StatusCode::kUnset;
    span.parent_is_remote = in.remote_parent;
    span.resource = resource;
    span.weight = in.weight;
    span.memory_delta = in.memory_delta;
    span.error_type = in.error_type;
    span.error_message = in.error_message;
    span.attributes.first = static_cast<std::uint32_t>(batch_.attributes.size());
    for (const auto& [key, value] : in.tags) batch_.attributes.push_back({key, AttributeType::kString, 0, 0, value});
    span.attributes.count = static_cast<std::uint32_t>(in.tags.size());
    batch_.spans.push_back(span);
  }

  std::vector<TestSpan> spans_;
  SpanBatch batch_;
};

class EngineDriver {
 public:
  explicit EngineDriver(Limits limits = {}, std::shared_ptr<const RuleSet> rules = nullptr)
      : engine_(limits, std::move(rules)) {
    At(0);
  }

  // Engine time `after_start_ns` after kStart; ticks in between run.
  void At(std::int64_t after_start_ns) {
    now_ns_ = kStart + after_start_ns;
    engine_.Apply({0, now_ns_, RecordKind::kTime, 0}, {});
    Collect();
  }
  void Spans(std::vector<TestSpan> spans) {
    const TestBatch batch(std::move(spans));
    Decoded decoded;
    decoded.spans = &batch.batch();
    engine_.Apply({++index_, now_ns_, RecordKind::kOtlp, 0}, decoded);
    Collect();
  }
  std::vector<Answer> Message(std::uint64_t connection, const EnvelopeView& envelope,
                              std::vector<TestSpan> spans = {}) {
    const TestBatch batch(std::move(spans));
    Decoded decoded;
    decoded.envelope = &envelope;
    decoded.spans = &batch.batch();
    engine_.Apply({++index_, now_ns_, RecordKind::kMessage, connection}, decoded);
    Collect();
    return engine_.TakeAnswers();
  }
  void Reload(std::shared_ptr<const RuleSet> rules, Limits limits) {
    Decoded decoded;
    decoded.rules = std::move(rules);
    decoded.limits = std::make_shared<const Limits>(limits);
    engine_.Apply({++index_, now_ns_, RecordKind::kReload, 0}, decoded);
    Collect();
  }

  Engine& engine() { return engine_; }
  std::int64_t now_ns() const { return now_ns_; }
  std::vector<Transition>& transitions() { return transitions_; }
  // "firing SlowOperation critical; resolved SlowOperation none": what happened since the last call.
  std::string Told() {
    std::string text;
    for (const Transition& t : transitions_) {
      if (!text.empty()) text += "; ";
      text += std::string(ToString(t.kind)) + " " + t.incident.alertname + " " + ToString(t.incident.severity);
    }
    transitions_.clear();
    return text;
  }

 private:
  void Collect() {
    for (Transition& t : engine_.TakeTransitions()) transitions_.push_back(std::move(t));
  }

  Engine engine_;
  std::int64_t now_ns_ = 0;
  std::uint64_t index_ = 0;
  std::vector<Transition> transitions_;
};

}  // namespace spanwatch::core

#endif  // SPANWATCH_TESTS_SUPPORT_ENGINE_DRIVER_H_
