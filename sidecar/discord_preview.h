// What would stand in Discord: transitions go through the planner of a Discord receiver in virtual time, a channel that
// takes everything answers it. No I/O, no clock; the same transitions give the same messages. One thread.
#ifndef SPANWATCH_SIDECAR_DISCORD_PREVIEW_H_
#define SPANWATCH_SIDECAR_DISCORD_PREVIEW_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sidecar/core/engine.h"
#include "sidecar/notify/planner.h"

namespace spanwatch::app {

// A message as a reader sees it: markup and escapes gone, links written out, times in UTC.
struct ShownMessage {
  std::int64_t at_ns = 0;  // posted, or edited to this
  std::string content, title, description, footer;
  std::vector<std::pair<std::string, std::string>> fields;
  std::uint32_t color = 0;
  bool has_card = false;
};

struct PreviewMessage {
  ShownMessage posted, last;
  ShownMessage card;  // the last one that was a card: a message that is replaced is cut to one line
  std::uint64_t edits = 0;
};

class DiscordPreview {
 public:
  // `engine` tells the critical path of traces; it outlives this. Keeps the first `max_messages`.
  DiscordPreview(const std::string& external_url, const core::Engine* engine, std::size_t max_messages);

  // Time goes on to the transition's first. REQUIRES: they come in order.
  void Add(const core::Transition& transition);
  void RunUntil(std::int64_t now_ns);

  const std::vector<PreviewMessage>& messages() const { return messages_; }
  std::uint64_t posted() const { return posted_; }

 private:
  void Send();
  void Take(const notify::Request& request);

  const std::size_t max_messages_;
  std::unique_ptr<notify::Planner> planner_;
  std::int64_t now_ns_ = 0;
  std::uint64_t posted_ = 0;
  std::vector<PreviewMessage> messages_;  // the n-th has Discord's id kFirstId + n
};

// The text of a message's field or title, as people read it at `now_ns`. Pure.
std::string PlainText(std::string_view markup, std::int64_t now_ns);
// A message as lines for a terminal; `color`: with escape sequences.
std::string MessageText(const ShownMessage& message, const std::string& headline, bool color);
// "2026-01-02 03:04:05" in UTC; with `millis` "2026-01-02 03:04:05.678".
std::string UtcText(std::int64_t ns, bool millis);

}  // namespace spanwatch::app

#endif  // SPANWATCH_SIDECAR_DISCORD_PREVIEW_H_
