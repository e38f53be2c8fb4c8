// The loss ledger: for each traced process, what it emitted, what was applied, and what was lost and why. Only the
// sidecar decides loss, here. Equation, per process, to the unit: emitted = applied + sampled_out + sum(lost by
// reason). The rules of sequences are in docs/wire-protocol.md. Bounded by `max_processes`; not thread-safe.
#ifndef SPANWATCH_SIDECAR_CORE_LEDGER_H_
#define SPANWATCH_SIDECAR_CORE_LEDGER_H_

#include <tsl/robin_map.h>

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "sidecar/core/codec.h"
#include "sidecar/core/engine.h"
#include "sidecar/core/hash.h"
#include "sidecar/core/record.h"
#include "sidecar/core/snapshot.h"

namespace spanwatch::core {

inline constexpr std::int64_t kSilentAfterNs = 5'000'000'000;
inline constexpr std::int64_t kDiedAfterNs = 60'000'000'000;

inline constexpr std::size_t kMaxOpenSpans = 1024;          // of one process
inline constexpr std::size_t kMaxAllOpenSpans = 16384;      // of all
inline constexpr std::int64_t kRecentNs = 300'000'000'000;  // how far back Troubles() looks
inline constexpr std::size_t kMaxEpisodes = 32;             // of losses that a process remembers with their times

// A span that its process told to be open for longer than the SDK's threshold.
struct OpenSpan {
  TraceId trace_id;
  SpanId span_id;
  SpanId parent_id;
  std::int64_t start_ns = 0;
  std::uint32_t operation = 0;
  SpanKind kind = SpanKind::kUnspecified;
};

// What is wrong with the processes of one service.
struct ServiceTroubles {
  std::uint32_t alive = 0, silent = 0;
  std::uint32_t died = 0;                 // within kRecentNs
  std::uint64_t lost = 0;                 // spans, the same
  std::uint64_t memory_growth_bytes = 0;  // the same: of the process that grew most; not in its first kRecentNs
};

class Ledger {
 public:
  void Configure(const Limits& limits) { max_processes_ = limits.max_processes; }

  // Judges one envelope and appends its answers. True: the spans of this record are to be applied, and Applied() must
  // follow.
  bool OnEnvelope(const RecordHeader& header, const EnvelopeView& envelope, const Decoded& decoded,
                  std::vector<Answer>* answers);
  // How many of the batch that OnEnvelope just accepted were applied; the rest of its span_count is lost.
  void Applied(const EnvelopeView& envelope, std::uint64_t applied, const Rejected& rejected);
  // Replaces the list of what `envelope`'s process has open. Lists are cut at kMaxOpenSpans; `count` is what it told.
  void OnOpenSpans(const EnvelopeView& envelope, std::uint64_t count, std::vector<OpenSpan> spans);
  // A span that its process told to be open (and that is not over as far as we know); null otherwise.
  const OpenSpan* FindOpen(const TraceId& trace, SpanId id) const;
  // Silent and dead processes.
  void Advance(std::int64_t now_ns);
  std::int64_t NextDue() const { return next_due_; }
  // Nobody listened until now: the silence of processes begins here.
  void Resume(std::int64_t now_ns);

  std::uint64_t total_lost() const { return total_lost_; }
  // What processes of `services` lost within [from_ns, to_ns] of engine time, ordered by process.
  std::vector<TraceLoss> LossesBetween(std::int64_t from_ns, std::int64_t to_ns,
                                       const std::vector<TraceSummary::Service>& services) const;

  // By service, of all that have processes. The names are valid until the next change.
  std::map<std::string_view, ServiceTroubles> Troubles(std::int64_t now_ns) const;

  // The signs of life of one service's processes.
  struct ServiceSigns {
    std::int64_t last_seen_ns = 0;                 // the latest of those that said no goodbye; 0: all did
    std::int64_t goodbye_ns = 0;                   // of the youngest that did; 0: none
    std::uint64_t serial = 0, goodbye_serial = 0;  // of these two
    bool living = false;                           // one is alive or silent
    std::uint64_t rss_bytes = 0;                   // the largest of those
    // The end was in order: nobody is missed.
    bool Closed() const { return last_seen_ns == 0 || (goodbye_serial > serial && goodbye_ns > last_seen_ns); }
    void Add(const ServiceSigns& other);
  };
  // By service; the names are valid until the next change.
  std::map<std::string_view, ServiceSigns> Signs() const;
  // Processes that are alive or silent.
  bool HasLiving() const;

