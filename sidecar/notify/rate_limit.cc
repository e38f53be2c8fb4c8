#include "sidecar/notify/rate_limit.h"

#include <algorithm>

namespace spanwatch::notify {
namespace {

constexpr std::size_t kMaxBucketName = 128;

}  // namespace

void RateLimiter::Observe(Method method, const Reply& reply, std::int64_t now_ns) {
  if (reply.bucket.empty() || reply.bucket.size() > kMaxBucketName) return;
  if (buckets_.size() >= kMaxBuckets && !buckets_.contains(reply.bucket)) buckets_.clear();
  bucket_of_[static_cast<std::size_t>(method)] = reply.bucket;
  Bucket& bucket = buckets_[reply.bucket];
  const auto reset = ParseSeconds(reply.reset_after);
  if (reply.remaining == "0" && reset) {
    bucket.blocked_until_ns = std::max(bucket.blocked_until_ns, now_ns + *reset);
  }
}

void RateLimiter::Refused(Method method, const Outcome& outcome, const Reply& reply, std::int64_t now_ns) {
  const std::int64_t least = std::int64_t{100'000'000} << std::min(refusals_, 6);
  ++refusals_;
  const std::int64_t until = now_ns + std::max(outcome.retry_after_ns, least);
  // Without a bucket it is the edge network, a channel's hidden limit or the whole address that says no.
  const bool no_bucket = reply.bucket.empty() || reply.bucket.size() > kMaxBucketName;
  if (outcome.global || no_bucket || reply.scope == "shared") return BlockAll(until);
  Observe(method, reply, now_ns);
  Bucket& bucket = buckets_[bucket_of_[static_cast<std::size_t>(method)]];
  bucket.blocked_until_ns = std::max(bucket.blocked_until_ns, until);
}

void RateLimiter::BlockAll(std::int64_t until_ns) { all_until_ns_ = std::max(all_until_ns_, until_ns); }

std::int64_t RateLimiter::ReadyAt(Method method) const {
  std::int64_t ready = all_until_ns_;
  const std::string& name = bucket_of_[static_cast<std::size_t>(method)];
  if (const auto it = buckets_.find(name); !name.empty() && it != buckets_.end()) {
    ready = std::max(ready, it->second.blocked_until_ns);
  }
  return ready;
}

}  // namespace spanwatch::notify
