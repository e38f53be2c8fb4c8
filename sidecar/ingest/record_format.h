// The layout of a record in recordings and in the journal: docs/journal.md. Shared by Recorder, RecordReader and the
// journal, which seeds the checksums with a nonce of its segment; a recording's nonce is 0. All numbers are
// little-endian. Pure functions: any thread.
#ifndef SPANWATCH_SIDECAR_INGEST_RECORD_FORMAT_H_
#define SPANWATCH_SIDECAR_INGEST_RECORD_FORMAT_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string>
#include <string_view>

#include "sidecar/core/record.h"

namespace spanwatch::ingest {

inline constexpr std::string_view kFileMagic = "SPWREC\r\n";
inline constexpr std::uint32_t kFileVersion = 1;
inline constexpr std::size_t kFileHeaderBytes = 16;  // magic (8), version (4), zero (4)
inline constexpr std::size_t kRecordHeaderBytes =
    40;  // length, kind (4 each), checksum, index, now, connection (8 each)
inline constexpr std::size_t kChecksumOffset = 8;
inline constexpr std::size_t kCheckedOffset = 16;  // the checksum covers what follows, and length and kind as its seed
inline constexpr std::uint32_t kMaxRecordBytes = 64u << 20;

template <typename T>
void StoreLittleEndian(T value, char* out) {
  for (std::size_t i = 0; i < sizeof(T); ++i) out[i] = static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i));
}

template <typename T>
T LoadLittleEndian(const char* bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = sizeof(T); i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return static_cast<T>(value);
}

// `checked`: the record from kCheckedOffset to its end.
std::uint64_t RecordChecksum(std::uint32_t length, std::uint32_t kind, std::string_view checked,
                             std::uint64_t nonce = 0);

// The first kRecordHeaderBytes of a record, as they were read: nothing is checked yet.
struct RecordFields {
  std::uint32_t length = 0;
  std::uint32_t kind = 0;
  std::uint64_t checksum = 0;
  std::uint64_t index = 0;
  std::int64_t now_ns = 0;
  std::uint64_t connection = 0;

  // Length and kind can be of a record: its data may be read, and its checksum looked at.
  bool Plausible() const {
    return length <= kMaxRecordBytes && kind <= static_cast<std::uint32_t>(core::kLastRecordKind);
  }
  // REQUIRES: Plausible().
  core::RecordHeader Header() const { return {index, now_ns, static_cast<core::RecordKind>(kind), connection}; }
};
RecordFields ParseRecordFields(const char* bytes);

// Appends a whole record to `out`; its data are the parts, one after the other. False, and nothing appended, if they
// are over kMaxRecordBytes.
bool AppendRecord(const core::RecordHeader& header, std::initializer_list<std::string_view> parts, std::uint64_t nonce,
                  std::string* out);

}  // namespace spanwatch::ingest

#endif  // SPANWATCH_SIDECAR_INGEST_RECORD_FORMAT_H_
