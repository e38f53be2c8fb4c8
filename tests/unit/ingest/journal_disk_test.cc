// Disks that are full, broken, slow or gone: the journal goes memory-only, says so, and comes back.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cstring>
#include <string>

#include "tests/unit/ingest/journal_util.h"
#include "tests/unit/ingest/temp_dir.h"

namespace spanwatch::ingest {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class JournalDisk : public ::testing::Test {
 protected:
  void Open() {
    options_ = SmallJournal(dir_.path("j"));
    options_.io = disk_.io();
    options_.log = [this](const std::string& text) {
      const std::lock_guard lock(mutex_);
      log_.push_back(text);
    };
    journal_ = OpenJournal(options_);
    feeder_ = std::make_unique<Feeder>(journal_.get(), ReadAll(journal_->Read()).last());
  }
  std::vector<std::string> Log() {
    const std::lock_guard lock(mutex_);
    return log_;
  }
  bool WaitOff() {
    return WaitUntil([this] { return journal_->acknowledged() == kMemoryOnly; });
  }
  // After the retry time: a new segment, and all is well.
  void Recover() {
    EXPECT_FALSE(journal_->WantsSegment()) << "not before its time";
    disk_.now_ns += options_.retry_ns;
    EXPECT_TRUE(journal_->WantsSegment());
    feeder_->Append(3);
    ASSERT_TRUE(WaitUntil([this] { return journal_->status().on && journal_->acknowledged() == feeder_->last(); }));
    EXPECT_EQ(journal_->status().problem, "");
    EXPECT_FALSE(journal_->WantsSegment());
  }

