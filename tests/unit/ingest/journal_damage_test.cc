// The journal's files as a kill, a bad disk or a stranger leaves them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "sidecar/ingest/journal_segment.h"
#include "tests/unit/ingest/journal_util.h"
#include "tests/unit/ingest/temp_dir.h"

namespace spanwatch::ingest {
namespace {

using ::testing::HasSubstr;

// A journal of `records` records in dir/j.
void Make(const std::string& directory, std::uint64_t records) {
  JournalOptions options = SmallJournal(directory);
  options.max_bytes = 1u << 20;
  options.io = UnsyncedDisk();
  auto journal = OpenJournal(options);
  Feeder(journal.get()).Append(records);
  journal->Close(10'000'000'000);
}

// Opens as a sidecar would, appends `count`, closes. What was there before, as Read() gave it.
Contents RestartAndAppend(const std::string& directory, std::uint64_t count) {
  JournalOptions options = SmallJournal(directory);
  options.max_bytes = 1u << 20;
  options.io = UnsyncedDisk();
  auto journal = OpenJournal(options);
  if (journal == nullptr) return {};
  const Contents contents = ReadAll(journal->Read());
  Feeder(journal.get(), contents.last()).Append(count);
  journal->Close(10'000'000'000);
  return contents;
}

TEST(JournalDamage, TornTailAtEveryByte) {
  const TempDir dir;
  Make(dir.path("j"), 12);
  const std::string path = dir.path("j/segment-00001.spw");
  const std::string whole = Slurp(path);
  ASSERT_EQ(Segments(dir.path("j")).size(), 1u);
  std::vector<std::size_t> ends = {kSegmentHeaderBytes + kRecordHeaderBytes + CheckpointOf(0).size()};
  for (std::uint64_t i = 1; i <= 12; ++i) ends.push_back(ends.back() + kRecordHeaderBytes + DataOf(i).size());
  ASSERT_EQ(ends.back(), whole.size());
  // From the eleventh record on: cut short; and followed by what a preallocated or a re-used file holds there.
  for (std::size_t cut = ends[10]; cut < whole.size(); ++cut) {
    const auto records = static_cast<std::uint64_t>(std::upper_bound(ends.begin(), ends.end(), cut) - ends.begin() - 1);
    for (const std::string& rest : {std::string(), std::string(500, '\0'), std::string(500, '\x7f')}) {
      Spill(path, whole.substr(0, cut) + rest);
      const Contents read = ReadAll(dir.path("j"));
      ASSERT_EQ(read.last(), records) << cut;
      ASSERT_EQ(read.damage, "") << cut;
      const bool clean = cut == ends[records] && (rest.empty() || rest[0] == 0);
      // A cut within zeros of the record's own header may look like its beginning, and be one.
      if (clean || cut > ends[records] + 4 || (!rest.empty() && rest[0] != 0)) {
        ASSERT_EQ(read.torn, !clean) << cut;
      }
      const Contents restart = RestartAndAppend(dir.path("j"), 2);
      ASSERT_EQ(restart.last(), records);
      ASSERT_EQ(restart.torn, read.torn);
      const Contents after = ReadAll(dir.path("j"));
      ASSERT_EQ(after.last(), records + 2) << cut;
      ASSERT_EQ(after.checkpoints(), 1u) << "the same segment goes on";
      ASSERT_FALSE(after.torn);
      ASSERT_EQ(after.damage, "");
    }
  }
}

TEST(JournalDamage, WholeRecordsBehindATornOneNeverReturn) {
  const TempDir dir;
  Make(dir.path("j"), 12);
  const std::string path = dir.path("j/segment-00001.spw");
  const std::string whole = Slurp(path);
  const std::size_t last = kRecordHeaderBytes + DataOf(12).size();
  const std::size_t before = kRecordHeaderBytes + DataOf(11).size();
  // Record 11 never reached the disk, 12 did: damage. Nothing goes on there.
  std::string bytes = whole;
  bytes.replace(whole.size() - last - before, before, std::string(before, '\x01'));
  Spill(path, bytes);
  Contents contents = RestartAndAppend(dir.path("j"), 1);
  EXPECT_EQ(contents.last(), 10u);
  EXPECT_THAT(contents.damage, HasSubstr("segment-00001.spw has a damaged record"));
  contents = ReadAll(dir.path("j"));
  EXPECT_EQ(contents.checkpoints(), 2u);
  EXPECT_EQ(contents.records.back().header.index, 11u);
}

TEST(JournalDamage, AByteFlippedAnywhere) {
  const TempDir dir;
  Make(dir.path("j"), 60);
  const std::vector<std::string> paths = Segments(dir.path("j"));
  ASSERT_GE(paths.size(), 3u);
  const Contents good = ReadAll(dir.path("j"));
  std::mt19937 random(1);
  for (const std::string& path : paths) {
    const std::string whole = Slurp(path);
    for (std::size_t at = 0; at < whole.size(); at += 1 + random() % 7) {
      std::string bytes = whole;
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8));
      Spill(path, bytes);
      const Contents read = ReadAll(dir.path("j"));  // checks each record that it gives
      ASSERT_TRUE(!read.damage.empty() || read.torn) << path << " " << at;
      ASSERT_LT(read.records.size(), good.records.size());
      if (path != paths.back()) {
        ASSERT_NE(read.damage, "");
        ASSERT_EQ(read.last(), good.last()) << "the next segment is read whole";
      }
    }
    Spill(path, whole);
  }
  EXPECT_EQ(ReadAll(dir.path("j")).damage, "");
}

TEST(JournalDamage, ARestartAfterAnyFlipGoesOn) {
  const TempDir dir;
  Make(dir.path("j"), 60);
  std::mt19937 random(2);
  for (int run = 0; run < 300; ++run) {
    std::filesystem::remove_all(dir.path("copy"));
    std::filesystem::copy(dir.path("j"), dir.path("copy"));
    const std::vector<std::string> paths = Segments(dir.path("copy"));
    const std::string& path = run % 2 == 0 ? paths.back() : paths[random() % paths.size()];
    std::string bytes = Slurp(path);
    const std::size_t at = random() % bytes.size();
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8));
    Spill(path, bytes);
    const std::uint64_t last = RestartAndAppend(dir.path("copy"), 5).last();
    ASSERT_EQ(ReadAll(dir.path("copy")).last(), last + 5) << path << " " << at;
  }
}

