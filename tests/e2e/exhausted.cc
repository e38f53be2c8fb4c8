// A traced program without descriptors.
//   spanwatch-e2e-exhausted ENDPOINT before    takes all descriptors, then Start; frees them; Shutdown
//   spanwatch-e2e-exhausted ENDPOINT after     Start, connected; takes all; at SIGUSR1 frees them; Shutdown
//   spanwatch-e2e-exhausted ENDPOINT sweep     for 0..40 free descriptors, each in a child: Start, Shutdown
// Each prints lines as `connected 100`, and as the last one a line of JSON. Exit status 0 if all went as it should.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <vector>

#include "spanwatch/spanwatch.h"

namespace {

constexpr int kSpans = 1000;
constexpr rlim_t kLimit = 128;
constexpr int kDeadlineMs = 60'000;

std::vector<int> taken;

void TakeAllBut(int spare) {
  for (int one; (one = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;) taken.push_back(one);
  for (; spare > 0 && !taken.empty(); --spare) {
    close(taken.back());
    taken.pop_back();
  }
}

void FreeAll() {
  for (const int one : taken) close(one);
  taken.clear();
}

void Trace() {
  for (int i = 0; i < kSpans; ++i) spanwatch::Span("exhausted.work").End();
}

template <typename Condition>
bool Wait(const char* what, const Condition& condition) {
  for (int waited = 0; waited < kDeadlineMs; waited += 5) {
    const spanwatch::Stats stats = spanwatch::GetStats();
    if (condition(stats)) {
      std::printf("%s %llu\n", what, static_cast<unsigned long long>(stats.emitted));
      std::fflush(stdout);
      return true;
    }
    poll(nullptr, 0, 5);
  }
  std::printf("waited in vain: %s\n", what);
  return false;
}

void Start(const char* endpoint) {
  spanwatch::Options options;
  options.endpoint = endpoint;
  options.service_name = "exhausted";
  spanwatch::Start(options);
}

// Delivers what there is and says what it was like.
bool Finish() {
  const bool delivered =
      Wait("delivered", [](const spanwatch::Stats& stats) { return stats.delivered == stats.emitted; });
  const std::uint64_t left = spanwatch::Shutdown(3000);
  const spanwatch::Stats stats = spanwatch::GetStats();
  std::printf("{\"emitted\": %llu, \"delivered\": %llu, \"no_descriptors\": %llu, \"sender_cpu_ns\": %llu}\n",
              static_cast<unsigned long long>(stats.emitted), static_cast<unsigned long long>(stats.delivered),
              static_cast<unsigned long long>(stats.no_descriptors),
              static_cast<unsigned long long>(stats.sender_cpu_ns));
  return delivered && left == 0;
}

bool Before(const char* endpoint) {
  TakeAllBut(0);
  Start(endpoint);
  Trace();
  // The third time is after more than half a second: a sender that spins would show it.
  const bool waited =
      Wait("put off", [](const spanwatch::Stats& stats) { return stats.no_descriptors >= 3 && stats.batched > 0; });
  const spanwatch::Stats stats = spanwatch::GetStats();
  const bool told = stats.problems.find("descriptors") != std::string::npos && stats.sender_cpu_ns < 300'000'000;
  FreeAll();
  return Finish() && waited && told;
}

bool After(const char* endpoint) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  Start(endpoint);
  Trace();
  const bool connected = Wait("connected", [](const spanwatch::Stats& stats) { return stats.delivered == kSpans; });
  TakeAllBut(0);
  // The connection goes on without a new descriptor.
  Trace();
  const bool goes_on = Wait("goes on", [](const spanwatch::Stats& stats) { return stats.delivered == 2 * kSpans; });
  // Somebody ends the sidecar now.
  const bool lost = Wait("put off", [](const spanwatch::Stats& stats) { return stats.no_descriptors > 0; });
  Trace();
  int received = 0;
  sigwait(&signals, &received);
  FreeAll();
  return Finish() && connected && goes_on && lost;
}

bool Child(const char* endpoint, int spare) {
  TakeAllBut(spare);
  Start(endpoint);
  Trace();
  const bool settled = Wait("settled", [](const spanwatch::Stats& stats) {
    return stats.no_descriptors > 0 || (stats.delivered == kSpans && stats.connected);
  });
  spanwatch::Shutdown(500);
  const spanwatch::Stats stats = spanwatch::GetStats();
  return settled && stats.emitted == kSpans && (stats.no_descriptors > 0 || stats.delivered == kSpans);
}

bool Sweep(const char* endpoint) {
  int good = 0;
  constexpr int kMost = 40;
  for (int spare = 0; spare <= kMost; ++spare) {
    const pid_t child = fork();
    if (child == 0) _exit(Child(endpoint, spare) ? 0 : 1);
    int status = -1;
    if (waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0)
      ++good;
    else
      std::printf("%d free: status %d\n", spare, status);
  }
  std::printf("{\"good\": %d}\n", good);
  return good == kMost + 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "spanwatch-e2e-exhausted ENDPOINT before|after|sweep\n");
    return 2;
  }
  const rlimit limit = {kLimit, kLimit};
  setrlimit(RLIMIT_NOFILE, &limit);
  if (std::strcmp(argv[2], "before") == 0) return Before(argv[1]) ? 0 : 1;
  return (std::strcmp(argv[2], "after") == 0 ? After(argv[1]) : Sweep(argv[1])) ? 0 : 1;
}
