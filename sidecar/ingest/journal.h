// The journal: every record that was applied, in preallocated segment files that are used again and again, so that a
// restart finds what was acknowledged. Layout: docs/journal.md.
//
// The ingest thread appends; a writer thread of the journal's own does the pwrite calls, at most 4 MiB behind, and a
// third one the fdatasync calls, which can take seconds. The ingest thread never waits for a disk, but for one thing:
// with a full queue, Append and BeginSegment wait up to max_behind_ns for the writer to take it (pressure back to the
// socket is better than a lost journal; the SDKs buffer). When that was not enough (at full load: a disk that takes
// less than about 40 MB/s), when the writer is over a second behind, or the disk is full or fails, the journal goes
// memory-only: what waits is dropped, acknowledged() no longer holds anything back, status() and log say why; it tries
// again by itself and begins anew with a segment of its own.
//
// Survives the death of the process. fdatasync every few seconds: power loss may cost the last five.
//
// Threads: status() any; everything else the ingest thread (or the one in Start/Stop while that does not run).
#ifndef SPANWATCH_SIDECAR_INGEST_JOURNAL_H_
#define SPANWATCH_SIDECAR_INGEST_JOURNAL_H_

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "sidecar/core/record.h"

namespace spanwatch::ingest {

struct JournalIo;

struct JournalOptions {
  std::string directory;                          // created (0700) if it is missing; locked while open
  std::uint64_t max_bytes = 256u << 20;           // all segments; at least 4 segments
  std::int64_t max_age_ns = 172'800'000'000'000;  // by engine time; older segments are given up
  std::uint64_t segment_bytes = 16u << 20;        // cut down to max_bytes / 4
  std::uint64_t queue_bytes = 4u << 20;           // half of it waiting for the writer, half being written
  std::int64_t max_behind_ns = 1'000'000'000;     // the oldest waiting byte; then memory only
  std::int64_t retry_ns = 5'000'000'000;          // memory only: so long until the next attempt
  std::function<void(const std::string&)> log;    // may be null; any thread; must not call the journal
  const JournalIo* io = nullptr;                  // tests: a disk that fails (journal_io.h); null: the system's
};

struct JournalStatus {
  bool on = false;                    // false: memory only
  std::string problem;                // why; empty while on
  std::uint64_t bytes = 0;            // of valid records in all segments
  std::uint64_t segments = 0;         // in use
  std::uint64_t written_bytes = 0;    // since Open
  std::uint64_t records = 0;          // appended since Open
  std::uint64_t dropped_records = 0;  // applied while memory only, or dropped from the queue when it began
  std::uint64_t failures = 0;         // how often it went memory-only
  std::uint64_t checkpoints = 0;
  std::int64_t oldest_ns = 0;  // engine time of the oldest record held; 0: none
};

// Reads segments in order. Used by Journal at start and by `spanwatch replay` on a directory that no sidecar holds.
class JournalReader {
 public:
  // `directory` without segments is an empty journal, not an error. Error: what to do about it (a sidecar holds it, not
  // readable, of another version).
  static tl::expected<JournalReader, std::string> Open(const std::string& directory);
  JournalReader(JournalReader&&) noexcept;
  JournalReader& operator=(JournalReader&&) noexcept;
  ~JournalReader();

  // The next record, a kCheckpoint at the head of each segment included. False at the end. Within a segment each index
  // is one higher than the one before. A checkpoint whose index is not that of the record before it stands behind a
  // gap: only Restore() leads on from there.
  bool Next(core::RecordHeader* header, std::string* bytes);
  // A segment ended in the middle of a record, or with one that is damaged, or segments are missing in between; what
  // could be read goes on with the next segment's checkpoint. Empty: nothing of the kind.
  const std::string& damage() const;
  bool torn() const;  // the end of the last segment was a torn record (normal after a kill)

 private:
  friend class Journal;  // Read()
  JournalReader();
  class Impl;
  std::unique_ptr<Impl> impl_;
};

class Journal {
 public:
  // Locks the directory, scans its segments, cuts off a torn tail; goes on in the last segment unless that is damaged.
  // Error: what to do about it (locked by another sidecar, not writable, not ours). Does not fail for a full disk: that
  // begins memory-only.
  static tl::expected<std::unique_ptr<Journal>, std::string> Open(JournalOptions options);
  ~Journal();  // Close()
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // What was there at Open, to be folded before the first Append.
  JournalReader Read() const;

  // Before each Append (or after a batch of them): true when a new segment is due: full, or after memory-only. Then
  // call BeginSegment() with a checkpoint that holds all records applied so far.
  bool WantsSegment() const;
  // `header`: kind kCheckpoint, index and time of the last record that the checkpoint includes.
  void BeginSegment(const core::RecordHeader& header, std::string_view checkpoint);
  // The record's bytes are the parts, one after the other. Copied; written by the writer thread. Memory only: counted.
  // An index that is not one higher than the last (or a record over 64 MiB) cannot be read back: it ends the segment as
  // a failure does.
  void Append(const core::RecordHeader& header, std::initializer_list<std::string_view> parts);

  // Somebody waits for the last record: what waits is written now, without gathering more.
  void Hurry();
  // Records up to this index may be acknowledged: they are with the kernel, or the journal is memory-only.
  std::uint64_t acknowledged() const;
  // Calls `wake` from the writer thread whenever acknowledged() rose. Set before the first Append. Must not call the
  // journal; is not called after Close().
  void SetWake(std::function<void()> wake);

  JournalStatus status() const;
  // Writes and syncs what waits, for at most `budget_ns`, and releases the lock (a write that hangs then keeps it until
  // it returns).
  void Close(std::int64_t budget_ns);

 private:
  class Impl;
  explicit Journal(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace spanwatch::ingest

#endif  // SPANWATCH_SIDECAR_INGEST_JOURNAL_H_
