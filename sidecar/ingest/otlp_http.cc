#include "sidecar/ingest/otlp_http.h"

#include <algorithm>
#include <exception>

#include "sidecar/ingest/ingest.h"
#include "sidecar/ingest/otlp_gzip.h"
#include "sidecar/ingest/otlp_http_answer.h"
#include "sidecar/ingest/otlp_json.h"

namespace spanwatch::ingest {
namespace {

constexpr std::string_view kTracesPath = "/v1/traces";
constexpr std::string_view kProtobufType = "application/x-protobuf";
constexpr std::string_view kJsonType = "application/json";

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  return lower;
}

std::string_view Trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::string MediaType(std::string_view content_type) {
  return Lower(Trim(content_type.substr(0, content_type.find(';'))));
}

std::string Mebibytes(std::size_t bytes) {
  return bytes >= 1u << 20 ? std::to_string(bytes >> 20) + " MiB" : std::to_string(bytes) + " bytes";
}

// What the first bytes look like, for a hint.
bool LooksLikeGzip(std::string_view body) { return body.starts_with("\x1f\x8b"); }
bool LooksLikeJson(std::string_view body) {
  const auto first = body.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && body[first] == '{';
}

// Counts bytes of a request at work, against a common limit.
class WorkingBytes {
 public:
  WorkingBytes(std::atomic<std::size_t>* total, std::size_t limit) : total_(total), limit_(limit) {}
  ~WorkingBytes() { total_->fetch_sub(taken_); }
  WorkingBytes(const WorkingBytes&) = delete;
  WorkingBytes& operator=(const WorkingBytes&) = delete;

  // A request alone is always let through.
  bool Take(std::size_t bytes) {
    const std::size_t others = total_->fetch_add(bytes) - taken_;
    taken_ += bytes;
    return others == 0 || others + taken_ <= limit_;
  }

 private:
  std::atomic<std::size_t>* const total_;
  const std::size_t limit_;
  std::size_t taken_ = 0;
};

}  // namespace

// What became of a body: records to submit, and what is not in them.
struct OtlpHttp::Outcome {
  std::vector<std::string> records;
  std::uint64_t accepted = 0;
  core::Rejected rejected;
  RedactedCounts redacted{};

  std::string RejectedText() const {
    std::string text;
    const auto add = [&](std::uint64_t n, const char* what) {
      if (n == 0) return;
      text += (text.empty() ? "" : "; ") + std::to_string(n) + " " + what;
    };
    add(rejected.invalid_id, "with an invalid id (trace ids have 16 bytes, span ids 8, and are not all zero)");
    add(rejected.malformed, "that cannot be read");
    add(rejected.limit, "over a limit of size or number");
    return text.empty() ? text : "spans rejected: " + text;
  }
};

OtlpHttpResponse OtlpError(std::string_view request_content_type, int status, const std::string& message) {
  const std::string type = MediaType(request_content_type);
  OtlpHttpResponse response;
  response.status = status;
  if (type == kProtobufType) {
    response.content_type = kProtobufType;
    response.body = StatusProtobuf(status, message);
  } else if (type == kJsonType) {
    response.content_type = kJsonType;
    response.body = StatusJson(status, message);
  } else {
    response.content_type = "text/plain; charset=utf-8";
    response.body = message + "\n";
  }
  return response;
}

OtlpHttp::OtlpHttp(OtlpHttpOptions options, Submit submit)
    : options_(options), submit_(std::move(submit)), redactor_(options.redact) {}

OtlpHttpResponse OtlpHttp::Handle(OtlpHttpRequest request) {
  OtlpHttpResponse response;
  try {
    response = Answer(&request);
  } catch (const std::exception&) {  // out of memory: later it may fit
    response = Busy(request.content_type, "no memory for this request now");
  }
  MutexLock lock(&mutex_);
  ++counts_.requests[response.status];
  return response;
}

