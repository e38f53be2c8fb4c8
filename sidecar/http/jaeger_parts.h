// What the parts of Jaeger's API share. Internal to jaeger*.cc.
#ifndef SPANWATCH_SIDECAR_HTTP_JAEGER_PARTS_H_
#define SPANWATCH_SIDECAR_HTTP_JAEGER_PARTS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sidecar/core/engine.h"
#include "sidecar/core/names_view.h"
#include "sidecar/http/router.h"

namespace spanwatch::http::jaeger {

struct Call {
  const core::Engine& engine;
  std::int64_t now_ns;
  const Request& request;
  Response* response;
};

void AnswerLegacy(const Call& call);   // /api/services, operations, traces, dependencies
void AnswerV3(const Call& call);       // /api/v3/
void AnswerMetrics(const Call& call);  // /api/metrics/

// {"data":null,...,"errors":[{"code":...,"msg":...}]}
void FailLegacy(int status, std::string_view text, Response* response);
// "server" of Jaeger's UI; none for spans without a kind.
std::string_view KindName(core::SpanKind kind);
// Of one service, if `service` is not empty, and that were seen with that kind, if it is given.
std::vector<core::OperationNames> FindOperations(const core::Engine& engine, std::string_view service,
                                                 std::optional<core::SpanKind> kind);
std::vector<std::string> ServiceNames(const core::Engine& engine);

enum class TraceFormat : std::uint8_t { kJaeger, kOtlp };
// The traces that are stored, in the order of `ids`, as one document, made trace by trace while it is sent. `first`: a
// copy of ids.front(), if the caller has it already. A trace that is gone by the time its turn comes is left out;
// with `tell_missing` the document tells so (kJaeger alone). `engine` must outlive the stream.
std::unique_ptr<BodyStream> StreamTraces(const core::Engine& engine, TraceFormat format, std::vector<TraceId> ids,
                                         std::optional<core::TraceCopy> first, bool tell_missing);
// As a body if it is small, which can be compressed and has a length; else as a stream.
void Send(std::unique_ptr<BodyStream> stream, Response* response);

}  // namespace spanwatch::http::jaeger

#endif  // SPANWATCH_SIDECAR_HTTP_JAEGER_PARTS_H_
