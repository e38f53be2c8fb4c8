// Any bytes as a message record: two frames, envelope, payload; and as an answer. What decodes as an envelope means the
// same after encoding it again.
#include <cstdint>
#include <string>

#include "sidecar/ingest/envelope.h"
#include "sidecar/ingest/ingest.h"
#include "tests/fuzz/invariants.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace spanwatch;  // NOLINT
  static ingest::Decoder decoder(nullptr);
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  core::RecordHeader header;
  header.kind = core::RecordKind::kMessage;
  const core::Decoded decoded = decoder.Decode(header, bytes);
  fuzz::Require((decoded.envelope == nullptr) == (decoded.error != nullptr), "an envelope or the reason why not");
  if (decoded.spans != nullptr) fuzz::CheckBatch(*decoded.spans);
  if (decoded.envelope != nullptr) {
    fuzz::Require(decoded.envelope->drops.size() <= 32 && decoded.envelope->gauges.size() <= 64, "lists are bounded");
    const std::string encoded = ingest::EncodeEnvelope(*decoded.envelope);
    core::EnvelopeView again;
    fuzz::Require(ingest::DecodeEnvelope(encoded, &again) == nullptr, "what was encoded decodes");
    fuzz::Require(ingest::EncodeEnvelope(again) == encoded, "encoding keeps everything");
  }
  ingest::DecodedAnswer answer;
  ingest::DecodeAnswer(bytes, &answer);
  return 0;
}
