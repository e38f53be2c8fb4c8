// /api/v1/silences: what Alertmanager's API v2 calls a silence, with its names.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "sidecar/http/api_json.h"
#include "sidecar/http/params.h"
#include "sidecar/http/router.h"
#include "sidecar/http/silence_json.h"

namespace spanwatch::http {
namespace {

constexpr std::string_view kPath = "/api/v1/silences/";

// "application/json; charset=utf-8" too.
bool IsJson(std::string_view content_type) {
  std::string type(content_type.substr(0, content_type.find(';')));
  type.erase(type.find_last_not_of(" \t") + 1);
  std::transform(type.begin(), type.end(), type.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return type == "application/json";
}

// "endsAt: is in the past": field and error. Without a field if there is none.
void FailWith(Response* response, int status, const std::string& problem) {
  const std::size_t colon = problem.find(": ");
  if (colon == std::string::npos || problem.find(' ') < colon) return Fail(response, status, problem);
  Fail(response, status, problem.substr(colon + 2), problem.substr(0, colon));
}

}  // namespace

void Router::Silences(const Request& request, Response* response) const {
  std::string state;
  for (const auto& [name, value] : request.params) {
    if (name != "state") return Fail(response, 400, "unknown parameter: state is known", name);
    if (request.params.count(name) > 1) return Fail(response, 400, "given more than once", name);
    if (value != "pending" && value != "active" && value != "expired") {
      return Fail(response, 400, "must be \"pending\", \"active\" or \"expired\"", name);
    }
    state = value;
  }
  const std::int64_t now = hooks_.now_ns ? hooks_.now_ns() : 0;
  response->body = SilencesJson(hooks_.silences ? hooks_.silences() : std::vector<core::Silence>(), state, now);
}

void Router::OneSilence(const Request& request, Response* response) const {
  const std::string id = request.path.substr(kPath.size());
  const auto all = hooks_.silences ? hooks_.silences() : std::vector<core::Silence>();
  const auto it = std::find_if(all.begin(), all.end(), [&](const core::Silence& silence) { return silence.id == id; });
  if (it == all.end()) return Fail(response, 404, "there is no such silence; GET /api/v1/silences lists them", "id");
  response->body = SilenceJson(*it, hooks_.now_ns ? hooks_.now_ns() : 0);
}

void Router::SetSilence(const Request& request, Response* response) const {
  if (!IsJson(request.content_type)) return Fail(response, 415, "must be application/json", "Content-Type");
  if (!request.params.empty())
    return Fail(response, 400, "unknown parameter: none is known here", request.params.begin()->first);
  if (!hooks_.set_silence) return Fail(response, 503, "silences are not set up");
  auto silence = ParseSilence(request.body, hooks_.now_ns ? hooks_.now_ns() : 0);
  if (!silence) return FailWith(response, 400, silence.error());
  const auto id = hooks_.set_silence(std::move(*silence));
  if (!id) return FailWith(response, id.error().starts_with("id:") ? 404 : 400, id.error());
  response->body = "{\"silenceID\":\"" + *id + "\"}";
}

void Router::ExpireSilence(const Request& request, Response* response) const {
  if (request.has_body) return Fail(response, 400, "DELETE takes no body", "body");
  const std::string id = request.path.substr(kPath.size());
  if (!hooks_.expire_silence || !hooks_.expire_silence(id)) {
    return Fail(response, 404, "there is no such silence; GET /api/v1/silences lists them", "id");
  }
  OneSilence(request, response);
}

}  // namespace spanwatch::http
