// The journal on a good disk: round trip, re-use, restart, lock, limits. Bad disks: journal_disk_test.cc; bad bytes:
// journal_damage_test.cc.
#include "sidecar/ingest/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <set>
#include <string>

#include "tests/unit/ingest/journal_util.h"
#include "tests/unit/ingest/temp_dir.h"

namespace spanwatch::ingest {
namespace {

using ::testing::HasSubstr;

std::uint64_t DirectoryBytes(const std::string& directory) {
  std::uint64_t sum = 0;
  for (const std::string& path : Segments(directory)) sum += std::filesystem::file_size(path);
  return sum;
}

TEST(Journal, AnEmptyDirectoryIsAnEmptyJournal) {
  const TempDir dir;
  EXPECT_TRUE(ReadAll(dir.path("missing")).records.empty());
  const auto journal = OpenJournal(SmallJournal(dir.path("a/b/journal")));
  EXPECT_TRUE(ReadAll(journal->Read()).records.empty());
  EXPECT_TRUE(journal->WantsSegment());
  EXPECT_EQ(journal->acknowledged(), 0u);
  EXPECT_TRUE(journal->status().on);
  struct stat info {};
  ASSERT_EQ(::stat(dir.path("a/b/journal").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
}

TEST(Journal, RoundTripOverManySegments) {
  const TempDir dir;
  JournalOptions options = SmallJournal(dir.path("j"));
  options.max_bytes = 1u << 20;
  auto journal = OpenJournal(options);
  Feeder feeder(journal.get());
  feeder.Append(2000);
  ASSERT_TRUE(feeder.WaitAcknowledged());
  EXPECT_EQ(journal->acknowledged(), 2000u);
  const JournalStatus status = journal->status();
  EXPECT_EQ(status.records, 2000u);
  EXPECT_EQ(status.dropped_records, 0u);
  EXPECT_EQ(status.bytes, status.written_bytes);
  EXPECT_EQ(status.oldest_ns, 1'000'000);
  EXPECT_GT(status.segments, 20u);
  EXPECT_EQ(status.segments, status.checkpoints);
  EXPECT_EQ(status.segments, Segments(dir.path("j")).size());
  journal->Close(1'000'000'000);

  const Contents contents = ReadAll(dir.path("j"));
  EXPECT_EQ(contents.damage, "");
  EXPECT_FALSE(contents.torn);
  EXPECT_EQ(contents.checkpoints(), status.checkpoints);
  EXPECT_EQ(contents.records.size(), 2000 + status.checkpoints);
  EXPECT_EQ(contents.last(), 2000u);
  EXPECT_EQ(DirectoryBytes(dir.path("j")), status.bytes) << "closed: no file is longer than its records";
}

TEST(Journal, FilesAreUsedAgainAndOldRecordsNeverReturn) {
  const TempDir dir;
  const JournalOptions options = SmallJournal(dir.path("j"));
  auto journal = OpenJournal(options);
  Feeder feeder(journal.get());
  std::set<ino_t> files;
  for (int i = 0; i < 300; ++i) {
    feeder.Append(20);
    ASSERT_TRUE(feeder.WaitAcknowledged());
    EXPECT_LE(DirectoryBytes(dir.path("j")), options.max_bytes + 400);
    struct stat info {};
    for (const std::string& path : Segments(dir.path("j"))) {
      if (::stat(path.c_str(), &info) == 0) files.insert(info.st_ino);
    }
    if (i % 10 != 0) continue;
    // A copy of the directory is what a kill would leave: new records over old ones.
    std::filesystem::remove_all(dir.path("copy"));
    std::filesystem::copy(dir.path("j"), dir.path("copy"));
    const Contents contents = ReadAll(dir.path("copy"));
    EXPECT_EQ(contents.damage, "");
    EXPECT_FALSE(contents.torn);
    EXPECT_EQ(contents.last(), feeder.last());
    EXPECT_EQ(contents.records.size(), contents.checkpoints() + contents.last() - contents.first());
  }
  EXPECT_LE(files.size(), 9u) << "the same files, again and again";
  EXPECT_GT(journal->status().checkpoints, 100u);
  EXPECT_GT(journal->status().oldest_ns, 1'000'000);
}

TEST(Journal, RestartsGoOnInTheSameSegment) {
  const TempDir dir;
  std::uint64_t last = 0;
  for (int restart = 0; restart < 20; ++restart) {
    const auto journal = OpenJournal(SmallJournal(dir.path("j")));
    EXPECT_EQ(ReadAll(journal->Read()).last(), last);
    EXPECT_EQ(journal->acknowledged(), last);
    EXPECT_EQ(journal->WantsSegment(), restart == 0);
    Feeder feeder(journal.get(), last);
    feeder.Append(1);
    last = feeder.last();
  }
  EXPECT_EQ(Segments(dir.path("j")).size(), 1u);
  EXPECT_EQ(ReadAll(dir.path("j")).records.size(), 21u);
}

TEST(Journal, ALockedDirectoryIsRefused) {
  const TempDir dir;
  auto journal = OpenJournal(SmallJournal(dir.path("j")));
  const auto second = Journal::Open(SmallJournal(dir.path("j")));
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error(), HasSubstr(dir.path("j")));
  EXPECT_THAT(second.error(), HasSubstr("another sidecar writes it (process " + std::to_string(::getpid()) + ")"));
  EXPECT_THAT(second.error(), HasSubstr("state_dir"));
  EXPECT_THAT(JournalReader::Open(dir.path("j")).error(), HasSubstr("a sidecar writes it"));
  journal->Close(1'000'000'000);
  EXPECT_TRUE(JournalReader::Open(dir.path("j")));
  EXPECT_TRUE(Journal::Open(SmallJournal(dir.path("j"))));
}

TEST(Journal, ADirectoryThatCannotBeIsAnError) {
  const TempDir dir;
  Spill(dir.path("file"), "x");
  EXPECT_THAT(Journal::Open(SmallJournal(dir.path("file"))).error(), HasSubstr(dir.path("file")));
  EXPECT_THAT(Journal::Open(SmallJournal(dir.path("file/j"))).error(), HasSubstr("Not a directory"));
  EXPECT_FALSE(Journal::Open(SmallJournal("")));
}

TEST(Journal, OldSegmentsAreGivenUp) {
  const TempDir dir;
  JournalOptions options = SmallJournal(dir.path("j"));
  options.max_age_ns = 8'000'000;
  auto journal = OpenJournal(options);
  Feeder feeder(journal.get());
  feeder.step_ns = 100'000;
  for (int i = 0; i < 30; ++i) {
    feeder.Append(10);  // 1 ms: an eighth of the age, far from a full segment
    ASSERT_TRUE(feeder.WaitAcknowledged());
  }
  const JournalStatus status = journal->status();
  EXPECT_GE(status.checkpoints, 20u);
  EXPECT_LE(status.segments, 11u);
  EXPECT_LE(feeder.now_ns - status.oldest_ns, 8'000'000 + 2 * 1'100'000);
  EXPECT_GE(feeder.now_ns - status.oldest_ns, 8'000'000 - 2 * 1'100'000);
}

TEST(Journal, ALoweredLimitHoldsFromTheNextStartOn) {
  const TempDir dir;
  JournalOptions options = SmallJournal(dir.path("j"));
  options.max_bytes = 64 * 4096;
  std::uint64_t last = 0;
  {
    auto journal = OpenJournal(options);
    Feeder feeder(journal.get());
    feeder.Append(2000);
    ASSERT_TRUE(feeder.WaitAcknowledged());
    ASSERT_GT(journal->status().bytes, 40 * 4096u);
    last = feeder.last();
  }
  options.max_bytes = 8 * 4096;
  auto journal = OpenJournal(options);
  EXPECT_EQ(ReadAll(journal->Read()).last(), last) << "all of it is read once more";
  Feeder feeder(journal.get(), last);
  feeder.Begin();
  ASSERT_TRUE(WaitUntil([&] { return journal->status().checkpoints == 1; }));
  std::uint64_t bytes = 0;
  for (const std::string& segment : Segments(dir.path("j"))) bytes += std::filesystem::file_size(segment);
  EXPECT_LE(bytes, options.max_bytes);
  EXPECT_FALSE(journal->WantsSegment()) << "once";
}

TEST(Journal, ACheckpointLargerThanASegment) {
  const TempDir dir;
  JournalOptions options = SmallJournal(dir.path("j"));
  options.max_bytes = 20 * 4096;
  auto journal = OpenJournal(options);
  const std::string checkpoint(10'000, 'c');
  std::uint64_t checkpoints = 0;
  for (std::uint64_t index = 0; index < 500;) {
    if (journal->WantsSegment()) {
      journal->BeginSegment({index, 1, core::RecordKind::kCheckpoint, 0}, checkpoint);
      ++checkpoints;
    }
    ++index;
    journal->Append({index, 1, core::RecordKind::kOtlp, 0}, {"record"});
    ASSERT_TRUE(WaitUntil([&] { return journal->acknowledged() >= index; }));
    ASSERT_LE(DirectoryBytes(dir.path("j")), options.max_bytes + 10'100);
  }
  EXPECT_LE(checkpoints, 500u * 46 / 1024 + 2) << "a quarter of a segment's records between two";
  EXPECT_EQ(journal->status().dropped_records, 0u);
}

TEST(Journal, WhatIsLargerThanTheQueue) {
  const TempDir dir;
  JournalOptions options;
  options.directory = dir.path("j");
  options.queue_bytes = 1000;
  auto journal = OpenJournal(options);
  const std::string large(3'000'000, 'x');
  journal->BeginSegment({0, 1, core::RecordKind::kCheckpoint, 0}, large);
  for (std::uint64_t i = 1; i <= 10; ++i) {
    journal->Append({i, 1, core::RecordKind::kOtlp, 0}, {large});
    ASSERT_TRUE(WaitUntil([&] { return journal->acknowledged() >= i; }));
  }
  EXPECT_EQ(journal->acknowledged(), 10u);
  journal->Close(5'000'000'000);
  auto reader = JournalReader::Open(dir.path("j"));
  ASSERT_TRUE(reader);
  core::RecordHeader header;
  std::string bytes;
  int records = 0;
  for (; reader->Next(&header, &bytes); ++records) EXPECT_TRUE(bytes == large);
  EXPECT_EQ(records, 11);
}

TEST(Journal, TheWriterWakesWhoWaitsForAcknowledgements) {
  const TempDir dir;
  auto journal = OpenJournal(SmallJournal(dir.path("j")));
  std::mutex mutex;
  std::condition_variable woken;
  int wakes = 0;
  journal->SetWake([&] {
    const std::lock_guard lock(mutex);
    ++wakes;
    woken.notify_all();
  });
  Feeder feeder(journal.get());
  for (int i = 0; i < 10; ++i) {
    feeder.Append(1);
    std::unique_lock lock(mutex);
    const auto acknowledged = [&] { return journal->acknowledged() >= feeder.last(); };
    // One wake may be of the checkpoint alone.
    for (int before = wakes; !acknowledged(); before = wakes) {
      ASSERT_TRUE(woken.wait_for(lock, std::chrono::seconds(20), [&] { return wakes > before || acknowledged(); }));
    }
  }
  journal->Close(1'000'000'000);
  EXPECT_GE(wakes, 1);
}

TEST(Journal, RecordsOutOfSequenceBeginANewSegment) {
  const TempDir dir;
  TestDisk disk;
  JournalOptions options = SmallJournal(dir.path("j"));
  options.io = disk.io();
  auto journal = OpenJournal(options);
  Feeder feeder(journal.get());
  feeder.Append(3);
  ASSERT_TRUE(feeder.WaitAcknowledged());
  journal->Append({9, 9, core::RecordKind::kOtlp, 0}, {"nine"});
  EXPECT_EQ(journal->acknowledged(), kMemoryOnly);
  EXPECT_THAT(journal->status().problem, HasSubstr("record 9"));
  disk.now_ns += options.retry_ns;
  Feeder again(journal.get(), 9);
  again.Append(1);
  ASSERT_TRUE(WaitUntil([&] { return journal->status().on; }));
  EXPECT_EQ(journal->status().dropped_records, 1u);
  journal->Close(1'000'000'000);
  const Contents contents = ReadAll(dir.path("j"));
  EXPECT_EQ(contents.last(), 10u);
  EXPECT_EQ(contents.records.size(), 6u);
  EXPECT_EQ(contents.damage, "records 4 to 9 are missing before segment 2");
}

TEST(Journal, CloseWritesAndSyncsWhatWaits) {
  const TempDir dir;
  TestDisk disk;
  JournalOptions options = SmallJournal(dir.path("j"));
  options.io = disk.io();
  auto journal = OpenJournal(options);
  Feeder feeder(journal.get());
  feeder.Append(5);
  journal->Close(10'000'000'000);
  EXPECT_GE(disk.syncs, 1);
  feeder.Append(1);  // too late, and harmless
  EXPECT_EQ(journal->acknowledged(), 5u);
  EXPECT_FALSE(journal->WantsSegment());
  journal.reset();
  EXPECT_EQ(ReadAll(dir.path("j")).last(), 5u);
}

}  // namespace
}  // namespace spanwatch::ingest
