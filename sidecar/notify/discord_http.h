// A request to Discord's webhook endpoint as HTTP, and the answer back. Pure, any thread.
#ifndef SPANWATCH_SIDECAR_NOTIFY_DISCORD_HTTP_H_
#define SPANWATCH_SIDECAR_NOTIFY_DISCORD_HTTP_H_

#include <string>
#include <string_view>

#include "sidecar/client/http_client.h"
#include "sidecar/notify/discord_reply.h"

namespace spanwatch::notify {

// "DiscordBot (url, version)", the form that Discord asks of every client. `url` says who is calling: the sidecar's
// external URL; what may not stand in a header is left out.
std::string DiscordUserAgent(std::string_view url, std::string_view version);

// `target`: path and query. `body`: JSON, unless kGet.
client::Request DiscordHttpRequest(Method method, const std::string& target, const std::string& body,
                                   const std::string& user_agent);
Reply DiscordHttpReply(client::Response response);

}  // namespace spanwatch::notify

#endif  // SPANWATCH_SIDECAR_NOTIFY_DISCORD_HTTP_H_
