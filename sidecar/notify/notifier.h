// Delivers the engine's transitions to receivers: one live Discord message an incident, posted, edited, resolved.
// Each target has a thread of its own, so that one that hangs holds up no other. Transitions wait in a bounded queue; a
// full queue drops the oldest update first, never a firing or a resolution that somebody waits for, and counts.
//
// With a file (Options::state_path) a decided alert outlives the process: a transition is written there before it is
// sent, a second one with the same id is ignored, and a restart goes on with the messages that are out. Delivery is at
// least once: only when the process died between a post and the writing down of its answer may a message come twice,
// and that is counted (possible_duplicates). Without a working disk it goes on in memory and says so (GetOutboxStatus).
//
// Of each incident's worst trace a copy is kept beside it, so that the message's link lives when the store has
// forgotten the trace, and the message tells the top of its critical path (Options::find_trace).
//
// Threads: every function may be called from any thread. Enqueue only queues: it never waits for network or disk.
// Start, Reconfigure and Stop may wait for the disk.
#ifndef SPANWATCH_SIDECAR_NOTIFY_NOTIFIER_H_
#define SPANWATCH_SIDECAR_NOTIFY_NOTIFIER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "sidecar/core/incident.h"
#include "sidecar/core/routing.h"
#include "sidecar/notify/kept_copy.h"
#include "sidecar/notify/outbox_status.h"
#include "sidecar/notify/routing_status.h"

namespace spanwatch::notify {

struct Options {
  std::shared_ptr<const core::Routing> routing;  // null: nobody is told
  std::string external_url;                      // links: {external_url}/trace/{id}
  std::int64_t request_timeout_ns = 10'000'000'000;
  std::size_t queue_limit = 4096;                    // transitions
  std::function<bool(const TraceId&)> trace_stored;  // may be null: links are always given. Called by the targets'
                                                     // threads, never after Stop returned
  std::int64_t max_age_ns = 3'600'000'000'000;       // a message that kept failing for so long is dropped
  std::string version = "0.1.0";                     // for the User-Agent

  // These and what follows are fixed at construction: Reconfigure changes nothing here.
  // A pattern for a whole text, of a silence; the error says what is wrong with it. Any thread. May be null: silences
  // have no patterns.
  using CompilePattern =
      std::function<tl::expected<std::shared_ptr<const core::StringMatcher>, std::string>(const std::string&)>;
  CompilePattern compile_pattern;
  // A trace as the store has it now. May be null: no trace is kept, no message tells a critical path. Called by a
  // thread of the notifier, never after Stop returned.
  std::function<std::optional<core::TraceCopy>(const TraceId&)> find_trace;
  std::int64_t kept_max_bytes = 16 << 20;  // of all copies; with a file at most a quarter of state_max_bytes

  // Of the outbox, which outlives the process.
  std::string state_path;                       // its file; empty: memory only
  std::int64_t state_max_bytes = 64 << 20;      // of the file
  std::int64_t state_retry_ns = 5'000'000'000;  // after a failed write the disk is left alone for so long
  bool hold_until_reconcile = false;            // nothing is sent before Reconcile was called
};

struct TargetStatus {
  std::string name;
  bool configured = false;             // has a URL
  bool given_up = false;               // 401/403/404: not used again until the configuration changes
  std::int64_t last_delivered_ns = 0;  // wall clock, since the epoch
  std::string last_error;              // redacted; empty if the last request was good
  std::uint64_t queued = 0;            // messages waiting
};

struct Counters {
  std::string receiver;
  std::uint64_t posted = 0, edited = 0, failed = 0, retried = 0, rate_limited = 0, fallbacks = 0, dropped = 0;
  std::uint64_t possible_duplicates = 0;
};

// What is wrong with a receiver's URL and what is allowed, without any part of it; empty if it can be used.
std::string UrlProblem(const core::Receiver& receiver);

class Notifier {
 public:
  explicit Notifier(Options options);
  ~Notifier();  // Stop(0)
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;

  void Start();  // reads the outbox
  // Engine time of the latest transition that is on disk; INT64_MIN: none. After Start a fold of the journal passes the
  // transitions from that time on: those of that very time that are on disk already are ignored by their ids.
  std::int64_t CommittedNs() const;
  // Once after Start, when the fold is done: `living` are the engine's incidents. Those that fire here and that the
  // engine does not know are shown as ended, with a note that nobody watches them any more.
  void Reconcile(const std::vector<core::Incident>& living);
  void Enqueue(std::vector<core::Transition> transitions);
  // Delivers what waits for at most `budget_ns`, then ends the thread. Returns how many messages were not delivered.
  std::size_t Stop(std::int64_t budget_ns);
  void Reconfigure(Options options);  // after a reload; keeps incidents and their messages

  std::vector<TargetStatus> Status() const;
  std::vector<Counters> Counts() const;
  OutboxStatus GetOutboxStatus() const;
  // Nothing: no alert refers to it, or there was no room. May wait for the disk.
  std::optional<KeptCopy> GetKeptTrace(const TraceId& id) const;

  // Who is told of the incidents with this fingerprint, who is not, and why; firing ones first. Empty: no such incident
  // fires or was over lately. May wait for a fifth of a second for receivers that are busy.
  std::vector<core::Why> GetWhy(const std::string& fingerprint) const;

  std::vector<MutedIncident> Muted() const;
  RoutingCounts GetRoutingCounts() const;

  // All that are kept, newest first. They survive a restart if there is a file.
  std::vector<core::Silence> Silences() const;
  // `silence` without id is new; with one it is changed (an expired one is made anew). Returns the id. Error: what is
  // wrong, what is allowed; begins with the field's name in JSON, "endsAt: ...". These two may wait for the disk.
  tl::expected<std::string, std::string> SetSilence(core::Silence silence);
  // False: there is no such silence. One that is over already stays as it is.
  bool ExpireSilence(const std::string& id);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace spanwatch::notify

#endif  // SPANWATCH_SIDECAR_NOTIFY_NOTIFIER_H_
