// What an answer of Discord's webhook endpoint means: one verdict a request. Pure, any thread.
#ifndef SPANWATCH_SIDECAR_NOTIFY_DISCORD_REPLY_H_
#define SPANWATCH_SIDECAR_NOTIFY_DISCORD_REPLY_H_

#include <cstdint>
#include <optional>
#include <string>

#include "sidecar/notify/exchange.h"

namespace spanwatch::notify {

enum class ReplyVerdict : std::uint8_t {
  kDelivered,
  kRateLimited,     // wait retry_after_ns, then the same again
  kRetry,           // 5xx, network: back off, then the same again
  kUnknownMessage,  // the message to edit was deleted: post anew
  kRefused,         // Discord dislikes this body: send the plain fallback
  kTooManyEdits,    // of an old message: later
  kGiveUp,          // the webhook is gone or closed to us: stop using it
};

struct Outcome {
  ReplyVerdict verdict = ReplyVerdict::kRetry;
  std::string message_id, channel_id, guild_id;  // kDelivered, as far as the answer has them
  std::int64_t retry_after_ns = 0;               // kRateLimited
  bool global = false;                           // kRateLimited: holds for every webhook
  std::string text;  // for people: what went wrong; empty when delivered; at most 500 characters
};

Outcome Judge(Method method, const Reply& reply);

// "0.65" -> 650'000'000, rounded up; nothing if it is not a finite number of at least 0. At most one day.
std::optional<std::int64_t> ParseSeconds(const std::string& text);

}  // namespace spanwatch::notify

#endif  // SPANWATCH_SIDECAR_NOTIFY_DISCORD_REPLY_H_
