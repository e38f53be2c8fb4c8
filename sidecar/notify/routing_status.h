// What the dispatcher tells about itself. Plain values.
#ifndef SPANWATCH_SIDECAR_NOTIFY_ROUTING_STATUS_H_
#define SPANWATCH_SIDECAR_NOTIFY_ROUTING_STATUS_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace spanwatch::notify {

struct RoutingCounts {
  std::array<std::uint64_t, 3> silences{};                // that are kept, by core::SilenceState
  std::uint64_t silenced = 0, inhibited = 0;              // incidents that fire and are muted now
  std::uint64_t silenced_total = 0, inhibited_total = 0;  // how often one became so
};

// An incident that fires and nobody is told of.
struct MutedIncident {
  std::string incident;                   // its id
  std::vector<std::string> silenced_by;   // ids of silences
  std::vector<std::string> inhibited_by;  // fingerprints of incidents
};

}  // namespace spanwatch::notify

#endif  // SPANWATCH_SIDECAR_NOTIFY_ROUTING_STATUS_H_
