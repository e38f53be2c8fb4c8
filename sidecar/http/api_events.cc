// GET /api/v1/events: server-sent events.
#include <charconv>

#include "sidecar/http/events.h"
#include "sidecar/http/router.h"

namespace spanwatch::http {
namespace {

// "trace,alert". False: not such a list.
bool ParseTypes(std::string_view text, EventFilter* filter) {
  filter->types = {};
  while (true) {
    const std::string_view one = text.substr(0, text.find(','));
    bool known = false;
    for (std::size_t i = 0; i < kEventNames.size(); ++i) {
      if (one != kEventNames[i]) continue;
      filter->types[i] = true;
      known = true;
    }
    if (!known) return false;
    if (one.size() == text.size()) return true;
    text.remove_prefix(one.size() + 1);
  }
}

}  // namespace

void Router::Events(const Request& request, Response* response) const {
  EventFilter filter;
  for (const auto& [name, value] : request.params) {
    if (name == "types") {
      if (!value.empty() && !ParseTypes(value, &filter)) {
        return Fail(response, 400, "must be a list of \"trace\", \"alert\" and \"health\", with commas", name);
      }
    } else if (name == "service") {
      filter.service = value;
    } else {
      return Fail(response, 400, "unknown parameter: types and service are known", name);
    }
    if (request.params.count(name) > 1) return Fail(response, 400, "was given more than once", name);
  }
  std::optional<std::uint64_t> last_id;
  if (const std::string& text = request.last_event_id; !text.empty()) {
    std::uint64_t id = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), id);
    if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) {
      return Fail(response, 400, "must be the id of an event: a number", "Last-Event-ID");
    }
    last_id = id;
  }
  response->stream = events_->Subscribe(std::move(filter), last_id);
  if (response->stream == nullptr) {
    response->headers.emplace_back("Retry-After", "5");
    return Fail(response, 503,
                "there are " + std::to_string(events_->max_streams()) + " event streams already: close one first");
  }
  response->content_type = "text/event-stream";
  response->headers.emplace_back("X-Accel-Buffering", "no");  // nginx would keep events back
}

}  // namespace spanwatch::http
