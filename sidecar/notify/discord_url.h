// A Discord webhook's URL, checked and taken apart. The URL is a secret: no error text contains any part of it.
// Pure functions, any thread.
#ifndef SPANWATCH_SIDECAR_NOTIFY_DISCORD_URL_H_
#define SPANWATCH_SIDECAR_NOTIFY_DISCORD_URL_H_

#include <string>
#include <string_view>
#include <tl/expected.hpp>

namespace spanwatch::notify {

struct WebhookEndpoint {
  std::string origin;     // "https://discord.com", "http://127.0.0.1:8080"
  std::string path;       // "/api/v10/webhooks/ID/TOKEN"
  std::string thread_id;  // digits; empty: the webhook's own channel
  std::string webhook_id;
  std::string token;  // secret
  friend bool operator==(const WebhookEndpoint&, const WebhookEndpoint&) = default;

  std::string PostTarget() const;                                  // path and query to post a message
  std::string MessageTarget(const std::string& message_id) const;  // path and query of a message
};

// Accepts what users copy out of Discord (discord.com, discordapp.com, ptb., canary.; with or without version: always
// /api/v10 afterwards), https to any host, and http to this machine. The error says what is wrong and what is allowed.
tl::expected<WebhookEndpoint, std::string> ParseWebhookUrl(std::string_view url);

// `text` with every occurrence of the endpoint's path and token (of 6 characters or more) replaced by "<secret>".
std::string RemoveSecrets(std::string text, const WebhookEndpoint& endpoint);

}  // namespace spanwatch::notify

#endif  // SPANWATCH_SIDECAR_NOTIFY_DISCORD_URL_H_