OtlpHttpResponse OtlpHttp::Refuse(std::string_view request_content_type, int status, const std::string& message) {
  OtlpHttpResponse response =
      status == 503 ? Busy(request_content_type, message) : OtlpError(request_content_type, status, message);
  MutexLock lock(&mutex_);
  ++counts_.requests[response.status];
  return response;
}

OtlpHttpCounts OtlpHttp::GetCounts() const {
  MutexLock lock(&mutex_);
  return counts_;
}

OtlpHttp::Encoding OtlpHttp::EncodingOf(std::string_view content_type) {
  const std::string type = MediaType(content_type);
  return type == kProtobufType ? Encoding::kProtobuf : type == kJsonType ? Encoding::kJson : Encoding::kOther;
}

OtlpHttpResponse OtlpHttp::Busy(std::string_view content_type, const std::string& message) const {
  OtlpHttpResponse response = OtlpError(content_type, 503, message);
  response.headers.emplace_back("Retry-After", std::to_string(options_.retry_after_s));
  return response;
}

OtlpHttpResponse OtlpHttp::Answer(OtlpHttpRequest* request) {
  if (request->path != kTracesPath) return WrongPath(*request);
  if (request->method == "OPTIONS") return {204, "", "", {{"Allow", "POST, OPTIONS"}}};
  if (request->method != "POST") {
    OtlpHttpResponse response = OtlpError({}, 405, "send traces with POST");
    response.headers.emplace_back("Allow", "POST, OPTIONS");
    return response;
  }
  if (EncodingOf(request->content_type) == Encoding::kOther) {
    return OtlpError(
        {}, 415,
        "Content-Type must be application/x-protobuf or application/json" +
            (request->content_type.empty() ? "" : ", not \"" + request->content_type.substr(0, 100) + "\""));
  }
  return Export(request);
}

OtlpHttpResponse OtlpHttp::WrongPath(const OtlpHttpRequest& request) const {
  if (request.path == "/" && request.method == "POST") {
    return OtlpError(request.content_type, 404,
                     "traces go to /v1/traces: OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is used as it is and needs that path "
                     "(OTEL_EXPORTER_OTLP_ENDPOINT does not)");
  }
  if (request.path == "/v1/metrics" || request.path == "/v1/logs") {
    const std::string signal = request.path == "/v1/logs" ? "LOGS" : "METRICS";
    return OtlpError(request.content_type, 404, "Spanwatch takes traces only: set OTEL_" + signal + "_EXPORTER=none");
  }
  return OtlpError(request.content_type, 404, "this is an OTLP/HTTP receiver of traces: POST /v1/traces");
}

OtlpHttpResponse OtlpHttp::Export(OtlpHttpRequest* request) {
  const bool json = EncodingOf(request->content_type) == Encoding::kJson;
  WorkingBytes working(&working_bytes_, options_.max_working_bytes);
  OtlpHttpResponse error;
  if (request->body.size() > options_.max_body_bytes) {
    return OtlpError(request->content_type, 413, "the body is larger than " + Mebibytes(options_.max_body_bytes));
  }
  if (!working.Take(request->body.size())) return Busy(request->content_type, "too many bytes are being received");
  if (!Inflate(request, &error)) return error;
  // Redacting and cutting copy the body once or twice.
  if (!working.Take(2 * request->body.size())) return Busy(request->content_type, "too many bytes are being received");
  if (json && !Transcode(request, &error)) return error;

  Outcome outcome;
  if (!Prepare(*request, &outcome, &error)) return error;
  std::string().swap(request->body);
  for (std::string& record : outcome.records) {
    if (!submit_(std::move(record))) return Busy(request->content_type, "the queue of spans is full");
  }
  Count(outcome);
  const std::uint64_t rejected = outcome.rejected.Total();
  const std::string text = outcome.RejectedText();
  OtlpHttpResponse response;
  response.content_type = json ? kJsonType : kProtobufType;
  response.body = json ? ExportResponseJson(rejected, text) : ExportResponseProtobuf(rejected, text);
  return response;
}

