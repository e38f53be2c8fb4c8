// What the routing says of one incident to one receiver. Made by the dispatcher (dispatch.h), asked for by planners.
#ifndef SPANWATCH_SIDECAR_NOTIFY_DIRECTION_H_
#define SPANWATCH_SIDECAR_NOTIFY_DIRECTION_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "sidecar/core/incident.h"

namespace spanwatch::notify {

struct Direction {
  // False: this receiver is not told of it. One that was told before (an incident that rose and is now routed
  // elsewhere) keeps its message up to date, and begins no new one.
  bool routed = false;
  // A silence or an inhibition holds: nothing new is said; a message that is out tells why it is quiet, and that it is
  // over when it is. When the muting ends while the incident fires, it is told as if it had just begun.
  bool muted = false;
  std::string muted_by;   // for people: "silenced by ada until 14:05 UTC: deploy", "inhibited by HighErrorRate"
  std::string group_key;  // receives with equal keys belong together; empty: no route
  std::vector<core::NameValue> group_labels;  // by which it is grouped, in the route's order
  std::int64_t group_wait_ns = 0;             // the group's first message waits so long for more to come
  std::int64_t group_interval_ns = 60'000'000'000;
  std::int64_t repeat_interval_ns = 14'400'000'000'000;  // 0: never
  friend bool operator==(const Direction&, const Direction&) = default;
};

// Any thread; fast. Without one, every incident is routed, grouped by alertname and service.
using Direct = std::function<Direction(const core::Incident&)>;

}  // namespace spanwatch::notify

#endif  // SPANWATCH_SIDECAR_NOTIFY_DIRECTION_H_
