// What the journal's tests share: records that tell their own right contents, a disk that fails on demand, a wait.
#ifndef SPANWATCH_TESTS_UNIT_INGEST_JOURNAL_UTIL_H_
#define SPANWATCH_TESTS_UNIT_INGEST_JOURNAL_UTIL_H_

#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "sidecar/ingest/journal.h"
#include "sidecar/ingest/journal_io.h"

namespace spanwatch::ingest {

inline constexpr std::uint64_t kMemoryOnly = std::numeric_limits<std::uint64_t>::max();

struct Record {
  core::RecordHeader header;
  std::string bytes;
};

// Length and contents follow from the index.
inline std::string DataOf(std::uint64_t index, std::size_t most = 300) {
  const std::size_t size = static_cast<std::size_t>(index * 2654435761u) % (most + 1);
  std::string data(size, '\0');
  for (std::size_t i = 0; i < size; ++i) data[i] = static_cast<char>(index * 131 + i * 7);
  return data;
}
inline std::string CheckpointOf(std::uint64_t index) { return "checkpoint " + std::to_string(index); }

// Tells whether `pred` came true before a generous deadline.
inline bool WaitUntil(const std::function<bool()>& pred) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!pred()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    ::poll(nullptr, 0, 1);
  }
  return true;
}

// The disk and the clock of a test. Fields may change at any time.
class TestDisk {
 public:
  TestDisk() {
    io_ = JournalIo::System();
    io_.pwrite = [this](int fd, const void* bytes, std::size_t size, off_t offset) -> ssize_t {
      ++writes;
      std::unique_lock lock(mutex_);
      in_write_ = true;
      go_.wait(lock, [this] { return !hold_; });
      in_write_ = false;
      lock.unlock();
      if (write_error != 0 && size > error_above && writes_until_error.fetch_sub(1) <= 0) {
        errno = write_error;
        return -1;
      }
      return ::pwrite(fd, bytes, std::min<std::size_t>(size, most_at_once), offset);
    };
    io_.allocate = [this, real = io_.allocate](int fd, off_t size) {
      errno = allocate_error;
      return allocate_error == 0 ? real(fd, size) : -1;
    };
    io_.sync = [this, real = io_.sync](int fd) {
      ++syncs;
      errno = sync_error;
      return sync_error == 0 ? real(fd) : -1;
    };
    io_.steady_ns = [this] { return now_ns.load(); };
  }
  // Writes hang until Release().
  void Hold() { Set(true); }
  void Release() { Set(false); }
  bool Hangs() {
    const std::lock_guard lock(mutex_);
    return in_write_;
  }
  JournalIo* io() { return &io_; }

  std::atomic<int> write_error{0}, writes_until_error{0}, allocate_error{0}, sync_error{0};
  std::atomic<std::size_t> error_above{0};  // smaller writes succeed
  std::atomic<std::size_t> most_at_once{std::numeric_limits<std::size_t>::max()};
  std::atomic<int> writes{0}, syncs{0};
  std::atomic<std::int64_t> now_ns{1'000'000'000};

 private:
  void Set(bool hold) {
    const std::lock_guard lock(mutex_);
    hold_ = hold;
    go_.notify_all();
  }

  JournalIo io_;
  std::mutex mutex_;
  std::condition_variable go_;
  bool hold_ = false, in_write_ = false;
};

// For tests that close thousands of journals: the system's disk, never synced.
inline const JournalIo* UnsyncedDisk() {
  static const JournalIo io = [] {
    JournalIo unsynced = JournalIo::System();
    unsynced.sync = [](int) { return 0; };
    return unsynced;
  }();
  return &io;
}

inline JournalOptions SmallJournal(const std::string& directory) {
  JournalOptions options;
  options.directory = directory;
  options.segment_bytes = 4096;
  options.max_bytes = 8 * 4096;
  return options;
}

// Appends as the ingest thread does: a segment when one is wanted, then the record; the writer never falls behind.
class Feeder {
 public:
  explicit Feeder(Journal* journal, std::uint64_t last = 0) : journal_(journal), last_(last) {}

  void Append(std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) {
      Begin();
      ++last_;
      now_ns += step_ns;
      const std::string data = DataOf(last_);
      journal_->Append(
          {last_, now_ns, core::RecordKind::kMessage, last_ % 7},
          {std::string_view(data).substr(0, data.size() / 2), std::string_view(data).substr(data.size() / 2)});
    }
  }
  void Begin() {
    if (!journal_->WantsSegment()) return;
    journal_->BeginSegment({last_, now_ns, core::RecordKind::kCheckpoint, 0}, CheckpointOf(last_));
  }
  bool WaitAcknowledged() const {
    return WaitUntil([this] { return journal_->acknowledged() >= last_; });
  }
  std::uint64_t last() const { return last_; }

  std::int64_t now_ns = 1'000'000;
  std::int64_t step_ns = 1000;

 private:
  Journal* const journal_;
  std::uint64_t last_;
};

inline std::unique_ptr<Journal> OpenJournal(JournalOptions options) {
  auto journal = Journal::Open(std::move(options));
  EXPECT_TRUE(journal) << journal.error();
  return journal ? *std::move(journal) : nullptr;
}

struct Contents {
  std::vector<Record> records;
  std::string damage;
  bool torn = false;

  std::uint64_t first() const { return records.empty() ? 0 : records.front().header.index; }
  std::uint64_t last() const { return records.empty() ? 0 : records.back().header.index; }
  std::uint64_t checkpoints() const {
    std::uint64_t count = 0;
    for (const Record& r : records) count += r.header.kind == core::RecordKind::kCheckpoint ? 1u : 0u;
    return count;
  }
};

// Every record is as Feeder made it, and within a segment none is left out.
inline Contents ReadAll(JournalReader reader) {
  Contents contents;
  for (Record r; reader.Next(&r.header, &r.bytes); contents.records.push_back(r)) {
    const bool checkpoint = r.header.kind == core::RecordKind::kCheckpoint;
    EXPECT_EQ(r.bytes, checkpoint ? CheckpointOf(r.header.index) : DataOf(r.header.index)) << r.header.index;
    if (checkpoint || contents.records.empty()) continue;
    EXPECT_EQ(r.header.index, contents.last() + 1);
    EXPECT_EQ(r.header.connection, r.header.index % 7);
  }
  EXPECT_TRUE(contents.records.empty() || contents.records[0].header.kind == core::RecordKind::kCheckpoint);
  contents.damage = reader.damage();
  contents.torn = reader.torn();
  return contents;
}

inline Contents ReadAll(const std::string& directory) {
  auto reader = JournalReader::Open(directory);
  EXPECT_TRUE(reader) << reader.error();
  return reader ? ReadAll(*std::move(reader)) : Contents{};
}

inline std::vector<std::string> Segments(const std::string& directory) {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().extension() == ".spw") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

inline std::string Slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
// A new file each time: writing over an old one makes some file systems wait for the disk.
inline void Spill(const std::string& path, const std::string& bytes) {
  std::filesystem::remove(path);
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

}  // namespace spanwatch::ingest

#endif  // SPANWATCH_TESTS_UNIT_INGEST_JOURNAL_UTIL_H_
