// Any bytes as the segments of a journal: reading is stable and bounded, and a sidecar that opens them goes on.
//
// Input: per segment one byte of flags, two of length (little-endian), then so many bytes of the file. Flags: bit 0,
// the checksums are put right first, so that the fuzzer gets behind them; bit 1, a number is left out before this
// segment.
#include <stdlib.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "sidecar/ingest/journal.h"
#include "sidecar/ingest/journal_segment.h"
#include "tests/fuzz/invariants.h"

namespace {

using namespace spanwatch;          // NOLINT
using namespace spanwatch::ingest;  // NOLINT

void PutRight(std::uint64_t number, std::string* bytes) {
  if (bytes->size() < kSegmentHeaderBytes) return;
  const auto nonce = LoadLittleEndian<std::uint64_t>(bytes->data() + 24);
  bytes->replace(0, kSegmentHeaderBytes, EncodeSegmentHeader({number, nonce}));
  for (std::size_t at = kSegmentHeaderBytes; bytes->size() - at >= kRecordHeaderBytes;) {
    const RecordFields fields = ParseRecordFields(bytes->data() + at);
    const std::size_t size = kRecordHeaderBytes + std::size_t{fields.length};
    if (size > bytes->size() - at) return;
    const std::string_view checked = std::string_view(*bytes).substr(at + kCheckedOffset, size - kCheckedOffset);
    StoreLittleEndian(RecordChecksum(fields.length, fields.kind, checked, nonce), bytes->data() + at + kChecksumOffset);
    at += size;
  }
}

void WriteSegments(const std::string& directory, std::string_view input) {
  std::filesystem::remove_all(directory);
  std::filesystem::create_directory(directory);
  for (std::uint64_t number = 1; input.size() > 3; ++number) {
    const char flags = input[0];
    std::string bytes(input.substr(3, LoadLittleEndian<std::uint16_t>(input.data() + 1)));
    input.remove_prefix(3 + bytes.size());
    if ((flags & 2) != 0) ++number;
    if ((flags & 1) != 0) PutRight(number, &bytes);
    std::ofstream(SegmentPath(directory, number), std::ios::binary) << bytes;
  }
}

struct Contents {
  std::string all;  // every record, headers too
  core::RecordHeader last;
  std::string damage;

  friend bool operator==(const Contents& a, const Contents& b) { return a.all == b.all && a.damage == b.damage; }
};

Contents Read(JournalReader reader, std::size_t most) {
  Contents contents;
  std::string bytes;
  while (reader.Next(&contents.last, &bytes)) {
    fuzz::Require(bytes.size() <= most, "a record lies in its file");
    fuzz::Require(AppendRecord(contents.last, {bytes}, 0, &contents.all), "a record has a bounded size");
  }
  core::RecordHeader header;
  fuzz::Require(!reader.Next(&header, &bytes), "the end stays the end");
  contents.damage = reader.damage();
  fuzz::Require(contents.damage.size() < 10'000, "the damage is told in few words");
  return contents;
}

void AppendOne(const JournalIo* io, const std::string& directory, const Contents& before) {
  JournalOptions options;
  options.directory = directory;
  options.segment_bytes = 4096;
  options.io = io;
  auto journal = Journal::Open(options);
  fuzz::Require(journal.has_value(), "a journal that can be read can be opened");
  fuzz::Require(Read((*journal)->Read(), ~std::size_t{0}).all == before.all, "a restart reads what a reader reads");
  const std::uint64_t last = before.last.index;
  if (last == ~std::uint64_t{0}) return;
  if ((*journal)->WantsSegment()) {
    (*journal)->BeginSegment({last, before.last.now_ns, core::RecordKind::kCheckpoint, 0}, "checkpoint");
  }
  (*journal)->Append({last + 1, before.last.now_ns, core::RecordKind::kOtlp, 9}, {"appended"});
  (*journal)->Close(5'000'000'000);
  auto reader = JournalReader::Open(directory);
  fuzz::Require(reader.has_value(), "a journal that was opened can be read");
  core::RecordHeader header;
  std::string bytes;
  for (std::string next; reader->Next(&header, &next);) bytes.swap(next);
  fuzz::Require(bytes == "appended" && header.index == last + 1 && header.connection == 9, "what was appended is last");
  fuzz::Require(!reader->torn(), "the tail is whole");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::string base = [] {
    char fast[] = "/dev/shm/swfuzzXXXXXX";  // a disk would be most of the time
    char name[] = "/tmp/swfuzzXXXXXX";
    return std::string(::mkdtemp(fast) != nullptr ? fast : ::mkdtemp(name));
  }();
  static const JournalIo io = [] {
    JournalIo unsynced = JournalIo::System();
    unsynced.sync = [](int) { return 0; };
    return unsynced;
  }();
  static const int at_exit = std::atexit([] {
    std::error_code ignored;
    std::filesystem::remove_all(base, ignored);
  });
  fuzz::Require(at_exit == 0, "atexit");
  const std::string directory = base + "/journal";
  WriteSegments(directory, {reinterpret_cast<const char*>(data), size});
  auto reader = JournalReader::Open(directory);
  if (!reader) {
    fuzz::Require(!Journal::Open({.directory = directory}), "what cannot be read is not opened");
    return 0;
  }
  const Contents contents = Read(*std::move(reader), size);
  fuzz::Require(Read(*JournalReader::Open(directory), size) == contents, "reading is stable");
  AppendOne(&io, directory, contents);
  return 0;
}
