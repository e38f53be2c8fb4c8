#include "sidecar/notify/url_channel.h"

#include <algorithm>
#include <charconv>
#include <memory>
#include <utility>

namespace spanwatch::notify {
namespace {

constexpr std::size_t kMaxUrl = 2048;
constexpr std::size_t kShortestSecret = 6;    // to blot out shorter texts would only make messages unreadable
constexpr std::size_t kShortestSegment = 12;  // of a path or a query: words of an API are shorter

tl::unexpected<std::string> Bad(const char* what) {
  return tl::make_unexpected(std::string(what) + "; allowed: https://HOST[:PORT]/PATH");
}

bool IsPort(std::string_view text) {
  int port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && port >= 1 && port <= 65535;
}

bool IsHost(std::string_view host) {
  if (host.starts_with('[')) {
    return host.size() > 2 && host.ends_with(']') &&
           host.substr(1, host.size() - 2).find_first_not_of("0123456789abcdefABCDEF:.") == std::string_view::npos;
  }
  const auto usable = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_';
  };
  return !host.empty() && std::all_of(host.begin(), host.end(), usable);
}

}  // namespace

tl::expected<UrlParts, std::string> ParseUrl(std::string_view url) {
  const bool clean = std::all_of(url.begin(), url.end(), [](char c) { return c > ' ' && c < 0x7f && c != '\\'; });
  if (url.empty() || url.size() > kMaxUrl || !clean) return Bad("the URL is empty, too long or has blanks in it");
  url = url.substr(0, url.find('#'));
  const std::size_t scheme = url.starts_with("https://") ? 8 : url.starts_with("http://") ? 7 : 0;
  if (scheme == 0) return Bad("the URL does not start with https:// or http://");
  const std::size_t end = std::min(url.find_first_of("/?", scheme), url.size());
  const std::string_view authority = url.substr(scheme, end - scheme);
  if (authority.find('@') != std::string_view::npos) {
    return Bad("the URL contains a user name or password: those have keys of their own");
  }
  const std::size_t colon = authority.rfind(':');
  const bool has_port = colon != std::string_view::npos && !authority.ends_with(']');
  if (!IsHost(has_port ? authority.substr(0, colon) : authority)) return Bad("the URL has no usable host name");
  if (has_port && !IsPort(authority.substr(colon + 1))) return Bad("the URL has a port that is not 1 to 65535");
  UrlParts parts;
  parts.origin = url.substr(0, end);
  parts.target = url.substr(end);
  if (!parts.target.starts_with('/')) parts.target.insert(0, "/");
  return parts;
}

UrlSecrets::UrlSecrets(const std::string& target, const std::string& authorization) {
  const auto add = [&](const std::string& text, std::size_t shortest) {
    if (text.size() >= shortest) secrets_.push_back(text);
  };
  add(target, kShortestSecret);
  add(authorization, kShortestSecret);
  add(authorization.substr(authorization.find(' ') + 1), kShortestSecret);
  for (std::size_t begin = 0; begin < target.size();) {
    const std::size_t end = std::min(target.find_first_of("/?&=", begin), target.size());
    add(target.substr(begin, end - begin), kShortestSegment);
    begin = end + 1;
  }
  std::stable_sort(secrets_.begin(), secrets_.end(),
                   [](const std::string& a, const std::string& b) { return a.size() > b.size(); });
}

std::string UrlSecrets::RemoveFrom(std::string text) const {
  constexpr std::string_view kMark = "<secret>";
  for (const std::string& secret : secrets_) {
    for (std::size_t at = 0; (at = text.find(secret, at)) != std::string::npos; at += kMark.size()) {
      text.replace(at, secret.size(), kMark);
    }
  }
  return text;
}

UrlChannel::UrlChannel(UrlParts url, std::string authorization, std::string_view version)
    : url_(std::move(url)),
      authorization_(std::move(authorization)),
      user_agent_("Spanwatch/" + std::string(version)),
      secrets_(url_.target, authorization_) {}

client::Request UrlChannel::ToHttp(const Request& request) const {
  client::Request http;
  http.method = ToString(request.method);
  http.target = url_.target;
  http.headers = {{"User-Agent", user_agent_}, {"Accept", "*/*"}, {"Content-Type", "application/json"}};
  if (!authorization_.empty()) http.headers.emplace_back("Authorization", authorization_);
  http.body = request.body;
  return http;
}

tl::expected<std::unique_ptr<Channel>, std::string> MakeUrlChannel(const core::Receiver& receiver,
                                                                   const std::string& version) {
  auto url = ParseUrl(receiver.url.Reveal());
  if (!url) return tl::make_unexpected(url.error());
  if (receiver.kind == core::ReceiverKind::kAlertmanager) {
    constexpr std::string_view kPath = "/api/v2/alerts";
    if (url->target.find('?') != std::string::npos) return Bad("the URL of an Alertmanager has no query");
    while (url->target.ends_with('/')) url->target.pop_back();
    if (!url->target.ends_with(kPath)) url->target += kPath;
  }
  return std::make_unique<UrlChannel>(std::move(*url), receiver.authorization.Reveal(), version);
}

}  // namespace spanwatch::notify
