// What `spanwatch replay` reads: a journal (directory), a recording, or a file of OTLP spans (JSON, JSON lines or
// protobuf), folded into an engine.
#ifndef SPANWATCH_SIDECAR_REPLAY_H_
#define SPANWATCH_SIDECAR_REPLAY_H_

#include <cstdint>
#include <functional>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "sidecar/config/config.h"
#include "sidecar/core/engine.h"

namespace spanwatch::app {

struct Replayed {
  const char* source = "";  // "journal", "recording", "otlp"
  std::uint64_t records = 0;
  std::int64_t first_ns = 0, last_ns = 0;  // engine time; 0: there was nothing
  bool torn = false;
  std::vector<std::string> problems;  // damage; what could not be read
};

// `config` has the rules and limits for OTLP files; journals and recordings bring their own. A span of an OTLP file is
// applied at the engine time at which it ended, as if it had arrived then; half a minute after the last one every trace
// is complete. The error names the path and what it should be.
tl::expected<Replayed, std::string> Replay(const std::string& path, const config::Config& config, core::Engine* engine,
                                           const std::function<void(std::vector<core::Transition>)>& on_transitions);

}  // namespace spanwatch::app

#endif  // SPANWATCH_SIDECAR_REPLAY_H_
