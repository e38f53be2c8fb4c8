// Yesterday's traffic with today's rules.
#include <utility>

#include "sidecar/app.h"
#include "sidecar/discord_preview.h"
#include "sidecar/replay.h"

namespace spanwatch::app {

RuleReplacer::RuleReplacer(std::shared_ptr<const core::RuleSet> rules, core::Engine* engine,
                           OnTransitions on_transitions)
    : rules_(std::move(rules)),
      engine_(engine),
      decoder_([rules = rules_](std::string_view bytes, core::Decoded* out) {
        if (!ParseReloadRecord(bytes, out)) return false;
        out->rules = rules;
        return true;
      }),
      folder_(&decoder_, engine, std::move(on_transitions)) {}

void RuleReplacer::PutInForce(const core::RecordHeader& header, std::shared_ptr<const core::Limits> limits) {
  core::Decoded reload;
  reload.rules = rules_;
  reload.limits = limits != nullptr ? std::move(limits) : std::make_shared<const core::Limits>();
  engine_->Apply({header.index, header.now_ns, core::RecordKind::kReload, 0}, reload);
}

// The checkpoint brings ledgers, learned gaps and totals, with the rules whose states it holds. Then the other
// rules begin: what the former ones had told ends here, and is nobody's business.
void RuleReplacer::Begin(const core::RecordHeader& header, std::string_view checkpoint) {
  ingest::CheckpointRecord record;
  core::Decoded before;
  if (!ingest::DecodeCheckpoint(checkpoint, &record)) {
    problems_.push_back("a checkpoint cannot be read");
  } else if (!record.reload.empty() && !ParseReloadRecord(record.reload, &before)) {
    problems_.push_back("a checkpoint has rules that cannot be read by this version; numbers begin anew");
  } else if (!engine_->Restore(before, record.engine)) {
    problems_.push_back("a checkpoint does not fit this version; numbers begin anew");
  }
  const auto none = std::make_shared<const core::RuleSet>();
  core::Decoded reload;
  reload.rules = none;
  reload.limits = before.limits != nullptr ? before.limits : std::make_shared<const core::Limits>();
  engine_->Apply({header.index, header.now_ns, core::RecordKind::kReload, 0}, reload);
  PutInForce(header, before.limits);
  engine_->TakeTransitions();
}

void RuleReplacer::Fold(const core::RecordHeader& header, const std::string& bytes) {
  if (first_ns_ == 0) first_ns_ = header.now_ns;
  const bool begun = std::exchange(begun_, true);
  const std::uint64_t last_index = std::exchange(last_index_, header.index);
  if (header.kind != core::RecordKind::kCheckpoint) return folder_.Fold(header, bytes);
  if (!begun) return Begin(header, bytes);
  if (header.index == last_index) return;
  // Without what is missing the ledgers would wait for it for ever.
  problems_.push_back("records are missing before " + UtcText(header.now_ns, false) +
                      " UTC: rules begin anew there, and what fired before shows no end");
  Begin(header, bytes);
}

ingest::Folded RuleReplacer::result() const {
  ingest::Folded folded = folder_.result();
  folded.problems.insert(folded.problems.begin(), problems_.begin(), problems_.end());
  if (first_ns_ != 0) folded.first_ns = first_ns_;
  if (folded.last_ns == 0) folded.last_ns = first_ns_;
  return folded;
}

}  // namespace spanwatch::app
