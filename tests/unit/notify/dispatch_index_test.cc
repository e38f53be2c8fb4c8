// What changes step by step must be what a plain computation over everything says.
#include "sidecar/notify/dispatch_index.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/support/cpu_time.h"
#include "tests/unit/notify/routes.h"

namespace spanwatch::notify {
namespace {

// As simple as it can be said, sharing nothing with what it judges but core::Matcher.
class Reference {
 public:
  std::shared_ptr<const core::Routing> routing;
  std::map<std::string, core::Silence> silences;
  std::map<std::string, core::Incident> firing;
  std::int64_t now = kEpoch;

  static std::string Label(const core::Incident& incident, const std::string& name) {
    if (name == "alertname") return incident.alertname;
    if (name == "severity") return core::ToString(incident.peak_severity);
    for (const auto& label : incident.labels) {
      if (label.name == name) return label.value;
    }
    return "";
  }
  static bool All(const std::vector<core::Matcher>& matchers, const core::Incident& incident) {
    bool all = true;
    for (const core::Matcher& matcher : matchers) all = all && matcher.Matches(Label(incident, matcher.name));
    return all;
  }
  static std::vector<std::string> Route(const core::Route& route, const core::Incident& incident) {
    std::vector<std::string> told;
    for (const core::Route& child : route.routes) {
      if (!All(child.matchers, incident)) continue;
      for (const std::string& name : Route(child, incident)) told.push_back(name);
      if (!child.go_on) break;
    }
    if (told.empty()) told.push_back(route.receiver);
    return told;
  }
  bool Silenced(const core::Incident& incident) const {
    for (const auto& [id, silence] : silences) {
      if (silence.starts_ns <= now && now < silence.ends_ns && All(silence.matchers, incident)) return true;
    }
    return false;
  }
  bool Inhibited(const core::Incident& incident) const {
    for (const core::InhibitRule& rule : routing->inhibit_rules) {
      if (!All(rule.target, incident)) continue;
      for (const auto& [id, source] : firing) {
        if (!All(rule.source, source)) continue;
        if (All(rule.source, incident) && All(rule.target, source)) continue;
        bool equal = true;
        for (const std::string& name : rule.equal) equal = equal && Label(source, name) == Label(incident, name);
        if (equal) return true;
      }
    }
    return false;
  }
};

std::string Pick(std::mt19937* random, const std::vector<std::string>& from) { return from[(*random)() % from.size()]; }

core::Matcher AnyMatcher(std::mt19937* random) {
  const std::string name = Pick(random, {"service", "alertname", "severity", "team"});
  const std::string value = Pick(random, {"bot", "api", "A", "B", "critical", "warning", ""});
  switch ((*random)() % 5) {
    case 0:
      return NotEqual(name, value);
    case 1:
      return Regex(name, value + "|b.*");
    case 2:
      return NotRegex(name, value + "|api");
    default:
      return Equal(name, value);
  }
}

std::vector<core::Matcher> AnyMatchers(std::mt19937* random) {
  std::vector<core::Matcher> matchers(1 + (*random)() % 2);
  for (core::Matcher& matcher : matchers) matcher = AnyMatcher(random);
  return matchers;
}

core::Route AnyRoute(std::mt19937* random, int depth) {
  core::Route route = To(Pick(random, {"r0", "r1", "r2", "r3"}), AnyMatchers(random));
  route.go_on = (*random)() % 3 == 0;
  if (depth < 3) {
    for (std::uint64_t i = (*random)() % 3; i > 0; --i) route.routes.push_back(AnyRoute(random, depth + 1));
  }
  return route;
}

std::shared_ptr<const core::Routing> AnyRouting(std::mt19937* random) {
  auto routing = std::make_shared<core::Routing>(Receivers({"r0", "r1", "r2", "r3"}));
  for (std::uint64_t i = (*random)() % 4; i > 0; --i) routing->route.routes.push_back(AnyRoute(random, 1));
  for (std::uint64_t i = (*random)() % 4; i > 0; --i) {
    core::InhibitRule rule{"", AnyMatchers(random), AnyMatchers(random), {}};
    if ((*random)() % 2 == 0) rule.equal = {Pick(random, {"service", "team", "severity"})};
    routing->inhibit_rules.push_back(std::move(rule));
  }
  return routing;
}

class Model {
 public:
  explicit Model(unsigned seed) : random_(seed), index_(reference_.routing = AnyRouting(&random_)) {
    index_.Advance(reference_.now);
  }

  void Step() {
    switch (random_() % 8) {
      case 0:
        return Silence();
      case 1:
        if (!reference_.silences.empty()) Expire();
        return;
      case 2:
        reference_.now += static_cast<std::int64_t>(random_() % 3) * kSec;
        return index_.Advance(reference_.now);
      case 3:
        if (random_() % 4 != 0) return;
        return index_.SetRouting(reference_.routing = AnyRouting(&random_));
      case 4:
        if (random_() % 8 == 0) return Reset();
        [[fallthrough]];
      default:
        return Incident();
    }
  }

