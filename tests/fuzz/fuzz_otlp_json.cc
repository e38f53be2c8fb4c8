// Any bytes as an OTLP/JSON body: what is taken is protobuf that the decoder reads without a fault of form. And any
// bytes as OTLP protobuf for the redactor: its result decodes to no fewer spans than the input (to more, where what
// broke them stood under a secret name), and redacting it again changes nothing.
#include <cstdint>
#include <string>

#include "sidecar/ingest/ingest.h"
#include "sidecar/ingest/otlp_json.h"
#include "sidecar/ingest/redact.h"
#include "tests/fuzz/invariants.h"

namespace {

using namespace spanwatch;  // NOLINT

void CheckRedacted(std::string_view bytes, bool keep_content) {
  const ingest::Redactor redactor({keep_content});
  static core::SpanBatch before, after;
  const bool readable = ingest::DecodeOtlp(bytes, &before);
  std::string once, twice;
  const ingest::RedactResult result = redactor.Redact(bytes, &once);
  if (!result.readable) return;
  const std::string_view redacted = result.changed ? std::string_view(once) : bytes;
  fuzz::Require(ingest::DecodeOtlp(redacted, &after) || !readable, "what was readable still is");
  fuzz::CheckBatch(after);
  if (readable) fuzz::Require(after.spans.size() >= before.spans.size(), "redaction leaves out no span");
  const ingest::RedactResult again = redactor.Redact(redacted, &twice);
  fuzz::Require(again.readable, "what was redacted is readable");
  fuzz::Require(!again.changed || twice == redacted, "redacting twice changes nothing");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto otlp = ingest::OtlpFromJson(bytes);
  if (!otlp) {
    fuzz::Require(!otlp.error().empty(), "a refusal says why");
    CheckRedacted(bytes, false);
    return 0;
  }
  static core::SpanBatch batch;
  fuzz::Require(ingest::DecodeOtlp(*otlp, &batch), "what JSON gave decodes");
  fuzz::Require(batch.rejected.malformed == 0, "what JSON gave is well-formed");
  fuzz::CheckBatch(batch);
  CheckRedacted(*otlp, false);
  CheckRedacted(*otlp, true);
  return 0;
}
