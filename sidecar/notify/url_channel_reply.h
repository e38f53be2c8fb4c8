// What the answer of a webhook or of Alertmanager means, and how long to wait after one that failed. Pure but for
// BackOff's state; not thread-safe. Time is an argument.
#ifndef SPANWATCH_SIDECAR_NOTIFY_URL_CHANNEL_REPLY_H_
#define SPANWATCH_SIDECAR_NOTIFY_URL_CHANNEL_REPLY_H_

#include <cstdint>
#include <string>

#include "sidecar/notify/exchange.h"

namespace spanwatch::notify {

enum class UrlVerdict : std::uint8_t {
  kDelivered,    // 2xx
  kRateLimited,  // 429: wait, then the same again
  kRetry,        // 5xx, 408, network: wait, then the same again
  kRefused,      // anything else: this message will never be taken
};

struct UrlOutcome {
  UrlVerdict verdict = UrlVerdict::kRetry;
  std::int64_t retry_after_ns = 0;  // what the other side asks for; 0: nothing
  std::string text;                 // for people: what went wrong; empty when delivered
};

// `wall_ns`: since the epoch, for a Retry-After that is a date.
UrlOutcome JudgeUrl(const Reply& reply, std::int64_t wall_ns);

// Seconds or an HTTP date -> ns from now, at most a day; 0: neither, or over.
std::int64_t RetryAfterNs(const std::string& text, std::int64_t wall_ns);

// 1, 2, 4, ... 60 s, each half to all of it: many receivers do not return in step.
class BackOff {
 public:
  // `key`: of whoever waits; the same key and number of failures give the same time.
  void Failed(std::int64_t now_ns, std::uint64_t key, std::int64_t retry_after_ns);
  void Answered() { *this = {}; }
  std::int64_t until_ns() const { return until_ns_; }
  int failures() const { return failures_; }           // in a row
  std::int64_t since_ns() const { return since_ns_; }  // the first of them; of failures() > 0

 private:
  int failures_ = 0;
  std::int64_t since_ns_ = INT64_MIN;
  std::int64_t until_ns_ = INT64_MIN;
};

}  // namespace spanwatch::notify

#endif  // SPANWATCH_SIDECAR_NOTIFY_URL_CHANNEL_REPLY_H_