bool OtlpHttp::Inflate(OtlpHttpRequest* request, OtlpHttpResponse* error) const {
  const std::string encoding = Lower(Trim(request->content_encoding));
  if (encoding.empty() || encoding == "identity") return true;
  const auto fail = [&](int status, const std::string& message) {
    *error = OtlpError(request->content_type, status, message);
    return false;
  };
  if (encoding != "gzip" && encoding != "x-gzip") {
    fail(415, "Content-Encoding must be gzip or absent, not \"" + encoding.substr(0, 100) + "\"");
    error->headers.emplace_back("Accept-Encoding", "gzip");
    return false;
  }
  std::string inflated;
  const GzipResult result = Gunzip(request->body, options_.max_body_bytes, &inflated);
  request->body = std::move(inflated);
  switch (result) {
    case GzipResult::kGood:
      return true;
    case GzipResult::kTooLarge:
      return fail(413, "the body is larger than " + Mebibytes(options_.max_body_bytes) + " when inflated");
    case GzipResult::kTruncated:
      return fail(400, "the gzip body ends in the middle");
    case GzipResult::kBroken:
      break;
  }
  return fail(400, "the body is not gzip, as Content-Encoding says");
}

bool OtlpHttp::Transcode(OtlpHttpRequest* request, OtlpHttpResponse* error) const {
  auto protobuf = OtlpFromJson(request->body);
  if (!protobuf) {
    std::string message = "the JSON body cannot be read: " + protobuf.error();
    if (LooksLikeGzip(request->body)) message += ". It looks like gzip: send Content-Encoding: gzip";
    *error = OtlpError(request->content_type, 400, message);
    return false;
  }
  request->body = std::move(*protobuf);
  return true;
}

bool OtlpHttp::Prepare(const OtlpHttpRequest& request, Outcome* outcome, OtlpHttpResponse* error) const {
  std::string redacted;
  const RedactResult result = redactor_.Redact(request.body, &redacted);
  bool readable = result.readable;
  if (readable) {
    SplitResult split = SplitOtlp(result.changed ? std::move(redacted) : request.body, options_.split);
    outcome->rejected.limit = static_cast<std::uint32_t>(std::min<std::uint64_t>(split.too_large, UINT32_MAX));
    outcome->redacted = result.counts;
    core::SpanBatch batch;
    for (std::string& record : split.records) {
      readable = readable && DecodeOtlp(record, &batch);
      outcome->accepted += batch.spans.size();
      outcome->rejected.invalid_id += batch.rejected.invalid_id;
      outcome->rejected.malformed += batch.rejected.malformed;
      outcome->rejected.limit += batch.rejected.limit;
      if (!batch.spans.empty() || batch.rejected.Total() != 0) outcome->records.push_back(std::move(record));
    }
  }
  // Nothing but rubbish is no partial success.
  const core::Rejected& rejected = outcome->rejected;
  if (readable && (outcome->accepted != 0 || rejected.malformed == 0 || rejected.malformed != rejected.Total()))
    return true;
  std::string message = "the body is no ExportTraceServiceRequest";
  if (LooksLikeGzip(request.body)) message += ". It looks like gzip: send Content-Encoding: gzip";
  if (LooksLikeJson(request.body)) message += ". It looks like JSON: send Content-Type: application/json";
  *error = OtlpError(request.content_type, 400, message);
  return false;
}

void OtlpHttp::Count(const Outcome& outcome) {
  MutexLock lock(&mutex_);
  counts_.spans_accepted += outcome.accepted;
  counts_.spans_rejected.invalid_id += outcome.rejected.invalid_id;
  counts_.spans_rejected.malformed += outcome.rejected.malformed;
  counts_.spans_rejected.limit += outcome.rejected.limit;
  for (std::size_t i = 0; i < kRedactedKinds; ++i) counts_.redacted[i] += outcome.redacted[i];
}

}  // namespace spanwatch::ingest
