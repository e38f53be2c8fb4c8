// The OTLP/HTTP receiver without sockets: a request's parts in, an answer's parts out. Bodies are inflated, turned into
// protobuf, redacted, cut into records and submitted one after the other; 200 means that all of them were applied.
//
// Never 500: what clients should send again is answered 503 with Retry-After. A body that was refused in the middle is
// sent again as a whole; the engine drops the spans that it has.
//
// Threads: Handle and GetCounts any.
#ifndef SPANWATCH_SIDECAR_INGEST_OTLP_HTTP_H_
#define SPANWATCH_SIDECAR_INGEST_OTLP_HTTP_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sidecar/core/mutex.h"
#include "sidecar/core/span_batch.h"
#include "sidecar/ingest/otlp_split.h"
#include "sidecar/ingest/redact.h"

namespace spanwatch::ingest {

struct OtlpHttpRequest {
  std::string method;
  std::string path;              // without query
  std::string content_type;      // as sent, with parameters
  std::string content_encoding;  // as sent; empty if absent
  std::string body;
};

struct OtlpHttpResponse {
  int status = 200;
  std::string content_type;
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;  // Retry-After, Allow, ...
};

struct OtlpHttpOptions {
  std::size_t max_body_bytes = 64u << 20;      // before and after inflating
  std::size_t max_working_bytes = 256u << 20;  // of all requests at work; above it: 503
  int retry_after_s = 1;
  RedactOptions redact;
  SplitLimits split;
};

struct OtlpHttpCounts {
  std::map<int, std::uint64_t> requests;  // by status code
  std::uint64_t spans_accepted = 0;
  core::Rejected spans_rejected;
  RedactedCounts redacted{};
};

// An error that an OTLP client understands: google.rpc.Status in the encoding of its request, plain text if that is
// neither.
OtlpHttpResponse OtlpError(std::string_view request_content_type, int status, const std::string& message);

class OtlpHttp {
 public:
  // `submit`: one record's bytes; true once they are applied, false if there is no room (Ingest::Submit of kOtlp).
  using Submit = std::function<bool(std::string)>;

  OtlpHttp(OtlpHttpOptions options, Submit submit);
  OtlpHttpResponse Handle(OtlpHttpRequest request);
  // What the listener answers before a request is complete: too large, too slow. Counted with the others.
  OtlpHttpResponse Refuse(std::string_view request_content_type, int status, const std::string& message);
  OtlpHttpCounts GetCounts() const;

 private:
  enum class Encoding : std::uint8_t { kProtobuf, kJson, kOther };
  struct Outcome;

  static Encoding EncodingOf(std::string_view content_type);
  OtlpHttpResponse Answer(OtlpHttpRequest* request);
  OtlpHttpResponse WrongPath(const OtlpHttpRequest& request) const;
  OtlpHttpResponse Export(OtlpHttpRequest* request);
  OtlpHttpResponse Busy(std::string_view content_type, const std::string& message) const;
  bool Inflate(OtlpHttpRequest* request, OtlpHttpResponse* error) const;
  bool Transcode(OtlpHttpRequest* request, OtlpHttpResponse* error) const;
  bool Prepare(const OtlpHttpRequest& request, Outcome* outcome, OtlpHttpResponse* error) const;
  void Count(const Outcome& outcome);

  const OtlpHttpOptions options_;
  const Submit submit_;
  const Redactor redactor_;
  std::atomic<std::size_t> working_bytes_{0};

  mutable Mutex mutex_;
  OtlpHttpCounts counts_ GUARDED_BY(mutex_);
};

}  // namespace spanwatch::ingest

#endif  // SPANWATCH_SIDECAR_INGEST_OTLP_HTTP_H_