  void Check() {
    std::vector<core::Silence> silences;
    std::vector<core::Incident> firing;
    for (const auto& [id, silence] : reference_.silences) silences.push_back(silence);
    for (const auto& [id, incident] : reference_.firing) firing.push_back(incident);
    std::set<std::string> changed;
    for (const std::string& name : index_.TakeChanged()) changed.insert(name);
    std::size_t muted = 0;
    for (const core::Incident& incident : firing) {
      const auto told = Reference::Route(reference_.routing->route, incident);
      const bool silenced = reference_.Silenced(incident), inhibited = reference_.Inhibited(incident);
      muted += silenced || inhibited ? 1 : 0;
      const Verdict verdict = Decide(*reference_.routing, silences, firing, incident, reference_.now);
      const Verdict judged = index_.Judge(incident);
      ASSERT_EQ(!verdict.silenced_by.empty(), silenced);
      ASSERT_EQ(!verdict.inhibited_by.empty(), inhibited);
      ASSERT_EQ(judged.silenced_by, verdict.silenced_by);
      ASSERT_EQ(judged.inhibited_by, verdict.inhibited_by);
      for (std::size_t i = 0; i < verdict.receivers.size(); ++i) {
        const Decision& decision = verdict.receivers[i];
        const bool routed = std::find(told.begin(), told.end(), decision.receiver) != told.end();
        ASSERT_EQ(decision.direction.routed, routed);
        ASSERT_EQ(decision.direction.muted, routed && (silenced || inhibited));
        ASSERT_EQ(judged.receivers[i].reason, decision.reason);
        ASSERT_EQ(index_.DirectionFor(decision.receiver, incident), decision.direction);
        // Whoever is not told to look again may keep what it knew.
        const auto [it, is_new] = seen_.try_emplace({decision.receiver, incident.id}, decision.direction);
        if (!is_new && it->second != decision.direction && incident.id != touched_) {
          ASSERT_TRUE(changed.contains(decision.receiver))
              << "a change that " << decision.receiver << " is not told of";
        }
        it->second = decision.direction;
      }
    }
    ASSERT_EQ(index_.muted().size(), muted);
    touched_.clear();
  }

 private:
  void Silence() {
    const std::string id = std::to_string(random_() % 6);
    const std::int64_t start = reference_.now + static_cast<std::int64_t>(random_() % 5) * kSec - kSec;
    const auto silence =
        SilenceOf(id, AnyMatchers(&random_), start, start + static_cast<std::int64_t>(1 + random_() % 5) * kSec);
    reference_.silences[id] = silence;
    index_.PutSilence(silence);
  }
  void Expire() {
    const std::string id = reference_.silences.begin()->first;
    reference_.silences.erase(id);
    index_.DropSilence(id);
  }
  void Incident() {
    const std::string id = "i" + std::to_string(random_() % 12);
    core::Incident incident =
        Alert(id, Pick(&random_, {"A", "B"}),
              {{"service", Pick(&random_, {"bot", "api"})}, {"team", Pick(&random_, {"", "ops"})}},
              random_() % 2 == 0 ? core::Severity::kWarning : core::Severity::kCritical);
    if (const auto it = reference_.firing.find(id); it != reference_.firing.end()) {
      incident.alertname = it->second.alertname;
      incident.labels = it->second.labels;
    }
    incident.fired_at_ns = kEpoch + static_cast<std::int64_t>(random_() % 3);
    touched_ = id;
    if (random_() % 3 == 0) {
      incident.state = core::AlertState::kResolved;
      reference_.firing.erase(id);
    } else {
      reference_.firing[id] = incident;
    }
    index_.Put(incident);
  }
  void Reset() {
    std::vector<core::Incident> living;
    for (auto it = reference_.firing.begin(); it != reference_.firing.end();) {
      if (random_() % 2 == 0) {
        living.push_back(it->second);
        ++it;
      } else {
        it = reference_.firing.erase(it);
      }
    }
    index_.Reset(living);
  }

