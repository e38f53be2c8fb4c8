// What the SDK costs the program that it traces, by Google Benchmark. Prints `name value unit [note]` lines.
//
//   sdk_bench                     all figures
//   sdk_bench --benchmark_...     the same, with Google Benchmark's own report before them
//   sdk_bench count NAME          20,000 spans of one kind (floor, span, span_4tags, unsampled, off) and nothing
//                                 else, for callgrind with --toggle-collect=*Measured*
//
// The floor is what any tracer of this shape must pay, in the same run with the same pinning and pacing: two reads of
// the cycle counter, a random id and a 128-byte record stored straight into a thread-local ring of 256 KiB, one release
// store; a reader on the other processor takes each record, as the sender does with the SDK's.
//
// An iteration is a burst that fills half a ring; then the traced thread waits until the sender has delivered
// everything. Kinds of bursts take turns, as it falls (Google Benchmark's random interleaving); figures are medians
// over all bursts of a kind.
#include <benchmark/benchmark.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "sdk/cpp/src/clock.h"
#include "sdk/cpp/src/protobuf.h"
#include "sdk/cpp/src/thread_block.h"
#include "spanwatch/spanwatch.h"

namespace {

std::atomic<std::uint64_t> g_allocations{0};
thread_local bool t_counted = false;

}  // namespace

