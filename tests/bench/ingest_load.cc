// ingest-load: a generator that speaks the wire protocol as one process with pre-encoded batches.
//   --endpoint ENDPOINT    where the sidecar listens
//   --spans N              how many; or
//   --seconds S            for how long (default 10)
//   --rate R               spans a second; 0 (default): as fast as acknowledged, at most 1 MiB unacknowledged
//   --spans-per-batch N    default: 320, or 20 ms' worth at a rate
//   --attributes N         of a span, default 4
//   --services N, --operations N    distinct names, default 4 and 50
//   --error-rate R         share of failed spans, default 0.01
// Traces have eight spans; ids and times are new in each. Prints `name value unit` lines. Exit status 1: not all was
// acknowledged.
#include <zmq.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "sidecar/ingest/envelope.h"
#include "tests/bench/ingest_template.h"

namespace {

namespace core = spanwatch::core;
namespace ingest = spanwatch::ingest;
using core::AnswerKind;
using core::EnvelopeKind;
using spanwatch::bench::Template;
using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kWindowBytes = 1u << 20;
constexpr std::uint32_t kTemplates = 16;
constexpr int kAnswerTimeoutMs = 10'000;

std::atomic<bool> g_stop{false};

double Seconds(Clock::duration d) { return std::chrono::duration<double>(d).count(); }

std::uint64_t WallNs() {
  return static_cast<std::uint64_t>(
      std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count());
}

struct Flags {
  std::string endpoint;
  double spans = 0;
  double seconds = 10;
  double rate = 0;
  spanwatch::bench::Shape shape;