  std::mt19937 random_;
  Reference reference_;
  DispatchIndex index_;
  std::map<std::pair<std::string, std::string>, Direction> seen_;
  std::string touched_;
};

TEST(DispatchIndexTest, SaysWhatAPlainComputationSaysWhateverHappens) {
  for (unsigned seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    Model model(seed);
    for (int step = 0; step < 120; ++step) {
      model.Step();
      model.Check();
      if (HasFatalFailure()) return;
    }
  }
}

TEST(DispatchIndexTest, NextChangeIsTheNextStartOrEnd) {
  DispatchIndex index(std::make_shared<core::Routing>(Receivers({"r"})));
  index.Advance(kEpoch);
  EXPECT_EQ(index.NextChange(), INT64_MAX);
  index.PutSilence(SilenceOf("a", {Equal("service", "bot")}, kEpoch + 2, kEpoch + 9));
  index.PutSilence(SilenceOf("b", {Equal("service", "bot")}, kEpoch - 1, kEpoch + 5));
  EXPECT_EQ(index.NextChange(), kEpoch + 2);
  index.Advance(kEpoch + 2);
  EXPECT_EQ(index.NextChange(), kEpoch + 5);
  index.Advance(kEpoch + 5);
  EXPECT_EQ(index.NextChange(), kEpoch + 9);
  index.Advance(kEpoch + 9);
  EXPECT_EQ(index.NextChange(), INT64_MAX);
}

TEST(DispatchIndexTest, AClockThatIsSetBackBringsSilencesBack) {
  DispatchIndex index(std::make_shared<core::Routing>(Receivers({"r"})));
  index.PutSilence(SilenceOf("a", {Equal("service", "bot")}, kEpoch, kEpoch + 9));
  index.Put(Alert("1", "A", {{"service", "bot"}}));
  index.Advance(kEpoch + 9);
  EXPECT_TRUE(index.muted().empty());
  index.Advance(kEpoch + 1);
  EXPECT_EQ(index.muted().size(), 1u);
}

TEST(DispatchIndexTest, CountsHowOftenOneBecameMuted) {
  auto routing = std::make_shared<core::Routing>(Receivers({"r"}));
  routing->inhibit_rules = {{"", {Equal("alertname", "A")}, {Equal("alertname", "B")}, {}}};
  DispatchIndex index(routing);
  index.Advance(kEpoch);
  core::Incident source = Alert("1", "A", {});
  index.Put(Alert("2", "B", {}));
  index.Put(source);
  index.Put(Alert("3", "B", {}));
  EXPECT_EQ(index.inhibited_total(), 2u);
  source.count = 18;
  index.Put(source);
  EXPECT_EQ(index.inhibited_total(), 2u);
  source.state = core::AlertState::kResolved;
  index.Put(source);
  EXPECT_TRUE(index.muted().empty());
  index.PutSilence(SilenceOf("a", {Equal("alertname", "B")}, kEpoch, kEpoch + 9));
  EXPECT_EQ(index.silenced_total(), 2u);
  EXPECT_EQ(index.inhibited_total(), 2u);
}

TEST(DispatchIndexTest, KnowsThoseThatAreOverForAWhile) {
  DispatchIndex index(std::make_shared<core::Routing>(Receivers({"r"})));
  core::Incident incident = Alert("1", "A", {});
  index.Put(incident);
  incident.state = core::AlertState::kResolved;
  index.Put(incident);
  ASSERT_EQ(index.WithFingerprint("print-1").size(), 1u);
  EXPECT_EQ(index.WithFingerprint("print-1")[0]->state, core::AlertState::kResolved);
  for (std::size_t i = 0; i < DispatchIndex::kMaxOver; ++i) {
    incident.id = std::to_string(i + 2);
    incident.fingerprint = "other";
    index.Put(incident);
  }
  EXPECT_TRUE(index.WithFingerprint("print-1").empty());
  EXPECT_EQ(index.WithFingerprint("other").size(), DispatchIndex::kMaxOver);
}

// 1,000 incidents that fire, 1,000 silences, an inhibition: all of it judged, and all changes of one alert storm. The
// limit is far above what it takes (some 50 ms); a comparison of each with each in every step would take a minute.
TEST(DispatchIndexTest, IsQuickWithThousands) {
  auto routing = std::make_shared<core::Routing>(Receivers({"a", "b"}));
  routing->route.routes = {To("b", {Equal("severity", "critical")})};
  routing->inhibit_rules = {{"", {Equal("alertname", "Health")}, {Equal("alertname", "Errors")}, {"service"}}};
  DispatchIndex index(routing);
  index.Advance(kEpoch);
  const test::CpuTime cpu;
  for (int i = 0; i < 1000; ++i) {
    const std::string service = "service-" + std::to_string(i);
    index.PutSilence(SilenceOf(service, {Equal("service", service), Equal("alertname", i % 2 == 0 ? "Errors" : "x")},
                               kEpoch, kEpoch + 3600 * kSec));
  }
  for (int i = 0; i < 1000; ++i) {
    index.Put(Alert("e" + std::to_string(i), "Errors", {{"service", "service-" + std::to_string(i)}}));
  }
  for (int i = 0; i < 1000; ++i) {
    index.Put(Alert("h" + std::to_string(i), "Health", {{"service", "service-" + std::to_string(i)}}));
  }
  EXPECT_EQ(index.muted().size(), 1000u);
  EXPECT_EQ(index.silenced_total(), 500u);
  RecordProperty("milliseconds", static_cast<int>(cpu.Seconds() * 1e3));
  EXPECT_LT(cpu.Seconds(), 10);
}

}  // namespace
}  // namespace spanwatch::notify