// Counts what the traced thread allocates.
void* operator new(std::size_t size) {
  if (t_counted) g_allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* const memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

using spanwatch::internal::MonotonicNs;
using spanwatch::internal::NextRandom;
using spanwatch::internal::Ticks;

constexpr std::uint64_t kRingBytes = 256 << 10;
constexpr int kRepetitions = 300;
constexpr int kFloorSpans = kRingBytes / 2 / 128;
constexpr int kPlainSpans = kRingBytes / 2 / 56 - 8;
constexpr int kTaggedSpans = kRingBytes / 2 / 128 - 8;
constexpr int kFreeSpans = 5000000;

void Pin(int processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(processor, &set);
  if (std::thread::hardware_concurrency() > 1) sched_setaffinity(0, sizeof(set), &set);
}

void Unpin() {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (int i = 0; i < 64; ++i) CPU_SET(i, &set);
  sched_setaffinity(0, sizeof(set), &set);
}

// A sidecar that does nothing but answer: WELCOME to a hello, ACK to everything else.
[[noreturn]] void RunReceiver(const std::string& endpoint) {
  Pin(1);
  void* const context = zmq_ctx_new();
  void* const router = zmq_socket(context, ZMQ_ROUTER);
  if (zmq_bind(router, endpoint.c_str()) != 0) _exit(1);
  const pid_t parent = getppid();
  while (getppid() == parent) {
    zmq_pollitem_t item = {router, 0, ZMQ_POLLIN, 0};
    if (zmq_poll(&item, 1, 200) <= 0) continue;
    zmq_msg_t frames[3];
    for (zmq_msg_t& frame : frames) {
      zmq_msg_init(&frame);
      zmq_msg_recv(&frame, router, 0);
    }
    std::uint64_t kind = 0, sequence = 0;
    std::string id;
    spanwatch::internal::ProtobufReader reader(
        {static_cast<const char*>(zmq_msg_data(&frames[1])), zmq_msg_size(&frames[1])});
    while (reader.Next()) {
      if (reader.Is(2, spanwatch::internal::kVarint)) kind = reader.number();
      if (reader.Is(3, spanwatch::internal::kBytes)) id = reader.bytes();
      if (reader.Is(4, spanwatch::internal::kVarint)) sequence = reader.number();
    }
    static std::uint64_t applied = 0;
    if (kind == 1) applied = 0;
    if (sequence > applied) applied = sequence;
    std::uint8_t answer[64];
    std::uint8_t* end = spanwatch::internal::PutNumber(answer, 1, 1);
    end = spanwatch::internal::PutNumber(end, 2, kind == 1 ? 1 : 2);
    end = spanwatch::internal::PutBytes(end, 3, id);
    end = spanwatch::internal::PutNumber(end, 4, applied);
    zmq_msg_send(&frames[0], router, ZMQ_SNDMORE);
    zmq_send(router, answer, static_cast<std::size_t>(end - answer), 0);
    for (zmq_msg_t& frame : frames) zmq_msg_close(&frame);
  }
  _exit(0);
}

// The floor's ring and its reader.
struct FloorRing {
  alignas(64) std::atomic<std::uint64_t> head{0};
  alignas(64) std::atomic<std::uint64_t> tail{0};
  std::atomic<bool> stop{false};
  alignas(64) std::uint64_t words[kRingBytes / 8] = {};
};
FloorRing g_floor;

void ReadFloor() {
  Pin(1);
  std::uint64_t sum = 0;
  while (!g_floor.stop.load()) {
    const std::uint64_t head = g_floor.head.load(std::memory_order_acquire);
    std::uint64_t tail = g_floor.tail.load();
    if (head == tail) {
      usleep(1000);
      continue;
    }
    for (; tail != head; tail += 8) sum += g_floor.words[tail % kRingBytes / 8];  // all of each record
    g_floor.tail.store(tail, std::memory_order_release);
  }
  asm volatile("" ::"r"(sum));  // the reading happens
}

std::uint64_t g_random[4] = {1, 2, 3, 4};

__attribute__((noinline)) void MeasuredFloor() {
  const std::uint64_t start = Ticks();
  const std::uint64_t id = NextRandom(g_random);
  const std::uint64_t head = g_floor.head.load(std::memory_order_relaxed);
  std::uint64_t* const out = g_floor.words + head % kRingBytes / 8;
  const std::uint64_t end = Ticks();
  out[0] = start;
  out[1] = end;
  out[2] = id;
  for (std::uint64_t i = 3; i < 16; ++i) __atomic_store_n(out + i, id + i, __ATOMIC_RELAXED);
  g_floor.head.store(head + 128, std::memory_order_release);
}

__attribute__((noinline)) void MeasuredSpan() { spanwatch::Span span("Bench.operation"); }

std::string g_user = "u-3f9c2e71ab";

__attribute__((noinline)) void MeasuredTags() {
  spanwatch::Span span("Bench.operation");
  span.SetTag("llm.model", "gemini-1.5-pro");
  span.SetTag("user", std::string_view(g_user));
  span.SetTag("tokens", 512);
  span.SetTag("cached", true);
}

__attribute__((noinline)) void ThreeTags() {
  spanwatch::Span span("Bench.operation");
  span.SetTag("llm.model", "gemini-1.5-pro");
  span.SetTag("user", std::string_view(g_user));
  span.SetTag("tokens", 512);
}

template <typename Fn>
double Burst(int spans, Fn fn) {
  const std::int64_t start = MonotonicNs();
  for (int i = 0; i < spans; ++i) fn();
  return static_cast<double>(MonotonicNs() - start) / spans;
}

void Print(const char* name, double value, const char* unit, const char* note = "") {
  std::printf("%s %.3g %s%s%s\n", name, value, unit, *note != '\0' ? " " : "", note);
  std::fflush(stdout);
}

// Polls without sleeping: a processor that wakes up measures its own waking.
bool WaitUntil(double seconds, bool (*done)()) {
  const std::int64_t until = MonotonicNs() + static_cast<std::int64_t>(seconds * 1e9);
  bool is_done = false;
  while (!is_done && MonotonicNs() < until) {
    for (const std::int64_t next = MonotonicNs() + 100000; MonotonicNs() < next;) {
    }
    is_done = done();
  }
  return is_done;
}

bool FloorRead() {
  return g_floor.tail.load(std::memory_order_acquire) == g_floor.head.load(std::memory_order_relaxed);
}
bool Connected() { return spanwatch::GetStats().connected; }
bool Delivered() {
  const spanwatch::Stats stats = spanwatch::GetStats();
  return stats.waiting == 0 && stats.held == 0;
}

// The sender and ZeroMQ's thread start on processor 1, the traced thread then goes to 0.
bool StartTraced(const std::string& endpoint, double rate) {
  spanwatch::Options options;
  options.service_name = "bench";
  options.endpoint = endpoint;
  options.sample_rate = rate;
  Pin(1);
  const bool on = spanwatch::Start(options);
  const bool connected = on && WaitUntil(10, Connected);
  Pin(0);
  return connected;
}

std::uint64_t g_counted_spans = 0;

// One burst; the time of an iteration is that of a span.
template <void (*kSpan)()>
void Paced(benchmark::State& state, int spans, bool (*done)()) {
  for (auto _ : state) {
    t_counted = true;
    state.SetIterationTime(Burst(spans, kSpan) / 1e9);
    t_counted = false;
    WaitUntil(10, done);
  }
  state.SetItemsProcessed(spans);
  if (done == Delivered) g_counted_spans += static_cast<std::uint64_t>(spans);
}

void Unsampled(benchmark::State& state) {
  const std::uint64_t policy = spanwatch::internal::g_sampling.exchange(spanwatch::internal::kSampleNothing);
  Paced<MeasuredSpan>(state, kPlainSpans, Delivered);
  spanwatch::internal::g_sampling.store(policy);
}

bool Nothing() { return true; }

// Keeps the medians, by name; shows what Google Benchmark has to say only if that was asked for.
class Medians : public benchmark::ConsoleReporter {
 public:
  explicit Medians(bool show) : show_(show) {}

  bool ReportContext(const Context& context) override { return !show_ || ConsoleReporter::ReportContext(context); }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      if (run.aggregate_name == "median") values_[run.run_name.function_name] = run.GetAdjustedRealTime();
    }
    if (show_) ConsoleReporter::ReportRuns(runs);
  }
  double operator[](const char* name) const {
    const auto found = values_.find(name);
    return found == values_.end() ? 0 : found->second;
  }

 private:
  const bool show_;
  std::map<std::string, double> values_;
};

