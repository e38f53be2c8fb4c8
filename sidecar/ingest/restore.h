// What a restart and a replay do with a journal: restore the checkpoint at the head of each segment, apply the rest.
#ifndef SPANWATCH_SIDECAR_INGEST_RESTORE_H_
#define SPANWATCH_SIDECAR_INGEST_RESTORE_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "sidecar/core/engine.h"
#include "sidecar/ingest/ingest.h"

namespace spanwatch::ingest {

// The bytes of a kCheckpoint record: the engine, and what the receiver must not forget.
struct CheckpointRecord {
  std::string_view reload;            // bytes of the latest kReload record; empty: there was none
  std::uint64_t last_connection = 0;  // highest number given to a peer
  std::string_view engine;            // Engine::Checkpoint()
};
std::string EncodeCheckpoint(const CheckpointRecord& record);
// Views into `bytes`. False: not such bytes.
bool DecodeCheckpoint(std::string_view bytes, CheckpointRecord* out);

// Folds records into an engine one by one. `on_transitions` gets what they give rise to; may be null. Not thread-safe.
class Folder {
 public:
  Folder(Decoder* decoder, core::Engine* engine, std::function<void(std::vector<core::Transition>)> on_transitions)
      : decoder_(decoder), engine_(engine), on_transitions_(std::move(on_transitions)) {}

  void Fold(const core::RecordHeader& header, const std::string& bytes);
  const Folded& result() const { return result_; }

 private:
  void Restore(const core::RecordHeader& header, std::string_view bytes);
  void Problem(std::string text);

  Decoder* const decoder_;
  core::Engine* const engine_;
  const std::function<void(std::vector<core::Transition>)> on_transitions_;
  Folded result_;
};

}  // namespace spanwatch::ingest

#endif  // SPANWATCH_SIDECAR_INGEST_RESTORE_H_
