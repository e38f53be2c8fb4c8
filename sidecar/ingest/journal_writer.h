// The journal behind its facade (journal.h): the queue, and the threads that write and sync it.
//
// One producer, the ingest thread, calls Append and BeginSegment; the writer thread takes all that waits and gives it
// to JournalFiles; the sync thread calls fdatasync on what was written. Both threads hold a shared_ptr to this object:
// a disk that hangs longer than Close() may wait keeps it, and the directory's lock, but nobody else. Threads: any, but
// for the producer's functions.
#ifndef SPANWATCH_SIDECAR_INGEST_JOURNAL_WRITER_H_
#define SPANWATCH_SIDECAR_INGEST_JOURNAL_WRITER_H_

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "sidecar/core/mutex.h"
#include "sidecar/ingest/journal.h"
#include "sidecar/ingest/journal_files.h"

namespace spanwatch::ingest {

class JournalWriter : public std::enable_shared_from_this<JournalWriter> {
 public:
  explicit JournalWriter(JournalOptions options);

  // Empty: started. Once, before anything else.
  std::string Start();
  // As Start() found them.
  const std::vector<SegmentFile>& files_at_start() const { return files_at_start_; }
  bool torn_at_start() const { return torn_at_start_; }

  // Producer. See journal.h.
  bool WantsSegment() EXCLUDES(mu_);
  void BeginSegment(const core::RecordHeader& header, std::string_view checkpoint) EXCLUDES(mu_);
  void Append(const core::RecordHeader& header, std::initializer_list<std::string_view> parts) EXCLUDES(mu_);

  void Hurry() EXCLUDES(mu_);
  std::uint64_t Acknowledged() EXCLUDES(mu_);
  void SetWake(std::function<void()> wake) EXCLUDES(callbacks_mu_);
  JournalStatus GetStatus() EXCLUDES(mu_);
  void Close(std::int64_t budget_ns) EXCLUDES(mu_);

 private:
  // Goes to one segment in one write.
  struct Batch {
    bool begins = false;  // a new segment: bytes start with room for its header, then its checkpoint
    std::uint64_t nonce = 0;
    std::int64_t checkpoint_ns = 0;
    std::uint64_t last_index = 0;
    std::uint64_t records = 0;  // without the checkpoint
    std::string bytes;
  };
  // The segment that the producer appends to.
  struct Current {
    bool open = false;
    std::uint64_t nonce = 0, bytes = 0, checkpoint_bytes = 0, last_index = 0;
    std::int64_t first_ns = 0, last_ns = 0;
  };

  void TakeTail(const JournalFiles::Tail& tail) REQUIRES(mu_);
  bool HasRoom(std::size_t size) const REQUIRES(mu_) { return waiting_ == 0 || waiting_ + size <= max_waiting_; }
  bool MakeRoom(std::size_t size) REQUIRES(mu_);
  Batch* LastBatch() REQUIRES(mu_);
  // True: the writer is to be told, once mu_ is free (woken earlier, it would only wait for it).
  bool Queued(std::size_t size) REQUIRES(mu_);
  void CheckBehind() REQUIRES(mu_);
  void GoOff(const std::string& problem) REQUIRES(mu_);
  void GoOn(std::uint64_t index) REQUIRES(mu_);
  void Say(std::string text) REQUIRES(mu_) { to_log_.push_back(std::move(text)); }
  // Calls the callbacks; without mu_, so that they may take their time.
  void FlushLog() EXCLUDES(mu_, callbacks_mu_);
  void Wake() EXCLUDES(callbacks_mu_);

  // Writer and sync thread.
  void RunWriter() EXCLUDES(mu_);
  bool TakeBatches(std::vector<Batch>* batches, std::uint64_t* epoch) EXCLUDES(mu_);
  void WriteBatches(std::vector<Batch>* batches, std::uint64_t epoch) EXCLUDES(mu_);
  std::string WriteBatch(Batch* batch);
  void Written(const Batch& batch, std::size_t size, std::uint64_t epoch) EXCLUDES(mu_);
  void RunSync() EXCLUDES(mu_);
  void Sync(const std::vector<std::shared_ptr<const UniqueFd>>& files) EXCLUDES(mu_);

  // Constant after Start().
  const JournalOptions options_;
  const JournalIo* const io_;
  const std::uint64_t max_waiting_;
  std::vector<SegmentFile> files_at_start_;
  bool torn_at_start_ = false;

  JournalFiles files_;  // Start(), then the writer thread's

  Mutex mu_;
  CondVar work_;                      // the writer: something waits, or closing
  CondVar room_;                      // the producer: the writer took what waited
  CondVar sync_;                      // the sync thread: closing; Close(): done
  bool off_ GUARDED_BY(mu_) = false;  // memory only
  bool closing_ GUARDED_BY(mu_) = false;
  bool closed_ GUARDED_BY(mu_) = false;
  bool hurry_ GUARDED_BY(mu_) = false;   // do not gather more
  bool asleep_ GUARDED_BY(mu_) = false;  // the writer waits for work without end
  bool writing_ GUARDED_BY(mu_) = false;
  bool writer_done_ GUARDED_BY(mu_) = false, sync_done_ GUARDED_BY(mu_) = false;
  std::uint64_t epoch_ GUARDED_BY(mu_) = 0;  // counts what went memory-only: a late write of an earlier epoch is void
  Current current_ GUARDED_BY(mu_);
  bool over_limit_ GUARDED_BY(mu_) = false;  // the limit was lowered since the last life: a new segment lets the old go
  std::vector<Batch> pending_ GUARDED_BY(mu_);
  std::string spare_ GUARDED_BY(mu_);  // a buffer that was written, for the next batch
  std::uint64_t waiting_ GUARDED_BY(mu_) = 0, waiting_records_ GUARDED_BY(mu_) = 0;
  std::int64_t waiting_since_ GUARDED_BY(mu_) = 0, writing_since_ GUARDED_BY(mu_) = 0;  // oldest byte, steady; 0: none
  std::int64_t checked_at_ GUARDED_BY(mu_) = 0;                                         // by CheckBehind(), steady
  std::uint64_t acknowledged_ GUARDED_BY(mu_) = 0;
  std::int64_t retry_at_ GUARDED_BY(mu_) = 0;  // steady
  std::string logged_problem_ GUARDED_BY(mu_);
  std::int64_t logged_at_ GUARDED_BY(mu_) = 0;
  std::uint64_t dropped_before_ GUARDED_BY(mu_) = 0;  // when it went memory-only
  JournalStatus status_ GUARDED_BY(mu_);
  std::vector<std::shared_ptr<const UniqueFd>> dirty_ GUARDED_BY(mu_);
  std::vector<std::string> to_log_ GUARDED_BY(mu_);

  Mutex callbacks_mu_;
  std::function<void()> wake_ GUARDED_BY(callbacks_mu_);
  bool callbacks_off_ GUARDED_BY(callbacks_mu_) = false;

  std::thread writer_thread_, sync_thread_;  // Start() and Close()
};

}  // namespace spanwatch::ingest

#endif  // SPANWATCH_SIDECAR_INGEST_JOURNAL_WRITER_H_
