#include "sidecar/notify/kept_bytes.h"

#include <zlib.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "sidecar/core/codec.h"
#include "sidecar/core/trace_codec.h"

namespace spanwatch::notify {
namespace {

// Empty if it does not fit.
std::string Compress(const std::string& raw, std::size_t max_bytes) {
  if (raw.size() > kMaxUnpackedBytes) return "";
  std::string bytes;
  core::CodecWriter(&bytes).U64(raw.size());
  const std::size_t head = bytes.size();
  uLongf size = compressBound(static_cast<uLong>(raw.size()));
  bytes.resize(head + size);
  if (compress2(reinterpret_cast<Bytef*>(bytes.data()) + head, &size, reinterpret_cast<const Bytef*>(raw.data()),
                static_cast<uLong>(raw.size()), Z_BEST_SPEED) != Z_OK) {
    return "";
  }
  bytes.resize(head + size);
  bytes.shrink_to_fit();
  return bytes.size() <= max_bytes ? bytes : "";
}

// Which spans a cut copy has: the `limit` ones that cost the critical path most, the root, and all of their ancestors.
std::vector<bool> OnPath(const core::TraceAnalysis& analysis, std::size_t limit) {
  std::vector<std::uint32_t> order;
  for (std::uint32_t i = 0; i < analysis.spans.size(); ++i) {
    if (analysis.spans[i].critical_ns > 0) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    return analysis.spans[a].critical_ns > analysis.spans[b].critical_ns;
  });
  order.resize(std::min(order.size(), limit));
  if (analysis.root != core::kNoSpan) order.push_back(analysis.root);
  std::vector<bool> on_path(analysis.spans.size());
  for (std::uint32_t span : order) {
    for (; span != core::kNoSpan && !on_path[span]; span = analysis.spans[span].parent) on_path[span] = true;
  }
  return on_path;
}

// `bare`: without what is not needed to see where the time went.
core::TraceCopy Cut(const core::TraceCopy& trace, const std::vector<bool>& on_path, bool bare) {
  core::TraceCopy cut;
  cut.summary = trace.summary;
  cut.resources = bare ? std::vector<std::vector<core::AttributeCopy>>(1) : trace.resources;
  for (std::size_t i = 0; i < trace.spans.size(); ++i) {
    if (!on_path[i]) continue;
    cut.spans.push_back(trace.spans[i]);
    if (!bare) continue;
    core::SpanCopy& span = cut.spans.back();
    span.resource = 0;
    span.attributes.clear();
    span.events.clear();
    span.links.clear();
    span.trace_state.clear();
  }
  return cut;
}

}  // namespace

KeptBytes Pack(const core::TraceCopy& trace, const core::TraceAnalysis& analysis, std::size_t max_whole,
               std::size_t max_cut) {
  if (max_whole > 0) {
    if (std::string bytes = Compress(core::EncodeTrace(trace), max_whole); !bytes.empty()) {
      return {std::move(bytes), false};
    }
  }
  if (std::string bytes = Compress(core::EncodeTrace(Cut(trace, OnPath(analysis, SIZE_MAX), false)), max_cut);
      !bytes.empty()) {
    return {std::move(bytes), true};
  }
  for (std::size_t limit = trace.spans.size(); limit > 0; limit /= 4) {
    std::string bytes = Compress(core::EncodeTrace(Cut(trace, OnPath(analysis, limit), true)), max_cut);
    if (!bytes.empty()) return {std::move(bytes), true};
  }
  return {"", true};
}

std::optional<core::TraceCopy> Unpack(std::string_view bytes) {
  const std::size_t whole = bytes.size();
  // The size's own length, as CodecWriter wrote it: seven bits a byte.
  std::size_t head = 0;
  while (head < whole && (static_cast<unsigned char>(bytes[head]) & 0x80) != 0) ++head;
  if (head++ >= whole) return std::nullopt;
  const std::uint64_t size = core::CodecReader(bytes.substr(0, head)).U64();
  bytes.remove_prefix(head);
  if (size == 0 || size > kMaxUnpackedBytes) return std::nullopt;
  std::string raw(static_cast<std::size_t>(size), '\0');
  auto got = static_cast<uLongf>(size);
  const int code = uncompress(reinterpret_cast<Bytef*>(raw.data()), &got, reinterpret_cast<const Bytef*>(bytes.data()),
                              static_cast<uLong>(bytes.size()));
  if (code != Z_OK || got != size) return std::nullopt;
  return core::DecodeTrace(raw);
}

}  // namespace spanwatch::notify
