// Who is told of an incident, and who is not: receivers, the route tree, inhibition and silences, with Alertmanager's
// names and meanings. Plain values: config/ makes them from YAML, the API from JSON; notify/ decides by them. The
// labels that matchers and group_by see are the incident's own, `alertname` and `severity` (the highest it reached: a
// fall changes no route).
#ifndef SPANWATCH_SIDECAR_CORE_ROUTING_H_
#define SPANWATCH_SIDECAR_CORE_ROUTING_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sidecar/core/rule.h"
#include "sidecar/core/secret.h"

namespace spanwatch::core {

// One of Alertmanager's matchers. A label that is not there has the empty value.
enum class MatchOp : std::uint8_t { kEqual, kNotEqual, kRegex, kNotRegex };
const char* ToString(MatchOp op);  // "=", "!=", "=~", "!~"

struct Matcher {
  std::string name;
  MatchOp op = MatchOp::kEqual;
  std::string value;                             // as it is written; of a pattern: RE2, for the whole value
  std::shared_ptr<const StringMatcher> pattern;  // of kRegex and kNotRegex; else null

  bool Matches(std::string_view text) const;
  std::string Text() const;  // service=~"bot|gemini"
};

enum class ReceiverKind : std::uint8_t { kDiscord, kWebhook, kAlertmanager };
const char* ToString(ReceiverKind kind);  // "discord", "webhook", "alertmanager"

struct DiscordOptions {
  std::string thread_id;                        // digits; empty: the webhook's own channel
  std::string role_id;                          // digits; the role that new messages ping; empty: nobody
  Severity mention_from = Severity::kCritical;  // the lowest severity that pings
};

// What is posted to an URL of the user's: Alertmanager's webhook payload, version 4, or one JSON object a change.
enum class WebhookFormat : std::uint8_t { kAlertmanager, kJson };

struct Receiver {
  std::string name;
  ReceiverKind kind = ReceiverKind::kDiscord;
  Secret url;  // webhook's, or Alertmanager's base ("http://127.0.0.1:9093"); empty: not set, nothing is sent
  std::string url_source;  // "environment variable DISCORD_WEBHOOK_URL" or "file /etc/...": what to tell the user
  Secret authorization;    // of webhook and alertmanager: the header's value, "Bearer ..." or "Basic ..."; empty: none
  bool send_resolved = true;
  DiscordOptions discord;
  WebhookFormat format = WebhookFormat::kAlertmanager;
  std::uint64_t storm_messages = 10;  // Discord: above that many new messages in storm_per_ns the rest share one; 0: no
  std::int64_t storm_per_ns = 10'000'000'000;        // limit ("storm: off")
  std::int64_t growth_interval_ns = 5'000'000'000;   // a growing incident's message is edited at most this often
  std::int64_t resend_interval_ns = 60'000'000'000;  // Alertmanager: what fires is sent again so often
};

// A node of the route tree. The first child that matches takes the incident, and those after it too while each says
// `continue`; if none does, the node itself. Everything but `matchers`, `go_on` and `routes` is inherited from the
// parent where a child's YAML says nothing: config/ has filled it in.
struct Route {
  std::string receiver;
  std::vector<Matcher> matchers;                                 // all must match; of the root: none
  std::vector<std::string> group_by = {"alertname", "service"};  // names of labels; "..." alone: all of them
  std::int64_t group_wait_ns = 0;
  std::int64_t group_interval_ns = 60'000'000'000;
  std::int64_t repeat_interval_ns = 14'400'000'000'000;
  bool go_on = false;  // continue
  std::vector<Route> routes;
};

// While an incident that `source` matches fires, those that `target` matches and whose `equal` labels have the same
// values are not told. One that both sides match does not inhibit itself.
struct InhibitRule {
  std::string name;  // for people, in reasons; may be empty
  std::vector<Matcher> source, target;
  std::vector<std::string> equal;
};

struct Routing {
  std::vector<Receiver> receivers;
  Route route;
  std::vector<InhibitRule> inhibit_rules;
};

inline constexpr std::size_t kMaxRoutes = 128, kMaxInhibitRules = 64, kMaxMatchers = 16, kMaxSilences = 1000;

// Wall clock, ns since the epoch. Active from starts_ns until before ends_ns; kept for five days after its end.
struct Silence {
  std::string id;  // 32 hex digits
  std::vector<Matcher> matchers;
  std::int64_t starts_ns = 0, ends_ns = 0, updated_ns = 0;
  std::string created_by, comment;
};
enum class SilenceState : std::uint8_t { kPending, kActive, kExpired };
const char* ToString(SilenceState state);  // "pending", "active", "expired"

// What the routing says of one incident to one receiver, and how that stands: /api/v1/alerts/{fingerprint}/why.
struct Delivery {
  std::string receiver;
  std::string route;   // "route.routes[1]": the node that chose it
  bool muted = false;  // by a silence or by inhibition
  std::string reason;  // in a sentence: why it was told, or why not, with names and times
  std::string state;   // "posted", "edited", "waiting", "folded", "muted", "failed", "given_up", "not_configured", ...
  std::string detail;  // in a sentence: when, how often, what comes next; may be empty
};
struct Why {
  std::string fingerprint;
  std::string incident;  // its id
  std::vector<Delivery> deliveries;
};

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_ROUTING_H_
