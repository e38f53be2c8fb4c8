// Discord's rate limits for one webhook, as its headers tell them: nothing is assumed beforehand. Buckets are Discord's
// hashes; one limiter a webhook keeps them apart by webhook. Not thread-safe; time is an argument (ns, monotonic).
#ifndef SPANWATCH_SIDECAR_NOTIFY_RATE_LIMIT_H_
#define SPANWATCH_SIDECAR_NOTIFY_RATE_LIMIT_H_

#include <array>
#include <cstdint>
#include <map>
#include <string>

#include "sidecar/notify/discord_reply.h"

namespace spanwatch::notify {

class RateLimiter {
 public:
  // Learns from the headers of any answer.
  void Observe(Method method, const Reply& reply, std::int64_t now_ns);
  // A 429. Every further one in a row waits longer, whatever Discord says: 0.1, 0.2, ... 6.4 s at least.
  void Refused(Method method, const Outcome& outcome, const Reply& reply, std::int64_t now_ns);
  // The answer was not a 429.
  void Accepted() { refusals_ = 0; }
  // Nothing goes out before `until_ns`.
  void BlockAll(std::int64_t until_ns);

  // When a request of that method may be sent; a time in the past means now.
  std::int64_t ReadyAt(Method method) const;

 private:
  struct Bucket {
    std::int64_t blocked_until_ns = INT64_MIN;
  };
  static constexpr std::size_t kMaxBuckets = 16;

  std::array<std::string, 3> bucket_of_;  // by method; empty: not known yet
  std::map<std::string, Bucket> buckets_;
  std::int64_t all_until_ns_ = INT64_MIN;
  int refusals_ = 0;
};

}  // namespace spanwatch::notify

#endif  // SPANWATCH_SIDECAR_NOTIFY_RATE_LIMIT_H_
