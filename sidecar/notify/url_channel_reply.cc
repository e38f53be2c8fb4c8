#include "sidecar/notify/url_channel_reply.h"

#include <time.h>

#include <algorithm>

#include "sidecar/notify/discord_reply.h"
#include "sidecar/notify/discord_text.h"

namespace spanwatch::notify {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kFirstBackOff = kSecond;
constexpr std::int64_t kLongestBackOff = 60 * kSecond;
constexpr std::int64_t kLongestRetryAfter = 86'400 * kSecond;
constexpr std::size_t kMaxErrorText = 500;

// Half to all of the full time.
std::int64_t Jitter(std::int64_t full_ns, std::uint64_t x) {
  x *= 0x9E3779B97F4A7C15u;
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
  x = (x ^ x >> 27) * 0x94D049BB133111EBu;
  x ^= x >> 31;
  return full_ns / 2 + static_cast<std::int64_t>(x % static_cast<std::uint64_t>(full_ns / 2 + 1));
}

}  // namespace

std::int64_t RetryAfterNs(const std::string& text, std::int64_t wall_ns) {
  if (const auto ns = ParseSeconds(text)) return std::min(*ns, kLongestRetryAfter);
  tm date{};
  const std::string copy = text.substr(0, 64);
  const char* const rest = ::strptime(copy.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &date);
  if (rest == nullptr || *rest != '\0') return 0;
  const std::int64_t wait_s = ::timegm(&date) - wall_ns / kSecond;
  return std::clamp<std::int64_t>(wait_s, 0, kLongestRetryAfter / kSecond) * kSecond;
}

UrlOutcome JudgeUrl(const Reply& reply, std::int64_t wall_ns) {
  UrlOutcome outcome;
  if (reply.status >= 200 && reply.status < 300) {
    outcome.verdict = UrlVerdict::kDelivered;
    return outcome;
  }
  if (reply.status == 0) {
    outcome.text = CleanText(reply.transport_error, kMaxErrorText);
    return outcome;
  }
  outcome.text = CleanText("it answered " + std::to_string(reply.status) + ": " + reply.body, kMaxErrorText);
  const bool again = reply.status >= 500 || reply.status == 408 || reply.status == 425;
  outcome.verdict = reply.status == 429 ? UrlVerdict::kRateLimited : again ? UrlVerdict::kRetry : UrlVerdict::kRefused;
  if (outcome.verdict != UrlVerdict::kRefused) outcome.retry_after_ns = RetryAfterNs(reply.retry_after, wall_ns);
  return outcome;
}

void BackOff::Failed(std::int64_t now_ns, std::uint64_t key, std::int64_t retry_after_ns) {
  if (++failures_ == 1) since_ns_ = now_ns;
  const std::int64_t full = std::min(kLongestBackOff, kFirstBackOff << std::min(failures_ - 1, 6));
  until_ns_ = now_ns + std::max(Jitter(full, key * 1000 + static_cast<std::uint64_t>(failures_)), retry_after_ns);
}

}  // namespace spanwatch::notify