  TempDir dir_;
  TestDisk disk_;
  JournalOptions options_;
  std::mutex mutex_;
  std::vector<std::string> log_;
  std::unique_ptr<Journal> journal_;  // before the disk goes
  std::unique_ptr<Feeder> feeder_;
};

TEST_F(JournalDisk, AFullDiskMeansMemoryOnlyUntilThereIsRoom) {
  Open();
  feeder_->Append(10);
  ASSERT_TRUE(feeder_->WaitAcknowledged());
  disk_.write_error = ENOSPC;
  feeder_->Append(1);
  ASSERT_TRUE(WaitOff());
  feeder_->Append(5);
  JournalStatus status = journal_->status();
  EXPECT_FALSE(status.on);
  EXPECT_THAT(status.problem, HasSubstr("No space left on device"));
  EXPECT_THAT(status.problem, HasSubstr("segment-00001.spw"));
  EXPECT_THAT(status.problem, HasSubstr("free some space"));
  EXPECT_EQ(status.failures, 1u);
  EXPECT_EQ(status.dropped_records, 6u);
  disk_.write_error = 0;
  Recover();
  status = journal_->status();
  EXPECT_EQ(status.dropped_records, 6u);
  EXPECT_EQ(status.records, 19u);
  const std::vector<std::string> log = Log();
  ASSERT_THAT(log, SizeIs(2));
  EXPECT_THAT(log[0], HasSubstr("memory only"));
  EXPECT_THAT(log[1], HasSubstr("works again; 6 records"));
  journal_.reset();
  const Contents contents = ReadAll(dir_.path("j"));
  EXPECT_EQ(contents.damage, "records 11 to 16 are missing before segment 2");
  EXPECT_EQ(contents.checkpoints(), 2u);
  EXPECT_EQ(contents.last(), 19u);
}

TEST_F(JournalDisk, EveryErrorOfEveryCall) {
  struct Case {
    int error;
    const char* advice;
  };
  for (const Case& c : {Case{EIO, "dmesg"}, Case{ENOSPC, "free some space"}, Case{EDQUOT, "free some space"},
                        Case{EFBIG, "ulimit"}, Case{EROFS, "writable"}}) {
    Open();
    const std::uint64_t failures = journal_->status().failures;
    feeder_->Append(1);
    disk_.write_error = c.error;
    feeder_->Append(1);
    ASSERT_TRUE(WaitOff()) << c.error;
    EXPECT_THAT(journal_->status().problem, HasSubstr(c.advice));
    EXPECT_THAT(journal_->status().problem, HasSubstr(dir_.path("j")));
    // Each attempt fails: no history is lost by it, and the log does not fill.
    const std::uint64_t last = feeder_->last();
    for (int attempt = 0; attempt < 5; ++attempt) {
      disk_.now_ns += options_.retry_ns;
      ASSERT_TRUE(WaitUntil([this] { return journal_->WantsSegment(); }));
      feeder_->Append(1);
      ASSERT_TRUE(WaitOff());
    }
    disk_.write_error = 0;
    disk_.allocate_error = c.error;
    disk_.now_ns += options_.retry_ns;
    ASSERT_TRUE(WaitUntil([this] { return journal_->WantsSegment(); }));
    feeder_->Append(1);
    ASSERT_TRUE(WaitOff());
    EXPECT_THAT(journal_->status().problem, HasSubstr("reserve"));
    disk_.allocate_error = 0;
    EXPECT_EQ(journal_->status().failures, failures + 1) << "one time off, several attempts";
    Recover();
    EXPECT_LE(Log().size(), 5u);
    journal_.reset();
    const Contents contents = ReadAll(dir_.path("j"));
    EXPECT_EQ(contents.last(), feeder_->last());
    EXPECT_GT(contents.records.size(), last - 1);
    log_.clear();
    std::filesystem::remove_all(dir_.path("j"));
  }
}

TEST_F(JournalDisk, FailedAttemptsDoNotEatTheHistory) {
  Open();
  while (journal_->status().checkpoints < 10) {
    feeder_->Append(5);
    ASSERT_TRUE(feeder_->WaitAcknowledged());
  }
  const std::uint64_t oldest = static_cast<std::uint64_t>(journal_->status().oldest_ns);
  disk_.write_error = EIO;
  feeder_->Append(1);
  ASSERT_TRUE(WaitOff());
  const std::uint64_t segments = journal_->status().segments;
  for (int attempt = 0; attempt < 20; ++attempt) {
    disk_.now_ns += options_.retry_ns;
    disk_.error_above = attempt < 10 ? 40 : 0;  // first, the headers of old segments can be zeroed
    ASSERT_TRUE(WaitUntil([this] { return journal_->WantsSegment(); }));
    feeder_->Append(1);
    ASSERT_TRUE(WaitOff());
  }
  disk_.write_error = 0;
  Recover();
  EXPECT_GE(journal_->status().segments, segments) << "one went, one came";
  EXPECT_GE(static_cast<std::uint64_t>(journal_->status().oldest_ns), oldest);
  journal_.reset();
  EXPECT_EQ(ReadAll(dir_.path("j")).last(), feeder_->last());
}

TEST_F(JournalDisk, ShortWritesAreFinished) {
  disk_.most_at_once = 7;
  Open();
  feeder_->Append(100);
  ASSERT_TRUE(feeder_->WaitAcknowledged());
  EXPECT_TRUE(journal_->status().on);
  journal_.reset();
  const Contents contents = ReadAll(dir_.path("j"));
  EXPECT_EQ(contents.last(), 100u);
  EXPECT_EQ(contents.damage, "");
}

TEST_F(JournalDisk, AWriteThatFailsHalfWayIsCutOff) {
  Open();
  feeder_->Append(5);
  ASSERT_TRUE(feeder_->WaitAcknowledged());
  disk_.most_at_once = 11;
  disk_.writes_until_error = 3;
  disk_.write_error = EIO;
  feeder_->Append(1);
  ASSERT_TRUE(WaitOff());
  disk_.write_error = 0;
  Recover();
  journal_.reset();
  const Contents contents = ReadAll(dir_.path("j"));
  EXPECT_EQ(contents.damage, "records 6 to 6 are missing before segment 2");
  EXPECT_EQ(contents.last(), 9u);
}

TEST_F(JournalDisk, AFileSystemThatCannotPreallocate) {
  disk_.allocate_error = EOPNOTSUPP;
  Open();
  feeder_->Append(200);
  ASSERT_TRUE(feeder_->WaitAcknowledged());
  EXPECT_EQ(journal_->status().failures, 0u);
  journal_.reset();
  EXPECT_EQ(ReadAll(dir_.path("j")).last(), 200u);
}

TEST_F(JournalDisk, AFailingSyncIsAFailingDisk) {
  disk_.io()->sync_every_ns = 1'000'000;
  Open();
  feeder_->Append(1);
  ASSERT_TRUE(WaitUntil([this] { return disk_.syncs > 0; }));
  disk_.sync_error = EIO;
  ASSERT_TRUE(WaitUntil([this] {
    feeder_->Append(1);
    return journal_->acknowledged() == kMemoryOnly;
  }));
  EXPECT_THAT(journal_->status().problem, HasSubstr("cannot sync"));
  disk_.sync_error = 0;
  ASSERT_TRUE(WaitUntil([this] {
    disk_.now_ns += options_.retry_ns;
    feeder_->Append(1);
    return journal_->status().on;
  }));
}

TEST_F(JournalDisk, AWriterASecondBehindMeansMemoryOnly) {
  Open();
  feeder_->Append(3);
  ASSERT_TRUE(feeder_->WaitAcknowledged());
  disk_.Hold();
  feeder_->Append(1);
  ASSERT_TRUE(WaitUntil([this] { return disk_.Hangs(); }));
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(journal_->acknowledged(), 3u) << "not over a second yet";
    disk_.now_ns += options_.max_behind_ns / 10;
  }
  EXPECT_EQ(journal_->acknowledged(), 3u) << "not over a second yet";
  disk_.now_ns += 1;
  EXPECT_EQ(journal_->acknowledged(), kMemoryOnly);
  EXPECT_THAT(journal_->status().problem, HasSubstr("over 1000 ms behind"));
  feeder_->Append(2);
  disk_.now_ns += 10 * options_.retry_ns;
  EXPECT_FALSE(journal_->WantsSegment()) << "while a write hangs, no attempt";
  disk_.Release();
  ASSERT_TRUE(WaitUntil([this] { return journal_->WantsSegment(); }));
  feeder_->Append(1);
  ASSERT_TRUE(WaitUntil([this] { return journal_->status().on && journal_->acknowledged() == 7u; }));
  EXPECT_EQ(journal_->status().dropped_records, 2u);
  journal_.reset();
  EXPECT_EQ(ReadAll(dir_.path("j")).damage, "records 5 to 6 are missing before segment 2");
}

