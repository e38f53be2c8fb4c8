// What JournalReader::Open and Journal::Read have in common. Threads: the reader's.
#ifndef SPANWATCH_SIDECAR_INGEST_JOURNAL_READER_H_
#define SPANWATCH_SIDECAR_INGEST_JOURNAL_READER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sidecar/ingest/journal.h"
#include "sidecar/ingest/journal_segment.h"

namespace spanwatch::ingest {

class JournalReader::Impl {
 public:
  // `torn`: a torn tail was cut off before.
  Impl(std::vector<SegmentFile> files, bool torn) : files_(std::move(files)), torn_(torn) {}

  bool Next(core::RecordHeader* header, std::string* bytes);
  const std::string& damage() const { return damage_; }
  bool torn() const { return torn_; }

 private:
  void BeginFile();
  void EndFile();
  void CheckGap(const core::RecordHeader& checkpoint);
  void AddDamage(const std::string& text);

  const std::vector<SegmentFile> files_;
  std::size_t at_ = 0;
  std::optional<SegmentReader> segment_;
  bool files_missing_ = false;  // before the one that is read
  bool any_ = false;            // a record was read
  std::uint64_t last_index_ = 0;
  std::string damage_;
  bool torn_;
};

}  // namespace spanwatch::ingest

#endif  // SPANWATCH_SIDECAR_INGEST_JOURNAL_READER_H_
