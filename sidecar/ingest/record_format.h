// The layout of recordings: docs/journal.md. Shared by Recorder and RecordReader. All numbers are little-endian.
#ifndef SPANWATCH_SIDECAR_INGEST_RECORD_FORMAT_H_
#define SPANWATCH_SIDECAR_INGEST_RECORD_FORMAT_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

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
std::uint64_t RecordChecksum(std::uint32_t length, std::uint32_t kind, std::string_view checked);

}  // namespace spanwatch::ingest

#endif  // SPANWATCH_SIDECAR_INGEST_RECORD_FORMAT_H_
