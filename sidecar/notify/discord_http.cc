#include "sidecar/notify/discord_http.h"

#include <utility>

namespace spanwatch::notify {

std::string DiscordUserAgent(std::string_view url, std::string_view version) {
  std::string agent = "DiscordBot (";
  for (const char c : url.substr(0, 256)) {
    if (c > ' ' && c < 0x7f && c != '(' && c != ')' && c != ',') agent += c;
  }
  return agent + ", " + std::string(version) + ")";
}

client::Request DiscordHttpRequest(Method method, const std::string& target, const std::string& body,
                                   const std::string& user_agent) {
  client::Request request;
  request.method = ToString(method);
  request.target = target;
  request.headers = {{"User-Agent", user_agent}, {"Accept", "application/json"}};
  if (method != Method::kGet) {
    request.headers.emplace_back("Content-Type", "application/json");
    request.body = body;
  }
  return request;
}

Reply DiscordHttpReply(client::Response response) {
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

}  // namespace spanwatch::notify
