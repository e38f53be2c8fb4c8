#include "sidecar/notify/channel.h"

#include "sidecar/notify/discord_channel.h"
#include "sidecar/notify/url_channel.h"

namespace spanwatch::notify {

Reply ReadReply(client::Response response) {
  Reply reply;
  reply.status = response.status;
  reply.maybe_sent = response.maybe_sent;
  reply.retry_after = response.Header("Retry-After");
  reply.bucket = response.Header("X-RateLimit-Bucket");
  reply.remaining = response.Header("X-RateLimit-Remaining");
  reply.reset_after = response.Header("X-RateLimit-Reset-After");
  reply.scope = response.Header("X-RateLimit-Scope");
  reply.global = response.Header("X-RateLimit-Global");
  reply.transport_error = std::move(response.transport_error);
  reply.body = std::move(response.body);
  return reply;
}

tl::expected<std::unique_ptr<Channel>, std::string> MakeChannel(const core::Receiver& receiver,
                                                                const std::string& caller, const std::string& version) {
  if (receiver.kind != core::ReceiverKind::kDiscord) return MakeUrlChannel(receiver, version);
  auto endpoint = ParseWebhookUrl(receiver.url.Reveal());
  if (!endpoint) return tl::make_unexpected(endpoint.error());
  if (!receiver.discord.thread_id.empty()) endpoint->thread_id = receiver.discord.thread_id;
  return std::make_unique<DiscordChannel>(std::move(*endpoint), caller, version);
}

}  // namespace spanwatch::notify
