// Who is told of an incident, and why: the route tree, inhibition and silences put together, with Alertmanager's
// meanings. Pure: no I/O, no clock, no state; any thread. dispatch_index.h gives the same answers for many incidents
// quickly.
//
// - Route tree: the first child whose matchers all match takes the incident, and those after it while each says
//   `continue`; if none does, the node itself. A receiver that several nodes lead to is told once, by the first.
// - Inhibition: an incident that `target` matches is muted while another one fires that `source` matches and whose
//   `equal` labels have the same values (a label that both lack is equal). If both sides match it, only a source that
//   `target` does not match mutes it. A source that is muted itself mutes all the same.
// - Silences: active from starts_ns until before ends_ns, by the wall clock.
#ifndef SPANWATCH_SIDECAR_NOTIFY_ROUTING_H_
#define SPANWATCH_SIDECAR_NOTIFY_ROUTING_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sidecar/core/incident.h"
#include "sidecar/core/routing.h"
#include "sidecar/notify/direction.h"

namespace spanwatch::notify {

// What matchers and group_by see, sorted by name: the incident's labels, `alertname` and `severity` (the highest it
// reached). A label without a value is none.
class LabelSet {
 public:
  LabelSet() = default;
  explicit LabelSet(const core::Incident& incident);

  std::string_view Get(std::string_view name) const;  // empty: there is none. Valid as long as this
  const std::vector<core::NameValue>& all() const { return labels_; }
  friend bool operator==(const LabelSet&, const LabelSet&) = default;

 private:
  std::vector<core::NameValue> labels_;
};

bool Matches(const std::vector<core::Matcher>& matchers, const LabelSet& labels);
// "{service="bot",severity="critical"}".
std::string TextOf(const std::vector<core::Matcher>& matchers);

// A node of the tree that takes an incident. The pointer is into the tree.
struct RouteHit {
  const core::Route* route = nullptr;
  std::string path;  // "route.routes[1].routes[0]"
  std::string key;   // "{}/{severity="critical"}": the matchers on the way
};
std::vector<RouteHit> FindRoutes(const core::Route& root, const LabelSet& labels);
// The receivers that a node of the tree names, each once.
std::vector<std::string> ReachedReceivers(const core::Route& root);

core::SilenceState StateOf(const core::Silence& silence, std::int64_t wall_ns);

// The first rule that mutes, and of its sources that which fires longest (of equals the one with the smallest id).
struct Inhibition {
  std::size_t rule = 0;  // of Routing::inhibit_rules
  const core::Incident* source = nullptr;
};

// Of one receiver.
struct Decision {
  std::string receiver;
  std::string route;  // the node that leads to it; empty: none
  Direction direction;
  std::string reason;  // in a sentence, with names and times
};

struct Verdict {
  std::vector<Decision> receivers;        // all that there are, in the configuration's order
  std::vector<std::string> silenced_by;   // ids, sorted
  std::vector<std::string> inhibited_by;  // fingerprints
};

// `incidents` may hold any; of them those that fire count. So do silences that are active at `wall_ns`.
Verdict Decide(const core::Routing& routing, const std::vector<core::Silence>& silences,
               const std::vector<core::Incident>& incidents, const core::Incident& incident, std::int64_t wall_ns);

// What Decide says when it was found out otherwise which silences (active ones) and which source mute it.
Verdict Compose(const core::Routing& routing, const LabelSet& labels, std::vector<const core::Silence*> silences,
                const std::optional<Inhibition>& inhibition);

// "14:05 UTC", or "2026-11-23 14:05 UTC" if that is another day than that of `beside_ns`.
std::string TimeOfDay(std::int64_t wall_ns, std::int64_t beside_ns);

}  // namespace spanwatch::notify

#endif  // SPANWATCH_SIDECAR_NOTIFY_ROUTING_H_
