// A sidecar for the tests of the SDK: a ROUTER on a socket of its own, with a thread that answers as it was told, and
// everything that it received, decoded.
#ifndef SPANWATCH_TESTS_UNIT_SDK_FAKE_SIDECAR_H_
#define SPANWATCH_TESTS_UNIT_SDK_FAKE_SIDECAR_H_

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace spanwatch::test {

struct WireEvent {
  std::string name;
  std::uint64_t time_ns = 0;
  std::map<std::string, std::string> attributes;
  std::uint64_t dropped = 0;
};

// Ids as hex, values as text ("7", "0.5", "true").
struct WireSpan {
  std::string trace_id, span_id, parent_id, trace_state, name;
  std::uint64_t kind = 0, start_ns = 0, end_ns = 0, flags = 0, status = 0;
  std::uint64_t dropped_attributes = 0, dropped_events = 0;
  std::string status_message;
  std::map<std::string, std::string> attributes;
  std::vector<std::string> duplicate_keys;
  std::vector<WireEvent> events;
  std::vector<std::pair<std::string, std::string>> links;  // trace id, span id
};

struct WireTotals {
  std::uint64_t sequence = 0, batched = 0, sampled_out = 0;
  std::map<std::string, std::uint64_t> drops;
};

struct WireMessage {
  std::string identity;
  std::uint64_t version = 0, kind = 0, sequence = 0, oldest_held = 0, batched_before = 0, span_count = 0,
                sampled_out = 0;
  std::uint64_t send_time_ns = 0, redaction_policy = 0;
  std::string raw;  // envelope and payload as they came
  std::string process_id;
  std::optional<WireTotals> acknowledged;
  std::map<std::string, std::uint64_t> drops;
  std::uint64_t rss_bytes = 0, sdk_bytes = 0, sdk_cpu_ns = 0;
  std::map<std::string, double> gauges;  // "name{label=value}"
  double ring_fill = 0, sample_rate = -1;
  std::map<std::string, std::string> resource;
  std::vector<WireSpan> spans;

  std::uint64_t Drops() const {
    std::uint64_t sum = 0;
    for (const auto& [reason, spans_of_it] : drops) sum += spans_of_it;
    return sum;
  }
};

enum Kind : std::uint64_t { kHello = 1, kSpans = 2, kOpenSpans = 3, kHeartbeat = 4, kGoodbye = 5 };
// Of one wait for what must come: far above what is expected, a busy machine must not fail a test.
inline constexpr std::uint32_t kDeadlineMs = 60'000;

enum AnswerTo : std::uint64_t { kWelcome = 1, kAck = 2, kResend = 3, kClosed = 4, kRefused = 5 };

WireMessage DecodeMessage(const std::string& envelope, const std::string& payload);
// The bytes of an Answer.
std::string EncodeAnswer(std::uint64_t kind, const std::string& process_id, std::uint64_t applied,
                         const std::string& reason = "", std::optional<double> sample_rate = {},
                         std::optional<std::uint64_t> slow_ns = {});

class FakeSidecar {
 public:
  // Decides the answer to a message, and what is applied; runs on the sidecar's thread with the mutex held. By default
  // it is a good sidecar: applies batches in order, answers as the protocol says.
  using Policy = std::function<std::vector<std::string>(FakeSidecar&, const WireMessage&)>;

  FakeSidecar();                                       // in a new temporary directory, bound
  explicit FakeSidecar(const std::string& directory);  // in that directory
  ~FakeSidecar();
  FakeSidecar(const FakeSidecar&) = delete;
  FakeSidecar& operator=(const FakeSidecar&) = delete;

  const std::string& endpoint() const { return endpoint_; }
  const std::string& directory() const { return directory_; }

  // Stops: its socket is gone, all state but the received messages too. Start binds again.
  void StopServing();
  void Serve();

  void SetPolicy(Policy policy);
  std::vector<std::string> GoodAnswer(const WireMessage& message);                       // for policies
  std::uint64_t Applied(const std::string& process_id) { return applied_[process_id]; }  // for policies
  void Forget();  // what it applied, of all processes: a restart without state

  // Waits until the predicate holds for what was received so far; false after kDeadlineMs.
  bool WaitFor(const std::function<bool(const std::vector<WireMessage>&)>& predicate);
  std::vector<WireMessage> Messages();
  // All spans of applied batches, in the order of their arrival.
  std::vector<WireSpan> Spans();
  std::vector<WireSpan> SpansNamed(const std::string& name);

 private:
  void Run();

  std::string directory_;
  std::string endpoint_;
  bool own_directory_ = false;
  void* context_ = nullptr;
  void* router_ = nullptr;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stop_ = false;
  Policy policy_;
  std::vector<WireMessage> messages_;
  std::vector<WireSpan> spans_;
  std::map<std::string, std::uint64_t> applied_;
};

}  // namespace spanwatch::test

#endif  // SPANWATCH_TESTS_UNIT_SDK_FAKE_SIDECAR_H_
