#include "sidecar/ingest/clock.h"

#include <chrono>

namespace spanwatch::ingest {
namespace {

constexpr std::int64_t kTellAheadNs = 60'000'000'000;

}  // namespace

EngineClock::EngineClock()
    : source_{[]() -> std::int64_t {
                return std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count();
              },
              []() -> std::int64_t {
                return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
              }} {}

void EngineClock::NotBefore(std::int64_t ns) {
  if (ns > last_ns_) last_ns_ = ns;
}

std::int64_t EngineClock::Now() {
  const std::int64_t wall = source_.wall_ns();
  if (wall >= last_ns_) {
    behind_ = false;
    ahead_ns_ = 0;
    return last_ns_ = wall;
  }
  if (!behind_) {
    behind_ = true;
    behind_engine_ns_ = last_ns_;
    behind_steady_ns_ = source_.steady_ns();
    ahead_ns_ = last_ns_ - wall;
    return last_ns_;
  }
  const std::int64_t slewed = behind_engine_ns_ + (source_.steady_ns() - behind_steady_ns_) / 2;
  if (slewed > last_ns_) last_ns_ = slewed;
  ahead_ns_ = last_ns_ - wall;
  return last_ns_;
}

std::string EngineClock::Complaint() const {
  if (ahead_ns_ < kTellAheadNs) return {};
  return "the clock was set back: traces and alerts go on " + std::to_string(ahead_ns_ / 1'000'000'000) +
         " s ahead of it, at half speed until it has caught up; if that is too long, stop, remove journal/ in "
         "state_dir, "
         "start";
}

}  // namespace spanwatch::ingest
