#include "sidecar/http/export_stream.h"

#include <algorithm>
#include <utility>

namespace spanwatch::http {
namespace {

constexpr std::size_t kPieceBytes = 64 << 10;
constexpr std::size_t kKeptBytes = 1 << 20;  // of memory, from one trace to the next

}  // namespace

ExportStream::ExportStream(const core::Engine* engine, std::vector<TraceId> ids, Format format)
    : engine_(engine), ids_(std::move(ids)), format_(std::move(format)), pending_(format_.before) {}

void ExportStream::AppendTrace(const TraceId& id) {
  const auto trace = engine_->GetTrace(id);
  if (!trace || trace->spans.empty()) return;
  if (std::exchange(any_, true)) pending_ += format_.between;
  format_.append(*trace, &pending_);
}

BodyStream::State ExportStream::Next(std::string* out) {
  while (pending_.size() - sent_ < kPieceBytes && next_ < ids_.size()) AppendTrace(ids_[next_++]);
  if (next_ == ids_.size() && !std::exchange(ended_, true)) pending_ += format_.after;
  const std::size_t size = std::min(kPieceBytes, pending_.size() - sent_);
  out->append(pending_, sent_, size);
  sent_ += size;
  if (sent_ < pending_.size()) return State::kMore;
  pending_.clear();
  if (pending_.capacity() > kKeptBytes) std::string().swap(pending_);
  sent_ = 0;
  return ended_ ? State::kEnd : State::kMore;
}

}  // namespace spanwatch::http
