// The ingest thread: the one place where records are made. It receives ZeroMQ messages, stamps them with engine time,
// hands their bytes to the recorder, decodes them, applies them to the engine, and sends the engine's answers back.
// When idle it applies an empty time record each grid step.
//
// Threads: Start, Stop, Submit, counters: any. The thread owns the sockets.
#ifndef SPANWATCH_SIDECAR_INGEST_INGEST_H_
#define SPANWATCH_SIDECAR_INGEST_INGEST_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "sidecar/core/engine.h"
#include "sidecar/ingest/journal.h"

namespace spanwatch::ingest {

struct Options {
  std::vector<std::string>
      endpoints;                  // empty: the default socket (XDG_RUNTIME_DIR, /run/spanwatch, /tmp/spanwatch-UID)
  std::string record_path;        // every record is appended to this new file; empty: none
  std::string journal_directory;  // folded at start, then appended to; empty: memory only
  std::uint64_t journal_max_bytes = 256u << 20;  // of all segments
  std::int64_t journal_max_age_ns = 172'800'000'000'000;
  std::int64_t committed_ns = INT64_MIN;       // of the fold's transitions only those at or after this are handed on
  std::uint64_t max_message_bytes = 4u << 20;  // a larger one is counted and dropped
  core::Limits limits;                         // what WELCOME offers to SDKs until a kReload record changes it
  std::string first_reload;  // bytes of a kReload record that Start() applies as the first; empty: none.
                             // With it a recording stands alone: its fold needs no other rules or limits
  // Turns a kReload record's bytes into rules and limits (config::ParseReload behind it).
  std::function<bool(std::string_view bytes, core::Decoded* out)> parse_reload;
  std::function<void(std::vector<core::Transition>)> on_transitions;  // called on the ingest thread; must not block
  std::function<void(std::vector<core::Completed>)> on_completed;     // ingest thread; must not block; may be null
  std::function<void(const std::string&)> log;                        // rate-limited warnings; may be null
};

// What was read from a journal.
struct Folded {
  std::uint64_t records = 0;
  std::uint64_t last_index = 0;
  std::uint64_t last_connection = 0;
  std::int64_t first_ns = 0, last_ns = 0;  // engine time; 0: there was nothing
  std::int64_t duration_ns = 0;            // how long the fold took
  std::string reload;                      // in force at the end
  std::vector<std::string> problems;       // damage, checkpoints that could not be taken over; at most ten
};

// What the receiver itself counts; all cumulative but `connections`. Everything else is in the engine's StatsView.
struct Status {
  std::uint64_t records = 0;              // applied, time records that only tick not counted
  std::uint64_t messages = 0;             // received over ZeroMQ, refused ones included
  std::uint64_t bytes = 0;                // of their frames
  std::uint64_t connections = 0;          // known now
  std::uint64_t connections_expired = 0;  // silent for ten minutes, or made room for a new one
  std::uint64_t messages_refused = 0;     // of new connections while the table was full of busy ones
  std::uint64_t answers_sent = 0;
  std::uint64_t answers_dropped = 0;  // the peer was gone or did not read
  std::uint64_t submits_refused = 0;  // the queue of Submit was full
  std::uint64_t recorded_bytes = 0;
  bool recorder_failed = false;  // the recording ended early; ingest goes on
  bool journal_configured = false;
  JournalStatus journal;
};

class Ingest {
 public:
  Ingest(Options options, core::Engine* engine);
  ~Ingest();
  Ingest(const Ingest&) = delete;
  Ingest& operator=(const Ingest&) = delete;

  // Folds the journal, binds all endpoints and starts the thread. Error: text with endpoint, cause, and what to do
  // (path not writable, another sidecar on the same socket: a lock file stands beside it).
  tl::expected<void, std::string> Start();
  // Stops receiving, applies what was received, closes the recorder. At most `budget_ns`.
  void Stop(std::int64_t budget_ns);
  // Queues a record of kind kReload or kOtlp; waits until it is applied (OTLP answers 200 only then). False: queue
  // full, stopping, or (kReload) not understood by parse_reload. REQUIRES: not called from on_transitions or log.
  bool Submit(core::RecordKind kind, std::string bytes);
  // As clients connect to them: the port of tcp://127.0.0.1:* is filled in.
  std::vector<std::string> BoundEndpoints() const;
  Status GetStatus() const;
  // What Start() found in the journal. Constant once it has returned.
  const Folded& folded() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// --- Pure decoding, shared by live and replay -----------------------------------------------------------------------

// Decodes a record's bytes. `decoder` keeps buffers between calls; the result is valid until the next call or until
// `bytes` dies.
class Decoder {
 public:
  explicit Decoder(std::function<bool(std::string_view, core::Decoded*)> parse_reload);
  ~Decoder();
  core::Decoded Decode(const core::RecordHeader& header, std::string_view bytes);
  // The same as Decode() of a kMessage record of JoinFrames(envelope, payload), without the copy.
  core::Decoded DecodeMessage(std::string_view envelope, std::string_view payload);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// bytes of a kMessage record <-> the two frames.
std::string JoinFrames(std::string_view envelope, std::string_view payload);

// OTLP TracesData / ExportTraceServiceRequest (protobuf) -> views into `bytes`; what `out` held is cleared. Keeps what
// it can; counts spans left out in out->rejected and cut parts in a span's dropped_* (limits: 100,000 spans and 512,000
// attributes a record; 128 attributes, 64 events, 64 links a span; 64 KiB a string). No exceptions. False: the
// outermost message is broken, or more than 64 broken parts were met (out holds what came before).
bool DecodeOtlp(std::string_view bytes, core::SpanBatch* out);

// A recording: file header, then checksummed records. Format in docs/journal.md.
class RecordReader {
 public:
  static tl::expected<RecordReader, std::string> Open(const std::string& path);
  RecordReader(RecordReader&&) noexcept;
  ~RecordReader();
  // False at the end (or at a torn tail: see torn()).
  bool Next(core::RecordHeader* header, std::string* bytes);
  bool torn() const;

 private:
  RecordReader();
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace spanwatch::ingest

#endif  // SPANWATCH_SIDECAR_INGEST_INGEST_H_
