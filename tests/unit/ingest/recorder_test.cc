#include "sidecar/ingest/recorder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <string>
#include <vector>

#include "sidecar/ingest/ingest.h"
#include "tests/unit/ingest/temp_dir.h"

namespace spanwatch::ingest {
namespace {

using ::testing::HasSubstr;

struct Record {
  core::RecordHeader header;
  std::string bytes;
};

std::vector<Record> Samples() {
  return {{{1, 1000, core::RecordKind::kReload, 0}, "rules"},
          {{2, 2000, core::RecordKind::kMessage, 7}, JoinFrames("envelope", std::string(100'000, 'p'))},
          {{3, 2000, core::RecordKind::kOtlp, 0}, ""},
          {{4, 3000, core::RecordKind::kTime, 0}, ""}};
}

void WriteSamples(const std::string& path) {
  auto recorder = Recorder::Open(path);
  ASSERT_TRUE(recorder) << recorder.error();
  for (const Record& record : Samples())
    recorder->Append(record.header, {record.bytes.substr(0, 3), record.bytes.size() > 3 ? record.bytes.substr(3) : ""});
  recorder->Close();
  EXPECT_EQ(recorder->failure(), "");
  EXPECT_EQ(recorder->bytes_written(), 16 + 4 * 40 + 5 + 100'012);
}

std::vector<Record> ReadAll(const std::string& path, bool* torn) {
  auto reader = RecordReader::Open(path);
  EXPECT_TRUE(reader) << reader.error();
  std::vector<Record> records;
  for (Record r; reader && reader->Next(&r.header, &r.bytes);) records.push_back(r);
  *torn = reader && reader->torn();
  return records;
}

std::string Slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
void Spill(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

TEST(Recorder, RoundTrip) {
  const TempDir dir;
  WriteSamples(dir.path("r"));
  bool torn = true;
  const std::vector<Record> got = ReadAll(dir.path("r"), &torn);
  const std::vector<Record> want = Samples();
  EXPECT_FALSE(torn);
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < want.size(); ++i) {
    EXPECT_EQ(got[i].header.index, want[i].header.index);
    EXPECT_EQ(got[i].header.now_ns, want[i].header.now_ns);
    EXPECT_EQ(got[i].header.kind, want[i].header.kind);
    EXPECT_EQ(got[i].header.connection, want[i].header.connection);
    EXPECT_EQ(got[i].bytes, want[i].bytes);
  }
}

TEST(Recorder, TornTailKeepsWhatCameBefore) {
  const TempDir dir;
  WriteSamples(dir.path("r"));
  const std::string whole = Slurp(dir.path("r"));
  bool torn = false;
  for (const std::size_t cut : {1u, 39u, 41u, 100'000u}) {
    Spill(dir.path("t"), whole.substr(0, whole.size() - cut));
    const std::size_t records = ReadAll(dir.path("t"), &torn).size();
    EXPECT_TRUE(torn) << cut;
    EXPECT_EQ(records, cut < 40 ? 3u : cut < 80 ? 2u : 1u);
  }
  Spill(dir.path("t"), whole.substr(0, whole.size() - 40));
  EXPECT_EQ(ReadAll(dir.path("t"), &torn).size(), 3u);
  EXPECT_FALSE(torn) << "cut between two records is a whole recording";
}

TEST(Recorder, DamageIsNoticed) {
  const TempDir dir;
  WriteSamples(dir.path("r"));
  const std::string whole = Slurp(dir.path("r"));
  bool torn = false;
  // In turn: length, kind, checksum, index, time, connection, data of the first record.
  for (const std::size_t offset : {16u, 17u, 20u, 24u, 32u, 40u, 48u, 57u}) {
    std::string bytes = whole;
    bytes[offset] = static_cast<char>(bytes[offset] ^ 2);
    Spill(dir.path("t"), bytes);
    EXPECT_TRUE(ReadAll(dir.path("t"), &torn).empty()) << offset;
    EXPECT_TRUE(torn) << offset;
  }
}

TEST(Recorder, FilesThatAreNoRecordings) {
  const TempDir dir;
  EXPECT_FALSE(RecordReader::Open(dir.path("missing")));
  Spill(dir.path("t"), "SPW");
  EXPECT_THAT(RecordReader::Open(dir.path("t")).error(), HasSubstr("is not a recording"));
  Spill(dir.path("t"), std::string("SPWREC\r\n") + std::string("\x02\0\0\0\0\0\0\0", 8));
  EXPECT_THAT(RecordReader::Open(dir.path("t")).error(), HasSubstr("version 2"));
}

TEST(Recorder, RefusesAnOldRecordingAndABadPath) {
  const TempDir dir;
  WriteSamples(dir.path("r"));
  EXPECT_THAT(Recorder::Open(dir.path("r")).error(), HasSubstr("exists already"));
  EXPECT_THAT(Recorder::Open(dir.path("no/such/dir")).error(), HasSubstr("No such file"));
}

TEST(Recorder, AFullDiskEndsTheRecordingAlone) {
  // The device that is always full; opening it writes the file header.
  EXPECT_THAT(Recorder::Open("/dev/full").error(), HasSubstr("No space left"));
}

TEST(Recorder, NothingToRecordTo) {
  Recorder recorder;
  recorder.Append({1, 1, core::RecordKind::kTime, 0}, {"x"});
  recorder.Flush();
  EXPECT_EQ(recorder.bytes_written(), 0u);
  EXPECT_EQ(recorder.failure(), "");
}

}  // namespace
}  // namespace spanwatch::ingest
