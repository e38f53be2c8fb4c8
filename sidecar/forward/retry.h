// When to send what again: what an OTLP/HTTP answer means, and exponential backoff with jitter. Time is an argument.
// Pure but for RetryPolicy's state; not thread-safe.
//
// By the specification exactly 429, 502, 503 and 504 and exchanges without an answer are repeated; Retry-After is
// obeyed; every other answer is the last word on its request.
#ifndef SPANWATCH_SIDECAR_FORWARD_RETRY_H_
#define SPANWATCH_SIDECAR_FORWARD_RETRY_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "sidecar/client/http_client.h"

namespace spanwatch::forward {

enum class Verdict : std::uint8_t { kAccepted, kRetry, kRejected };

struct Judgement {
  Verdict verdict = Verdict::kRetry;
  std::int64_t retry_after_ns = 0;   // kRetry: the backend asks for that much; 0: it does not
  std::uint64_t rejected_spans = 0;  // kAccepted, but for these (partial success)
  std::string text;                  // for people: what went wrong, or the backend's warning; empty if all is well
};

// `wall_now_ns`: since the epoch, for a Retry-After that is a date. `text` holds words of the backend, cleaned and at
// most 300 bytes; secrets in them are the caller's to remove.
Judgement Judge(const client::Response& response, std::int64_t wall_now_ns);

// Seconds or an HTTP date -> ns from now, at least 0; -1: neither.
std::int64_t ParseRetryAfter(std::string_view text, std::int64_t wall_now_ns);

struct RetryOptions {
  std::int64_t first_ns = 1'000'000'000;  // doubled from attempt to attempt
  std::int64_t longest_ns = 30'000'000'000;
  std::int64_t max_elapsed_ns = 300'000'000'000;  // of one request, from its first attempt on
  std::uint64_t seed = 1;                         // of the jitter: each wait is 50 to 100 % of its backoff
};

class RetryPolicy {
 public:
  explicit RetryPolicy(const RetryOptions& options) : options_(options), random_(options.seed) {}

  // The request at hand is another one; the backoff stays as it is.
  void Begin(std::int64_t now_ns) { began_ns_ = now_ns; }
  // An attempt failed and may be repeated. Sets not_before_ns(). False: it would be too late, give this request up.
  bool Failed(std::int64_t now_ns, std::int64_t retry_after_ns);
  // There was an answer that is the last word: the backoff starts afresh.
  void Answered();

  // Nobody sends before this time.
  std::int64_t not_before_ns() const { return not_before_ns_; }

 private:
  const RetryOptions options_;
  std::uint64_t random_;
  std::int64_t began_ns_ = 0;
  std::int64_t backoff_ns_ = 0;  // of the last failure; 0: there was none
  std::int64_t not_before_ns_ = INT64_MIN;
};

}  // namespace spanwatch::forward

#endif  // SPANWATCH_SIDECAR_FORWARD_RETRY_H_
