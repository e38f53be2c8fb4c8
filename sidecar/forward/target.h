// Where to post to, and what of an answer may be shown. Pure; any thread.
#ifndef SPANWATCH_SIDECAR_FORWARD_TARGET_H_
#define SPANWATCH_SIDECAR_FORWARD_TARGET_H_

#include <optional>
#include <string>

#include "sidecar/client/http_client.h"

namespace spanwatch::forward {

struct Target {
  std::string origin;        // "http://tempo:4318"
  std::string path;          // "/v1/traces"
  bool unencrypted = false;  // plain http to another machine
};

// `endpoint`: a URL without user, query and fragment, as the configuration checked it. Nothing: not such a URL.
std::optional<Target> SplitEndpoint(const std::string& endpoint);

// `text` without the values of `headers`, nor the part of them that follows a scheme ("Bearer ...").
std::string RemoveSecrets(std::string text, const client::Headers& headers);

}  // namespace spanwatch::forward

#endif  // SPANWATCH_SIDECAR_FORWARD_TARGET_H_
