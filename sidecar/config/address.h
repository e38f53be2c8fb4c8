// Listen addresses, ZeroMQ endpoints and URLs, checked. Pure functions; errors never show what may be secret.
#ifndef SPANWATCH_SIDECAR_CONFIG_ADDRESS_H_
#define SPANWATCH_SIDECAR_CONFIG_ADDRESS_H_

#include <string>
#include <string_view>

#include "sidecar/config/config.h"
#include "sidecar/config/units.h"

namespace spanwatch::config {

// "127.0.0.1:9464", "[::1]:9464", "localhost:0".
Parsed<ListenAddress> ParseListen(std::string_view text);

// localhost, 127.0.0.0/8 or ::1.
bool IsLoopback(std::string_view host);

// "ipc:///path" (at most 107 bytes of path) or "tcp://host:port" on loopback.
Parsed<std::string> CheckEndpoint(const std::string& text);

// An http or https URL without user, query or fragment; the result has no "/" at its end.
Parsed<std::string> CheckExternalUrl(const std::string& text);

// Where traces are forwarded to: an http or https URL without user, query or fragment. /v1/traces is added unless the
// path ends so.
struct OtlpTarget {
  std::string url;
  std::string host;
  int port = 0;
};
Parsed<OtlpTarget> CheckForwardEndpoint(const std::string& text);

// https anywhere, http to loopback. The error does not show the URL.
Parsed<std::string> CheckWebhookUrl(const std::string& text);

// Where alerts or pings are sent to: an http or https URL without user and fragment.
struct TargetUrl {
  bool unencrypted = false;  // plain http to another machine
  std::string rest;          // path and query
};
Parsed<TargetUrl> CheckTargetUrl(const std::string& text);

// A part of a path or of a query ("/services/T0/x8Jd...", "?token=...") looks like a credential.
bool LooksSecret(std::string_view path_and_query);

}  // namespace spanwatch::config

#endif  // SPANWATCH_SIDECAR_CONFIG_ADDRESS_H_
