// The life of alerts against a simple model: random spans, reloads, restarts and jumps of the clock. The model keeps
// every span and recounts at each evaluation; the engine must say the same, each transition once.
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <random>
#include <set>

#include "tests/support/rule_builder.h"

namespace spanwatch::core {
namespace {

constexpr std::int64_t kWindow = kMinute;
constexpr std::int64_t kSlot = kWindow / 60;
constexpr std::int64_t kEvery = kWindow / 300 / kTickNs * kTickNs;  // evaluations of a window of a minute

struct Said {
  std::int64_t at_ns;
  std::string what;  // "error_count:a firing critical"
  bool operator==(const Said&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Said& said) {
  return out << (said.at_ns - kStart) / kMs << " ms " << said.what;
}

// One level of one group, as Prometheus describes the life of an alert.
struct ModelLevel {
  bool pending = false, firing = false, kept = false;
  std::int64_t since_ns = 0, false_since_ns = 0;
};

// One rule: error_count of each service, or durations of spans.
class ModelRule {
 public:
  explicit ModelRule(Rule rule) : rule_(std::move(rule)) {}
  const Rule& rule() const { return rule_; }

  void OnSpan(std::int64_t now_ns, const TestSpan& span, std::vector<Said>* said) {
    Group& group = groups_[span.service];
    if (!IsWindow(rule_.measure)) return OnEvent(now_ns, span, &group, said);
    group.spans.emplace_back(now_ns / kSlot, span.failed);
    if (next_ns_ == 0) next_ns_ = (now_ns / kTickNs + 1) * kTickNs;
  }

  // All that is due at a tick.
  void Tick(std::int64_t now_ns, std::vector<Said>* said) {
    if (!IsWindow(rule_.measure)) return Expire(now_ns, said);
    if (next_ns_ == 0 || now_ns < next_ns_) return;
    bool awake = false;
    for (auto& [service, group] : groups_) {
      while (!group.spans.empty() && group.spans.front().first <= now_ns / kSlot - 60) group.spans.pop_front();
      if (group.spans.empty() && !group.Active()) continue;
      awake = true;
      int failed = 0;
      for (const auto& [slot, is_failed] : group.spans) failed += is_failed ? 1 : 0;
      const bool enough = group.spans.size() >= std::max<std::size_t>(1, rule_.min_count);
      Step(now_ns, enough && failed > *rule_.warning, &group.levels[0]);
      Step(now_ns, enough && failed > *rule_.critical, &group.levels[1]);
      Say(now_ns, service, &group, said);
    }
    next_ns_ = awake ? now_ns + kEvery : 0;
  }
  std::int64_t NextDue() const {
    if (IsWindow(rule_.measure)) return next_ns_ == 0 ? INT64_MAX : next_ns_;
    std::int64_t due = INT64_MAX;
    for (const auto& [service, group] : groups_) {
      for (const ModelLevel& level : group.levels) {
        if (level.firing) due = std::min(due, level.since_ns + rule_.keep_firing_for_ns);
      }
    }
    return due == INT64_MAX ? due : (due + kTickNs - 1) / kTickNs * kTickNs;
  }
  // It is gone: what fires is over.
  void End(std::int64_t now_ns, std::vector<Said>* said) {
    for (auto& [service, group] : groups_) {
      if (group.shown != Severity::kNone) said->push_back({now_ns, Name(service) + " resolved none"});
    }
  }

 private:
  struct Group {
    std::deque<std::pair<std::int64_t, bool>> spans;  // slot, failed
    std::array<ModelLevel, 2> levels;
    Severity shown = Severity::kNone;
    bool Active() const { return levels[0].pending || levels[0].firing || levels[1].pending || levels[1].firing; }
  };

  std::string Name(const std::string& service) const { return rule_.alert + ":" + service; }

  void OnEvent(std::int64_t now_ns, const TestSpan& span, Group* group, std::vector<Said>* said) const {
    const auto value = static_cast<double>(span.duration_ns);
    if (value > *rule_.warning) group->levels[0] = {false, true, false, now_ns, 0};
    if (value > *rule_.critical) group->levels[1] = {false, true, false, now_ns, 0};
    Say(now_ns, span.service, group, said);
  }

  void Expire(std::int64_t now_ns, std::vector<Said>* said) {
    for (auto& [service, group] : groups_) {
      for (ModelLevel& level : group.levels) {
        if (level.firing && level.since_ns + rule_.keep_firing_for_ns <= now_ns) level = {};
      }
      Say(now_ns, service, &group, said);
    }
  }

  void Step(std::int64_t now_ns, bool holds, ModelLevel* level) const {
    if (holds) {
      if (!level->pending && !level->firing) *level = {true, false, false, now_ns, 0};
      level->kept = false;
      if (now_ns >= level->since_ns + rule_.for_ns) level->firing = true;
    } else if (!level->firing) {
      *level = {};
    } else {
      if (!level->kept) level->false_since_ns = now_ns;
      level->kept = true;
      if (now_ns >= level->false_since_ns + rule_.keep_firing_for_ns) *level = {};
    }
  }

