#include "sidecar/notify/discord_url.h"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace spanwatch::notify {
namespace {

constexpr std::size_t kMaxUrl = 2048;
constexpr const char* kExpected = "; expected https://discord.com/api/webhooks/ID/TOKEN";

tl::unexpected<std::string> Bad(const char* what) { return tl::unexpected(std::string(what) + kExpected); }

bool AllDigits(std::string_view text) {
  return !text.empty() && text.size() <= 20 && text.find_first_not_of("0123456789") == std::string_view::npos;
}

std::string Lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

bool IsToken(std::string_view text) {
  return !text.empty() && text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") ==
                              std::string_view::npos;
}

bool IsLoopback(std::string_view host) {
  if (host == "localhost" || host == "[::1]") return true;
  return host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string_view::npos;
}

bool IsHostText(std::string_view host) {
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    return host.substr(1, host.size() - 2).find_first_not_of("0123456789abcdef:.") == std::string_view::npos;
  }
  return !host.empty() && host.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-.") == std::string_view::npos;
}

struct Authority {
  std::string host;  // lower case, IPv6 in brackets
  std::string port;  // empty: the scheme's
};

tl::expected<Authority, std::string> ParseAuthority(std::string_view text) {
  if (text.find('@') != std::string_view::npos) return Bad("the webhook URL contains a user name or password");
  Authority result;
  const std::size_t bracket = text.rfind(']');
  const std::size_t colon = text.rfind(':');
  std::string_view host = text;
  if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
    const std::string_view port = text.substr(colon + 1);
    host = text.substr(0, colon);
    int number = 0;
    for (const char c : port) number = std::min(number * 10 + (c - '0'), 100000);
    if (!AllDigits(port) || number < 1 || number > 65535)
      return Bad("the webhook URL has a port that is not 1 to 65535");
    result.port = std::to_string(number);
  }
  result.host = Lower(host);
  if (!IsHostText(result.host)) return Bad("the webhook URL has no usable host name");
  return result;
}

bool IsVersion(std::string_view segment) {
  return segment.size() > 1 && segment[0] == 'v' && AllDigits(segment.substr(1));
}

// Fills path, webhook_id and token from "/api[/vN]/webhooks/ID/TOKEN".
tl::expected<void, std::string> ParsePath(std::string_view path, WebhookEndpoint* endpoint) {
  std::vector<std::string_view> segments;
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    const std::string_view segment = path.substr(0, slash);
    if (!segment.empty()) segments.push_back(segment);
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
  }
  if (!segments.empty() && (segments.back() == "slack" || segments.back() == "github")) {
    return Bad("the webhook URL ends in /slack or /github: leave that out");
  }
  const std::size_t n = segments.size();
  if (n < 3 || segments[n - 3] != "webhooks" || !AllDigits(segments[n - 2]) || !IsToken(segments[n - 1])) {
    return Bad("the webhook URL's path is not that of a webhook");
  }
  endpoint->webhook_id = segments[n - 2];
  endpoint->token = segments[n - 1];
  std::vector<std::string_view> prefix(segments.begin(), segments.end() - 3);
  if (prefix.size() == 2 && prefix[0] == "api" && IsVersion(prefix[1])) prefix.pop_back();
  if (prefix.size() == 1 && prefix[0] == "api") prefix.push_back("v10");
  for (const std::string_view segment : prefix) {
    if (!IsToken(segment)) return Bad("the webhook URL's path is not that of a webhook");
    endpoint->path.append("/").append(segment);
  }
  endpoint->path.append("/webhooks/").append(endpoint->webhook_id).append("/").append(endpoint->token);
  return {};
}

tl::expected<std::string, std::string> ParseThread(std::string_view query) {
  while (!query.empty()) {
    const std::size_t end = query.find('&');
    const std::string_view part = query.substr(0, end);
    if (part.starts_with("thread_id=")) {
      const std::string_view id = part.substr(10);
      if (!AllDigits(id)) return Bad("the webhook URL's thread_id is not a number");
      return std::string(id);
    }
    if (end == std::string_view::npos) break;
    query.remove_prefix(end + 1);
  }
  return std::string();
}

// discordapp.com is the old name of the same service.
bool FixDiscordHost(std::string* host) {
  const std::string_view view = *host;
  for (const std::string_view branch : {"", "ptb.", "canary."}) {
    if (!view.starts_with(branch)) continue;
    const std::string_view rest = view.substr(branch.size());
    if (rest != "discord.com" && rest != "discordapp.com") continue;
    *host = std::string(branch) + "discord.com";
    return true;
  }
  return false;
}

}  // namespace

std::string WebhookEndpoint::PostTarget() const {
  return path + "?wait=true" + (thread_id.empty() ? "" : "&thread_id=" + thread_id);
}

std::string WebhookEndpoint::MessageTarget(const std::string& message_id) const {
  return path + "/messages/" + message_id + (thread_id.empty() ? "" : "?thread_id=" + thread_id);
}

tl::expected<WebhookEndpoint, std::string> ParseWebhookUrl(std::string_view url) {
  constexpr std::string_view kBlank = " \t\r\n";
  const std::size_t begin = url.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return Bad("the webhook URL is empty");
  url = url.substr(begin, url.find_last_not_of(kBlank) + 1 - begin);
  if (url.size() > kMaxUrl) return Bad("the webhook URL is longer than 2048 characters");
  url = url.substr(0, url.find('#'));
  const std::size_t scheme_end = url.find("://");
  const std::string scheme = scheme_end == std::string_view::npos ? "" : Lower(url.substr(0, scheme_end));
  if (scheme != "https" && scheme != "http") return Bad("the webhook URL does not start with https://");
  url.remove_prefix(scheme_end + 3);

  const std::size_t query_at = url.find('?');
  const std::string_view query = query_at == std::string_view::npos ? "" : url.substr(query_at + 1);
  url = url.substr(0, query_at);
  const std::size_t path_at = url.find('/');
  if (path_at == std::string_view::npos) return Bad("the webhook URL's path is not that of a webhook");

  auto authority = ParseAuthority(url.substr(0, path_at));
  if (!authority) return tl::unexpected(authority.error());
  if (scheme == "http" && !IsLoopback(authority->host)) {
    return Bad("the webhook URL is plain http, which is allowed to this machine only (127.0.0.1, [::1], localhost)");
  }
  FixDiscordHost(&authority->host);
  WebhookEndpoint endpoint;
  endpoint.origin = scheme + "://" + authority->host + (authority->port.empty() ? "" : ":" + authority->port);
  if (auto parsed = ParsePath(url.substr(path_at), &endpoint); !parsed) return tl::unexpected(parsed.error());
  auto thread = ParseThread(query);
  if (!thread) return tl::unexpected(thread.error());
  endpoint.thread_id = *thread;
  return endpoint;
}

std::string RemoveSecrets(std::string text, const WebhookEndpoint& endpoint) {
  for (const std::string* secret : {&endpoint.path, &endpoint.token}) {
    // Real tokens have 68 characters; to blot out every "t" would only make texts unreadable.
    if (secret->size() < 6) continue;
    for (std::size_t at = 0; (at = text.find(*secret, at)) != std::string::npos;) {
      text.replace(at, secret->size(), "<secret>");
      at += 8;
    }
  }
  return text;
}

}  // namespace spanwatch::notify
