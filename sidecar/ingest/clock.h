// Engine time: the wall clock, never going back. Not thread-safe: the ingest thread owns it.
#ifndef SPANWATCH_SIDECAR_INGEST_CLOCK_H_
#define SPANWATCH_SIDECAR_INGEST_CLOCK_H_

#include <cstdint>
#include <string>

namespace spanwatch::ingest {

class EngineClock {
 public:
  struct Source {
    std::int64_t (*wall_ns)();
    std::int64_t (*steady_ns)();
  };
  EngineClock();  // the system's clocks
  explicit EngineClock(Source source) : source_(source) {}

  // ns since the epoch. If the wall clock was set back, time goes on at half speed until the wall has caught up: ticks
  // and alerts neither stop nor repeat.
  std::int64_t Now();
  // For the log, if the latest Now() was a minute or more ahead of the wall; else "".
  std::string Complaint() const;
  // Never before `ns` from now on: the end of what was read from the journal.
  void NotBefore(std::int64_t ns);

 private:
  Source source_;
  std::int64_t last_ns_ = 0;
  std::int64_t ahead_ns_ = 0;
  bool behind_ = false;                // the wall is behind last_ns_
  std::int64_t behind_engine_ns_ = 0;  // engine and steady time when it fell behind
  std::int64_t behind_steady_ns_ = 0;
};

}  // namespace spanwatch::ingest

#endif  // SPANWATCH_SIDECAR_INGEST_CLOCK_H_
