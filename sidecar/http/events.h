// The live stream, GET /api/v1/events: what happened, told to all clients from one bounded log. While there are clients
// a thread of its own asks the engine a few times a second what changed; without them nothing is asked, and the next
// client's arrival catches up. A client is a cursor into the log: a slow one costs nothing and is told what it missed.
//
// Threads: Subscribe() and stream_count() may be called from any thread. Streams hold the hub alive, not the engine: it
// must outlive the listener that sends them.
#ifndef SPANWATCH_SIDECAR_HTTP_EVENTS_H_
#define SPANWATCH_SIDECAR_HTTP_EVENTS_H_

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include "sidecar/core/engine.h"
#include "sidecar/core/health_view.h"
#include "sidecar/core/mutex.h"
#include "sidecar/http/body_stream.h"
#include "sidecar/http/event_log.h"

namespace spanwatch::http {

struct EventOptions {
  std::string version;         // for "hello"
  std::uint64_t first_id = 1;  // greater than every id of an earlier life of the sidecar
  std::size_t max_streams = 64;
  std::size_t max_events = 1000;
  std::size_t max_bytes = 256 * 1024;
  std::size_t max_traces = 50;  // told each time the engine is asked; the others are a gap
  std::chrono::milliseconds interval{250};
  std::chrono::milliseconds keep_alive{15'000};
};

class EventHub : public std::enable_shared_from_this<EventHub> {
 public:
  EventHub(const core::Engine* engine, EventOptions options);
  ~EventHub();
  EventHub(const EventHub&) = delete;
  EventHub& operator=(const EventHub&) = delete;

  // From now on, or from the event after `last_id`. Null: there are too many.
  std::shared_ptr<BodyStream> Subscribe(EventFilter filter, std::optional<std::uint64_t> last_id);
  std::size_t stream_count() const EXCLUDES(mutex_);
  std::size_t max_streams() const { return options_.max_streams; }

 private:
  class Stream;
  using HealthByService = std::map<std::string, core::HealthStatus, std::less<>>;

  void Run();
  bool Poll() EXCLUDES(poll_mutex_, mutex_);
  void TellTraces() REQUIRES(poll_mutex_) EXCLUDES(mutex_);
  void TellAlerts(bool first) REQUIRES(poll_mutex_) EXCLUDES(mutex_);
  void TellHealth(bool first) REQUIRES(poll_mutex_) EXCLUDES(mutex_);
  void WakeAll() EXCLUDES(mutex_);

  const core::Engine* const engine_;
  const EventOptions options_;

  Mutex poll_mutex_;  // what was told last; taken before mutex_
  bool polled_ GUARDED_BY(poll_mutex_) = false;
  std::uint64_t generation_ GUARDED_BY(poll_mutex_) = 0;
  std::uint64_t completion_ GUARDED_BY(poll_mutex_) = 0;
  std::map<std::string, core::Incident, std::less<>> incidents_ GUARDED_BY(poll_mutex_);
  std::chrono::steady_clock::time_point health_at_ GUARDED_BY(poll_mutex_);
  HealthByService health_ GUARDED_BY(poll_mutex_);

  mutable Mutex mutex_;
  CondVar changed_;
  EventLog log_ GUARDED_BY(mutex_);
  std::set<Stream*> streams_ GUARDED_BY(mutex_);
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace spanwatch::http

#endif  // SPANWATCH_SIDECAR_HTTP_EVENTS_H_
