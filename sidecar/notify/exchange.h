// One request of a planner and what came of it: plain values between planners, who decide, and channels, who speak
// HTTP.
#ifndef SPANWATCH_SIDECAR_NOTIFY_EXCHANGE_H_
#define SPANWATCH_SIDECAR_NOTIFY_EXCHANGE_H_

#include <cstdint>
#include <string>

namespace spanwatch::notify {

enum class Method : std::uint8_t { kPost, kPatch, kGet };
const char* ToString(Method method);  // "POST", "PATCH", "GET"

struct Request {
  Method method = Method::kPost;
  std::string message_id;  // Discord's kPatch
  std::string body;        // JSON; empty for kGet (which asks about the webhook itself)
};

// One HTTP exchange as the edge saw it. Secrets are removed already.
struct Reply {
  int status = 0;               // 0: no answer
  bool maybe_sent = false;      // no answer, but the request may have been carried out
  std::string transport_error;  // why there is no answer
  std::string body;             // bounded by the edge
  std::string retry_after;      // the headers, as they came; empty if absent
  std::string bucket, remaining, reset_after, scope, global;
};

}  // namespace spanwatch::notify

#endif  // SPANWATCH_SIDECAR_NOTIFY_EXCHANGE_H_