void Register(const char* name, void (*function)(benchmark::State&)) {
  benchmark::RegisterBenchmark(name, function)
      ->Iterations(1)
      ->Repetitions(kRepetitions)
      ->UseManualTime()
      ->Unit(benchmark::kNanosecond)
      ->ReportAggregatesOnly();
}

void RunPaced(Medians* medians) {
  Register("floor", [](benchmark::State& state) { Paced<MeasuredFloor>(state, kFloorSpans, FloorRead); });
  Register("span", [](benchmark::State& state) { Paced<MeasuredSpan>(state, kPlainSpans, Delivered); });
  Register("span_4tags", [](benchmark::State& state) { Paced<MeasuredTags>(state, kTaggedSpans, Delivered); });
  Register("unsampled", Unsampled);
  MeasuredTags();  // this thread's ring and table are made by its first span
  WaitUntil(10, Delivered);
  benchmark::RunSpecifiedBenchmarks(medians, ".*");
  benchmark::ClearRegisteredBenchmarks();
}

double ProcessCpuNs() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

// CPU of the whole process (traced thread, sender, ZeroMQ) for spans with three tags, less nothing.
double CpuPerDelivered() {
  constexpr int kSpans = 700;
  constexpr int kBursts = 2000;
  const std::uint64_t before = spanwatch::GetStats().delivered;
  double waiting = 0;
  const double start = ProcessCpuNs();
  for (int i = 0; i < kBursts; ++i) {
    for (int j = 0; j < kSpans; ++j) ThreeTags();
    usleep(300);
  }
  WaitUntil(10, Delivered);
  const double cpu = ProcessCpuNs() - start - waiting;
  return cpu / static_cast<double>(spanwatch::GetStats().delivered - before);
}

std::uint64_t AnonymousKiB() {
  FILE* const file = std::fopen("/proc/self/status", "r");
  if (file == nullptr) return 0;
  char line[256];
  unsigned long kib = 0;
  while (std::fgets(line, sizeof(line), file) != nullptr) {
    if (std::sscanf(line, "RssAnon: %lu", &kib) == 1) break;
  }
  std::fclose(file);
  return kib;
}

