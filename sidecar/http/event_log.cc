#include "sidecar/http/event_log.h"

#include <algorithm>
#include <utility>

namespace spanwatch::http {
namespace {

void Write(std::string_view type, std::uint64_t id, std::string_view data, std::string* out) {
  out->append("event: ").append(type).append("\nid: ").append(std::to_string(id)).append("\ndata: ");
  out->append(data).append("\n\n");
}

void WriteGap(std::uint64_t id, const std::string& skipped, std::string_view reason, std::string* out) {
  Write("gap", id, "{\"skipped\":" + skipped + ",\"reason\":\"" + std::string(reason) + "\"}", out);
}

}  // namespace

void EventLog::Append(EventType type, std::vector<std::string> services, std::string data) {
  Event event;
  event.id = next_id_++;
  event.type = type;
  event.services = std::move(services);
  event.data = std::move(data);
  Push(std::move(event));
}

void EventLog::AppendGap(EventType type, std::uint64_t count) {
  if (count == 0) return;
  next_id_ += count;
  if (!events_.empty() && events_.back().lost > 0 && events_.back().type == type) {
    events_.back().lost += count;
    events_.back().id = next_id_ - 1;
    return;
  }
  Event event;
  event.id = next_id_ - 1;
  event.type = type;
  event.lost = count;
  Push(std::move(event));
}

void EventLog::Push(Event event) {
  event.bytes = sizeof(Event) + event.data.size();
  for (const std::string& service : event.services) event.bytes += sizeof(std::string) + service.size();
  bytes_ += event.bytes;
  events_.push_back(std::move(event));
  while (events_.size() > max_events_ || (bytes_ > max_bytes_ && events_.size() > 1)) {
    bytes_ -= events_.front().bytes;
    events_.pop_front();
  }
}

bool EventLog::Passes(const EventFilter& filter, const Event& event) {
  if (!filter.types[static_cast<std::size_t>(event.type)]) return false;
  if (filter.service.empty() || event.lost > 0) return true;
  return std::find(event.services.begin(), event.services.end(), filter.service) != event.services.end();
}

void EventLog::Read(const EventFilter& filter, std::size_t max_bytes, std::uint64_t* cursor, std::string* out) const {
  const std::uint64_t oldest = events_.empty()             ? next_id_
                               : events_.front().lost == 0 ? events_.front().id
                                                           : events_.front().id + 1 - events_.front().lost;
  // An id of ours lies in [first_id_, next_id_); any other is of another life of the sidecar.
  const bool foreign = *cursor < first_id_ || *cursor > next_id_;
  if (foreign || *cursor < oldest) {
    WriteGap(oldest - 1, foreign ? "null" : std::to_string(oldest - *cursor), foreign ? "restart" : "behind", out);
    *cursor = oldest;
  }
  auto event = std::lower_bound(events_.begin(), events_.end(), *cursor,
                                [](const Event& each, std::uint64_t id) { return each.id < id; });
  const std::size_t full = out->size() + max_bytes;
  for (; event != events_.end() && out->size() < full; ++event) {
    if (Passes(filter, *event)) {
      if (event->lost > 0) {
        // Of a gap that grew, only what the reader has not been told.
        WriteGap(event->id, std::to_string(std::min(event->lost, event->id + 1 - *cursor)), "burst", out);
      } else {
        Write(kEventNames[static_cast<std::size_t>(event->type)], event->id, event->data, out);
      }
    }
    *cursor = event->id + 1;
  }
}

}  // namespace spanwatch::http
