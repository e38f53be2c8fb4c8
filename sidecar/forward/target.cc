#include "sidecar/forward/target.h"

#include <string_view>

namespace spanwatch::forward {
namespace {

// Shorter values would cut words out of every message, and protect nothing.
constexpr std::size_t kShortestSecret = 4;

bool IsLoopback(std::string_view authority) {
  const std::string_view host = authority.starts_with('[') ? authority.substr(0, authority.find(']') + 1)
                                                           : authority.substr(0, authority.find(':'));
  return host == "localhost" || host == "[::1]" || host.starts_with("127.");
}

void Replace(const std::string& secret, std::string* text) {
  if (secret.size() < kShortestSecret) return;
  constexpr std::string_view kMark = "<secret>";
  for (std::size_t at = 0; (at = text->find(secret, at)) != std::string::npos; at += kMark.size()) {
    text->replace(at, secret.size(), kMark);
  }
}

}  // namespace

std::optional<Target> SplitEndpoint(const std::string& endpoint) {
  const bool plain = endpoint.starts_with("http://");
  if (!plain && !endpoint.starts_with("https://")) return std::nullopt;
  const std::size_t authority = endpoint.find("://") + 3;
  const std::size_t path = std::min(endpoint.find('/', authority), endpoint.size());
  if (path == authority || endpoint.find_first_of("@?# ") != std::string::npos) return std::nullopt;
  Target target;
  target.origin = endpoint.substr(0, path);
  target.path = path == endpoint.size() ? "/" : endpoint.substr(path);
  target.unencrypted = plain && !IsLoopback(std::string_view(target.origin).substr(authority));
  return target;
}

std::string RemoveSecrets(std::string text, const client::Headers& headers) {
  for (const auto& [name, value] : headers) {
    Replace(value, &text);
    if (const std::size_t space = value.find(' '); space != std::string::npos) Replace(value.substr(space + 1), &text);
  }
  return text;
}

}  // namespace spanwatch::forward
