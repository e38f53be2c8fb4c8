#include "sidecar/notify/routing.h"

#include <gtest/gtest.h>

#include <regex>

#include "tests/unit/notify/incidents.h"
#include "tests/unit/notify/routes.h"

namespace spanwatch::notify {
namespace {

// The names of the receivers that are told, in the configuration's order; a muted one with '!'.
std::string Told(const core::Routing& routing, const core::Incident& incident,
                 const std::vector<core::Silence>& silences = {}, const std::vector<core::Incident>& incidents = {},
                 std::int64_t now = kEpoch) {
  std::string text;
  for (const Decision& decision : Decide(routing, silences, incidents, incident, now).receivers) {
    if (decision.direction.routed)
      text += (text.empty() ? "" : " ") + decision.receiver + (decision.direction.muted ? "!" : "");
  }
  return text;
}

Decision Of(const core::Routing& routing, const core::Incident& incident, const std::string& receiver,
            const std::vector<core::Silence>& silences = {}, const std::vector<core::Incident>& incidents = {}) {
  for (Decision& decision : Decide(routing, silences, incidents, incident, kEpoch).receivers) {
    if (decision.receiver == receiver) return std::move(decision);
  }
  return {};
}

TEST(LabelSetTest, HoldsTheIncidentsOwnLabelsItsNameAndTheHighestSeverityItReached) {
  core::Incident incident = Alert("a", "SlowOperation", {{"service", "bot"}, {"empty", ""}, {"severity", "fake"}});
  incident.severity = core::Severity::kWarning;
  incident.peak_severity = core::Severity::kCritical;
  const LabelSet labels(incident);
  EXPECT_EQ(labels.Get("alertname"), "SlowOperation");
  EXPECT_EQ(labels.Get("severity"), "critical");
  EXPECT_EQ(labels.Get("service"), "bot");
  EXPECT_EQ(labels.Get("empty"), "");
  EXPECT_EQ(labels.Get("nothing"), "");
  EXPECT_EQ(labels.all().size(), 3u);
}

TEST(MatcherTest, MeansWhatAlertmanagersDoes) {
  const LabelSet labels(Alert("a", "Slow", {{"service", "bot-2"}}));
  const auto matches = [&](core::Matcher matcher) { return Matches({std::move(matcher)}, labels); };
  EXPECT_TRUE(matches(Equal("service", "bot-2")));
  EXPECT_FALSE(matches(Equal("service", "bot")));
  EXPECT_FALSE(matches(Equal("Service", "bot-2")));
  EXPECT_TRUE(matches(NotEqual("service", "bot")));
  EXPECT_FALSE(matches(NotEqual("service", "bot-2")));
  EXPECT_TRUE(matches(Regex("service", "bot-.")));
  EXPECT_FALSE(matches(Regex("service", "bot"))) << "a pattern is for the whole value";
  EXPECT_FALSE(matches(Regex("service", "ot-2")));
  EXPECT_TRUE(matches(NotRegex("service", "bot")));
  EXPECT_FALSE(matches(NotRegex("service", "bot.*")));
  // A label that is not there has the empty value.
  EXPECT_TRUE(matches(Equal("team", "")));
  EXPECT_FALSE(matches(NotEqual("team", "")));
  EXPECT_TRUE(matches(NotEqual("team", "ops")));
  EXPECT_TRUE(matches(Regex("team", "ops|")));
  EXPECT_FALSE(matches(Regex("team", ".+")));
  EXPECT_TRUE(matches(NotRegex("team", ".+")));
}

TEST(RouteTest, TheFirstChildThatMatchesTakesIt) {
  core::Routing routing = Receivers({"root", "a", "b"});
  routing.route.routes = {To("a", {Equal("service", "bot")}), To("b", {Regex("service", "b.*")})};
  EXPECT_EQ(Told(routing, Alert("1", "Slow", {{"service", "bot"}})), "a");
  EXPECT_EQ(Told(routing, Alert("1", "Slow", {{"service", "bat"}})), "b");
  EXPECT_EQ(Told(routing, Alert("1", "Slow", {{"service", "cat"}})), "root");
  EXPECT_EQ(Told(routing, Alert("1", "Slow", {})), "root");
}

TEST(RouteTest, ContinueLetsThoseAfterItTakeItToo) {
  core::Routing routing = Receivers({"root", "a", "b", "c"});
  routing.route.routes = {To("a", {Equal("service", "bot")}), To("b", {}), To("c", {})};
  routing.route.routes[0].go_on = true;
  EXPECT_EQ(Told(routing, Alert("1", "Slow", {{"service", "bot"}})), "a b");
  EXPECT_EQ(Told(routing, Alert("1", "Slow", {{"service", "cat"}})), "b");
  routing.route.routes[1].go_on = true;
  EXPECT_EQ(Told(routing, Alert("1", "Slow", {{"service", "bot"}})), "a b c");
}

TEST(RouteTest, AContinueOnWhatDoesNotMatchChangesNothing) {
  core::Routing routing = Receivers({"root", "a", "b"});
  routing.route.routes = {To("a", {Equal("service", "x")}), To("b", {Equal("service", "y")})};
  routing.route.routes[0].go_on = routing.route.routes[1].go_on = true;
  EXPECT_EQ(Told(routing, Alert("1", "Slow", {{"service", "bot"}})), "root");
  EXPECT_EQ(Told(routing, Alert("1", "Slow", {{"service", "x"}})), "a") << "the root does not take it too";
}

TEST(RouteTest, ANodeWhoseChildrenDoNotMatchTakesItItself) {
  core::Routing routing = Receivers({"root", "a", "b", "c"});
  routing.route.routes = {To("a", {Equal("service", "bot")}), To("c", {})};
  routing.route.routes[0].routes = {To("b", {Equal("severity", "critical")})};
  EXPECT_EQ(Told(routing, Alert("1", "Slow", {{"service", "bot"}}, core::Severity::kCritical)), "b");
  EXPECT_EQ(Told(routing, Alert("1", "Slow", {{"service", "bot"}}, core::Severity::kWarning)), "a");
  const Decision b = Of(routing, Alert("1", "Slow", {{"service", "bot"}}, core::Severity::kCritical), "b");
  EXPECT_EQ(b.route, "route.routes[0].routes[0]");
  EXPECT_EQ(b.direction.group_key,
            "{}/{service=\"bot\"}/{severity=\"critical\"}:{alertname=\"Slow\", service=\"bot\"}");
}

TEST(RouteTest, AFallOfTheSeverityChangesNoRoute) {
  core::Routing routing = Receivers({"root", "pager"});
  routing.route.routes = {To("pager", {Equal("severity", "critical")})};
  core::Incident incident = Alert("1", "Slow", {}, core::Severity::kCritical);
  incident.severity = core::Severity::kWarning;
  EXPECT_EQ(Told(routing, incident), "pager");
}

TEST(RouteTest, AReceiverThatSeveralNodesLeadToIsToldOnceByTheFirst) {
  core::Routing routing = Receivers({"root", "a"});
  routing.route.routes = {To("a", {Equal("service", "bot")}), To("a", {})};
  routing.route.routes[0].go_on = true;
  routing.route.routes[0].repeat_interval_ns = kSec;
  const Decision a = Of(routing, Alert("1", "Slow", {{"service", "bot"}}), "a");
  EXPECT_EQ(a.route, "route.routes[0]");
  EXPECT_EQ(a.direction.repeat_interval_ns, kSec);
}

TEST(RouteTest, GroupsByTheLabelsThatAreThere) {
  core::Routing routing = Receivers({"root"});
  const core::Incident incident = Alert("1", "Slow", {{"service", "bot"}, {"operation", "say"}});
  const auto group = [&](std::vector<std::string> by) {
    routing.route.group_by = std::move(by);
    return Of(routing, incident, "root").direction;
  };
  EXPECT_EQ(group({"service", "alertname"}).group_key, "{}:{alertname=\"Slow\", service=\"bot\"}");
  EXPECT_EQ(group({"service", "alertname"}).group_labels,
            (std::vector<core::NameValue>{{"service", "bot"}, {"alertname", "Slow"}}));
  EXPECT_EQ(group({"service", "team"}).group_key, "{}:{service=\"bot\"}");
  EXPECT_EQ(group({}).group_key, "{}:{}");
  EXPECT_EQ(group({"..."}).group_key,
            "{}:{alertname=\"Slow\", operation=\"say\", service=\"bot\", severity=\"warning\"}");
}

TEST(InhibitionTest, HoldsWhileASourceWithEqualLabelsFires) {
  core::Routing routing = Receivers({"root"});
  routing.inhibit_rules = {
      {"health first", {Equal("alertname", "Health")}, {Equal("alertname", "Errors")}, {"service"}}};
  const core::Incident target = Alert("1", "Errors", {{"service", "bot"}});
  const core::Incident source = Alert("2", "Health", {{"service", "bot"}});
  EXPECT_EQ(Told(routing, target, {}, {target}), "root");
  EXPECT_EQ(Told(routing, target, {}, {target, source}), "root!");
  EXPECT_EQ(Told(routing, source, {}, {target, source}), "root") << "the source itself is told";
  EXPECT_EQ(Told(routing, target, {}, {target, Alert("2", "Health", {{"service", "cat"}})}), "root");
  EXPECT_EQ(Told(routing, target, {}, {target, Alert("2", "Other", {{"service", "bot"}})}), "root");
  core::Incident over = source, pending = source;
  over.state = core::AlertState::kResolved;
  pending.state = core::AlertState::kPending;
  EXPECT_EQ(Told(routing, target, {}, {over, pending}), "root");
  const Decision decision = Of(routing, target, "root", {}, {source});
  EXPECT_EQ(decision.direction.muted_by, "inhibited by Health");
  EXPECT_EQ(
      decision.reason,
      "not told: inhibited by Health, which fires since 2023-11-14 22:13 UTC (rule \"health first\", for the same "
      "service \"bot\"); route takes all");
}

TEST(InhibitionTest, ALabelThatBothLackIsEqual) {
  core::Routing routing = Receivers({"root"});
  routing.inhibit_rules = {{"", {Equal("alertname", "A")}, {Equal("alertname", "B")}, {"team"}}};
  EXPECT_EQ(Told(routing, Alert("1", "B", {}), {}, {Alert("2", "A", {})}), "root!");
  EXPECT_EQ(Told(routing, Alert("1", "B", {{"team", "x"}}), {}, {Alert("2", "A", {})}), "root");
}

TEST(InhibitionTest, WhatBothSidesMatchDoesNotInhibitItself) {
  core::Routing routing = Receivers({"root"});
  routing.inhibit_rules = {{"", {Regex("severity", ".+")}, {Equal("service", "bot")}, {}}};
  const core::Incident both = Alert("1", "A", {{"service", "bot"}});
  EXPECT_EQ(Told(routing, both, {}, {both}), "root");
  EXPECT_EQ(Told(routing, both, {}, {both, Alert("2", "B", {{"service", "bot"}})}), "root")
      << "nor does another one that both sides match";
  EXPECT_EQ(Told(routing, both, {}, {both, Alert("2", "B", {{"service", "cat"}})}), "root!");
}

TEST(InhibitionTest, ASourceThatIsSilencedInhibitsAllTheSame) {
  core::Routing routing = Receivers({"root"});
  routing.inhibit_rules = {{"", {Equal("alertname", "A")}, {Equal("alertname", "B")}, {}}};
  const std::vector<core::Silence> silences = {SilenceOf("s", {Equal("alertname", "A")}, kEpoch - kSec, kEpoch + kSec)};
  EXPECT_EQ(Told(routing, Alert("1", "B", {}), silences, {Alert("2", "A", {})}), "root!");
}

TEST(SilenceTest, HoldsFromItsStartUntilBeforeItsEnd) {
  const core::Routing routing = Receivers({"root"});
  const core::Incident incident = Alert("1", "Slow", {{"service", "bot"}});
  const std::vector<core::Silence> silences = {SilenceOf("s", {Equal("service", "bot")}, kEpoch, kEpoch + 10 * kSec)};
  EXPECT_EQ(Told(routing, incident, silences, {}, kEpoch - 1), "root");
  EXPECT_EQ(Told(routing, incident, silences, {}, kEpoch), "root!");
  EXPECT_EQ(Told(routing, incident, silences, {}, kEpoch + 10 * kSec - 1), "root!");
  EXPECT_EQ(Told(routing, incident, silences, {}, kEpoch + 10 * kSec), "root");
}

TEST(SilenceTest, AllItsMatchersMustMatch) {
  const core::Routing routing = Receivers({"root"});
  const auto silence = SilenceOf("s", {Equal("service", "bot"), Equal("severity", "warning")}, kEpoch, kEpoch + kSec);
  EXPECT_EQ(Told(routing, Alert("1", "Slow", {{"service", "bot"}}), {silence}), "root!");
  EXPECT_EQ(Told(routing, Alert("1", "Slow", {{"service", "bot"}}, core::Severity::kCritical), {silence}), "root");
  EXPECT_EQ(Told(routing, Alert("1", "Slow", {{"service", "cat"}}), {silence}), "root");
}

TEST(SilenceTest, TheReasonNamesWhoWhyAndUntilWhen) {
  const core::Routing routing = Receivers({"root"});
  auto soon = SilenceOf("s1", {Equal("service", "bot")}, kEpoch, kEpoch + kSec);
  auto late = SilenceOf("s2", {Equal("service", "bot")}, kEpoch, kEpoch + 3600 * kSec);
  late.comment = "deploy\nof 1.2";
  const Decision decision = Of(routing, Alert("1", "Slow", {{"service", "bot"}}), "root", {late, soon});
  EXPECT_EQ(decision.direction.muted_by, "silenced by ada until 23:13 UTC: deploy of 1.2");
  EXPECT_EQ(decision.reason,
            "not told: silenced by ada until 23:13 UTC: deploy of 1.2 (silence s2, since 2023-11-14 22:13 UTC, and 1 "
            "more); route takes all");
  late.ends_ns += 86'400 * kSec;
  EXPECT_EQ(Of(routing, Alert("1", "Slow", {{"service", "bot"}}), "root", {late}).direction.muted_by,
            "silenced by ada until 2023-11-15 23:13 UTC: deploy of 1.2");
}

TEST(ReasonTest, SaysWhoTakesItAndWhyOthersDoNot) {
  core::Routing routing = Receivers({"root", "a"});
  const core::Incident bot = Alert("1", "Slow", {{"service", "bot"}});
  EXPECT_EQ(Of(routing, bot, "root").reason, "told: route takes all");
  EXPECT_EQ(Of(routing, bot, "a").reason, "not told: route takes all and leads to \"root\"");
  routing.route.routes = {To("a", {Equal("service", "bot")})};
  EXPECT_EQ(Of(routing, bot, "a").reason, "told: route.routes[0] takes it ({service=\"bot\"})");
  EXPECT_EQ(Of(routing, bot, "root").reason,
            "not told: route.routes[0] takes it ({service=\"bot\"}) and leads to \"a\"");
  EXPECT_EQ(Of(routing, Alert("1", "Slow", {}), "root").reason,
            "told: route takes it, because none of its routes does");
}

TEST(VerdictTest, NamesSilencesAndInhibitors) {
  core::Routing routing = Receivers({"root"});
  routing.inhibit_rules = {{"", {Equal("alertname", "A")}, {Equal("alertname", "B")}, {}}};
  core::Incident first = Alert("2", "A", {}), second = Alert("1", "A", {});
  first.fingerprint = "first";
  second.fired_at_ns += 1;
  const Verdict verdict = Decide(routing,
                                 {SilenceOf("s2", {Equal("alertname", "B")}, 0, kEpoch + 1),
                                  SilenceOf("s1", {Equal("alertname", "B")}, 0, kEpoch + 1),
                                  SilenceOf("s0", {Equal("alertname", "B")}, 0, kEpoch)},
                                 {second, first}, Alert("3", "B", {}), kEpoch);
  EXPECT_EQ(verdict.silenced_by, (std::vector<std::string>{"s1", "s2"}));
  EXPECT_EQ(verdict.inhibited_by, (std::vector<std::string>{"first"}));
}

TEST(ReachedTest, NamesEachReceiverOnce) {
  core::Routing routing = Receivers({"root", "a", "b", "c"});
  routing.route.routes = {To("a", {}), To("root", {}), To("a", {})};
  routing.route.routes[0].routes = {To("b", {})};
  EXPECT_EQ(ReachedReceivers(routing.route), (std::vector<std::string>{"root", "a", "b"}));
}

}  // namespace
}  // namespace spanwatch::notify
