// What a Discord message says, as the JSON body of its POST or PATCH. Pure functions, any thread, no clock: the same
// arguments give the same bytes. Every result keeps Discord's limits, carries no empty value, pings nobody but
// `mention_role` (allowed_mentions) and shows text from outside as it is written.
#ifndef SPANWATCH_SIDECAR_NOTIFY_DISCORD_CARD_H_
#define SPANWATCH_SIDECAR_NOTIFY_DISCORD_CARD_H_

#include <cstdint>
#include <string>
#include <vector>

#include "sidecar/core/incident.h"
#include "sidecar/notify/critical_path.h"

namespace spanwatch::notify {

// Why a message replaces an earlier one of the same incident.
enum class Reason : std::uint8_t {
  kNew,
  kEscalated,
  kRepeated,
  kUnmuted  // it was silenced or inhibited, and fires still
};

struct CardContext {
  std::string external_url;  // links: {external_url}/trace/{id}
  Reason reason = Reason::kNew;
  bool trace_stored = true;  // false: the trace is named, not linked
  std::string earlier_link;  // of the message that this one replaces; may be empty
  CriticalPath path;         // of the worst trace; empty: not shown
  std::string quiet;         // why nothing new is said of it: "silenced by ada until 14:05 UTC: deploy"; empty: it is
  std::string mention_role;  // digits: the role that the message pings; empty: nobody. For posts, never for edits
  bool unwatched = false;    // resolved only because a restarted Spanwatch does not watch it any more
};

// One incident's live message; the same body posts it and edits it.
std::string RenderCard(const core::Incident& incident, const CardContext& context);

// The message that stands for the incidents above a limit: "12 more SlowOperation in bot". `members` are pointers that
// live for the call, in the order they joined.
struct Fold {
  std::vector<core::NameValue> group_labels;  // what its members share; empty: a receiver's storm
  std::vector<const core::Incident*> members;
};
std::string RenderFold(const Fold& fold, const CardContext& context);
// The highest severity among the members that still fire; kNone when none does.
core::Severity FoldSeverity(const std::vector<const core::Incident*>& members);

// What stays of a message when a newer one replaces it. `newer_link` may be empty.
std::string RenderCut(Reason reason, const std::string& newer_link);

// Plain text alone, for when Discord refuses the card. Of a fold, `also` says how many more it stands for. An edit also
// takes the card away.
std::string RenderFallback(const core::Incident& incident, std::size_t also, bool is_edit,
                           const std::string& mention_role = "");

}  // namespace spanwatch::notify

#endif  // SPANWATCH_SIDECAR_NOTIFY_DISCORD_CARD_H_
