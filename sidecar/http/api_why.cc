// GET /api/v1/alerts/{fingerprint}/why: who is told of an alert, who is not, and why.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "sidecar/http/router.h"

namespace spanwatch::http {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kBefore = "/api/v1/alerts/", kAfter = "/why";

Json DeliveryJson(const core::Delivery& delivery) {
  return {{"receiver", delivery.receiver}, {"route", delivery.route}, {"muted", delivery.muted},
          {"reason", delivery.reason},     {"state", delivery.state}, {"detail", delivery.detail}};
}

}  // namespace

void Router::Why(const Request& request, Response* response) const {
  const std::string fingerprint =
      request.path.substr(kBefore.size(), request.path.size() - kBefore.size() - kAfter.size());
  const bool is_hex = fingerprint.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (fingerprint.size() != 16 || !is_hex) {
    return Fail(response, 400, "must have 16 hexadecimal digits in lower case, as in /api/v1/alerts", "fingerprint");
  }
  const auto known = hooks_.why ? hooks_.why(fingerprint) : std::vector<core::Why>();
  const auto incidents = hooks_.engine == nullptr ? std::vector<core::Incident>() : hooks_.engine->Incidents();
  if (known.empty()) {
    const bool pending = std::any_of(incidents.begin(), incidents.end(), [&](const core::Incident& incident) {
      return incident.fingerprint == fingerprint && incident.state == core::AlertState::kPending;
    });
    return Fail(response, 404,
                pending ? "this alert is pending: nobody is told before it fires"
                        : "no alert with this fingerprint fires, or was over lately",
                "fingerprint");
  }
  Json list = Json::array();
  for (const core::Why& why : known) {
    const auto it = std::find_if(incidents.begin(), incidents.end(),
                                 [&](const core::Incident& incident) { return incident.id == why.incident; });
    Json deliveries = Json::array();
    for (const core::Delivery& delivery : why.deliveries) deliveries.push_back(DeliveryJson(delivery));
    list.push_back({{"incident", why.incident},
                    {"alertname", it == incidents.end() ? Json(nullptr) : Json(it->alertname)},
                    {"alertState", it == incidents.end() ? "resolved" : core::ToString(it->state)},
                    {"deliveries", std::move(deliveries)}});
  }
  const Json json = {{"fingerprint", fingerprint}, {"incidents", std::move(list)}};
  response->body = json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace spanwatch::http
