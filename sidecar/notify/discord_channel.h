// Discord's webhook endpoint: posts, edits, and the question about the webhook itself. Immutable; any thread.
#ifndef SPANWATCH_SIDECAR_NOTIFY_DISCORD_CHANNEL_H_
#define SPANWATCH_SIDECAR_NOTIFY_DISCORD_CHANNEL_H_

#include <string>
#include <string_view>

#include "sidecar/notify/channel.h"
#include "sidecar/notify/discord_url.h"

namespace spanwatch::notify {

class DiscordChannel : public Channel {
 public:
  DiscordChannel(WebhookEndpoint endpoint, std::string_view caller, std::string_view version);

  std::string Origin() const override { return endpoint_.origin; }
  std::string Identity() const override;
  client::Request ToHttp(const Request& request) const override;
  std::string RemoveSecrets(std::string text) const override;

 private:
  const WebhookEndpoint endpoint_;
  const std::string user_agent_;
};

}  // namespace spanwatch::notify

#endif  // SPANWATCH_SIDECAR_NOTIFY_DISCORD_CHANNEL_H_
