#include "sidecar/notify/planner.h"

#include <charconv>
#include <utility>

#include "sidecar/notify/alertmanager_planner.h"
#include "sidecar/notify/discord_planner.h"
#include "sidecar/notify/group_planner.h"

namespace spanwatch::notify {

Direction Planner::DirectionOf(const core::Incident& incident) const {
  if (options_.direct) return options_.direct(incident);
  Direction direction;
  direction.routed = true;
  direction.group_labels = {{"alertname", incident.alertname}, {"service", ""}};
  for (const core::NameValue& label : incident.labels) {
    if (label.name == "service") direction.group_labels[1].value = label.value;
  }
  direction.group_key = incident.alertname + '\x1f' + direction.group_labels[1].value;
  return direction;
}

std::uint64_t Planner::NumberOf(const core::Transition& transition) {
  const std::string& id = transition.id;
  std::uint64_t number = 0;
  const std::size_t begin = id.find('/');
  if (begin != std::string::npos) std::from_chars(id.data() + begin + 1, id.data() + id.size(), number);
  return number;
}

std::unique_ptr<Planner> MakePlanner(PlannerOptions options) {
  switch (options.receiver.kind) {
    case core::ReceiverKind::kWebhook:
      return std::make_unique<GroupPlanner>(std::move(options));
    case core::ReceiverKind::kAlertmanager:
      return std::make_unique<AlertmanagerPlanner>(std::move(options));
    case core::ReceiverKind::kDiscord:
      break;
  }
  return std::make_unique<DiscordPlanner>(std::move(options));
}

std::unique_ptr<Planner> Planner::Adapt(std::unique_ptr<Planner> former, PlannerOptions options, std::int64_t now_ns,
                                        std::int64_t wall_ns) {
  const core::Receiver& before = former->options_.receiver;
  if (before.kind == options.receiver.kind && before.format == options.receiver.format) {
    former->SetOptions(std::move(options));
    return former;
  }
  former->ForgetSaved();
  StoredReceiver stored;
  stored.incidents = former->TakeChanges().incidents;
  std::unique_ptr<Planner> next = MakePlanner(std::move(options));
  next->Load(stored, now_ns, wall_ns);
  return next;
}

}  // namespace spanwatch::notify
