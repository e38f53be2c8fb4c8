// Stored traces -> OTLP protobuf (TracesData, the same bytes as ExportTraceServiceRequest), what forwarding and export
// send. The inverse of DecodeOtlp() for all that the store keeps. Not kept, so not sent: the version and attributes of
// a scope, schema URLs, attributes and trace state of links, dropped counts of resources, events and links. Bytes, NaN
// and infinities inside of arrays and maps come out as text. Pure; any thread.
#ifndef SPANWATCH_SIDECAR_INGEST_OTLP_ENCODE_H_
#define SPANWATCH_SIDECAR_INGEST_OTLP_ENCODE_H_

#include <cstddef>
#include <string>

#include "sidecar/core/snapshot.h"

namespace spanwatch::ingest {

// Appends the spans from the number `first` on to *out, until about `max_bytes` were appended (at least one span), and
// returns the number of the first span that was left out: trace.spans.size() at the end. What several calls append to
// one string is one message with the spans of all of them.
std::size_t AppendOtlp(const core::TraceCopy& trace, std::size_t first, std::size_t max_bytes, std::string* out);

// The whole trace.
std::string EncodeOtlp(const core::TraceCopy& trace);

}  // namespace spanwatch::ingest

#endif  // SPANWATCH_SIDECAR_INGEST_OTLP_ENCODE_H_
