// Bounded inflating of gzip bodies. Pure; any thread.
#ifndef SPANWATCH_SIDECAR_INGEST_OTLP_GZIP_H_
#define SPANWATCH_SIDECAR_INGEST_OTLP_GZIP_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace spanwatch::ingest {

enum class GzipResult : std::uint8_t {
  kGood,
  kTooLarge,   // would be longer than the limit
  kTruncated,  // ends in the middle
  kBroken,     // not gzip, or its checksum is wrong
};

// One member or several after each other (RFC 1952); zero bytes after the last are padding. Unless kGood, `out` is
// empty.
GzipResult Gunzip(std::string_view bytes, std::size_t max_bytes, std::string* out);

}  // namespace spanwatch::ingest

#endif  // SPANWATCH_SIDECAR_INGEST_OTLP_GZIP_H_