TEST(JournalDamage, SegmentsThatAreMissing) {
  const TempDir dir;
  Make(dir.path("j"), 100);
  const std::vector<std::string> paths = Segments(dir.path("j"));
  ASSERT_GE(paths.size(), 5u);
  std::filesystem::remove(paths[0]);
  EXPECT_EQ(ReadAll(dir.path("j")).damage, "") << "the oldest always go";
  std::filesystem::remove(paths[2]);
  EXPECT_EQ(ReadAll(dir.path("j")).damage, "segment 3 is missing");
  std::filesystem::remove(paths[3]);
  const Contents contents = ReadAll(dir.path("j"));
  EXPECT_EQ(contents.damage, "segments 3 to 4 are missing");
  EXPECT_EQ(contents.last(), 100u);
}

TEST(JournalDamage, SegmentsInTheWrongPlace) {
  const TempDir dir;
  Make(dir.path("j"), 60);
  const std::vector<std::string> paths = Segments(dir.path("j"));
  const std::string first = Slurp(paths[0]);
  const std::string second = Slurp(paths[1]);
  Spill(paths[1], first);
  EXPECT_THAT(ReadAll(dir.path("j")).damage, HasSubstr("segment-00002.spw holds the header of segment 1"));
  // Records of another segment do not count, however whole they are.
  Spill(paths[1], second.substr(0, kSegmentHeaderBytes) + first.substr(kSegmentHeaderBytes));
  EXPECT_THAT(ReadAll(dir.path("j")).damage, HasSubstr("segment-00002.spw has a damaged record at byte 40"));
}