// Growth of the program when nobody takes its spans: all the rings that eight threads can have, the buffer full.
double DeadSidecarMiB() {
  const std::uint64_t before = AnonymousKiB();
  spanwatch::Options options;
  options.service_name = "bench";
  options.endpoint = "ipc:///tmp/spanwatch-bench-nobody.sock";
  spanwatch::Start(options);
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([] {
      for (int i = 0; i < 200; ++i) {
        for (int j = 0; j < 1000; ++j) ThreeTags();
        usleep(1000);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const std::uint64_t after = AnonymousKiB();
  spanwatch::Shutdown(0);
  return static_cast<double>(after - before) / 1024;
}

int RunChild(double (*measure)(), double* result) {
  int pipe_ends[2];
  if (pipe(pipe_ends) != 0) return 1;
  const pid_t child = fork();
  if (child == 0) {
    const double value = measure();
    if (write(pipe_ends[1], &value, sizeof(value)) != sizeof(value)) _exit(1);
    _exit(0);
  }
  int status = 0;
  const bool read_all = read(pipe_ends[0], result, sizeof(*result)) == sizeof(*result);
  waitpid(child, &status, 0);
  return read_all ? status : 1;
}

void Ratio(const char* name, double value, double floor, double budget) {
  char note[64];
  std::snprintf(note, sizeof(note), "(%.2f x floor, budget %.1f)", value / floor, budget);
  Print(name, value, "ns", note);
}

// In bursts, so that nothing is dropped: a span that is dropped costs less.
int Count(const std::string& kind) {
  const std::map<std::string, std::pair<void (*)(), int>> kinds = {{"floor", {MeasuredFloor, kFloorSpans}},
                                                                   {"span", {MeasuredSpan, kPlainSpans}},
                                                                   {"span_4tags", {MeasuredTags, kTaggedSpans}},
                                                                   {"unsampled", {MeasuredSpan, kPlainSpans}},
                                                                   {"off", {MeasuredSpan, kPlainSpans}}};
  const auto found = kinds.find(kind);
  if (found == kinds.end()) return 2;
  spanwatch::Options options;
  options.endpoint = "ipc:///tmp/spanwatch-bench-nobody.sock";
  options.sample_rate = kind == "unsampled" ? 0 : 1;
  if (kind != "off") spanwatch::Start(options);
  spanwatch::Span("first").End();  // makes the ring
  for (int done = 0; done < 20000;) {
    for (int i = 0; i < found->second.second && done < 20000; ++i, ++done) found->second.first();
    while (spanwatch::GetStats().waiting > 0) usleep(1000);
  }
  const std::uint64_t dropped = spanwatch::GetStats().dropped();
  spanwatch::Shutdown(0);
  return dropped == 0 ? 0 : 1;
}

// As fast as it goes.
struct Free {
  double ns;
  std::uint64_t drops;
};
Free RunFree() {
  const spanwatch::Stats before = spanwatch::GetStats();
  const double ns = Burst(kFreeSpans, MeasuredSpan);
  WaitUntil(10, Delivered);
  const spanwatch::Stats after = spanwatch::GetStats();
  return {ns, after.dropped() + after.evicted - before.dropped() - before.evicted};
}

// False: Google Benchmark does not know a flag.
bool Initialize(int argc, char** argv) {
  std::vector<char*> arguments(argv, argv + argc);
  static char interleave[] = "--benchmark_enable_random_interleaving=true";
  arguments.push_back(interleave);
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  return !benchmark::ReportUnrecognizedArguments(count, arguments.data());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && std::strcmp(argv[1], "count") == 0) return Count(argv[2]);
  const bool show = argc > 1;
  if (!Initialize(argc, argv)) return 2;
  double dead_mib = 0;
  if (RunChild(DeadSidecarMiB, &dead_mib) != 0) return 1;

  char directory[] = "/tmp/swbench-XXXXXX";
  if (mkdtemp(directory) == nullptr) return 1;
  const std::string endpoint = "ipc://" + std::string(directory) + "/s";
  const pid_t receiver = fork();
  if (receiver == 0) RunReceiver(endpoint);

  Medians medians(show);
  spanwatch::internal::DetectClock();
  std::thread reader(ReadFloor);
  Pin(0);
  Register("off", [](benchmark::State& state) { Paced<MeasuredSpan>(state, 10000, Nothing); });
  benchmark::RunSpecifiedBenchmarks(&medians, ".*");
  benchmark::ClearRegisteredBenchmarks();
  if (!StartTraced(endpoint, 1)) {
    std::fprintf(stderr, "the receiver did not answer\n");
    return 1;
  }
  RunPaced(&medians);
  const std::uint64_t allocations = g_allocations.load();
  const std::uint64_t drops = spanwatch::GetStats().dropped() + spanwatch::GetStats().evicted;
  const double cpu = CpuPerDelivered();

  const Free free = RunFree();
  const spanwatch::Stats last = spanwatch::GetStats();
  const std::uint64_t undelivered = spanwatch::Shutdown(2000);
  g_floor.stop = true;
  reader.join();
  Unpin();
  kill(receiver, SIGTERM);
  waitpid(receiver, nullptr, 0);
  unlink((std::string(directory) + "/s").c_str());
  rmdir(directory);

  const double floor = medians["floor"];
  Print("sdk_floor_ns", floor, "ns");
  Ratio("sdk_span_ns", medians["span"], floor, 1.5);
  Ratio("sdk_span_4tags_ns", medians["span_4tags"], floor, 2.2);
  Print("sdk_off_ns", medians["off"], "ns", "(budget 2)");
  Ratio("sdk_unsampled_ns", medians["unsampled"], floor, 1.2);
  Print("sdk_allocs_per_span", static_cast<double>(allocations) / static_cast<double>(g_counted_spans), "allocations");
  Print("sdk_drops", static_cast<double>(drops), "spans", "paced");
  Print("sdk_free_ns", free.ns, "ns", "free-running, with sdk_free_drop_ratio");
  Print("sdk_free_spans_per_s", 1e9 / free.ns, "spans/s", "ended, by one thread");
  Print("sdk_free_drop_ratio", static_cast<double>(free.drops) / kFreeSpans, "ratio");
  Print("sdk_cpu_ns_per_delivered_span", cpu, "ns", "redaction on (budget 400)");
  Print("sdk_rss_mib", dead_mib, "MiB", "anonymous, dead sidecar, 8 threads (budget 10 MB)");
  return undelivered > last.dropped() + last.evicted ? 1 : 0;
}
