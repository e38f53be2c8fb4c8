#include "sidecar/ingest/restore.h"

#include <algorithm>
#include <utility>

#include "sidecar/core/codec.h"

namespace spanwatch::ingest {
namespace {

constexpr std::size_t kMaxProblems = 10;

}  // namespace

std::string EncodeCheckpoint(const CheckpointRecord& record) {
  std::string bytes;
  bytes.reserve(record.reload.size() + record.engine.size() + 32);
  core::CodecWriter(&bytes).Text(record.reload).U64(record.last_connection).Text(record.engine);
  return bytes;
}

bool DecodeCheckpoint(std::string_view bytes, CheckpointRecord* out) {
  core::CodecReader in(bytes);
  out->reload = in.Text();
  out->last_connection = in.U64();
  out->engine = in.Text();
  return in.AtEnd();
}

void Folder::Problem(std::string text) {
  if (result_.problems.size() < kMaxProblems) result_.problems.push_back(std::move(text));
}

void Folder::Restore(const core::RecordHeader& header, std::string_view bytes) {
  const std::string where = "the checkpoint after record " + std::to_string(header.index) + " ";
  CheckpointRecord record;
  if (!DecodeCheckpoint(bytes, &record)) return Problem(where + "cannot be read");
  result_.last_connection = std::max(result_.last_connection, record.last_connection);
  const core::RecordHeader reload{header.index, header.now_ns, core::RecordKind::kReload, 0};
  core::Decoded decoded;
  if (!record.reload.empty()) decoded = decoder_->Decode(reload, record.reload);
  if (decoded.error != nullptr) return Problem(where + "has rules that cannot be read by this version");
  if (!engine_->Restore(decoded, record.engine)) {
    Problem(where + "does not fit this version; its numbers begin anew");
    if (result_.records == 0 && !record.reload.empty()) engine_->Apply(reload, decoded);
  }
  result_.reload = record.reload;
}

void Folder::Fold(const core::RecordHeader& header, const std::string& bytes) {
  if (header.kind == core::RecordKind::kCheckpoint) {
    Restore(header, bytes);
  } else {
    engine_->Apply(header, decoder_->Decode(header, bytes));
    engine_->TakeAnswers();
    engine_->TakeCompleted();
    if (header.kind == core::RecordKind::kReload) result_.reload = bytes;
    ++result_.records;
  }
  std::vector<core::Transition> transitions = engine_->TakeTransitions();
  if (!transitions.empty() && on_transitions_) on_transitions_(std::move(transitions));
  result_.last_index = std::max(result_.last_index, header.index);
  result_.last_connection = std::max(result_.last_connection, header.connection);
  if (result_.first_ns == 0) result_.first_ns = header.now_ns;
  result_.last_ns = std::max(result_.last_ns, header.now_ns);
}

}  // namespace spanwatch::ingest
