// Who is told of alerts: what the app says about its receivers, and the API's hooks for routing and silences.
#include <spdlog/spdlog.h>

#include <algorithm>

#include "sidecar/app.h"
#include "sidecar/config/matcher.h"
#include "sidecar/notify/routing.h"

namespace spanwatch::app {
namespace {

std::vector<const core::Receiver*> Reached(const config::Config& config) {
  const std::vector<std::string> names = notify::ReachedReceivers(config.routing.route);
  std::vector<const core::Receiver*> reached;
  for (const core::Receiver& receiver : config.routing.receivers) {
    if (std::find(names.begin(), names.end(), receiver.name) != names.end()) reached.push_back(&receiver);
  }
  return reached;
}

std::string NoAddress(const core::Receiver& receiver) {
  if (receiver.url_source.empty()) return "it has no address";
  const bool is_file = receiver.url_source.starts_with("file ");
  return receiver.url_source + (is_file ? " is empty" : " is not set");
}

}  // namespace

bool IsReached(const config::Config& config, const core::Receiver& receiver) {
  const std::vector<std::string> names = notify::ReachedReceivers(config.routing.route);
  return std::find(names.begin(), names.end(), receiver.name) != names.end();
}

std::string WhyNothingIsPosted(const core::Receiver& receiver) {
  return receiver.url.empty() ? "nothing is posted: " + NoAddress(receiver) : "";
}

std::string WhyNothingIsPosted(const config::Config& config) {
  const std::vector<const core::Receiver*> reached = Reached(config);
  if (reached.empty()) return "nothing is posted: there is no receiver";
  const bool any = std::any_of(reached.begin(), reached.end(), [](const auto* each) { return !each->url.empty(); });
  if (any) return "";
  std::string text = "nothing is posted: ";
  for (const core::Receiver* receiver : reached) {
    if (receiver != reached.front()) text += ", ";
    text += NoAddress(*receiver);
  }
  return text;
}

void LogReceivers(const config::Config& config, const std::string& url) {
  const std::string why = WhyNothingIsPosted(config);
  if (!why.empty()) spdlog::warn("{}; alerts are shown at {}/", why, url);
  for (const core::Receiver& receiver : config.routing.receivers) {
    if (!IsReached(config, receiver)) {
      spdlog::warn("receiver \"{}\" gets nothing: no route leads to it", receiver.name);
    } else if (!receiver.url.empty()) {
      spdlog::info("alerts go to receiver \"{}\" ({})", receiver.name, core::ToString(receiver.kind));
    } else if (why.empty()) {
      spdlog::warn("receiver \"{}\" gets nothing: {}", receiver.name, NoAddress(receiver));
    }
  }
}

notify::Options::CompilePattern PatternCompiler() {
  return [](const std::string& pattern) -> tl::expected<std::shared_ptr<const core::StringMatcher>, std::string> {
    auto matcher = config::MakeMatcher(pattern);
    if (!matcher) return tl::make_unexpected(std::move(matcher.error()));
    return std::shared_ptr<const core::StringMatcher>(std::move(*matcher));
  };
}

void App::SetRoutingHooks(http::Hooks* hooks) const {
  notify::Notifier* const notifier = notifier_.get();
  hooks->why = [notifier](const std::string& fingerprint) { return notifier->GetWhy(fingerprint); };
  hooks->muted = [notifier] {
    http::MutedAlerts muted;
    for (notify::MutedIncident& incident : notifier->Muted()) {
      muted[incident.incident] = {std::move(incident.silenced_by), std::move(incident.inhibited_by)};
    }
    return muted;
  };
  hooks->silences = [notifier] { return notifier->Silences(); };
  hooks->set_silence = [notifier](core::Silence silence) { return notifier->SetSilence(std::move(silence)); };
  hooks->expire_silence = [notifier](const std::string& id) { return notifier->ExpireSilence(id); };
}

metrics::RoutingCounts App::RoutingCounts() const {
  const notify::RoutingCounts from = notifier_->GetRoutingCounts();
  metrics::RoutingCounts counts;
  for (std::size_t i = 0; i < from.silences.size(); ++i) {
    counts.silences.push_back({core::ToString(static_cast<core::SilenceState>(i)), from.silences[i]});
  }
  counts.muted_now = {{"silence", from.silenced}, {"inhibition", from.inhibited}};
  counts.muted_total = {{"silence", from.silenced_total}, {"inhibition", from.inhibited_total}};
  return counts;
}

}  // namespace spanwatch::app
