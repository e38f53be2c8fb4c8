// ingest-load: a generator that speaks the wire protocol as one or many processes with pre-encoded batches.
//   --endpoint ENDPOINT    where the sidecar listens
//   --spans N              how many; or
//   --seconds S            for how long (default 10)
//   --rate R               spans a second; 0 (default): as fast as acknowledged, at most 1 MiB unacknowledged
//   --spans-per-batch N    default: 320, or 20 ms' worth at a rate
//   --attributes N         of a span, default 4
//   --services N, --operations N    distinct names, default 4 and 50
//   --error-rate R         share of failed spans, default 0.01
//   --producers N          processes that take turns, each with a connection of its own, default 1
//   --overload 1           does not wait for acknowledgements: a process that holds 3 MiB gives up its oldest batch
// Traces have eight spans; ids and times are new in each. Prints `name value unit` lines. Exit status 1: not all was
// acknowledged (or given up, with --overload).
#include <zmq.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/bench/ingest_template.h"
#include "tests/support/wire_process.h"

namespace {

using spanwatch::bench::Template;
using spanwatch::testing::WallNs;
using spanwatch::testing::WireProcess;
using Clock = std::chrono::steady_clock;

constexpr std::uint32_t kTemplates = 16;
constexpr int kAnswerTimeoutMs = 10'000;

std::atomic<bool> g_stop{false};

double Seconds(Clock::duration d) { return std::chrono::duration<double>(d).count(); }

struct Flags {
  std::string endpoint;
  double spans = 0;
  double seconds = 10;
  double rate = 0;
  std::size_t producers = 1;
  bool overload = false;
  spanwatch::bench::Shape shape;

