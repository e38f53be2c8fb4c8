// Incidents whose every text and number is what nobody hopes for: markup, mentions, emoji, right-to-left and zero-width
// characters, control characters, broken bytes, nothing, far too much; the same from the same seed.
#ifndef SPANWATCH_TESTS_UNIT_NOTIFY_NASTY_H_
#define SPANWATCH_TESTS_UNIT_NOTIFY_NASTY_H_

#include <cstdint>
#include <iterator>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "tests/unit/notify/incidents.h"

namespace spanwatch::notify {

class Nasty {
 public:
  explicit Nasty(std::uint64_t seed) : random_(seed) {}

  std::string Text() {
    static const std::vector<std::string> kPieces = {"word ",
                                                     "@everyone",
                                                     "`",
                                                     "```",
                                                     "**",
                                                     "__",
                                                     "\\",
                                                     "](http://evil)",
                                                     "<@&1>",
                                                     "\U0001F600",
                                                     "\u202e",
                                                     "\u200d",
                                                     "\xff",
                                                     "\n",
                                                     std::string(1, '\0'),
                                                     std::string(900, 'x'),
                                                     std::string(5000, '*'),
                                                     std::string(3000, '_'),
                                                     "\u3164",
                                                     "\u05e9\u05dc\u05d5\u05dd",
                                                     "\U0001F468\u200d\U0001F469\u200d\U0001F467",
                                                     "<t:1:R>",
                                                     "<:x:1>",
                                                     ""};
    std::string text;
    for (std::uint64_t n = random_() % 8; n > 0; --n) text += kPieces[random_() % kPieces.size()];
    return text;
  }
  double Number() {
    constexpr double kNumbers[] = {0,
                                   -1,
                                   1,
                                   1e300,
                                   -1e300,
                                   0.1,
                                   std::numeric_limits<double>::infinity(),
                                   std::numeric_limits<double>::quiet_NaN(),
                                   123456789};
    return kNumbers[random_() % std::size(kNumbers)];
  }
  std::int64_t Time() {
    constexpr std::int64_t kTimes[] = {0, 1, -1, kEpoch, INT64_MAX, INT64_MIN / 4, kEpoch * 2};
    return kTimes[random_() % std::size(kTimes)];
  }
  core::Incident Incident() {
    core::Incident incident =
        MakeIncident("x", random_() % 2 == 0 ? core::Severity::kCritical : core::Severity::kWarning);
    incident.alertname = Text();
    incident.fingerprint = Text();
    incident.last_error = Text();
    incident.annotations = {{"summary", Text()}, {"description", Text()}, {"runbook_url", "https://" + Text()}};
    incident.labels.clear();
    for (const char* name : {"service", "operation"}) {
      if (random_() % 3 != 0) incident.labels.push_back({name, Text()});
    }
    for (std::uint64_t n = random_() % 50 == 0  ? 10'000
                           : random_() % 3 == 0 ? random_() % 500
                                                : random_() % 3;
         n > 0; --n) {
      incident.labels.push_back({Text().substr(0, 50), Text().substr(0, 50)});
    }
    incident.value = Number();
    incident.worst_value = Number();
    incident.threshold = Number();
    incident.worst_trace_duration_ns = Number();
    incident.unit = static_cast<core::Unit>(random_() % 8);
    incident.active_at_ns = Time();
    incident.fired_at_ns = Time();
    incident.last_match_ns = Time();
    incident.window_ns = Time();
    incident.count = random_();
    incident.lost_spans = random_() % 2 == 0 ? random_() : 0;
    if (random_() % 2 == 0) {
      incident.state = core::AlertState::kResolved;
      incident.resolved_at_ns = kEpoch;
    }
    return incident;
  }
  std::uint64_t Next() { return random_(); }

 private:
  std::mt19937_64 random_;
};

}  // namespace spanwatch::notify

#endif  // SPANWATCH_TESTS_UNIT_NOTIFY_NASTY_H_