  bool Parse(int argc, char** argv) {
    std::map<std::string, double> numbers = {{"--spans", 0},         {"--seconds", 10},       {"--rate", 0},
                                             {"--attributes", 4},    {"--services", 4},       {"--operations", 50},
                                             {"--error-rate", 0.01}, {"--spans-per-batch", 0}};
    for (int i = 1; i < argc; i += 2) {
      const std::string name = argv[i];
      if (i + 1 >= argc) return false;
      if (name == "--endpoint") {
        endpoint = argv[i + 1];
        continue;
      }
      const auto found = numbers.find(name);
      char* end = nullptr;
      const double value = std::strtod(argv[i + 1], &end);
      if (found == numbers.end() || *end != '\0' || !(value >= 0 && value < 1e15)) return false;
      found->second = value;
    }
    spans = numbers["--spans"];
    seconds = spans > 0 ? 1e9 : numbers["--seconds"];
    rate = numbers["--rate"];
    double batch = numbers["--spans-per-batch"];
    if (batch == 0) batch = rate > 0 ? std::clamp(rate / 50, 8.0, 320.0) : 320;
    const auto whole = [](double value) { return static_cast<std::uint32_t>(std::clamp(value, 1.0, 100'000.0)); };
    shape.spans = whole(batch);
    shape.attributes = static_cast<std::uint32_t>(std::min(numbers["--attributes"], 128.0));
    shape.services = whole(numbers["--services"]);
    shape.operations = whole(numbers["--operations"]);
    shape.error_rate = numbers["--error-rate"];
    return !endpoint.empty();
  }
};

// One process of the wire protocol.
class Process {
 public:
  explicit Process(const std::string& endpoint) : random_(WallNs()) {
    const int unlimited = 0, linger_ms = 1000;
    zmq_setsockopt(socket_, ZMQ_SNDHWM, &unlimited, sizeof unlimited);
    zmq_setsockopt(socket_, ZMQ_RCVHWM, &unlimited, sizeof unlimited);
    zmq_setsockopt(socket_, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
    connected_ = zmq_connect(socket_, endpoint.c_str()) == 0;
    for (std::uint8_t& byte : id_) byte = static_cast<std::uint8_t>(random_.Next());
    id_[0] |= 1;
  }
  ~Process() {
    zmq_close(socket_);
    zmq_ctx_term(context_);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  std::uint64_t sent() const { return spans_sent_; }
  std::uint64_t acknowledged() const { return spans_acknowledged_; }
  std::uint64_t unacknowledged_bytes() const { return window_bytes_; }
  const std::string& error() const { return error_; }

  bool Hello() {
    if (!connected_) return Fail("cannot connect");
    SendPlain(EnvelopeKind::kHello);
    while (!welcome_ && error_.empty()) {
      if (!TakeAnswers(kAnswerTimeoutMs)) return Fail("no answer to hello");
    }
    return error_.empty();
  }

  void SendBatch(const Template& batch) {
    core::EnvelopeView envelope = Envelope(EnvelopeKind::kSpans);
    envelope.sequence = ++sequence_;
    envelope.span_count = batch.spans();
    const std::string head = ingest::EncodeEnvelope(envelope);
    zmq_msg_t payload;
    zmq_msg_init_size(&payload, batch.bytes().size());
    batch.Write(static_cast<char*>(zmq_msg_data(&payload)), WallNs(), &random_);
    const std::uint64_t bytes = head.size() + batch.bytes().size();
    zmq_send(socket_, head.data(), head.size(), ZMQ_SNDMORE);
    if (zmq_msg_send(&payload, socket_, 0) < 0) zmq_msg_close(&payload);
    window_.push_back({sequence_, batch.spans(), bytes});
    window_bytes_ += bytes;
    spans_sent_ += batch.spans();
  }

  void Heartbeat() { SendPlain(EnvelopeKind::kHeartbeat); }

  // Waits until at most so much is unacknowledged. False: no progress, or the sidecar refused.
  bool WaitForWindow(std::uint64_t bytes) {
    while (window_bytes_ > bytes && error_.empty()) {
      if (!TakeAnswers(kAnswerTimeoutMs)) return Fail("no acknowledgement within ten seconds");
    }
    return error_.empty();
  }

  bool Goodbye() {
    if (!WaitForWindow(0)) return false;
    const std::uint64_t answers = answers_;
    SendPlain(EnvelopeKind::kGoodbye);
    while (answers_ == answers && error_.empty()) {
      if (!TakeAnswers(kAnswerTimeoutMs)) return Fail("no answer to goodbye");
    }
    return error_.empty();
  }

  // Waits for an answer at most so long, then takes what is there. False: none came.
  bool TakeAnswers(int timeout_ms) {
    zmq_pollitem_t item{socket_, 0, ZMQ_POLLIN, 0};
    if (timeout_ms > 0 && zmq_poll(&item, 1, timeout_ms) <= 0) return false;
    char bytes[1024];
    bool any = false;
    for (int size; (size = zmq_recv(socket_, bytes, sizeof bytes, ZMQ_DONTWAIT)) >= 0; any = true) {
      ingest::DecodedAnswer answer;
      const std::string_view view(bytes, std::min(static_cast<std::size_t>(size), sizeof bytes));
      if (ingest::DecodeAnswer(view, &answer)) Take(answer);
    }
    return any;
  }

 private:
  struct Sent {
    std::uint64_t sequence, spans, bytes;
  };

  core::EnvelopeView Envelope(EnvelopeKind kind) const {
    core::EnvelopeView envelope;
    envelope.kind = kind;
    envelope.process_id = id_;
    envelope.oldest_held = window_.empty() ? sequence_ + 1 : window_.front().sequence;
    envelope.batched_before = spans_sent_;
    envelope.send_time_ns = static_cast<std::int64_t>(WallNs());
    return envelope;
  }

  void SendPlain(EnvelopeKind kind) {
    const std::string head = ingest::EncodeEnvelope(Envelope(kind));
    zmq_send(socket_, head.data(), head.size(), ZMQ_SNDMORE);
    zmq_send(socket_, "", 0, 0);
  }

  void Take(const ingest::DecodedAnswer& answer) {
    ++answers_;
    if (answer.kind == AnswerKind::kWelcome) welcome_ = true;
    if (answer.kind == AnswerKind::kRefused) Fail("refused: " + answer.reason);
    if (answer.kind == AnswerKind::kResend || answer.kind == AnswerKind::kClosed) Fail("the sidecar lost this process");
    while (!window_.empty() && window_.front().sequence <= answer.applied) {
      window_bytes_ -= window_.front().bytes;
      spans_acknowledged_ += window_.front().spans;
      window_.pop_front();
    }
  }

  bool Fail(const std::string& text) {
    if (error_.empty()) error_ = text;
    return false;
  }

  void* const context_ = zmq_ctx_new();
  void* const socket_ = zmq_socket(context_, ZMQ_DEALER);
  spanwatch::bench::Random random_;
  core::ProcessId id_{};
  bool connected_ = false;
  bool welcome_ = false;
  std::string error_;
  std::deque<Sent> window_;
  std::uint64_t window_bytes_ = 0;
  std::uint64_t sequence_ = 0;
  std::uint64_t spans_sent_ = 0;
  std::uint64_t spans_acknowledged_ = 0;
  std::uint64_t answers_ = 0;
};

// Sends until the flags or a signal say stop.
void Generate(const Flags& flags, const std::vector<Template>& templates, Process* process) {
  const Clock::time_point begin = Clock::now();
  double next_heartbeat = 1;
  for (std::size_t i = 0; !g_stop.load(std::memory_order_relaxed); ++i) {
    const double elapsed = Seconds(Clock::now() - begin);
    const double sent = static_cast<double>(process->sent());
    if (elapsed >= flags.seconds || (flags.spans > 0 && sent >= flags.spans)) return;
    if (elapsed >= next_heartbeat) {
      process->Heartbeat();
      next_heartbeat = elapsed + 1;
    }
    const double early = flags.rate > 0 ? sent / flags.rate - elapsed : 0;
    if (early > 0) {
      process->TakeAnswers(std::clamp(static_cast<int>(early * 1000), 1, 100));
      if (!process->error().empty()) return;
      continue;
    }
    const Template& batch = templates[i % templates.size()];
    const std::uint64_t room = kWindowBytes - std::min<std::uint64_t>(kWindowBytes, batch.bytes().size() + 256);
    if (!process->WaitForWindow(room)) return;
    process->SendBatch(batch);
  }
}

}  // namespace

int main(int argc, char** argv) {
  Flags flags;
  if (!flags.Parse(argc, argv)) {
    std::fprintf(stderr,
                 "usage: ingest-load --endpoint ENDPOINT [--spans N | --seconds S] [--rate R] [--spans-per-batch N]\n"
                 "                   [--attributes N] [--services N] [--operations N] [--error-rate R]\n");
    return 2;
  }
  std::signal(SIGINT, [](int) { g_stop.store(true); });
  std::signal(SIGTERM, [](int) { g_stop.store(true); });
  std::vector<Template> templates;
  for (std::uint32_t i = 0; i < std::max(kTemplates, std::min(flags.shape.services, 1000u)); ++i) {
    templates.emplace_back(flags.shape, i);
  }

  Process process(flags.endpoint);
  double seconds = 0;
  if (process.Hello()) {
    const Clock::time_point begin = Clock::now();
    Generate(flags, templates, &process);
    process.WaitForWindow(0);
    seconds = Seconds(Clock::now() - begin);
    process.Goodbye();
  }
  if (!process.error().empty()) std::fprintf(stderr, "ingest-load: %s\n", process.error().c_str());
  std::printf(
      "load_spans_sent %llu spans\nload_spans_acknowledged %llu spans\nload_seconds %.3f s\nload_spans_per_s %.0f "
      "spans/s\n",
      static_cast<unsigned long long>(process.sent()), static_cast<unsigned long long>(process.acknowledged()), seconds,
      seconds > 0 ? static_cast<double>(process.acknowledged()) / seconds : 0.0);
  return process.error().empty() && process.acknowledged() == process.sent() ? 0 : 1;
}
