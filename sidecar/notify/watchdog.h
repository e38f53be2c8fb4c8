// Tells an outside watchdog that the sidecar is well: a GET of the user's URL in every interval, as healthchecks.io and
// its like want it. When it is not well it says nothing, and the watchdog tells somebody. The URL is a secret.
//
// Threads: one of its own, which ends with Stop; all public functions may be called from any thread.
#ifndef SPANWATCH_SIDECAR_NOTIFY_WATCHDOG_H_
#define SPANWATCH_SIDECAR_NOTIFY_WATCHDOG_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "sidecar/client/http_client.h"
#include "sidecar/core/mutex.h"
#include "sidecar/core/secret.h"

namespace spanwatch::notify {

struct WatchdogOptions {
  core::Secret url;  // empty: off
  std::int64_t interval_ns = 60'000'000'000;
  std::int64_t request_timeout_ns = 10'000'000'000;
  std::string version = "0.1.0";  // for the User-Agent
  // Why the sidecar is not well, for people; empty: it is. Called by the watchdog's thread, never after Stop returned.
  std::function<std::string()> problem;
};

struct WatchdogStatus {
  bool configured = false;        // there is a URL that can be used
  std::uint64_t sent = 0;         // pings that were answered with 2xx
  std::uint64_t failed = 0;       // pings that were not
  std::uint64_t withheld = 0;     // times that none was sent because the sidecar was not well
  std::int64_t last_sent_ns = 0;  // of the last good one; wall clock, since the epoch
  std::string last_error;         // redacted; empty if the last ping was good
  std::string problem;            // why the last one was withheld; empty if it was not
};

// What is wrong with the URL and what is allowed, without any part of it; empty if it can be used.
std::string WatchdogUrlProblem(const core::Secret& url);

class Watchdog {
 public:
  explicit Watchdog(WatchdogOptions options) : options_(std::move(options)) {}
  ~Watchdog() { Stop(); }
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  // The first ping goes out at once.
  void Start() EXCLUDES(mutex_);
  // Ends a ping under way.
  void Stop() EXCLUDES(mutex_);
  void Reconfigure(WatchdogOptions options) EXCLUDES(mutex_);

  WatchdogStatus GetStatus() const EXCLUDES(mutex_);

 private:
  void Run() EXCLUDES(mutex_);
  // Returns how long to wait.
  std::int64_t Ping(const WatchdogOptions& options) EXCLUDES(mutex_);

  mutable Mutex mutex_;
  CondVar wake_;
  WatchdogOptions options_ GUARDED_BY(mutex_);
  std::uint64_t generation_ GUARDED_BY(mutex_) = 0;  // grows with each Reconfigure
  WatchdogStatus status_ GUARDED_BY(mutex_);
  std::shared_ptr<client::HttpClient> client_ GUARDED_BY(mutex_);  // while a ping is under way
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::thread thread_ GUARDED_BY(mutex_);
  int failures_ = 0;     // in a row; the thread's own, as the next two
  bool told_ = false;    // that pings fail
  bool unwell_ = false;  // and that they are withheld
};

}  // namespace spanwatch::notify

#endif  // SPANWATCH_SIDECAR_NOTIFY_WATCHDOG_H_
