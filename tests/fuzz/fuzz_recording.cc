// Any bytes as a recording file, each record of it decoded.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <string>

#include "sidecar/ingest/ingest.h"
#include "tests/fuzz/invariants.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace spanwatch;  // NOLINT
  static const int fd = ::memfd_create("recording", 0);
  static const std::string path = "/proc/self/fd/" + std::to_string(fd);
  fuzz::Require(::ftruncate(fd, 0) == 0, "ftruncate");
  fuzz::Require(::pwrite(fd, data, size, 0) == static_cast<ssize_t>(size), "pwrite");
  auto reader = ingest::RecordReader::Open(path);
  if (!reader) return 0;
  ingest::Decoder decoder([](std::string_view, core::Decoded*) { return true; });
  core::RecordHeader header;
  std::string bytes;
  while (reader->Next(&header, &bytes)) {
    fuzz::Require(bytes.size() <= size, "a record lies in its file");
    const core::Decoded decoded = decoder.Decode(header, bytes);
    if (decoded.spans != nullptr) fuzz::CheckBatch(*decoded.spans);
  }
  fuzz::Require(!reader->Next(&header, &bytes), "the end stays the end");
  return 0;
}
