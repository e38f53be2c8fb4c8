// Any bytes as an OTLP body.
#include <cstdint>

#include "sidecar/ingest/ingest.h"
#include "tests/fuzz/invariants.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static spanwatch::core::SpanBatch batch;
  spanwatch::ingest::DecodeOtlp({reinterpret_cast<const char*>(data), size}, &batch);
  spanwatch::fuzz::CheckBatch(batch);
  return 0;
}
