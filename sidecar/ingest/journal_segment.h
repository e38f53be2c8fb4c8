// Segment files of the journal: their names, their header, and a reader of one of them. Layout: docs/journal.md.
// Threads: a SegmentReader belongs to one thread; the functions are pure but for the file system.
#ifndef SPANWATCH_SIDECAR_INGEST_JOURNAL_SEGMENT_H_
#define SPANWATCH_SIDECAR_INGEST_JOURNAL_SEGMENT_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "sidecar/core/record.h"
#include "sidecar/ingest/journal_io.h"
#include "sidecar/ingest/record_format.h"

namespace spanwatch::ingest {

inline constexpr std::string_view kSegmentMagic = "SPWJRN\r\n";
inline constexpr std::uint32_t kSegmentVersion = 1;
// magic (8), version (4), zero (4), number (8), nonce (8), checksum of these (8)
inline constexpr std::size_t kSegmentHeaderBytes = 40;
// So many zero bytes stand behind the last record that was written, unless the file ends there.
inline constexpr std::size_t kEndMarkBytes = kRecordHeaderBytes;
inline constexpr std::uint64_t kMaxSegmentNumber = 999'999'999'999'999;

struct SegmentFile {
  std::uint64_t number = 0;
  std::string path;
};

std::string SegmentPath(const std::string& directory, std::uint64_t number);
// Sorted by number; other files are left alone. Error: the directory cannot be read. One that is missing is empty.
tl::expected<std::vector<SegmentFile>, std::string> ListSegments(const std::string& directory);

struct SegmentHeader {
  std::uint64_t number = 0;
  std::uint64_t nonce = 0;  // random; seeds the records' checksums: what stood in the file before never validates
};
enum class HeaderState {
  kGood,
  kEmpty,         // nothing but zeros: a file that was made ready and not begun
  kOtherVersion,  // of another program version, and not damaged
  kBad,
};
std::string EncodeSegmentHeader(const SegmentHeader& header);
// REQUIRES: kSegmentHeaderBytes. What belongs into the last field.
std::uint64_t SegmentHeaderChecksum(std::string_view header);
// `bytes`: what could be read, up to kSegmentHeaderBytes.
HeaderState ParseSegmentHeader(std::string_view bytes, SegmentHeader* header);

// The head of a segment, without its records: header, and the time of its checkpoint (which is not checked here).
struct SegmentHead {
  HeaderState state = HeaderState::kBad;
  SegmentHeader header;
  std::int64_t checkpoint_ns = 0;
  std::uint64_t file_bytes = 0;
};
SegmentHead ReadSegmentHead(const SegmentFile& file);

class SegmentReader {
 public:
  enum class End {
    kNone,     // not reached
    kClean,    // zeros or the end of the file stand behind the last record
    kEmpty,    // HeaderState::kEmpty
    kTorn,     // the last record is incomplete, and no valid one follows it
    kDamaged,  // valid records follow a bad one; or the header is bad, or the file cannot be read
  };

  explicit SegmentReader(const SegmentFile& file);

  // The next record that is valid and in sequence (the first: a checkpoint; then each index one higher). `bytes` stands
  // until the next call.
  bool Next(core::RecordHeader* header, std::string_view* bytes);

  End end() const { return end_; }
  const std::string& problem() const { return problem_; }  // in words, for kTorn and kDamaged
  std::uint64_t offset() const { return offset_; }         // where the last valid record ended
  std::uint64_t records() const { return records_; }
  std::uint64_t nonce() const { return header_.nonce; }
  std::uint64_t last_index() const { return last_index_; }

 private:
  void ReadHeader(std::uint64_t number);
  bool Finish(End end, std::string problem);
  bool FinishBadRecord(const std::string& what);
  bool Fill(std::size_t want);
  bool Valid(const RecordFields& fields, std::string_view checked) const;
  bool InSequence(const RecordFields& fields) const;
  bool ZerosFollow();
  bool ValidRecordFollows();
  bool ValidRecordAt(const char* fields, std::uint64_t at, std::uint64_t* budget);

  std::uint64_t file_bytes_ = 0;  // before fd_, whose opening sets it
  UniqueFd fd_;
  SegmentHeader header_;
  std::unique_ptr<char[]> buffer_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0, filled_ = 0;  // of buffer_: what was read and not returned
  std::uint64_t read_offset_ = 0;       // in the file, of buffer_[filled_]
  std::uint64_t offset_ = 0;
  std::uint64_t records_ = 0, last_index_ = 0;
  int read_errno_ = 0;
  End end_ = End::kNone;
  std::string problem_;
};

}  // namespace spanwatch::ingest

#endif  // SPANWATCH_SIDECAR_INGEST_JOURNAL_SEGMENT_H_
