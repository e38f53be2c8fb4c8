// An export as a stream: a beginning, one trace after the other, an end. Only one trace is in memory at a time, and of
// the others their ids; what was removed meanwhile is left out.
#ifndef SPANWATCH_SIDECAR_HTTP_EXPORT_STREAM_H_
#define SPANWATCH_SIDECAR_HTTP_EXPORT_STREAM_H_

#include <functional>
#include <string>
#include <vector>

#include "sidecar/core/engine.h"
#include "sidecar/http/body_stream.h"

namespace spanwatch::http {

class ExportStream : public BodyStream {
 public:
  struct Format {
    std::string before, between, after;
    std::function<void(const core::TraceCopy&, std::string*)> append;
  };

  // REQUIRES: the engine outlives the stream.
  ExportStream(const core::Engine* engine, std::vector<TraceId> ids, Format format);
  State Next(std::string* out) override;

 private:
  void AppendTrace(const TraceId& id);

  const core::Engine* const engine_;
  const std::vector<TraceId> ids_;
  const Format format_;
  std::string pending_;  // from sent_ on: a large trace leaves in several pieces
  std::size_t sent_ = 0;
  std::size_t next_ = 0;
  bool any_ = false, ended_ = false;
};

}  // namespace spanwatch::http

#endif  // SPANWATCH_SIDECAR_HTTP_EXPORT_STREAM_H_
