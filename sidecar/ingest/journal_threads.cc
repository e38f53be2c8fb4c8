// The writer thread and the sync thread.
#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "sidecar/ingest/journal_writer.h"

namespace spanwatch::ingest {
namespace {

constexpr auto kGatherTime = std::chrono::milliseconds(1);  // small records share a write
constexpr std::size_t kMaxDirty = 64;                       // files that wait for fdatasync
constexpr std::size_t kMaxSpare = 4u << 20;

// A file size limit (SIGXFSZ) is an error like others here; signals of the process belong to other threads.
void BlockSignals() {
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
}

}  // namespace

void JournalWriter::RunWriter() {
  BlockSignals();
  std::vector<Batch> batches;
  std::uint64_t epoch = 0;
  while (TakeBatches(&batches, &epoch)) {
    WriteBatches(&batches, epoch);
    FlushLog();
    Wake();
  }
  MutexLock lock(&mu_);
  writer_done_ = true;
  sync_.notify_all();
}

// Waits for work; false: closing, and none is left.
bool JournalWriter::TakeBatches(std::vector<Batch>* batches, std::uint64_t* epoch) {
  MutexLock lock(&mu_);
  // While records come, the writer looks by itself once a millisecond and need not be told of each.
  for (bool gathered = false; !(gathered && !pending_.empty()) && !hurry_ && !closing_;) {
    if (gathered) {
      asleep_ = true;
      while (asleep_ && !closing_) work_.wait(mu_);
    }
    const auto deadline = std::chrono::steady_clock::now() + kGatherTime;
    while (!hurry_ && !closing_ && work_.wait_until(mu_, deadline) != std::cv_status::timeout) {
    }
    gathered = true;
  }
  asleep_ = hurry_ = false;
  batches->clear();
  batches->swap(pending_);
  *epoch = epoch_;
  writing_ = !batches->empty();
  writing_since_ = waiting_since_;
  waiting_ = waiting_records_ = 0;
  waiting_since_ = 0;
  room_.notify_all();
  return writing_ || !closing_;
}

void JournalWriter::WriteBatches(std::vector<Batch>* batches, std::uint64_t epoch) {
  std::string problem;
  std::uint64_t dropped = 0;
  std::string buffer;
  for (Batch& batch : *batches) {
    const std::size_t size = batch.bytes.size();
    if (problem.empty()) problem = WriteBatch(&batch);
    if (!problem.empty()) {
      dropped += batch.records;
      continue;
    }
    Written(batch, size, epoch);
    if (batch.bytes.capacity() > buffer.capacity()) buffer.swap(batch.bytes);
  }
  buffer.clear();
  MutexLock lock(&mu_);
  writing_ = false;
  writing_since_ = 0;
  if (buffer.capacity() <= kMaxSpare) spare_.swap(buffer);
  if (!problem.empty() && epoch == epoch_) GoOff(problem);
  status_.dropped_records += dropped;
}

std::string JournalWriter::WriteBatch(Batch* batch) {
  if (!batch->begins) return files_.Write(&batch->bytes);
  if (!files_.prepared()) {
    // The disk was full when the sidecar started.
    if (const auto tail = files_.Prepare(); !tail) return tail.error().text;
  }
  return files_.Begin(batch->nonce, batch->checkpoint_ns, &batch->bytes);
}

void JournalWriter::Written(const Batch& batch, std::size_t size, std::uint64_t epoch) {
  MutexLock lock(&mu_);
  status_.written_bytes += size;
  status_.bytes = files_.bytes();
  status_.segments = files_.segments();
  status_.oldest_ns = files_.oldest_ns();
  if (batch.begins) {
    ++status_.checkpoints;
    dirty_.push_back(files_.directory());
  }
  if (std::find(dirty_.begin(), dirty_.end(), files_.current()) == dirty_.end()) dirty_.push_back(files_.current());
  // The disk cannot follow: the kernel writes those without us.
  if (dirty_.size() > kMaxDirty) dirty_.erase(dirty_.begin());
  if (epoch != epoch_) return;
  acknowledged_ = std::max(acknowledged_, batch.last_index);
  if (status_.on) return;
  status_.on = true;
  status_.problem.clear();
  logged_problem_.clear();
  Say("journal " + options_.directory + ": works again; " + std::to_string(status_.dropped_records - dropped_before_) +
      " records were kept in memory only");
}

void JournalWriter::RunSync() {
  BlockSignals();
  for (bool last = false; !last;) {
    std::vector<std::shared_ptr<const UniqueFd>> files;
    {
      MutexLock lock(&mu_);
      const auto deadline = std::chrono::steady_clock::now() + std::chrono::nanoseconds(io_->sync_every_ns);
      while (!closing_ && sync_.wait_until(mu_, deadline) != std::cv_status::timeout) {
      }
      while (closing_ && !writer_done_) sync_.wait(mu_);
      last = closing_;
      files.swap(dirty_);
    }
    Sync(files);
    FlushLog();
  }
  MutexLock lock(&mu_);
  sync_done_ = true;
  sync_.notify_all();
}

void JournalWriter::Sync(const std::vector<std::shared_ptr<const UniqueFd>>& files) {
  int error = 0;
  for (const auto& file : files) {
    // EINVAL: not a kind of file that can be synced.
    if (file != nullptr && file->get() >= 0 && io_->sync(file->get()) != 0 && errno != EINVAL) error = errno;
  }
  if (error == 0) return;
  MutexLock lock(&mu_);
  if (!off_) {
    GoOff("journal " + options_.directory + ": cannot sync to the disk: " + std::strerror(error) +
          "; look at the disk (dmesg)");
  }
}

}  // namespace spanwatch::ingest
