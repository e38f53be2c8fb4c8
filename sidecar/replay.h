// What `spanwatch replay` reads: a journal (directory), a recording, or a file of OTLP spans (JSON, JSON lines or
// protobuf), folded into an engine.
#ifndef SPANWATCH_SIDECAR_REPLAY_H_
#define SPANWATCH_SIDECAR_REPLAY_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "sidecar/config/config.h"
#include "sidecar/core/engine.h"
#include "sidecar/ingest/ingest.h"
#include "sidecar/ingest/restore.h"

namespace spanwatch::app {

struct Replayed {
  const char* source = "";  // "journal", "recording", "otlp"
  std::uint64_t records = 0;
  std::int64_t first_ns = 0, last_ns = 0;  // engine time; 0: there was nothing
  bool torn = false;
  std::vector<std::string> problems;  // damage; what could not be read
};

using OnTransitions = std::function<void(std::vector<core::Transition>)>;

// `config` has the rules and limits for OTLP files; journals and recordings bring their own. With `rules`, these are in
// force from the first record to the last instead: a journal then gives the books of its first checkpoint, and what
// earlier rules had left is forgotten. A span of an OTLP file is applied at the engine time at which it ended, as if it
// had arrived then; half a minute after the last one every trace is complete. The error names the path and what it
// should be.
tl::expected<Replayed, std::string> Replay(const std::string& path, const config::Config& config,
                                           std::shared_ptr<const core::RuleSet> rules, core::Engine* engine,
                                           const OnTransitions& on_transitions);

// replay_rules.cc: folds records with other rules than those they bring.
class RuleReplacer {
 public:
  RuleReplacer(std::shared_ptr<const core::RuleSet> rules, core::Engine* engine, OnTransitions on_transitions);
  void Fold(const core::RecordHeader& header, const std::string& bytes);
  ingest::Folded result() const;

 private:
  void Begin(const core::RecordHeader& header, std::string_view checkpoint);
  void PutInForce(const core::RecordHeader& header, std::shared_ptr<const core::Limits> limits);

  const std::shared_ptr<const core::RuleSet> rules_;
  core::Engine* const engine_;
  ingest::Decoder decoder_;
  ingest::Folder folder_;
  std::vector<std::string> problems_;
  bool begun_ = false;
  std::uint64_t last_index_ = 0;
  std::int64_t first_ns_ = 0;
};

}  // namespace spanwatch::app

#endif  // SPANWATCH_SIDECAR_REPLAY_H_
