// What the outbox tells about itself. Plain values.
#ifndef SPANWATCH_SIDECAR_NOTIFY_OUTBOX_STATUS_H_
#define SPANWATCH_SIDECAR_NOTIFY_OUTBOX_STATUS_H_

#include <cstdint>
#include <string>

namespace spanwatch::notify {

struct OutboxStatus {
  bool enabled = false;            // there is a file to write to
  bool writable = false;           // what is decided is on disk
  std::string problem;             // why it is not; empty if it is
  std::string note;                // what became of a damaged file; empty if there was none
  std::uint64_t bytes = 0;         // of the file and its WAL
  std::uint64_t pending = 0;       // transitions that are not on disk yet
  std::uint64_t committed = 0;     // transitions written
  std::uint64_t repeats = 0;       // ignored, because their id was known
  std::uint64_t write_errors = 0;  // transactions that failed
  std::uint64_t corruptions = 0;   // files put aside
  std::uint64_t given_up = 0;      // transitions that never got onto the disk
  std::uint64_t unreadable = 0;    // rows that could not be read back

  // Of the traces that are kept for alerts, with a file or without one.
  std::uint64_t kept_traces = 0;        // copies held
  std::uint64_t kept_trace_bytes = 0;   // of them
  std::uint64_t kept_write_errors = 0;  // transactions that failed: the copies wait in memory
};

}  // namespace spanwatch::notify

#endif  // SPANWATCH_SIDECAR_NOTIFY_OUTBOX_STATUS_H_