TEST(JournalDamage, ASegmentThatWasNotBegun) {
  const TempDir dir;
  Make(dir.path("j"), 20);
  const std::size_t segments = Segments(dir.path("j")).size();
  const std::string next = SegmentPath(dir.path("j"), segments + 1);
  const std::string begun = EncodeSegmentHeader({segments + 1, 7});
  for (const std::string& bytes :
       {std::string(), std::string(4096, '\0'), begun.substr(0, 30), begun, begun + std::string(4000, '\0'),
        begun + std::string(30, 'x'), std::string(40, '\0') + std::string(4000, 'y')}) {
    Spill(next, bytes);
    EXPECT_EQ(ReadAll(dir.path("j")).damage, "");
    const std::uint64_t last = RestartAndAppend(dir.path("j"), 1).last();
    const Contents contents = ReadAll(dir.path("j"));
    EXPECT_EQ(contents.damage, "");
    EXPECT_EQ(contents.last(), last + 1);
  }
}

TEST(JournalDamage, AnotherVersionIsLeftAlone) {
  const TempDir dir;
  Make(dir.path("j"), 60);
  const std::string path = Segments(dir.path("j"))[1];
  std::string bytes = Slurp(path);
  bytes[8] = 2;
  Spill(path, bytes);
  EXPECT_THAT(ReadAll(dir.path("j")).damage, HasSubstr("damaged header")) << "a flipped byte is not a version";
  // The version with its checksum, as that program would write it.
  const std::string header = EncodeSegmentHeader({2, 9});
  std::string other = header;
  other[8] = 2;
  // Found by the checksum of the layout: XXH3 of the 32 bytes before it.
  StoreLittleEndian(SegmentHeaderChecksum(other), other.data() + 32);
  Spill(path, other + bytes.substr(kSegmentHeaderBytes));
  EXPECT_THAT(JournalReader::Open(dir.path("j")).error(), HasSubstr("another version"));
  EXPECT_THAT(Journal::Open(SmallJournal(dir.path("j"))).error(), HasSubstr("another version"));
  EXPECT_EQ(Slurp(path).size(), bytes.size());
}

TEST(JournalDamage, FilesOfOthersStay) {
  const TempDir dir;
  Make(dir.path("j"), 5);
  const std::vector<std::string> foreign = {"segment-1.spw",
                                            "segment-.spw",
                                            "segment-00000.spw",
                                            "segment-00001.spw.bak",
                                            "segment-99999999999999999999.spw",
                                            "notes",
                                            "segment-0000x.spw",
                                            ".spw"};
  for (const std::string& name : foreign) Spill(dir.path("j/" + name), "mine");
  std::filesystem::create_symlink("/etc/passwd", dir.path("j/segment-00002.spw"));
  EXPECT_THAT(ReadAll(dir.path("j")).damage, HasSubstr("segment-00002.spw cannot be opened"));
  EXPECT_EQ(RestartAndAppend(dir.path("j"), 1).last(), 5u);
  for (const std::string& name : foreign) EXPECT_EQ(Slurp(dir.path("j/" + name)), "mine") << name;
  EXPECT_EQ(ReadAll(dir.path("j")).last(), 6u);
}

TEST(JournalDamage, ALengthThatTheFileCannotHave) {
  const TempDir dir;
  Make(dir.path("j"), 5);
  const std::string path = dir.path("j/segment-00001.spw");
  const std::string whole = Slurp(path);
  for (const std::uint32_t length : {0x03FFFFFFu, 0x04000000u, 0x04000001u, 0xFFFFFFFFu}) {
    std::string bytes = whole;
    StoreLittleEndian(length, bytes.data() + kSegmentHeaderBytes + kRecordHeaderBytes + CheckpointOf(0).size());
    Spill(path, bytes);
    const Contents contents = ReadAll(dir.path("j"));
    EXPECT_EQ(contents.records.size(), 1u);
    EXPECT_THAT(contents.damage, HasSubstr("after record 0"));
  }
}

}  // namespace
}  // namespace spanwatch::ingest
