#include "sidecar/notify/discord_channel.h"

#include <utility>

namespace spanwatch::notify {
namespace {

// "DiscordBot (url, version)", the form that Discord asks of every client; what may not stand in a header is left out.
std::string UserAgent(std::string_view url, std::string_view version) {
  std::string agent = "DiscordBot (";
  for (const char c : url.substr(0, 256)) {
    if (c > ' ' && c < 0x7f && c != '(' && c != ')' && c != ',') agent += c;
  }
  return agent + ", " + std::string(version) + ")";
}

}  // namespace

DiscordChannel::DiscordChannel(WebhookEndpoint endpoint, std::string_view caller, std::string_view version)
    : endpoint_(std::move(endpoint)), user_agent_(UserAgent(caller, version)) {}

std::string DiscordChannel::Identity() const {
  return endpoint_.origin + "\n" + endpoint_.path + "\n" + endpoint_.thread_id;
}

client::Request DiscordChannel::ToHttp(const Request& request) const {
  client::Request http;
  http.method = ToString(request.method);
  http.target = request.method == Method::kPatch  ? endpoint_.MessageTarget(request.message_id)
                : request.method == Method::kPost ? endpoint_.PostTarget()
                                                  : endpoint_.path;
  http.headers = {{"User-Agent", user_agent_}, {"Accept", "application/json"}};
  if (request.method != Method::kGet) {
    http.headers.emplace_back("Content-Type", "application/json");
    http.body = request.body;
  }
  return http;
}

std::string DiscordChannel::RemoveSecrets(std::string text) const {
  return notify::RemoveSecrets(std::move(text), endpoint_);
}

}  // namespace spanwatch::notify