  bool Parse(int argc, char** argv) {
    std::map<std::string, double> numbers = {{"--spans", 0},         {"--seconds", 10},        {"--rate", 0},
                                             {"--attributes", 4},    {"--services", 4},        {"--operations", 50},
                                             {"--error-rate", 0.01}, {"--spans-per-batch", 0}, {"--producers", 1},
                                             {"--overload", 0}};
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
    producers = static_cast<std::size_t>(std::clamp(numbers["--producers"], 1.0, 1000.0));
    overload = numbers["--overload"] != 0;
    if (batch == 0) batch = rate > 0 ? std::clamp(rate / 50 / static_cast<double>(producers), 8.0, 320.0) : 320;
    const auto whole = [](double value) { return static_cast<std::uint32_t>(std::clamp(value, 1.0, 100'000.0)); };
    shape.spans = whole(batch);
    shape.attributes = static_cast<std::uint32_t>(std::min(numbers["--attributes"], 128.0));
    shape.services = whole(numbers["--services"]);
    shape.operations = whole(numbers["--operations"]);
    shape.error_rate = numbers["--error-rate"];
    return !endpoint.empty();
  }
};

// The processes, and what was wrong.
class Load {
 public:
  explicit Load(const Flags& flags) : flags_(flags), random_(WallNs()) {
    for (std::size_t i = 0; i < flags.producers; ++i) {
      spanwatch::core::ProcessId id;
      for (std::uint8_t& byte : id) byte = static_cast<std::uint8_t>(random_.Next());
      id[0] |= 1;
      processes_.push_back(std::make_unique<WireProcess>(context_, flags.endpoint, id, ""));
      if (!processes_.back()->Connect()) Fail("cannot connect");
    }
  }
  ~Load() {
    processes_.clear();
    zmq_ctx_term(context_);
  }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  const std::string& error() const { return error_; }
  bool Hello() {
    return WaitUntil([](const WireProcess& p) { return p.welcome(); }, "no answer to hello");
  }
  bool WaitForAll() {
    return WaitUntil([](const WireProcess& p) { return p.all_acknowledged(); }, "no acknowledgement");
  }
  bool Goodbye() {
    std::map<const WireProcess*, std::uint64_t> before;
    for (const auto& process : processes_) {
      before[process.get()] = process->answers();
      process->Goodbye();
    }
    return WaitUntil([&](const WireProcess& p) { return p.answers() > before[&p]; }, "no answer to goodbye");
  }

  // Sends until the flags or a signal say stop.
  void Generate(const std::vector<Template>& templates) {
    const Clock::time_point begin = Clock::now();
    double next_heartbeat = 1, sent = 0;
    for (std::size_t i = 0; !g_stop.load(std::memory_order_relaxed) && error_.empty();) {
      const double elapsed = Seconds(Clock::now() - begin);
      if (elapsed >= flags_.seconds || (flags_.spans > 0 && sent >= flags_.spans)) return;
      if (elapsed >= next_heartbeat) {
        for (const auto& process : processes_) process->Heartbeat();
        next_heartbeat = elapsed + 1;
      }
      const double early = flags_.rate > 0 ? sent / flags_.rate - elapsed : 0;
      if (early > 0) {
        Poll(std::clamp(static_cast<int>(early * 1000), 1, 100));
        continue;
      }
      const Template& batch = templates[i % templates.size()];
      WireProcess* const process = processes_[i % processes_.size()].get();
      Take(process);
      while (!flags_.overload && error_.empty() && !process->HasRoom(batch.bytes().size())) {
        if (!Poll(kAnswerTimeoutMs)) Fail("no acknowledgement within ten seconds");
      }
      process->Add(batch.spans(), batch.bytes().size(), [&](char* out) { batch.Write(out, WallNs(), &random_); });
      sent += batch.spans();
      ++i;
    }
  }

  void Print(double seconds) const {
    std::uint64_t spans = 0, acknowledged = 0, given_up = 0;
    std::vector<std::uint64_t> ack_ns;
    for (const auto& process : processes_) {
      spans += process->spans();
      acknowledged += process->spans_acknowledged();
      given_up += process->spans_given_up();
      ack_ns.insert(ack_ns.end(), process->ack_ns().begin(), process->ack_ns().end());
    }
    std::sort(ack_ns.begin(), ack_ns.end());
    const auto ms = [&](double share) {
      if (ack_ns.empty()) return 0.0;
      const auto place = static_cast<std::size_t>(share * static_cast<double>(ack_ns.size()));
      return static_cast<double>(ack_ns[std::min(place, ack_ns.size() - 1)]) / 1e6;
    };
    std::printf(
        "load_spans_sent %llu spans\nload_spans_acknowledged %llu spans\nload_spans_given_up %llu spans\n"
        "load_seconds %.3f s\nload_spans_per_s %.0f spans/s\n"
        "load_ack_p50_ms %.3f ms\nload_ack_p99_ms %.3f ms\nload_ack_max_ms %.3f ms\n",
        static_cast<unsigned long long>(spans), static_cast<unsigned long long>(acknowledged),
        static_cast<unsigned long long>(given_up), seconds,
        seconds > 0 ? static_cast<double>(acknowledged) / seconds : 0.0, ms(0.5), ms(0.99), ms(1));
  }
  bool Complete() const {
    return error_.empty() && std::all_of(processes_.begin(), processes_.end(), [&](const auto& p) {
             return p->spans_acknowledged() + (flags_.overload ? p->spans_given_up() : 0) == p->spans();
           });
  }

 private:
  template <typename Done>
  bool WaitUntil(const Done& done, const char* error) {
    const auto waits = [&](const auto& process) { return !done(*process); };
    while (error_.empty() && std::any_of(processes_.begin(), processes_.end(), waits)) {
      if (!Poll(kAnswerTimeoutMs)) Fail(std::string(error) + " within ten seconds");
    }
    return error_.empty();
  }

  // Takes what answers there are, after waiting for the first at most so long. False: none came.
  bool Poll(int timeout_ms) {
    std::vector<zmq_pollitem_t> items;
    for (const auto& process : processes_) items.push_back({process->socket(), 0, ZMQ_POLLIN, 0});
    if (zmq_poll(items.data(), static_cast<int>(items.size()), timeout_ms) <= 0) return false;
    for (const auto& process : processes_) Take(process.get());
    return true;
  }
  void Take(WireProcess* process) {
    process->Take();
    if (process->closed() || !process->refused().empty()) Fail("refused, or closed by the sidecar");
  }
  void Fail(const std::string& text) {
    if (error_.empty()) error_ = text;
  }

  const Flags& flags_;
  void* const context_ = zmq_ctx_new();
  spanwatch::bench::Random random_;
  std::vector<std::unique_ptr<WireProcess>> processes_;
  std::string error_;
};

}  // namespace

int main(int argc, char** argv) {
  Flags flags;
  if (!flags.Parse(argc, argv)) {
    std::fprintf(stderr,
                 "usage: ingest-load --endpoint ENDPOINT [--spans N | --seconds S] [--rate R] [--spans-per-batch N]\n"
                 "                   [--attributes N] [--services N] [--operations N] [--error-rate R]\n"
                 "                   [--producers N] [--overload 1]\n");
    return 2;
  }
  std::signal(SIGINT, [](int) { g_stop.store(true); });
  std::signal(SIGTERM, [](int) { g_stop.store(true); });
  std::vector<Template> templates;
  for (std::uint32_t i = 0; i < std::max(kTemplates, std::min(flags.shape.services, 1000u)); ++i) {
    templates.emplace_back(flags.shape, i);
  }

  Load load(flags);
  double seconds = 0;
  if (load.Hello()) {
    const Clock::time_point begin = Clock::now();
    load.Generate(templates);
    load.WaitForAll();
    seconds = Seconds(Clock::now() - begin);
    load.Goodbye();
  }
  if (!load.error().empty()) std::fprintf(stderr, "ingest-load: %s\n", load.error().c_str());
  load.Print(seconds);
  return load.Complete() ? 0 : 1;
}
