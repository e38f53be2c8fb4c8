// Options of a notifier that tells several receivers, all of everything.
#ifndef SPANWATCH_TESTS_UNIT_NOTIFY_RECEIVERS_H_
#define SPANWATCH_TESTS_UNIT_NOTIFY_RECEIVERS_H_

#include <memory>
#include <string>
#include <utility>

#include "sidecar/notify/notifier.h"

namespace spanwatch::notify {

inline core::Receiver DiscordReceiver(const std::string& name, const std::string& url) {
  core::Receiver receiver;
  receiver.name = name;
  receiver.url = core::Secret(url);
  return receiver;
}

inline void AddReceiver(core::Receiver receiver, Options* options) {
  core::Routing routing = options->routing == nullptr ? core::Routing{} : *options->routing;
  if (routing.receivers.empty()) routing.route.receiver = receiver.name;
  core::Route route;
  route.receiver = receiver.name;
  route.go_on = true;
  routing.route.routes.push_back(route);
  routing.receivers.push_back(std::move(receiver));
  options->routing = std::make_shared<const core::Routing>(std::move(routing));
}

}  // namespace spanwatch::notify

#endif  // SPANWATCH_TESTS_UNIT_NOTIFY_RECEIVERS_H_
