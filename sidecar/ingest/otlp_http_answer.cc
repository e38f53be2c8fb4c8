#include "sidecar/ingest/otlp_http_answer.h"

#include <nlohmann/json.hpp>

#include "sidecar/core/utf8.h"
#include "sidecar/ingest/otlp_wire.h"

namespace spanwatch::ingest {
namespace {

constexpr std::size_t kMaxMessageBytes = 4096;

// google.rpc.Code, as the OpenTelemetry Collector maps it.
int RpcCode(int http_status) {
  switch (http_status) {
    case 400:
      return 3;  // INVALID_ARGUMENT
    case 401:
      return 16;  // UNAUTHENTICATED
    case 403:
      return 7;  // PERMISSION_DENIED
    case 404:
      return 12;  // UNIMPLEMENTED
    case 429:
      return 8;  // RESOURCE_EXHAUSTED
    case 502:
    case 503:
    case 504:
      return 14;  // UNAVAILABLE
    default:
      return 2;  // UNKNOWN
  }
}

std::string Dump(const nlohmann::ordered_json& json) {
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace

std::string StatusProtobuf(int http_status, std::string_view message) {
  std::string out;
  AppendTag(1, 0, &out);
  AppendVarint(static_cast<std::uint64_t>(RpcCode(http_status)), &out);
  AppendField(2, core::CutUtf8(message, kMaxMessageBytes), &out);
  return out;
}

std::string StatusJson(int http_status, std::string_view message) {
  return Dump({{"code", RpcCode(http_status)}, {"message", core::CutUtf8(message, kMaxMessageBytes)}});
}

std::string ExportResponseProtobuf(std::uint64_t rejected, std::string_view message) {
  std::string partial;
  if (rejected != 0) {
    AppendTag(1, 0, &partial);
    AppendVarint(rejected, &partial);
  }
  if (!message.empty()) AppendField(2, core::CutUtf8(message, kMaxMessageBytes), &partial);
  std::string out;
  if (!partial.empty()) AppendField(1, partial, &out);
  return out;
}

std::string ExportResponseJson(std::uint64_t rejected, std::string_view message) {
  nlohmann::ordered_json partial = nlohmann::ordered_json::object();
  if (rejected != 0) partial["rejectedSpans"] = std::to_string(rejected);  // 64-bit numbers are strings
  if (!message.empty()) partial["errorMessage"] = core::CutUtf8(message, kMaxMessageBytes);
  return partial.empty() ? "{}" : Dump({{"partialSuccess", std::move(partial)}});
}

}  // namespace spanwatch::ingest
