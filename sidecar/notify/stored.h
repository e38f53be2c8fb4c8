// What the outbox keeps of one receiver: plain values between the planner, who knows what they mean, and the outbox,
// who knows where they lie.
#ifndef SPANWATCH_SIDECAR_NOTIFY_STORED_H_
#define SPANWATCH_SIDECAR_NOTIFY_STORED_H_

#include <cstdint>
#include <string>
#include <vector>

#include "sidecar/core/incident.h"

namespace spanwatch::notify {

struct StoredIncident {
  std::string id;
  std::uint64_t slot = 0;    // the message that tells about it
  std::uint64_t joined = 0;  // its place among those that share a message
  std::string body;          // discord_planner_store.cc for Discord
};

struct StoredSlot {
  std::uint64_t id = 0;
  std::string body;  // discord_planner_store.cc for Discord
};

// What became different since the last time it was asked.
struct Changes {
  bool reset = false;  // all that was stored before is void
  std::vector<StoredIncident> incidents;
  std::vector<std::string> removed_incidents;
  std::vector<StoredSlot> slots;
  std::vector<std::uint64_t> removed_slots;

  bool Empty() const {
    return !reset && incidents.empty() && removed_incidents.empty() && slots.empty() && removed_slots.empty();
  }
};

// What a receiver finds at its start.
struct StoredReceiver {
  std::vector<StoredIncident> incidents;
  std::vector<StoredSlot> slots;
  std::string webhook;                       // Outbox::Fingerprint of the address that the messages were sent to
  std::vector<core::Transition> unconsumed;  // decided, but its planner was never given them
  std::uint64_t sequence = 0;                // of the last of them, or of the last consumed one
};

// A silence: silences.h knows what the bytes mean.
struct StoredSilence {
  std::string id;
  std::string body;
};

// Traces that are kept for alerts, and the alerts they are kept for: kept_index.h knows what the bytes mean.
struct StoredKeptIncident {
  std::string id;
  std::string info;
};

struct StoredKeptTrace {
  enum class Body : std::uint8_t { kAsItWas, kNew, kNone };
  std::string id;  // 32 hex digits
  std::string info;
  std::uint64_t size = 0;  // of its body; only of one that was read
  Body change = Body::kAsItWas;
  std::string body;  // kept_bytes.h; only of a new one
};

struct StoredKept {
  std::vector<StoredKeptIncident> incidents;
  std::vector<StoredKeptTrace> traces;  // without their bodies
};

struct KeptChanges {
  bool reset = false;  // all that was stored before is void
  std::vector<StoredKeptIncident> incidents;
  std::vector<std::string> removed_incidents;
  std::vector<StoredKeptTrace> traces;
  std::vector<std::string> removed_traces;

  bool Empty() const {
    return !reset && incidents.empty() && removed_incidents.empty() && traces.empty() && removed_traces.empty();
  }
};

}  // namespace spanwatch::notify

#endif  // SPANWATCH_SIDECAR_NOTIFY_STORED_H_
