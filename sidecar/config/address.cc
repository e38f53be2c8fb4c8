#include "sidecar/config/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace spanwatch::config {
namespace {

constexpr std::size_t kMaxSocketPath = 107;  // sockaddr_un::sun_path less its end
constexpr std::size_t kMaxUrlBytes = 2048;

bool IsNumericAddress(const std::string& host) {
  in6_addr address{};
  return ::inet_pton(AF_INET, host.c_str(), &address) == 1 || ::inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

std::optional<int> ParsePort(std::string_view text) {
  int port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || port < 0 || port > 65535) {
    return std::nullopt;
  }
  return port;
}

struct HostPort {
  std::string host;
  std::string port;
};

// Splits at the last colon; an IPv6 address stands in brackets.
std::optional<HostPort> SplitHostPort(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  HostPort result{std::string(text.substr(0, colon)), std::string(text.substr(colon + 1))};
  if (result.host.size() > 2 && result.host.front() == '[' && result.host.back() == ']') {
    result.host = result.host.substr(1, result.host.size() - 2);
  } else if (result.host.find(':') != std::string::npos) {
    return std::nullopt;
  }
  return result;
}

struct Url {
  std::string scheme;
  std::string host;
  std::string port;  // empty: that of the scheme
  std::string rest;  // path, query, fragment
};

std::optional<Url> SplitUrl(std::string_view text) {
  const bool clean = std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
  const std::size_t scheme_end = text.find("://");
  if (!clean || text.size() > kMaxUrlBytes || scheme_end == std::string_view::npos) return std::nullopt;
  Url url;
  url.scheme = text.substr(0, scheme_end);
  const std::string_view after = text.substr(scheme_end + 3);
  const std::size_t authority_end = std::min(after.find_first_of("/?#\\"), after.size());
  std::string authority(after.substr(0, authority_end));
  url.rest = after.substr(authority_end);
  if (authority.find('@') != std::string::npos || url.rest.find('\\') != std::string::npos) return std::nullopt;
  const bool has_port = !authority.empty() && authority.back() != ']' && authority.find(':') != std::string::npos;
  const std::optional<HostPort> parts = SplitHostPort(has_port ? authority : authority + ":80");
  if (!parts || parts->host.empty() || !ParsePort(parts->port)) return std::nullopt;
  url.host = parts->host;
  if (has_port) url.port = parts->port;
  return url;
}

}  // namespace

bool IsLoopback(std::string_view host) {
  if (host == "localhost" || host == "::1") return true;
  in_addr address{};
  return ::inet_pton(AF_INET, std::string(host).c_str(), &address) == 1 && (ntohl(address.s_addr) >> 24) == 127;
}

Parsed<ListenAddress> ParseListen(std::string_view text) {
  const std::string help = "; allowed: ADDRESS:PORT, as in 127.0.0.1:9464, localhost:9464 or [::1]:9464";
  const std::optional<HostPort> parts = SplitHostPort(text);
  if (!parts) return tl::make_unexpected(Quote(text) + " is not an address with a port" + help);
  const std::optional<int> port = ParsePort(parts->port);
  if (!port) return tl::make_unexpected(Quote(text) + " has no port from 0 to 65535" + help);
  if (parts->host != "localhost" && !IsNumericAddress(parts->host)) {
    return tl::make_unexpected(Quote(text) + " has no numeric address" + help);
  }
  return ListenAddress{parts->host, *port};
}

Parsed<std::string> CheckEndpoint(const std::string& text) {
  const std::string help = "; allowed: ipc:///PATH or tcp://127.0.0.1:PORT";
  if (text.starts_with("ipc://")) {
    const std::string path = text.substr(6);
    if (path.empty() || path.front() != '/') return tl::make_unexpected(Quote(text) + " has no absolute path" + help);
    if (path.size() > kMaxSocketPath) {
      return tl::make_unexpected(Quote(text) +
                                 " is longer than a socket's path may be (107 bytes); choose a shorter one");
    }
    return text;
  }
  if (!text.starts_with("tcp://")) return tl::make_unexpected(Quote(text) + " is not an endpoint" + help);
  const std::optional<HostPort> parts = SplitHostPort(std::string_view(text).substr(6));
  if (!parts || (parts->port != "*" && !ParsePort(parts->port))) {
    return tl::make_unexpected(Quote(text) + " has no port" + help);
  }
  if (!IsLoopback(parts->host)) {
    return tl::make_unexpected(Quote(text) + " is not on loopback, where any host could send; this version takes tcp " +
                               "only from 127.0.0.1, ::1 or localhost");
  }
  return text;
}

