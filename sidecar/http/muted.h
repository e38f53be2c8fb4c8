// Alerts that fire and nobody is told of, as the API and the page show them. Plain values.
#ifndef SPANWATCH_SIDECAR_HTTP_MUTED_H_
#define SPANWATCH_SIDECAR_HTTP_MUTED_H_

#include <map>
#include <string>
#include <vector>

namespace spanwatch::http {

struct MutedBy {
  std::vector<std::string> silences;    // ids
  std::vector<std::string> inhibitors;  // fingerprints of alerts
};
using MutedAlerts = std::map<std::string, MutedBy>;  // by the incident's id

}  // namespace spanwatch::http

#endif  // SPANWATCH_SIDECAR_HTTP_MUTED_H_
