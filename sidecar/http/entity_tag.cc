#include "sidecar/http/entity_tag.h"

#include <algorithm>
#include <array>
#include <random>

#include "spanwatch/ids.h"

namespace spanwatch::http {
namespace {

struct Step {
  std::string_view handler;
  int seconds;  // 0: the time changes nothing
};
// "stats", "status" and "alerts" show what the engine's generation does not stand for: heartbeats, the journal,
// deliveries, silences.
constexpr std::array<Step, 11> kSteps = {{{"/api/v1/stats", 1},
                                          {"/api/v1/status", 1},
                                          {"/api/v1/traces", 0},
                                          {"/api/v1/traces/{id}", 10},
                                          {"/api/v1/traces/{id}/analysis", 10},
                                          {"/api/v1/alerts", 1},
                                          {"/api/v1/rules", 10},
                                          {"/api/v1/overview", 10},
                                          {"/api/v1/services", 10},
                                          {"/api/v1/dependencies", 10},
                                          {"/api/v1/errors", 10}}};
constexpr int kRelativeStep = 10;

// "start=-15m": the answer moves with the time.
bool HasRelativeTime(const Params& params) {
  return std::any_of(params.begin(), params.end(), [](const auto& param) { return param.second.starts_with('-'); });
}

std::string_view WithoutWeak(std::string_view tag) {
  if (tag.starts_with("W/")) tag.remove_prefix(2);
  return tag;
}

}  // namespace

EntityTags::EntityTags() {
  std::random_device random;
  boot_ = SpanId{std::uint64_t{random()} << 32 | random() | 1}.ToHex();
}

std::string EntityTags::Of(std::string_view handler, const Params& params, std::uint64_t generation,
                           std::int64_t now_ns) const {
  const auto step =
      std::find_if(kSteps.begin(), kSteps.end(), [&](const Step& each) { return each.handler == handler; });
  if (step == kSteps.end()) return {};
  const int seconds = step->seconds == 0 && HasRelativeTime(params) ? kRelativeStep : step->seconds;
  std::string tag = "W/\"" + boot_ + "-" + std::to_string(generation);
  if (seconds > 0) tag += "-" + std::to_string(now_ns / 1'000'000'000 / seconds);
  return tag + "\"";
}

bool EntityTags::Matches(std::string_view if_none_match, std::string_view tag) {
  while (!if_none_match.empty()) {
    const std::size_t comma = std::min(if_none_match.find(','), if_none_match.size());
    std::string_view one = if_none_match.substr(0, comma);
    if_none_match.remove_prefix(std::min(comma + 1, if_none_match.size()));
    one.remove_prefix(std::min(one.find_first_not_of(" \t"), one.size()));
    one = one.substr(0, one.find_last_not_of(" \t") + 1);
    if (one == "*" || WithoutWeak(one) == WithoutWeak(tag)) return true;
  }
  return false;
}

}  // namespace spanwatch::http