Parsed<std::string> CheckExternalUrl(const std::string& text) {
  const std::optional<Url> url = SplitUrl(text);
  const bool usable =
      url && (url->scheme == "http" || url->scheme == "https") && url->rest.find_first_of("?#") == std::string::npos;
  if (!usable) {
    return tl::make_unexpected(
        "not a usable URL (not shown); allowed: http:// or https:// with host, port and path, as in " +
        std::string("https://traces.example.org"));
  }
  std::string trimmed = text;
  while (trimmed.back() == '/') trimmed.pop_back();
  return trimmed;
}

Parsed<OtlpTarget> CheckForwardEndpoint(const std::string& text) {
  const std::optional<Url> url = SplitUrl(text);
  const bool usable =
      url && (url->scheme == "http" || url->scheme == "https") && url->rest.find_first_of("?#") == std::string::npos;
  const int port = !usable ? 0 : url->port.empty() ? (url->scheme == "http" ? 80 : 443) : *ParsePort(url->port);
  if (port == 0) {
    return tl::make_unexpected(
        std::string("not a usable URL (not shown); allowed: http:// or https:// with host, port and path, without user "
                    "or query, as in http://tempo:4318; a password or token belongs into forward.headers"));
  }
  constexpr std::string_view kPath = "/v1/traces";
  std::string full = text;
  while (full.back() == '/') full.pop_back();
  if (!full.ends_with(kPath)) full += kPath;
  return OtlpTarget{std::move(full), url->host, port};
}

Parsed<std::string> CheckWebhookUrl(const std::string& text) {
  const std::optional<Url> url = SplitUrl(text);
  if (!url || (url->scheme != "http" && url->scheme != "https")) {
    return tl::make_unexpected(
        std::string("holds no URL (not shown); allowed: https://discord.com/api/webhooks/ID/TOKEN"));
  }
  if (url->scheme == "http" && !IsLoopback(url->host)) {
    return tl::make_unexpected(
        std::string("holds a plain http URL (not shown), which would send the secret in the clear; "
                    "allowed: https, or http to loopback"));
  }
  return text;
}

Parsed<TargetUrl> CheckTargetUrl(const std::string& text) {
  const std::optional<Url> url = SplitUrl(text);
  const bool usable =
      url && (url->scheme == "http" || url->scheme == "https") && url->rest.find('#') == std::string::npos;
  if (!usable || url->port == "0") {
    return tl::make_unexpected(std::string(
        "not a usable URL (not shown); allowed: https:// or http:// with host, port and path, without user"));
  }
  return TargetUrl{url->scheme == "http" && !IsLoopback(url->host), url->rest};
}

bool LooksSecret(std::string_view path_and_query) {
  constexpr std::size_t kShortestToken = 20;
  const std::size_t query = std::min(path_and_query.find('?'), path_and_query.size());
  for (const char* word : {"token", "key", "secret", "auth", "pass", "sig", "code"}) {
    if (path_and_query.substr(query).find(word) != std::string_view::npos) return true;
  }
  while (!path_and_query.empty()) {
    const std::size_t end = std::min(path_and_query.find_first_of("/?&="), path_and_query.size());
    const std::string_view part = path_and_query.substr(0, end);
    const bool digit = part.find_first_of("0123456789") != std::string_view::npos;
    const bool letter = part.find_first_not_of("0123456789-._") != std::string_view::npos;
    if (part.size() >= kShortestToken && digit && letter) return true;
    path_and_query.remove_prefix(std::min(end + 1, path_and_query.size()));
  }
  return false;
}

}  // namespace spanwatch::config
