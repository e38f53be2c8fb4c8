// What was decided and what was delivered, on disk: transitions by their deterministic id (a second one with the same
// id is ignored), of each receiver the incidents it tracks and the messages that show them, the traces that are kept
// for incidents, and the silences. A restart goes on from there.
//
// It never fails its callers. Disk full, failing, or not to be written: it goes on in memory, says so (GetStatus, log),
// and writes what it holds when writing works again. A damaged file is put aside as FILE.corrupt-N (three are kept) and
// a new one begun. A file of a newer version is left alone: memory only.
//
// Threads: any; calls wait for each other and for the disk, except committed_ns() and GetStatus().
// Bounded: the file by OutboxOptions::max_bytes (the oldest transitions that every receiver has go first), transitions
// that wait for the disk by `max_waiting` (the oldest go first, counted).
#ifndef SPANWATCH_SIDECAR_NOTIFY_OUTBOX_H_
#define SPANWATCH_SIDECAR_NOTIFY_OUTBOX_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

#include "sidecar/core/incident.h"
#include "sidecar/core/mutex.h"
#include "sidecar/notify/outbox_status.h"
#include "sidecar/notify/sqlite_db.h"
#include "sidecar/notify/stored.h"

namespace spanwatch::notify {

struct OutboxOptions {
  std::string path;
  std::int64_t max_bytes = 64 << 20;
  std::int64_t keep_ns = 72 * 3'600'000'000'000;  // transitions are kept so long; updates only until they are consumed
  std::int64_t retry_ns = 5'000'000'000;          // after a failure the disk is left alone for so long
  std::size_t max_waiting = 4096;
};

class Outbox {
 public:
  // A receiver's right to write; stale once the file is another one, until it has written everything anew.
  struct Receiver {
    std::string name;
    std::uint64_t generation = 0;
  };
  struct Committed {
    std::vector<core::Transition> fresh;  // those whose id was not known, in order
    std::uint64_t sequence = 0;           // of the last transition on disk
  };

  explicit Outbox(OutboxOptions options) : options_(std::move(options)) {}

  void Open() EXCLUDES(mutex_);
  // Afterwards nothing is written any more.
  void Close() EXCLUDES(mutex_);
  // True if Open found no file, or none that could be used: there is nothing to go on from.
  bool was_new() const { return was_new_.load(); }
  // Engine time of the latest transition on disk; INT64_MIN: none.
  std::int64_t committed_ns() const { return committed_ns_.load(); }

  // `receiver` is set up to write. A receiver that the file does not know begins with what comes next.
  StoredReceiver Load(const std::string& name, Receiver* receiver) EXCLUDES(mutex_);
  void ForgetAllBut(const std::vector<std::string>& names) EXCLUDES(mutex_);

  Committed Commit(std::vector<core::Transition> transitions) EXCLUDES(mutex_);
  // False: nothing was written; the receiver must come again later with everything (Changes::reset).
  bool Save(Receiver* receiver, const Changes& changes, std::uint64_t consumed, const std::string& webhook)
      EXCLUDES(mutex_);
  // Now and then, every 5 s or so: writes what waits, syncs, deletes what is old. Returns as Commit does.
  Committed Tend() EXCLUDES(mutex_);

  // Silences (silences.h). What is saved is held here too, until it is on disk and for the case that the file must be
  // begun anew.
  std::vector<StoredSilence> LoadSilences() EXCLUDES(mutex_);
  void SaveSilences(const std::vector<StoredSilence>& written, const std::vector<std::string>& removed)
      EXCLUDES(mutex_);

  // Traces that are kept for alerts (kept_traces.h). They never hold up an alert: when they cannot be written, that
  // alone is counted, and their owner comes again later.
  enum class KeptResult : std::uint8_t {
    kOk,
    kFailed,     // nothing was written
    kOtherFile,  // neither: what was stored is gone with the former file. Come with everything (KeptChanges::reset)
  };
  // `generation`: what SaveKept is to be given from then on; 0: there is nothing to go on from.
  StoredKept LoadKept(std::uint64_t* generation) EXCLUDES(mutex_);
  KeptResult SaveKept(const KeptChanges& changes, std::uint64_t* generation) EXCLUDES(mutex_);
  std::string ReadKept(const std::string& id) EXCLUDES(mutex_);  // a trace's body; empty: not there
  std::int64_t max_bytes() const { return options_.max_bytes; }