TEST_F(JournalDisk, AProcessThatWasStoppedBlamesNotTheDisk) {
  Open();
  feeder_->Append(3);
  ASSERT_TRUE(feeder_->WaitAcknowledged());
  disk_.Hold();
  feeder_->Append(1);
  ASSERT_TRUE(WaitUntil([this] { return disk_.Hangs(); }));
  disk_.now_ns += 100 * options_.max_behind_ns;
  EXPECT_EQ(journal_->acknowledged(), 3u);
  disk_.Release();
  ASSERT_TRUE(feeder_->WaitAcknowledged());
  EXPECT_EQ(journal_->status().failures, 0u);
}

TEST_F(JournalDisk, AFullQueueWaitsAMomentAndThenNoMore) {
  Open();
  journal_.reset();
  options_.queue_bytes = 4000;
  journal_ = OpenJournal(options_);
  feeder_ = std::make_unique<Feeder>(journal_.get());
  feeder_->Append(1);
  ASSERT_TRUE(feeder_->WaitAcknowledged());
  disk_.Hold();
  feeder_->Append(1);
  ASSERT_TRUE(WaitUntil([this] { return disk_.Hangs(); }));
  const auto start = std::chrono::steady_clock::now();
  feeder_->Append(10'000);
  // One wait, not one a record.
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  EXPECT_EQ(journal_->acknowledged(), kMemoryOnly);
  EXPECT_THAT(journal_->status().problem, HasSubstr("queue of 4000 bytes is full"));
  EXPECT_EQ(journal_->status().dropped_records, 10'000u);
  EXPECT_EQ(journal_->status().failures, 1u);
  disk_.Release();
  ASSERT_TRUE(WaitUntil([this] {
    disk_.now_ns += options_.retry_ns;
    feeder_->Append(1);
    return journal_->status().on;
  }));
}

TEST(JournalHangingDisk, CloseDoesNotWaitForIt) {
  const TempDir dir;
  static TestDisk& disk = *new TestDisk;  // the threads that are left behind use it to their end
  JournalOptions options = SmallJournal(dir.path("j"));
  options.io = disk.io();
  auto journal = OpenJournal(options);
  Feeder feeder(journal.get());
  feeder.Append(1);
  ASSERT_TRUE(feeder.WaitAcknowledged());
  disk.Hold();
  feeder.Append(1);
  ASSERT_TRUE(WaitUntil([&] { return disk.Hangs(); }));
  bool late_wake = false;
  journal->SetWake([&late_wake] { late_wake = true; });
  const auto start = std::chrono::steady_clock::now();
  journal->Close(50'000'000);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  EXPECT_THAT(journal->status().problem, HasSubstr("did not take everything in time"));
  journal.reset();
  EXPECT_FALSE(Journal::Open(options)) << "the write that hangs still has the lock";
  disk.Release();
  std::unique_ptr<Journal> next;
  ASSERT_TRUE(WaitUntil([&] {
    auto opened = Journal::Open(options);
    if (opened) next = *std::move(opened);
    return next != nullptr;
  }));
  EXPECT_FALSE(late_wake);
  EXPECT_EQ(ReadAll(next->Read()).last(), 2u);
}

// --- real disks -----------------------------------------------------------------------------------------------------

// The exit status of `body`, run in a child.
int InChild(const std::function<int()>& body) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(body());
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST(JournalRealDisk, AFileSizeLimitIsAnErrorAndNotASignal) {
  const TempDir dir;
  const int result = InChild([&dir] {
    JournalOptions options = SmallJournal(dir.path("j"));
    options.segment_bytes = 65536;
    options.max_bytes = 1u << 20;
    options.retry_ns = 0;
    auto journal = Journal::Open(options);
    if (!journal) return 1;
    rlimit limit{};
    if (::getrlimit(RLIMIT_FSIZE, &limit) != 0) return 2;
    limit.rlim_cur = 30'000;
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 3;
    Feeder feeder(journal->get());
    feeder.Append(10);
    if (!WaitUntil([&] { return (*journal)->acknowledged() == kMemoryOnly; })) return 4;
    if ((*journal)->status().problem.find("File too large") == std::string::npos) return 5;
    limit.rlim_cur = limit.rlim_max;
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 6;
    if (!WaitUntil([&] {
          feeder.Append(1);
          return (*journal)->status().on;
        })) {
      return 7;
    }
    if (!feeder.WaitAcknowledged()) return 8;
    (*journal)->Close(10'000'000'000);
    return ReadAll(dir.path("j")).last() == feeder.last() ? 0 : 9;
  });
  EXPECT_EQ(result, 0);
}

TEST(JournalRealDisk, ASmallTmpfsThatIsFull) {
  const TempDir dir;
  std::filesystem::create_directory(dir.path("small"));
  if (::mount("tmpfs", dir.path("small").c_str(), "tmpfs", 0, "size=256k,mode=0700") != 0) {
    GTEST_SKIP() << "skipped: cannot mount a tmpfs: " << std::strerror(errno);
  }
  JournalOptions options = SmallJournal(dir.path("small/j"));
  options.segment_bytes = 32768;
  options.max_bytes = 1u << 20;
  options.retry_ns = 0;
  auto journal = OpenJournal(options);
  Feeder feeder(journal.get());
  bool off = false;
  for (int i = 0; i < 500 && !off; ++i) {
    feeder.Append(10);
    EXPECT_TRUE(feeder.WaitAcknowledged());
    off = !journal->status().on;
  }
  EXPECT_TRUE(off);
  EXPECT_THAT(journal->status().problem, HasSubstr("No space left on device"));
  const std::uint64_t dropped = journal->status().dropped_records;
  // Room for more, and it comes back by itself.
  EXPECT_EQ(::mount("tmpfs", dir.path("small").c_str(), "tmpfs", MS_REMOUNT, "size=4m,mode=0700"), 0);
  EXPECT_TRUE(WaitUntil([&] {
    feeder.Append(1);
    return journal->status().on;
  }));
  feeder.Append(100);
  EXPECT_TRUE(feeder.WaitAcknowledged());
  EXPECT_GE(journal->status().dropped_records, dropped);
  journal.reset();
  const Contents contents = ReadAll(dir.path("small/j"));
  EXPECT_EQ(contents.last(), feeder.last());
  EXPECT_THAT(contents.damage, HasSubstr("are missing before segment"));
  EXPECT_EQ(::umount(dir.path("small").c_str()), 0);
}

TEST(JournalRealDisk, ADiskThatIsFullAtTheStart) {
  const TempDir dir;
  std::filesystem::create_directory(dir.path("small"));
  // One inode, the root's: not even the directory can be made.
  if (::mount("tmpfs", dir.path("small").c_str(), "tmpfs", 0, "size=256k,nr_inodes=1,mode=0700") != 0) {
    GTEST_SKIP() << "skipped: cannot mount a tmpfs: " << std::strerror(errno);
  }
  JournalOptions options = SmallJournal(dir.path("small/j"));
  options.retry_ns = 0;
  auto journal = OpenJournal(options);
  EXPECT_EQ(journal->acknowledged(), kMemoryOnly);
  EXPECT_THAT(journal->status().problem, HasSubstr("No space left on device"));
  Feeder feeder(journal.get());
  feeder.Append(5);
  EXPECT_EQ(::mount("tmpfs", dir.path("small").c_str(), "tmpfs", MS_REMOUNT, "size=256k,nr_inodes=100,mode=0700"), 0);
  EXPECT_TRUE(WaitUntil([&] {
    feeder.Append(1);
    return journal->status().on;
  }));
  EXPECT_TRUE(feeder.WaitAcknowledged());
  journal.reset();
  EXPECT_EQ(ReadAll(dir.path("small/j")).last(), feeder.last());
  EXPECT_EQ(::umount(dir.path("small").c_str()), 0);
}

// --- kill -9 --------------------------------------------------------------------------------------------------------

// Appends for ever, and writes each acknowledged index into the pipe.
[[noreturn]] void AppendUntilKilled(const std::string& directory, int pipe) {
  JournalOptions options = SmallJournal(directory);
  options.max_bytes = 64 * 4096;
  auto journal = Journal::Open(options);
  if (!journal) ::_exit(1);
  Feeder feeder(journal->get(), ReadAll((*journal)->Read()).last());
  for (std::uint64_t told = 0;;) {
    feeder.Append(1 + feeder.last() % 40);
    // Tiny segments take longer to begin than to fill: not so far ahead that the queue is full.
    if (!WaitUntil([&] { return (*journal)->acknowledged() + 2000 > feeder.last(); })) ::_exit(4);
    const std::uint64_t acknowledged = (*journal)->acknowledged();
    if (acknowledged == kMemoryOnly) ::_exit(2);
    if (acknowledged != told && ::write(pipe, &acknowledged, sizeof acknowledged) != sizeof acknowledged) ::_exit(3);
    told = acknowledged;
  }
}

TEST(JournalKill, WhatWasAcknowledgedIsThere) {
  const TempDir dir;
  std::uint64_t seed = 1;
  for (int run = 0; run < 40; ++run) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const pid_t child = ::fork();
    if (child == 0) AppendUntilKilled(dir.path("j"), ends[1]);
    ::close(ends[1]);
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    std::uint64_t acknowledged = 0;
    for (std::uint64_t told = 1 + (seed >> 33) % 60; told > 0; --told) {
      ASSERT_EQ(::read(ends[0], &acknowledged, sizeof acknowledged), 8) << "run " << run;
    }
    ::kill(child, SIGKILL);
    while (::read(ends[0], &acknowledged, sizeof acknowledged) == 8) {
    }
    ::close(ends[0]);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << WEXITSTATUS(status);
    const Contents contents = ReadAll(dir.path("j"));
    ASSERT_GE(contents.last(), acknowledged) << "run " << run;
    ASSERT_EQ(contents.damage, "") << "run " << run;
    ASSERT_EQ(contents.records.size(), contents.checkpoints() + contents.last() - contents.first());
  }
}

}  // namespace
}  // namespace spanwatch::ingest
