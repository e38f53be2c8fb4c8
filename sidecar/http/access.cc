#include "sidecar/http/access.h"

#include <algorithm>

namespace spanwatch::http {
namespace {

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

bool IsPort(std::string_view text) {
  return text.size() <= 5 && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// "https://host:port" of a URL, without path; empty if it has no scheme.
std::string OriginOf(std::string_view url) {
  const auto scheme = url.find("://");
  if (scheme == std::string_view::npos) return {};
  return Lower(url.substr(0, url.find_first_of("/?#", scheme + 3)));
}

}  // namespace

std::optional<std::string> HostOf(std::string_view authority) {
  std::string_view host = authority, port;
  if (!authority.empty() && authority.front() == '[') {
    const auto end = authority.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    host = authority.substr(1, end - 1);
    port = authority.substr(end + 1);
    if (!port.empty() && port.front() != ':') return std::nullopt;
  } else if (const auto colon = authority.find(':'); colon != std::string_view::npos) {
    host = authority.substr(0, colon);
    port = authority.substr(colon);
  }
  if (!port.empty() && !IsPort(port.substr(1))) return std::nullopt;
  if (!host.empty() && host.back() == '.') host.remove_suffix(1);
  if (host.empty() || host.find_first_of("/@?#\\ \t") != std::string_view::npos) return std::nullopt;
  return Lower(host);
}

bool IsLoopback(std::string_view host) {
  if (host == "localhost" || host.ends_with(".localhost") || host == "::1") return true;
  if (!host.starts_with("127.")) return false;
  // A name may begin like that too: four numbers, nothing else.
  return std::count(host.begin(), host.end(), '.') == 3 &&
         std::all_of(host.begin(), host.end(), [](char c) { return (c >= '0' && c <= '9') || c == '.'; });
}

Access::Access(const std::string& listen_host, const std::string& external_url,
               const std::vector<std::string>& allowed_hosts) {
  const auto add = [&](std::string_view authority) {
    if (auto host = HostOf(authority)) hosts_.push_back(*std::move(host));
  };
  std::string listen = Lower(listen_host);
  if (listen.size() > 2 && listen.front() == '[' && listen.back() == ']') listen = listen.substr(1, listen.size() - 2);
  listens_on_loopback_ = IsLoopback(listen);
  hosts_.push_back(listen);
  external_origin_ = OriginOf(external_url);
  if (!external_origin_.empty()) add(std::string_view(external_origin_).substr(external_origin_.find("://") + 3));
  for (const std::string& host : allowed_hosts) add(host);
}

bool Access::Known(std::string_view host) const {
  return IsLoopback(host) || std::find(hosts_.begin(), hosts_.end(), host) != hosts_.end();
}

std::optional<std::string> Access::Refuse(const std::optional<std::string>& host,
                                          const std::optional<std::string>& origin, bool write) const {
  if (write || listens_on_loopback_) {
    // Browsers always send Host; old health checkers (HTTP/1.0) may not, and read only.
    if (!host) return write ? std::optional<std::string>("a Host header is needed") : std::nullopt;
    const auto name = HostOf(*host);
    if (!name || !Known(*name)) {
      return "this Host is not one of ours: if it should be, add it to http.allowed_hosts or set external_url";
    }
  }
  if (!origin) return std::nullopt;
  const std::string lower = Lower(*origin);
  if (!external_origin_.empty() && lower == external_origin_) return std::nullopt;
  // Same origin: what the browser asked for is what the page came from.
  if (host && (lower == "http://" + Lower(*host) || lower == "https://" + Lower(*host))) return std::nullopt;
  return "requests from pages of another origin are not answered";
}

}  // namespace spanwatch::http
