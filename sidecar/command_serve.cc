#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "sidecar/app.h"
#include "sidecar/command_line.h"
#include "sidecar/config/units.h"

namespace spanwatch::app {
namespace {

constexpr std::chrono::milliseconds kStopDeadline(4700);

// Ends the process if stopping takes too long: whoever sent SIGTERM waits for at most five seconds.
class StopWatchdog {
 public:
  StopWatchdog() : thread_([this] { Run(); }) {}
  ~StopWatchdog() {
    {
      MutexLock lock(&mutex_);
      done_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  StopWatchdog(const StopWatchdog&) = delete;
  StopWatchdog& operator=(const StopWatchdog&) = delete;

 private:
  void Run() EXCLUDES(mutex_) {
    const auto deadline = std::chrono::steady_clock::now() + kStopDeadline;
    MutexLock lock(&mutex_);
    while (!done_) {
      if (changed_.wait_until(mutex_, deadline) == std::cv_status::no_timeout) continue;
      std::fprintf(stderr, "spanwatch: not everything ended in time; leaving now\n");
      std::_Exit(kExitFailed);
    }
  }

  Mutex mutex_;
  CondVar changed_;
  bool done_ GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

sigset_t HandledSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  return signals;
}

// A variable that is named like ours and read by nobody: a mistyped limit would go unnoticed.
void WarnOfUnknownVariables() {
  const std::vector<std::string> known = {"TRACING_MAX_TRACES",     "TRACING_TRACE_TTL", "TRACING_MEMORY_LIMIT",
                                          "TRACING_SLOW_THRESHOLD", "TRACING_LOG_LEVEL", "TRACING_ENABLED",
                                          "TRACING_SAMPLE_RATE",    "TRACING_ENDPOINT",  "TRACING_REDACTION",
                                          "TRACING_HASH_KEY",       "TRACING_CLOCK"};
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::string name(text.substr(0, text.find('=')));
    if (name.size() > 64 || !name.starts_with("TRACING_") || std::find(known.begin(), known.end(), name) != known.end())
      continue;
    spdlog::warn("environment variable {} is read by nobody{}", name, config::DidYouMean(name, known));
  }
}

// Returns when SIGTERM or SIGINT came.
void WaitForTheEnd(App* app) {
  const sigset_t signals = HandledSignals();
  while (true) {
    int signal = 0;
    if (sigwait(&signals, &signal) != 0) continue;
    if (signal != SIGHUP) {
      spdlog::info("stopping ({})", signal == SIGINT ? "SIGINT" : "SIGTERM");
      return;
    }
    // Its error is in the log, in the status and in the metric.
    [[maybe_unused]] const auto result = app->Reload();
  }
}

}  // namespace

int RunServe(const CommandLine& command_line) {
  auto config = LoadConfig(command_line.sources);
  if (!config) {
    PrintProblems(config.error());
    std::fprintf(stderr,
                 "spanwatch: not started: correct %zu problem%s above; `spanwatch check` tells whether all is well\n",
                 config.error().size(), config.error().size() == 1 ? "" : "s");
    return kExitFailed;
  }
  // Before any thread starts, so that all inherit it: only this thread takes them, with sigwait.
  const sigset_t signals = HandledSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);  // a file size limit is an error of the journal, not the end
  SetUpLog(config->log_level);
  WarnOfUnknownVariables();

  App app(std::move(*config), command_line.sources, command_line.record_path);
  if (const auto started = app.Start(); !started) {
    std::fprintf(stderr, "spanwatch: not started: %s\n", started.error().c_str());
    return kExitFailed;
  }
  WaitForTheEnd(&app);
  const StopWatchdog watchdog;
  app.Stop();
  spdlog::info("stopped");
  return 0;
}

}  // namespace spanwatch::app
