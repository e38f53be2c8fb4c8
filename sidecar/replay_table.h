// What `spanwatch replay` shows to people: a timeline of the alerts, how far back it reaches, and the messages as
// Discord would show them. One thread.
#ifndef SPANWATCH_SIDECAR_REPLAY_TABLE_H_
#define SPANWATCH_SIDECAR_REPLAY_TABLE_H_

#include <map>
#include <string>
#include <vector>

#include "sidecar/core/engine.h"
#include "sidecar/discord_preview.h"
#include "sidecar/replay.h"

namespace spanwatch::app {

inline constexpr std::size_t kMaxReplayRows = 100'000;

class ReplayTable {
 public:
  // `engine` is the one that folds; it outlives this.
  ReplayTable(const std::string& external_url, const core::Engine* engine, std::size_t max_messages)
      : preview_(external_url, engine, max_messages) {}

  void Add(const core::Transition& transition);
  // All of it, as text. `rules`: how many were in force at the end.
  std::string Text(const Replayed& replayed, const core::Engine& engine, bool color);

 private:
  struct Row {
    core::Incident incident;  // as it stood last, but for value: the worst
    bool began_before = false;
  };

  std::string Rows(std::int64_t last_ns, bool color) const;
  std::string Messages(bool color) const;

  DiscordPreview preview_;
  std::map<std::string, std::size_t> index_;  // by incident
  std::vector<Row> rows_;                     // in the order in which they fired
  std::uint64_t rows_left_out_ = 0;
};

}  // namespace spanwatch::app

#endif  // SPANWATCH_SIDECAR_REPLAY_TABLE_H_
