// The bodies of webhooks: Alertmanager's payload, version 4, and one JSON object a change. docs/notifications.md is the
// contract. Pure functions, any thread; the result is valid JSON whatever the texts are.
#ifndef SPANWATCH_SIDECAR_NOTIFY_WEBHOOK_BODY_H_
#define SPANWATCH_SIDECAR_NOTIFY_WEBHOOK_BODY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "sidecar/core/incident.h"
#include "sidecar/notify/alertmanager_alert.h"

namespace spanwatch::notify {

inline constexpr std::size_t kMaxAlerts = 1000;        // of a message; what is left out is counted in truncatedAlerts
inline constexpr std::size_t kMaxBytes = 1024 * 1024;  // about; of all alerts of a message

struct WebhookAlert {
  Labels labels, annotations;
  std::int64_t starts_ns = 0, ends_ns = 0;  // 0: it fires
  std::string generator_url;
};

struct WebhookGroup {
  std::string receiver, key, external_url;
  std::vector<core::NameValue> labels;
  std::vector<WebhookAlert> alerts;  // those that fire first
};

// {"receiver", "status", "alerts", ...}. `shown`: how many of the alerts it holds.
std::string RenderWebhookGroup(const WebhookGroup& group, std::size_t* shown);

// "{}:{alertname="A", service="bot"}", as Alertmanager writes the key of a group of its root route.
std::string GroupKeyText(const std::vector<core::NameValue>& labels);

struct WebhookChange {
  const core::Incident* incident = nullptr;
  std::string id;                                            // the same for every attempt to tell it
  const char* transition = "firing";                         // firing, escalated, deescalated, resolved, repeated
  core::Severity severity = core::Severity::kNone;           // now; of a resolved one: before
  core::Severity previous_severity = core::Severity::kNone;  // that was told before; none: nothing was
  std::int64_t ends_ns = 0;                                  // 0: it fires
  bool unwatched = false;                                    // ended because nobody watches it any more
  std::string receiver, external_url, trace_url;             // trace_url: may be empty
};
std::string RenderWebhookChange(const WebhookChange& change);

// What `alerts` of one message takes, about.
std::size_t WeightOf(const WebhookAlert& alert);

}  // namespace spanwatch::notify

#endif  // SPANWATCH_SIDECAR_NOTIFY_WEBHOOK_BODY_H_