  void Say(std::int64_t now_ns, const std::string& service, Group* group, std::vector<Said>* said) const {
    const Severity now = group->levels[1].firing   ? Severity::kCritical
                         : group->levels[0].firing ? Severity::kWarning
                                                   : Severity::kNone;
    if (now == group->shown) return;
    const char* kind = now == Severity::kNone            ? "resolved"
                       : group->shown == Severity::kNone ? "firing"
                       : now > group->shown              ? "escalated"
                                                         : "deescalated";
    said->push_back({now_ns, Name(service) + " " + kind + " " + ToString(now)});
    group->shown = now;
  }

  Rule rule_;
  std::map<std::string, Group> groups_;
  std::int64_t next_ns_ = 0;
};

Rule Counted(int variant) {
  Rule rule = WindowRule(Measure::kErrorCount, 3, 8);
  rule.alert = "Counted";
  rule.window_ns = kWindow;
  rule.min_count = 4;
  rule.for_ns = variant % 2 == 0 ? 5 * kSecond : 0;
  rule.keep_firing_for_ns = variant % 3 == 0 ? 20 * kSecond : 0;
  if (variant > 2) rule.by = {RuleLabel("shard")};  // the same groups by another name
  rule.text = "counted " + std::to_string(variant);
  return rule;
}
Rule Slow(int variant) {
  Rule rule = EventRule(Measure::kSpanDuration, 1e9, 3e9);
  rule.alert = "Slow";
  if (variant > 2)
    rule.by = {RuleLabel("shard")};
  else
    rule.by = {LabelSource::kService};
  rule.keep_firing_for_ns = (10 + variant) * kSecond;
  rule.text = "slow " + std::to_string(variant);
  return rule;
}

class Story {
 public:
  explicit Story(std::uint64_t seed) : random_(seed) { Use({Counted(0), Slow(0)}); }

  void Run(int steps) {
    for (int i = 0; i < steps; ++i) Step();
    AdvanceTo(now_ns_ + 10 * kMinute);
    // Those of one instant come in the order of groups and rules, which is not the model's affair.
    const auto sorted = [](std::vector<Said> said) {
      std::stable_sort(said.begin(), said.end(), [](const Said& a, const Said& b) {
        return std::tie(a.at_ns, a.what) < std::tie(b.at_ns, b.what);
      });
      return said;
    };
    const std::vector<Said> engine = sorted(engine_said_), model = sorted(model_said_);
    const auto [told, meant] = std::mismatch(engine.begin(), engine.end(), model.begin(), model.end());
    EXPECT_TRUE(told == engine.end()) << "the engine said: " << *told;
    EXPECT_TRUE(meant == model.end()) << "the model says: " << *meant;
    EXPECT_EQ(ids_.size(), transitions_) << "a transition came twice";
    EXPECT_GT(transitions_, 20u);
    for (const auto& [incident, last] : last_of_) EXPECT_EQ(last, "resolved") << incident;
  }
  std::size_t restarts() const { return restarts_; }

 private:
  std::uint64_t Below(std::uint64_t limit) { return random_() % limit; }
  std::int64_t Random(std::int64_t limit) {
    return static_cast<std::int64_t>(Below(static_cast<std::uint64_t>(limit)));
  }

  void Step() {
    const std::uint64_t dice = Below(100);
    if (dice < 3) {
      AdvanceTo(now_ns_ + Random(5 * 60) * kMinute);  // the clock jumps
    } else if (dice < 60) {
      AdvanceTo(now_ns_ + Random(3000) * kMs + Random(1000));
    }
    if (dice == 99) return Reload();
    if (dice >= 94 && dice < 97) return Restart();
    if (dice >= 92 && dice < 94) TakeCheckpoint();
    Spans();
  }

  void Spans() {
    std::vector<TestSpan> spans;
    for (std::uint64_t n = Below(6); n > 0; --n) {
      ++next_;
      spans.push_back({.trace = next_,
                       .id = next_,
                       .service = std::string(1, static_cast<char>('a' + Below(3))),
                       .start_ns = now_ns_ - 4 * kSecond,
                       .duration_ns = Below(30) == 0   ? 3 * kSecond + Random(2)
                                      : Below(10) == 0 ? kSecond + Random(2)
                                                       : kMs,
                       .failed = Below(3) == 0});
      spans.back().tags = {{"shard", spans.back().service}};
    }
    for (const TestSpan& span : spans) {
      for (ModelRule& rule : model_) rule.OnSpan(now_ns_, span, &model_said_);
    }
    Apply({{++index_, now_ns_, RecordKind::kOtlp, 0}, std::make_shared<TestBatch>(spans), nullptr});
    Collect();
  }

