// The producer's side: queue, memory-only and back.
#include "sidecar/ingest/journal_writer.h"

#include <sys/random.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

namespace spanwatch::ingest {
namespace {

constexpr std::uint64_t kMinSegmentBytes = 4096;
constexpr std::uint64_t kMinSegments = 4;
constexpr std::int64_t kAgeSteps = 8;             // a segment covers at most max_age / kAgeSteps
constexpr std::size_t kGatherBytes = 256u << 10;  // the writer is told at once
constexpr std::int64_t kLogAgainNs = 60'000'000'000;

JournalOptions Checked(JournalOptions options) {
  options.max_bytes = std::max(options.max_bytes, kMinSegments * kMinSegmentBytes);
  options.segment_bytes = std::clamp(options.segment_bytes, kMinSegmentBytes, options.max_bytes / kMinSegments);
  while (options.directory.size() > 1 && options.directory.ends_with('/')) options.directory.pop_back();
  return options;
}

// Any number will do that no earlier life of the file had.
std::uint64_t NewNonce() {
  std::uint64_t nonce = 0;
  if (::getrandom(&nonce, sizeof nonce, 0) != sizeof nonce) {
    nonce = static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
  }
  return nonce;
}

}  // namespace

JournalWriter::JournalWriter(JournalOptions options)
    : options_(Checked(std::move(options))),
      io_(options_.io != nullptr ? options_.io : &JournalIo::System()),
      max_waiting_(std::max<std::uint64_t>(options_.queue_bytes / 2, 1)),
      files_({options_.directory, options_.max_bytes, options_.segment_bytes, options_.max_age_ns, io_}) {}

std::string JournalWriter::Start() {
  if (options_.directory.empty()) return "journal: no directory is named";
  auto tail = files_.Prepare();
  if (!tail && !tail.error().no_space) return tail.error().text;
  files_at_start_ = files_.List();
  {
    MutexLock lock(&mu_);
    status_.on = true;
    if (tail) {
      torn_at_start_ = tail->torn;
      TakeTail(*tail);
    } else {
      GoOff(tail.error().text);
    }
  }
  FlushLog();
  writer_thread_ = std::thread([self = shared_from_this()] { self->RunWriter(); });
  sync_thread_ = std::thread([self = shared_from_this()] { self->RunSync(); });
  return {};
}

void JournalWriter::TakeTail(const JournalFiles::Tail& tail) {
  current_ = {tail.append,     tail.nonce,    tail.bytes,   tail.checkpoint_bytes,
              tail.last_index, tail.first_ns, tail.first_ns};
  over_limit_ = files_.bytes() > options_.max_bytes;
  acknowledged_ = tail.last_index;
  status_.bytes = files_.bytes();
  status_.segments = files_.segments();
  status_.oldest_ns = files_.oldest_ns();
}

bool JournalWriter::WantsSegment() {
  bool wants = false;
  {
    MutexLock lock(&mu_);
    CheckBehind();
    if (closed_) {
      wants = false;
    } else if (off_) {
      wants = !writing_ && io_->steady_ns() >= retry_at_;
    } else if (!current_.open || over_limit_) {
      wants = true;
    } else {
      // A checkpoint that fills a segment alone must not call for the next one.
      const std::uint64_t records = current_.bytes - current_.checkpoint_bytes;
      wants = (current_.bytes >= options_.segment_bytes && records >= options_.segment_bytes / 4) ||
              ElapsedNs(current_.first_ns, current_.last_ns) > options_.max_age_ns / kAgeSteps;
    }
  }
  FlushLog();
  return wants;
}

void JournalWriter::BeginSegment(const core::RecordHeader& header, std::string_view checkpoint) {
  bool tell = false;
  {
    MutexLock lock(&mu_);
    CheckBehind();
    if (closed_ || (off_ && writing_)) return;
    if (off_) GoOn(header.index);
    over_limit_ = false;
    Batch batch;
    batch.begins = true;
    batch.nonce = NewNonce();
    batch.checkpoint_ns = header.now_ns;
    batch.last_index = header.index;
    batch.bytes.assign(kSegmentHeaderBytes, '\0');
    if (header.kind != core::RecordKind::kCheckpoint ||
        !AppendRecord(header, {checkpoint}, batch.nonce, &batch.bytes)) {
      GoOff("journal " + options_.directory + ": a checkpoint of " + std::to_string(checkpoint.size()) +
            " bytes cannot be written");
    } else if (MakeRoom(batch.bytes.size())) {
      const std::uint64_t size = batch.bytes.size();
      current_ = {true, batch.nonce, size, size, header.index, header.now_ns, header.now_ns};
      pending_.push_back(std::move(batch));
      tell = Queued(size);
    }
  }
  if (tell) work_.notify_one();
  FlushLog();
}

void JournalWriter::Append(const core::RecordHeader& header, std::initializer_list<std::string_view> parts) {
  std::size_t size = kRecordHeaderBytes;
  for (const std::string_view part : parts) size += part.size();
  bool tell = false;
  {
    MutexLock lock(&mu_);
    ++status_.records;
    CheckBehind();
    if (!off_ && current_.open && (header.index != current_.last_index + 1 || size > kMaxRecordBytes)) {
      GoOff("journal " + options_.directory + ": record " + std::to_string(header.index) + " of " +
            std::to_string(size) + " bytes does not follow record " + std::to_string(current_.last_index));
    }
    if (off_ || closed_ || !current_.open || !MakeRoom(size)) {
      ++status_.dropped_records;
    } else {
      Batch* batch = LastBatch();
      AppendRecord(header, parts, current_.nonce, &batch->bytes);
      batch->last_index = header.index;
      ++batch->records;
      ++waiting_records_;
      current_.bytes += size;
      current_.last_index = header.index;
      current_.last_ns = header.now_ns;
      tell = Queued(size);
    }
  }
  if (tell) work_.notify_one();
  FlushLog();
}

void JournalWriter::Hurry() {
  {
    MutexLock lock(&mu_);
    if (waiting_ == 0 || hurry_) return;
    hurry_ = true;
  }
  work_.notify_one();
}

// False: memory only. Waits for the writer, but not for long: see journal.h.
bool JournalWriter::MakeRoom(std::size_t size) {
  if (!HasRoom(size)) {
    hurry_ = true;
    work_.notify_one();
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::nanoseconds(options_.max_behind_ns);
    while (!off_ && !HasRoom(size)) {
      if (room_.wait_until(mu_, deadline) == std::cv_status::timeout && !off_ && !HasRoom(size)) {
        GoOff("journal " + options_.directory + ": the disk is too slow: the queue of " +
              std::to_string(options_.queue_bytes) + " bytes is full");
      }
    }
  }
  return !off_;
}

JournalWriter::Batch* JournalWriter::LastBatch() {
  if (pending_.empty()) {
    pending_.emplace_back();
    pending_.back().bytes.swap(spare_);
  }
  return &pending_.back();
}

bool JournalWriter::Queued(std::size_t size) {
  if (waiting_ == 0) waiting_since_ = io_->steady_ns();
  const std::uint64_t gather = std::min<std::uint64_t>(kGatherBytes, max_waiting_ / 2);
  const bool enough = waiting_ < gather && waiting_ + size >= gather;
  hurry_ = hurry_ || enough;
  waiting_ += size;
  return std::exchange(asleep_, false) || enough;
}

void JournalWriter::CheckBehind() {
  const std::int64_t now_ns = io_->steady_ns();
  // When the caller itself did not run (a process that was stopped, a machine that slept), the writer may be innocent.
  const bool stood_still = now_ns - checked_at_ > options_.max_behind_ns / 2;
  checked_at_ = now_ns;
  if (stood_still && waiting_since_ != 0) waiting_since_ = now_ns;
  if (stood_still && writing_since_ != 0) writing_since_ = now_ns;
  const std::int64_t since = writing_since_ != 0 ? writing_since_ : waiting_since_;
  if (off_ || since == 0 || now_ns - since <= options_.max_behind_ns) return;
  GoOff("journal " + options_.directory + ": the disk is too slow: over " +
        std::to_string(options_.max_behind_ns / 1'000'000) + " ms behind");
}

void JournalWriter::GoOff(const std::string& problem) {
  const std::int64_t now = io_->steady_ns();
  off_ = true;
  ++epoch_;
  retry_at_ = now + options_.retry_ns;
  if (status_.on) {
    dropped_before_ = status_.dropped_records;
    ++status_.failures;
  }
  status_.on = false;
  status_.problem = problem;
  status_.dropped_records += waiting_records_;
  pending_.clear();
  waiting_ = waiting_records_ = 0;
  waiting_since_ = 0;
  current_.open = false;
  room_.notify_all();
  if (problem == logged_problem_ && now - logged_at_ < kLogAgainNs) return;
  logged_problem_ = problem;
  logged_at_ = now;
  Say(problem + ". Until that is over, what comes in is kept in memory only: a restart will not find it");
}

// An attempt: it counts as on, and status() shows it so once the checkpoint is written.
void JournalWriter::GoOn(std::uint64_t index) {
  off_ = false;
  // What was applied meanwhile could be acknowledged all along.
  acknowledged_ = std::max(acknowledged_, index);
}

std::uint64_t JournalWriter::Acknowledged() {
  std::uint64_t index = 0;
  {
    MutexLock lock(&mu_);
    CheckBehind();
    index = off_ ? std::numeric_limits<std::uint64_t>::max() : acknowledged_;
  }
  FlushLog();
  return index;
}

JournalStatus JournalWriter::GetStatus() {
  JournalStatus status;
  {
    MutexLock lock(&mu_);
    CheckBehind();
    status = status_;
  }
  FlushLog();
  return status;
}

void JournalWriter::SetWake(std::function<void()> wake) {
  MutexLock lock(&callbacks_mu_);
  wake_ = std::move(wake);
}

void JournalWriter::FlushLog() {
  std::vector<std::string> texts;
  {
    MutexLock lock(&mu_);
    if (to_log_.empty()) return;
    texts.swap(to_log_);
  }
  MutexLock lock(&callbacks_mu_);
  if (callbacks_off_ || options_.log == nullptr) return;
  for (const std::string& text : texts) options_.log(text);
}

void JournalWriter::Wake() {
  MutexLock lock(&callbacks_mu_);
  if (!callbacks_off_ && wake_ != nullptr) wake_();
}

void JournalWriter::Close(std::int64_t budget_ns) {
  bool done = false;
  {
    MutexLock lock(&mu_);
    if (closed_) return;
    closed_ = closing_ = true;
    work_.notify_all();
    sync_.notify_all();
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::nanoseconds(budget_ns);
    while (!(writer_done_ && sync_done_) && sync_.wait_until(mu_, deadline) != std::cv_status::timeout) {
    }
    done = writer_done_ && sync_done_;
    if (!done) {
      GoOff("journal " + options_.directory + ": the disk did not take everything in time");
    }
  }
  FlushLog();
  {
    MutexLock lock(&callbacks_mu_);
    callbacks_off_ = true;
    wake_ = nullptr;
  }
  if (done) {
    writer_thread_.join();
    sync_thread_.join();
    files_.Release();
  } else {
    writer_thread_.detach();
    sync_thread_.detach();
  }
}

}  // namespace spanwatch::ingest
