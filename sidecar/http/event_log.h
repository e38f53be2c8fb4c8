// The last events of the live stream, as server-sent events, and reading them from anywhere on. Bounded by number and
// bytes: what is older is gone, and a reader that wanted it is told how many there were. Not thread-safe.
#ifndef SPANWATCH_SIDECAR_HTTP_EVENT_LOG_H_
#define SPANWATCH_SIDECAR_HTTP_EVENT_LOG_H_

#include <array>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace spanwatch::http {

enum class EventType : std::uint8_t { kTrace, kAlert, kHealth };
inline constexpr std::array<const char*, 3> kEventNames = {"trace", "alert", "health"};  // by EventType

struct EventFilter {
  std::array<bool, 3> types = {true, true, true};  // by EventType
  std::string service;                             // empty: all
};

class EventLog {
 public:
  // Ids count up from `first_id`.
  EventLog(std::uint64_t first_id, std::size_t max_events, std::size_t max_bytes)
      : max_events_(max_events), max_bytes_(max_bytes), first_id_(first_id), next_id_(first_id) {}

  // `data`: one line. `services`: whom it is about.
  void Append(EventType type, std::vector<std::string> services, std::string data);
  // `count` events that are not told, because they are too many.
  void AppendGap(EventType type, std::uint64_t count);

  // Appends what `filter` lets through from *cursor on, until `max_bytes` are reached, and moves the cursor.
  void Read(const EventFilter& filter, std::size_t max_bytes, std::uint64_t* cursor, std::string* out) const;

  std::uint64_t next_id() const { return next_id_; }
  std::size_t bytes() const { return bytes_; }

 private:
  struct Event {
    std::uint64_t id = 0;  // of a gap: its last one
    EventType type = EventType::kTrace;
    std::uint64_t lost = 0;  // > 0: a gap of so many
    std::vector<std::string> services;
    std::string data;
    std::size_t bytes = 0;
  };

  void Push(Event event);
  static bool Passes(const EventFilter& filter, const Event& event);

  const std::size_t max_events_, max_bytes_;
  const std::uint64_t first_id_;
  std::uint64_t next_id_;
  std::size_t bytes_ = 0;
  std::deque<Event> events_;
};

}  // namespace spanwatch::http

#endif  // SPANWATCH_SIDECAR_HTTP_EVENT_LOG_H_
