// How one receiver is reached: a planner's request as HTTP. Immutable once made; any thread.
#ifndef SPANWATCH_SIDECAR_NOTIFY_CHANNEL_H_
#define SPANWATCH_SIDECAR_NOTIFY_CHANNEL_H_

#include <memory>
#include <string>
#include <tl/expected.hpp>

#include "sidecar/client/http_client.h"
#include "sidecar/core/routing.h"
#include "sidecar/notify/exchange.h"

namespace spanwatch::notify {

class Channel {
 public:
  virtual ~Channel() = default;
  virtual std::string Origin() const = 0;    // "https://discord.com"
  virtual std::string Identity() const = 0;  // two with the same one see the same messages; secret: to be hashed only
  virtual client::Request ToHttp(const Request& request) const = 0;
  // `text` without any part of the address or of credentials that is secret.
  virtual std::string RemoveSecrets(std::string text) const = 0;
};

// The answer's headers and body as planners read them; secrets are not removed.
Reply ReadReply(client::Response response);

// REQUIRES: receiver.url is not empty. The error says what is wrong with it and what is allowed, without any part of
// it. `caller`, `version`: who is calling, for the User-Agent.
tl::expected<std::unique_ptr<Channel>, std::string> MakeChannel(const core::Receiver& receiver,
                                                                const std::string& caller, const std::string& version);

}  // namespace spanwatch::notify

#endif  // SPANWATCH_SIDECAR_NOTIFY_CHANNEL_H_
