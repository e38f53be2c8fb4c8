// Takes personal data and secrets out of OTLP bytes before they are journaled: what came over OTLP/HTTP was not
// redacted by our SDK. Every string is searched (names, attributes, events, status, resource, scope); values of
// attributes with secret names and, unless wanted, message contents are replaced by marks whatever they hold.
//
// The result is what the decoder would accept of the input: fields that OTLP does not define are left out, text that is
// no UTF-8 is repaired, and parts that cannot be read are replaced by a byte that cannot be read either (so the decoder
// counts them). A value under a secret name is replaced unread: was it broken, its span is whole now. Redacting the
// result changes nothing.
//
// Threads: immutable after construction; any thread.
#ifndef SPANWATCH_SIDECAR_INGEST_REDACT_H_
#define SPANWATCH_SIDECAR_INGEST_REDACT_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "sdk/cpp/redact/text.h"

namespace spanwatch::ingest {

using redact::kRedactedKinds;
using redact::Redacted;
using redact::RedactedCounts;
using redact::RedactedName;

struct RedactOptions {
  bool keep_content = false;  // gen_ai.input.messages, message.content and the like stay
};

struct RedactResult {
  bool readable = true;  // false: the outermost message is broken, and nothing should be kept
  bool changed = false;  // false: the input may stay as it is, `out` is untouched
  std::uint64_t malformed = 0;
  RedactedCounts counts{};
};

class Redactor {
 public:
  explicit Redactor(RedactOptions options = {}) : options_(options) {}

  // `bytes`: TracesData, ExportTraceServiceRequest.
  RedactResult Redact(std::string_view bytes, std::string* out) const;

 private:
  const RedactOptions options_;
};

}  // namespace spanwatch::ingest

#endif  // SPANWATCH_SIDECAR_INGEST_REDACT_H_