  // All but limits, as a checkpoint keeps it. Load, into a new ledger: false if the bytes are not such, or name an
  // operation beyond the first `operations`.
  void Save(CodecWriter* out) const;
  bool Load(CodecReader* in, std::size_t operations);
  void Show(StatsView* view) const;

 private:
  // Losses of one reason, close together.
  struct Episode {
    std::string reason;
    std::int64_t first_ns = 0, last_ns = 0;  // engine time
    std::uint64_t spans = 0;                 // 0: it died, and nobody knows how many
  };
  enum class State : std::uint8_t { kAlive, kSilent, kClosed, kDied };
  // A figure of one slot of kRecentSlotNs; the slots of the last kRecentNs, oldest first.
  struct Recent {
    std::int64_t slot = 0;
    std::uint64_t figure = 0;
  };
  static constexpr std::int64_t kRecentSlotNs = 10'000'000'000;
  using Reasons = std::map<std::string, std::uint64_t, std::less<>>;

  struct Process {
    State state = State::kAlive;
    bool tail_unknown = false;
    std::uint64_t serial = 0;
    std::uint64_t connection = 0;
    std::string service, instance;
    std::int64_t last_seen_ns = 0;
    std::uint64_t judged_sequence = 0;
    std::uint64_t judged_batched = 0;    // spans in batches up to judged_sequence, since the process began
    std::uint64_t reported_batched = 0;  // as far as the process told
    std::uint64_t base_batched = 0, base_sampled_out = 0;  // where this ledger starts
    Reasons base_drops;
    std::uint64_t applied = 0;
    std::uint64_t sampled_out = 0;  // since the ledger's start
    std::uint64_t dropped = 0;      // the same: never reached a numbered batch
    Reasons lost;                   // the same

    // Not from what was applied or lost, so that the equation can fail if a judgement is wrong.
    std::uint64_t Emitted() const { return judged_batched - base_batched + sampled_out + dropped; }
    // Nothing was told or judged yet: forgetting it loses nothing.
    bool HasEmptyBooks() const {
      return judged_sequence == 0 && judged_batched == 0 && reported_batched == 0 && sampled_out == 0 && lost.empty() &&
             open.empty();
    }

    std::uint64_t open_spans = 0, rss_bytes = 0, sdk_bytes = 0, sdk_cpu_ns = 0;
    double sdk_ring_fill = 0, sdk_sample_rate = -1;
    std::vector<ProcessView::Gauge> gauges;
    std::vector<OpenSpan> open;
    std::deque<Episode> episodes;  // oldest first, at most kMaxEpisodes
    std::deque<Recent> recent_lost;
    std::int64_t first_heartbeat_ns = 0;
    std::deque<Recent> recent_rss;  // at the slot's first heartbeat
  };

  Process* Obtain(const RecordHeader& header, const EnvelopeView& envelope);
  void ForgetOldestClosed();
  void TakeIdentity(const Decoded& decoded, Process* process);
  void TakeAcknowledged(const EnvelopeView& envelope, Process* process);
  void TakeCounters(const EnvelopeView& envelope, Process* process);
  void TakeHeartbeat(const EnvelopeView& envelope, Process* process);
  static Recent& RecentAt(std::int64_t now_ns, std::deque<Recent>* recent);
  bool OnBatch(const EnvelopeView& envelope, Process* process, AnswerKind* answer);
  void SkipTo(const EnvelopeView& envelope, Process* process);
  void Close(State state, const char* reason, Process* process);
  void Die(Process* process);
  void Lose(Process* process, std::string_view reason, std::uint64_t spans);
  const std::string* CountLost(Process* process, std::string_view reason, std::uint64_t spans);
  void ForgetOpen(Process* process);
  void SaveProcess(const ProcessId& id, const Process& process, CodecWriter* out) const;
  bool LoadProcess(CodecReader* in, std::size_t operations, Process* process);

  std::uint64_t max_processes_ = 1024;
  std::uint64_t serial_ = 0;
  std::map<ProcessId, Process> processes_;  // ordered: outputs follow it
  std::uint64_t refused_processes_ = 0;
  std::uint64_t total_lost_ = 0;
  // Of processes that were forgotten, so that sums never fall.
  std::uint64_t past_emitted_ = 0, past_applied_ = 0, past_sampled_out_ = 0;
  Reasons past_lost_;
  std::int64_t now_ns_ = 0;
  std::int64_t next_due_ = INT64_MAX;
  // Open spans by id, over all processes. Who told an id first keeps it: nobody can rename what another has open.
  tsl::robin_map<std::uint64_t, const OpenSpan*, U64Hash> open_index_;
};

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_LEDGER_H_
