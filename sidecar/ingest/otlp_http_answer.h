// The bodies of OTLP/HTTP answers. Pure; any thread.
#ifndef SPANWATCH_SIDECAR_INGEST_OTLP_HTTP_ANSWER_H_
#define SPANWATCH_SIDECAR_INGEST_OTLP_HTTP_ANSWER_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace spanwatch::ingest {

// google.rpc.Status. The message is cut to a few thousand bytes.
std::string StatusProtobuf(int http_status, std::string_view message);
std::string StatusJson(int http_status, std::string_view message);

// ExportTraceServiceResponse; without a rejected span and a message: as if nothing were to be said.
std::string ExportResponseProtobuf(std::uint64_t rejected, std::string_view message);
std::string ExportResponseJson(std::uint64_t rejected, std::string_view message);

}  // namespace spanwatch::ingest

#endif  // SPANWATCH_SIDECAR_INGEST_OTLP_HTTP_ANSWER_H_
