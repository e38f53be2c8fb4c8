// The HTTP side of webhook and alertmanager receivers: a POST to the user's URL, with credentials if there are any.
// Immutable; any thread.
#ifndef SPANWATCH_SIDECAR_NOTIFY_URL_CHANNEL_H_
#define SPANWATCH_SIDECAR_NOTIFY_URL_CHANNEL_H_

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "sidecar/notify/channel.h"

namespace spanwatch::notify {

// An http or https URL, taken apart. It may be a secret: no error text contains any part of it.
struct UrlParts {
  std::string origin;  // "https://hooks.example.org", "http://127.0.0.1:9093"
  std::string target;  // "/services/T0/B0?token=..."; at least "/"
};
tl::expected<UrlParts, std::string> ParseUrl(std::string_view url);

// What must not be shown of an address and of an Authorization header.
class UrlSecrets {
 public:
  UrlSecrets(const std::string& target, const std::string& authorization);
  std::string RemoveFrom(std::string text) const;

 private:
  std::vector<std::string> secrets_;  // the longest first
};

class UrlChannel : public Channel {
 public:
  UrlChannel(UrlParts url, std::string authorization, std::string_view version);

  std::string Origin() const override { return url_.origin; }
  std::string Identity() const override { return url_.origin + "\n" + url_.target; }
  client::Request ToHttp(const Request& request) const override;
  std::string RemoveSecrets(std::string text) const override { return secrets_.RemoveFrom(std::move(text)); }

 private:
  const UrlParts url_;
  const std::string authorization_;
  const std::string user_agent_;
  const UrlSecrets secrets_;
};

// Of a receiver of the kinds webhook and alertmanager.
tl::expected<std::unique_ptr<Channel>, std::string> MakeUrlChannel(const core::Receiver& receiver,
                                                                   const std::string& version);

}  // namespace spanwatch::notify

#endif  // SPANWATCH_SIDECAR_NOTIFY_URL_CHANNEL_H_