  // A hash of a secret, with a key that only this file holds.
  std::string Fingerprint(const std::string& secret) EXCLUDES(mutex_);

  void CountUnreadable(std::size_t rows) EXCLUDES(status_mutex_) { Count(&OutboxStatus::unreadable, rows); }
  OutboxStatus GetStatus() const EXCLUDES(status_mutex_);
  std::int64_t retry_ns() const { return options_.retry_ns; }

 private:
  struct Waiting {
    core::Transition transition;
    bool inserted = false;
  };
  using Step = std::function<DbResult()>;

  DbResult OpenFile() REQUIRES(mutex_);
  DbResult SetUp() REQUIRES(mutex_);
  void PutAside() REQUIRES(mutex_);
  bool Usable() REQUIRES(mutex_);
  bool Transact(const Step& step) REQUIRES(mutex_);
  DbResult TryTransact(const Step& step) REQUIRES(mutex_);
  void OnFailure(DbResult result) REQUIRES(mutex_);
  DbResult WriteWaiting() REQUIRES(mutex_);
  DbResult WriteSilences() REQUIRES(mutex_);
  void OnWritten() REQUIRES(mutex_);
  DbResult WriteChanges(const std::string& name, const Changes& changes, std::uint64_t consumed,
                        const std::string& webhook) REQUIRES(mutex_);
  bool IsKnown(const std::string& id) REQUIRES(mutex_);
  std::size_t DropKnown(std::size_t begin) REQUIRES(mutex_);
  void ForgetWaiting() REQUIRES(mutex_);
  void TrimWaiting() REQUIRES(mutex_);
  DbResult ReadReceiver(const std::string& name, StoredReceiver* stored) REQUIRES(mutex_);
  DbResult ReadAfter(std::uint64_t sequence, std::vector<core::Transition>* all) REQUIRES(mutex_);
  DbResult WriteKept(const KeptChanges& changes) REQUIRES(mutex_);
  DbResult DeleteOld() REQUIRES(mutex_);
  DbResult DeleteForSpace() REQUIRES(mutex_);
  DbResult DeleteFirst(std::int64_t written_before_ns) REQUIRES(mutex_);
  void SetProblem(const std::string& problem) EXCLUDES(status_mutex_);
  void UpdateSizes() REQUIRES(mutex_) EXCLUDES(status_mutex_);
  void Count(std::uint64_t OutboxStatus::*counter, std::uint64_t by = 1) EXCLUDES(status_mutex_);

  const OutboxOptions options_;
  std::atomic<std::int64_t> committed_ns_{INT64_MIN};
  std::atomic<bool> was_new_{true};

  Mutex mutex_;
  SqliteDb db_ GUARDED_BY(mutex_);
  bool refused_ GUARDED_BY(mutex_) = false;  // never to be opened again: a newer version, or closed
  bool failing_ GUARDED_BY(mutex_) = false;
  std::int64_t retry_at_ns_ GUARDED_BY(mutex_) = INT64_MIN;  // steady clock
  bool made_new_ GUARDED_BY(mutex_) = false;
  std::uint64_t generation_ GUARDED_BY(mutex_) = 0;  // grows with each file
  std::uint64_t sequence_ GUARDED_BY(mutex_) = 0;
  std::uint64_t staged_sequence_ GUARDED_BY(mutex_) = 0;
  std::uint64_t updates_deleted_to_ GUARDED_BY(mutex_) = 0;
  bool unsynced_ GUARDED_BY(mutex_) = false;
  std::uint64_t key_ GUARDED_BY(mutex_) = 0;
  std::deque<Waiting> waiting_ GUARDED_BY(mutex_);
  std::unordered_set<std::string> waiting_ids_ GUARDED_BY(mutex_);
  std::map<std::string, std::string> silences_ GUARDED_BY(mutex_);  // by id, as they are on disk or are to be
  std::set<std::string> unwritten_silences_ GUARDED_BY(mutex_);     // changed, or removed

  mutable Mutex status_mutex_;
  OutboxStatus status_ GUARDED_BY(status_mutex_);
};

}  // namespace spanwatch::notify

#endif  // SPANWATCH_SIDECAR_NOTIFY_OUTBOX_H_
