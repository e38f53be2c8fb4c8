// A trace as bytes (codec.h), to be kept beyond its time in the store. Pure functions, any thread.
//
// DecodeTrace takes bytes from anywhere: what is not whole, has a number out of range, bytes left over or more than
// kMaxDecodedElements elements is refused, and never costs more memory than these allow. Of the reasons of missing
// spans only the known ones are told apart.
#ifndef SPANWATCH_SIDECAR_CORE_TRACE_CODEC_H_
#define SPANWATCH_SIDECAR_CORE_TRACE_CODEC_H_

#include <optional>
#include <string>
#include <string_view>

#include "sidecar/core/snapshot.h"

namespace spanwatch::core {

// Spans, attributes, events, links and the like, of one trace.
inline constexpr std::size_t kMaxDecodedElements = std::size_t{1} << 19;

std::string EncodeTrace(const TraceCopy& trace);
std::optional<TraceCopy> DecodeTrace(std::string_view bytes);

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_TRACE_CODEC_H_
