#include "sidecar/notify/planner.h"

#include "sidecar/notify/discord_planner.h"

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

std::unique_ptr<Planner> MakePlanner(PlannerOptions options) {
  return std::make_unique<DiscordPlanner>(std::move(options));
}

}  // namespace spanwatch::notify