  void AdvanceTo(std::int64_t now_ns) {
    for (;;) {
      std::int64_t due = INT64_MAX;
      for (const ModelRule& rule : model_) due = std::min(due, rule.NextDue());
      if (due > now_ns) break;
      for (ModelRule& rule : model_) rule.Tick(due, &model_said_);
    }
    now_ns_ = now_ns;
    Apply({{++index_, now_ns_, RecordKind::kTime, 0}, nullptr, nullptr});
    Collect();
  }

  // A rule that did not change keeps its groups, its timers, and when it is looked at next.
  void Reload() {
    const int variant = static_cast<int>(Below(6));
    std::vector<Rule> rules = {Below(2) == 0 ? Counted(variant) : model_[0].rule()};
    rules.push_back(Below(2) == 0 ? Slow(variant) : model_[1].rule());
    std::vector<ModelRule> before = std::move(model_);
    model_.clear();
    for (std::size_t i = 0; i < rules.size(); ++i) {
      if (rules[i].text == before[i].rule().text) {
        model_.push_back(std::move(before[i]));
      } else {
        before[i].End(now_ns_, &model_said_);
        model_.emplace_back(rules[i]);
      }
    }
    rules_ = Set(std::move(rules));
    Apply({{++index_, now_ns_, RecordKind::kReload, 0}, nullptr, rules_});
    Collect();
  }

  // What a restart is: a checkpoint that may be old, the rules that were in force then, and the records after it. Their
  // transitions were told already: each must come again under the same id, and is not told again.
  void Restart() {
    ++restarts_;
    engine_ = std::make_unique<Engine>(Limits{}, nullptr);
    ASSERT_TRUE(engine_->Restore(InForce(checkpoint_rules_), checkpoint_));
    EXPECT_EQ(engine_->Checkpoint(), checkpoint_);
    std::vector<std::string> again;
    for (const Record& record : log_) {
      Decoded decoded = record.rules != nullptr ? InForce(record.rules) : Decoded();
      if (record.batch != nullptr) decoded.spans = &record.batch->batch();
      engine_->Apply(record.header, decoded);
      for (const Transition& t : engine_->TakeTransitions()) again.push_back(t.id);
    }
    EXPECT_EQ(again, told_since_);
    Apply({{++index_, now_ns_, RecordKind::kRestart, 0}, nullptr, nullptr});
    Collect();
  }

  void TakeCheckpoint() {
    checkpoint_ = engine_->Checkpoint();
    checkpoint_rules_ = rules_;
    log_.clear();
    told_since_.clear();
  }

  void Use(std::vector<Rule> rules) {
    for (const Rule& rule : rules) model_.emplace_back(rule);
    rules_ = Set(std::move(rules));
    engine_ = std::make_unique<Engine>(Limits{}, rules_);
    Apply({{++index_, now_ns_, RecordKind::kTime, 0}, nullptr, nullptr});
    TakeCheckpoint();
  }

  struct Record {
    RecordHeader header;
    std::shared_ptr<TestBatch> batch;
    std::shared_ptr<const RuleSet> rules;  // a reload
  };
  void Apply(const Record& record) {
    Decoded decoded = record.rules != nullptr ? InForce(record.rules) : Decoded();
    if (record.batch != nullptr) decoded.spans = &record.batch->batch();
    engine_->Apply(record.header, decoded);
    log_.push_back(record);
  }

  static Decoded InForce(std::shared_ptr<const RuleSet> rules) {
    Decoded decoded;
    decoded.rules = std::move(rules);
    decoded.limits = std::make_shared<const Limits>();
    return decoded;
  }

  void Collect() {
    for (const Transition& t : engine_->TakeTransitions()) {
      ++transitions_;
      ids_.insert(t.id);
      told_since_.push_back(t.id);
      last_of_[t.incident.id] = ToString(t.kind);
      if (t.kind == TransitionKind::kUpdated) continue;
      engine_said_.push_back({t.at_ns, t.incident.alertname + ":" + t.incident.labels.at(0).value + " " +
                                           ToString(t.kind) + " " + ToString(t.incident.severity)});
    }
  }

  std::mt19937_64 random_;
  std::unique_ptr<Engine> engine_;
  std::shared_ptr<const RuleSet> rules_;
  std::vector<ModelRule> model_;
  std::string checkpoint_;
  std::shared_ptr<const RuleSet> checkpoint_rules_;
  std::vector<Record> log_;              // since the checkpoint
  std::vector<std::string> told_since_;  // ids
  std::int64_t now_ns_ = kStart;
  std::uint64_t index_ = 0, next_ = 0;
  std::vector<Said> engine_said_, model_said_;
  std::set<std::string> ids_;
  std::map<std::string, std::string> last_of_;  // kind of the last transition, by incident
  std::size_t transitions_ = 0, restarts_ = 0;
};

TEST(AlertsModel, TheEngineSaysWhatTheModelSaysEachTransitionOnce) {
  std::size_t restarts = 0;
  for (std::uint64_t seed = 1; seed <= 30 && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Story story(seed);
    story.Run(600);
    restarts += story.restarts();
  }
  EXPECT_GT(restarts, 100u);
}

}  // namespace
}  // namespace spanwatch::core
