// How each incident stands with this receiver, in words.
#include <algorithm>

#include "sidecar/notify/discord_planner.h"
#include "sidecar/notify/discord_text.h"

namespace spanwatch::notify {
namespace {

std::string Times(std::uint64_t n) { return n == 1 ? "once" : std::to_string(n) + " times"; }

// "2026-01-02 03:04:05 UTC"
std::string WallText(std::int64_t ns, std::int64_t now_ns, std::int64_t wall_ns) {
  std::string text = IsoTime(wall_ns + (ns - now_ns));
  if (text.size() < 19) return "an unknown time";
  text.resize(19);
  text[10] = ' ';
  return text + " UTC";
}

}  // namespace

std::vector<std::pair<std::string, core::Delivery>> DiscordPlanner::Explain(std::size_t limit, std::int64_t now_ns,
                                                                            std::int64_t wall_ns) const {
  std::vector<std::pair<std::string, core::Delivery>> all;
  for (const auto& [id, tracked] : incidents_) {
    if (all.size() >= limit) break;
    core::Delivery delivery;
    const auto slot = slots_.find(tracked.slot);
    if (slot != slots_.end()) {
      delivery = ExplainSlot(slot->second, now_ns, wall_ns);
    } else {
      delivery.state = tracked.direction.routed ? "muted" : "not_routed";
    }
    delivery.receiver = options_.receiver.name;
    delivery.muted = tracked.direction.muted;
    if (tracked.direction.muted && tracked.slot != 0) delivery.state = "muted";
    if (tracked.direction.muted) {
      delivery.detail = tracked.direction.muted_by + (delivery.detail.empty() ? "" : "; ") + delivery.detail;
    }
    all.emplace_back(id, std::move(delivery));
  }
  return all;
}

core::Delivery DiscordPlanner::ExplainSlot(const Slot& slot, std::int64_t now_ns, std::int64_t wall_ns) const {
  core::Delivery delivery;
  if (slot.posted) {
    delivery.state = slot.edits > 0 ? "edited" : "posted";
    delivery.detail = "posted at " + WallText(slot.posted_ns, now_ns, wall_ns);
    if (slot.edits > 0) {
      delivery.detail += ", edited " + Times(slot.edits) + ", last at " + WallText(slot.sent_ns, now_ns, wall_ns);
    }
    if (slot.blind) delivery.detail += ", cannot be edited: Discord's answer named no message";
    if (slot.fallback) delivery.detail += ", as plain text because Discord refused the card";
  } else if (!slot.Dirty()) {
    delivery.state = "failed";
    delivery.detail = "Discord did not take it; tried again when it changes";
  } else {
    delivery.state = "waiting";
  }
  if (slot.is_fold) {
    delivery.state = delivery.state == "waiting" || delivery.state == "failed" ? delivery.state : "folded";
    const std::size_t others = slot.members.size() - 1;
    delivery.detail = "in a message with " + std::to_string(others) + (others == 1 ? " other" : " others") +
                      (delivery.detail.empty() ? "" : ", ") + delivery.detail;
  }
  if (!usable_ || given_up_) {
    delivery.state = usable_ ? "given_up" : "not_configured";
    const std::string why = usable_ ? "nothing is sent until the configuration changes: " + last_error_
                                    : "nothing is sent: the receiver has no usable webhook";
    delivery.detail += (delivery.detail.empty() ? "" : "; ") + why;
    return delivery;
  }
  if (slot.Dirty()) {
    delivery.detail += (delivery.detail.empty() ? "" : "; ") + WhyItWaits(slot, now_ns, wall_ns);
  } else if (RepeatDue(slot, INT64_MAX)) {
    delivery.detail += "; next repeat at " + WallText(slot.posted_ns + slot.repeat_interval_ns, now_ns, wall_ns);
  }
  return delivery;
}

std::string DiscordPlanner::WhyItWaits(const Slot& slot, std::int64_t now_ns, std::int64_t wall_ns) const {
  const char* what = slot.posted ? "the next edit" : "its message";
  const std::int64_t limited = limiter_.ReadyAt(slot.message_id.empty() ? Method::kPost : Method::kPatch);
  const std::int64_t until = SendableAt(slot);
  if (until <= now_ns) return std::string(what) + " is about to be sent";
  std::string why = "waits for a moment";
  if (until == backing_off_until_ns_) {
    why = "waits after a failure (" + last_error_ + ")";
  } else if (until == limited) {
    why = "is rate limited by Discord";
  } else if (!slot.posted && until == slot.hold_ns) {
    why = "waits for more of its group (group_wait)";
  } else if (slot.posted) {
    why = "waits for its turn (growth_interval)";
  }
  return std::string(what) + " " + why + " until " + WallText(until, now_ns, wall_ns);
}

}  // namespace spanwatch::notify
