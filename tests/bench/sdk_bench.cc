// What the SDK costs the program that it traces. Prints `name value unit [note]` lines.
//
// The floor is what any tracer of this shape must pay, in the same run with the same pinning and pacing: two reads of
// the cycle counter, a random id and a 128-byte record stored straight into a thread-local ring of 256 KiB, one release
// store; a reader on the other processor takes each record, as the sender does with the SDK's.
//
// Bursts fill half a ring; then the traced thread waits until the sender has delivered everything. Kinds of bursts take
// turns; figures are medians over all bursts of a kind.
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
constexpr int kRounds = 300;

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

__attribute__((noinline)) void FloorSpan() {
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

__attribute__((noinline)) void PlainSpan() { spanwatch::Span span("Bench.operation"); }

std::string g_user = "u-3f9c2e71ab";

__attribute__((noinline)) void TaggedSpan() {
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

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
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

struct Paced {
  std::vector<double> floor, plain, tagged, unsampled, off;
  std::uint64_t drops = 0;
  double allocations = 0;
};

void PacedRounds(Paced* out) {
  constexpr int kFloorSpans = kRingBytes / 2 / 128;
  constexpr int kPlainSpans = kRingBytes / 2 / 56 - 8;
  constexpr int kTaggedSpans = kRingBytes / 2 / 128 - 8;
  std::uint64_t counted = 0;
  for (std::vector<double>* times : {&out->floor, &out->plain, &out->tagged, &out->unsampled}) times->reserve(kRounds);
  TaggedSpan();  // this thread's ring and table are made by its first span
  t_counted = true;
  for (int i = 0; i < kRounds; ++i) {
    out->floor.push_back(Burst(kFloorSpans, FloorSpan));
    WaitUntil(10, FloorRead);
    const std::uint64_t before = g_allocations.load();
    out->plain.push_back(Burst(kPlainSpans, PlainSpan));
    counted += g_allocations.load() - before;
    WaitUntil(10, Delivered);
    const std::uint64_t before_tagged = g_allocations.load();
    out->tagged.push_back(Burst(kTaggedSpans, TaggedSpan));
    counted += g_allocations.load() - before_tagged;
    WaitUntil(10, Delivered);
    const std::uint64_t policy = spanwatch::internal::g_sampling.exchange(spanwatch::internal::kSampleNothing);
    out->unsampled.push_back(Burst(kPlainSpans, PlainSpan));
    spanwatch::internal::g_sampling.store(policy);
    WaitUntil(10, Delivered);
  }
  t_counted = false;
  out->allocations = static_cast<double>(counted) / (static_cast<double>(kRounds) * (kPlainSpans + kTaggedSpans));
}

void OffRounds(Paced* out) {
  for (int i = 0; i < kRounds; ++i) out->off.push_back(Burst(10000, PlainSpan));
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

}  // namespace

int main() {
  double dead_mib = 0;
  if (RunChild(DeadSidecarMiB, &dead_mib) != 0) return 1;

  char directory[] = "/tmp/swbench-XXXXXX";
  if (mkdtemp(directory) == nullptr) return 1;
  const std::string endpoint = "ipc://" + std::string(directory) + "/s";
  const pid_t receiver = fork();
  if (receiver == 0) RunReceiver(endpoint);

  Paced paced;
  spanwatch::internal::DetectClock();
  std::thread reader(ReadFloor);
  Pin(0);
  OffRounds(&paced);
  if (!StartTraced(endpoint, 1)) {
    std::fprintf(stderr, "the receiver did not answer\n");
    return 1;
  }
  PacedRounds(&paced);
  const std::uint64_t drops = spanwatch::GetStats().dropped() + spanwatch::GetStats().evicted;
  const double cpu = CpuPerDelivered();

  // As fast as it goes.
  const spanwatch::Stats before = spanwatch::GetStats();
  constexpr int kFreeSpans = 5000000;
  const double free_ns = Burst(kFreeSpans, PlainSpan);
  WaitUntil(10, Delivered);
  const spanwatch::Stats after = spanwatch::GetStats();
  const double free_drops =
      static_cast<double>(after.dropped() + after.evicted - before.dropped() - before.evicted) / kFreeSpans;
  const std::uint64_t undelivered = spanwatch::Shutdown(2000);
  g_floor.stop = true;
  reader.join();
  Unpin();
  kill(receiver, SIGTERM);
  waitpid(receiver, nullptr, 0);
  unlink((std::string(directory) + "/s").c_str());
  rmdir(directory);

  const double floor = Median(paced.floor);
  Print("sdk_floor_ns", floor, "ns");
  Ratio("sdk_span_ns", Median(paced.plain), floor, 1.5);
  Ratio("sdk_span_4tags_ns", Median(paced.tagged), floor, 2.2);
  Print("sdk_off_ns", Median(paced.off), "ns", "(budget 2)");
  Ratio("sdk_unsampled_ns", Median(paced.unsampled), floor, 1.2);
  Print("sdk_allocs_per_span", paced.allocations, "allocations");
  Print("sdk_drops", static_cast<double>(drops), "spans", "paced");
  Print("sdk_free_ns", free_ns, "ns", "free-running, with sdk_free_drop_ratio");
  Print("sdk_free_drop_ratio", free_drops, "ratio");
  Print("sdk_cpu_ns_per_delivered_span", cpu, "ns", "redaction on (budget 400)");
  Print("sdk_rss_mib", dead_mib, "MiB", "anonymous, dead sidecar, 8 threads (budget 10 MB)");
  return undelivered > after.dropped() + after.evicted ? 1 : 0;
}
