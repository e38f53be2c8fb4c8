// Answers with whole traces: one trace is copied from the engine when its turn comes, and written in pieces.
#include <utility>

#include "sidecar/http/jaeger_json.h"
#include "sidecar/http/jaeger_parts.h"
#include "sidecar/http/json_text.h"
#include "sidecar/http/otlp_json.h"

namespace spanwatch::http::jaeger {
namespace {

constexpr std::size_t kPieceBytes = 64 * 1024;
constexpr std::size_t kBodyBytes = 256 * 1024;  // up to this an answer is made at once

class TraceStream : public BodyStream {
 public:
  TraceStream(const core::Engine& engine, TraceFormat format, std::vector<TraceId> ids,
              std::optional<core::TraceCopy> first, bool tell_missing)
      : engine_(engine), format_(format), ids_(std::move(ids)), first_(std::move(first)), tell_missing_(tell_missing) {}

  State Next(std::string* out) override {
    const std::size_t limit = out->size() + kPieceBytes;
    if (!begun_) {
      *out += format_ == TraceFormat::kJaeger ? "{\"data\":[" : "{\"result\":{\"resourceSpans\":[";
      begun_ = true;
    }
    while (out->size() < limit) {
      if (!trace_ && !Open(out)) {
        End(out);
        return State::kEnd;
      }
      if (!Write(limit, out)) Close();
    }
    return State::kMore;
  }

 private:
  // The next trace that is here. False: there are no more.
  bool Open(std::string* out) {
    while (next_ < ids_.size()) {
      const TraceId& id = ids_[next_++];
      trace_ = first_ ? std::exchange(first_, std::nullopt) : engine_.GetTrace(id);
      if (trace_ && !trace_->spans.empty()) {
        if (format_ == TraceFormat::kJaeger) writer_ = std::make_unique<JaegerTraceWriter>(&*trace_);
        if (any_) *out += ',';
        any_ = true;
        return true;
      }
      missing_.push_back(id);
    }
    trace_.reset();
    return false;
  }

  // False: that was the end of this trace.
  bool Write(std::size_t limit, std::string* out) {
    if (writer_ != nullptr) return writer_->Append(limit, out);
    AppendOtlpJson(*trace_, out);
    return false;
  }

  void Close() {
    writer_.reset();
    trace_.reset();
  }

  void End(std::string* out) {
    if (format_ == TraceFormat::kOtlp) {
      *out += "]}}";
      return;
    }
    *out += "],\"total\":0,\"limit\":0,\"offset\":0,\"errors\":";
    if (!tell_missing_ || missing_.empty()) {
      *out += "null}";
      return;
    }
    for (std::size_t i = 0; i < missing_.size(); ++i) {
      *out += i == 0 ? '[' : ',';
      *out += "{\"code\":404,\"msg\":\"trace not found\",\"traceID\":\"" + missing_[i].ToHex() + "\"}";
    }
    *out += "]}";
  }

  const core::Engine& engine_;
  const TraceFormat format_;
  const std::vector<TraceId> ids_;
  std::optional<core::TraceCopy> first_;
  const bool tell_missing_;
  std::size_t next_ = 0;
  std::optional<core::TraceCopy> trace_;       // the one that is being written
  std::unique_ptr<JaegerTraceWriter> writer_;  // of trace_; none for kOtlp
  std::vector<TraceId> missing_;
  bool begun_ = false, any_ = false;
};

// What was made already, then the rest.
class Continued : public BodyStream {
 public:
  Continued(std::string begin, std::unique_ptr<BodyStream> rest) : begin_(std::move(begin)), rest_(std::move(rest)) {}
  State Next(std::string* out) override {
    if (begin_.empty()) return rest_->Next(out);
    *out += begin_;
    begin_ = {};
    return State::kMore;
  }

 private:
  std::string begin_;
  std::unique_ptr<BodyStream> rest_;
};

}  // namespace

std::unique_ptr<BodyStream> StreamTraces(const core::Engine& engine, TraceFormat format, std::vector<TraceId> ids,
                                         std::optional<core::TraceCopy> first, bool tell_missing) {
  return std::make_unique<TraceStream>(engine, format, std::move(ids), std::move(first), tell_missing);
}

void Send(std::unique_ptr<BodyStream> stream, Response* response) {
  std::string begin;
  while (begin.size() < kBodyBytes) {
    if (stream->Next(&begin) != BodyStream::State::kEnd) continue;
    response->body = std::move(begin);
    return;
  }
  response->stream = std::make_shared<Continued>(std::move(begin), std::move(stream));
}

}  // namespace spanwatch::http::jaeger
