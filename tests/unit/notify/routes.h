// Routings, silences and alerts for the tests of who is told.
#ifndef SPANWATCH_TESTS_UNIT_NOTIFY_ROUTES_H_
#define SPANWATCH_TESTS_UNIT_NOTIFY_ROUTES_H_

#include <memory>
#include <regex>
#include <string>
#include <utility>
#include <vector>

#include "sidecar/core/routing.h"
#include "tests/unit/notify/incidents.h"

namespace spanwatch::notify {

class StdRegex : public core::StringMatcher {
 public:
  explicit StdRegex(const std::string& pattern) : regex_(pattern) {}
  bool Matches(std::string_view text) const override { return std::regex_match(text.begin(), text.end(), regex_); }

 private:
  const std::regex regex_;
};

inline core::Matcher Equal(std::string name, std::string value) {
  return {std::move(name), core::MatchOp::kEqual, std::move(value), nullptr};
}
inline core::Matcher NotEqual(std::string name, std::string value) {
  return {std::move(name), core::MatchOp::kNotEqual, std::move(value), nullptr};
}
inline core::Matcher Regex(std::string name, const std::string& value) {
  return {std::move(name), core::MatchOp::kRegex, value, std::make_shared<StdRegex>(value)};
}
inline core::Matcher NotRegex(std::string name, const std::string& value) {
  return {std::move(name), core::MatchOp::kNotRegex, value, std::make_shared<StdRegex>(value)};
}

// The first of them is the root's.
inline core::Routing Receivers(const std::vector<std::string>& names) {
  core::Routing routing;
  for (const std::string& name : names) routing.receivers.emplace_back().name = name;
  routing.route.receiver = names.front();
  return routing;
}

inline core::Route To(std::string receiver, std::vector<core::Matcher> matchers) {
  core::Route route;
  route.receiver = std::move(receiver);
  route.matchers = std::move(matchers);
  return route;
}

inline core::Silence SilenceOf(std::string id, std::vector<core::Matcher> matchers, std::int64_t starts_ns,
                               std::int64_t ends_ns) {
  return {std::move(id), std::move(matchers), starts_ns, ends_ns, starts_ns, "ada", "deploy"};
}

inline core::Incident Alert(const std::string& id, const std::string& alertname, std::vector<core::NameValue> labels,
                            core::Severity severity = core::Severity::kWarning) {
  core::Incident incident = MakeIncident(id, severity);
  incident.fingerprint = "print-" + id;
  incident.alertname = alertname;
  incident.labels = std::move(labels);
  return incident;
}

}  // namespace spanwatch::notify

#endif  // SPANWATCH_TESTS_UNIT_NOTIFY_ROUTES_H_
