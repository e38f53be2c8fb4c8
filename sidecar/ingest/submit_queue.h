// Records from other threads (reloads, OTLP/HTTP bodies) on their way to the ingest thread. Bounded by bytes.
// Threads: Submit and Close any; Take and Done the ingest thread.
#ifndef SPANWATCH_SIDECAR_INGEST_SUBMIT_QUEUE_H_
#define SPANWATCH_SIDECAR_INGEST_SUBMIT_QUEUE_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "sidecar/core/mutex.h"
#include "sidecar/core/record.h"

namespace spanwatch::ingest {

inline constexpr std::uint64_t kMaxSubmitBytes = 4u << 20;

class SubmitQueue {
 public:
  struct Item {
    core::RecordKind kind = core::RecordKind::kOtlp;
    std::string bytes;
    bool done = false;  // under the queue's mutex
    bool accepted = false;
  };

  // Queues and waits until Done() or Close(). `wake` is called once the record is queued. False: full, closed, or not
  // accepted.
  bool Submit(core::RecordKind kind, std::string bytes, const std::function<void()>& wake) EXCLUDES(mutex_);

  // The oldest record, or null. Hand it back with Done().
  std::shared_ptr<Item> Take() EXCLUDES(mutex_);
  void Done(const std::shared_ptr<Item>& item, bool accepted) EXCLUDES(mutex_);

  // From now on Submit() says false; so do those that wait for a record not taken yet.
  void Close() EXCLUDES(mutex_);
  void Open() EXCLUDES(mutex_);

  std::uint64_t refused() const EXCLUDES(mutex_);

 private:
  mutable Mutex mutex_;
  CondVar changed_;
  std::deque<std::shared_ptr<Item>> items_ GUARDED_BY(mutex_);
  std::uint64_t bytes_ GUARDED_BY(mutex_) = 0;  // queued, not those taken
  std::uint64_t refused_ GUARDED_BY(mutex_) = 0;
  bool open_ GUARDED_BY(mutex_) = false;
};

}  // namespace spanwatch::ingest

#endif  // SPANWATCH_SIDECAR_INGEST_SUBMIT_QUEUE_H_
