// Many incidents at once, and random ones, under a routing that changes.
#include <deque>
#include <iterator>
#include <random>
#include <set>

#include "tests/unit/notify/planner_route.h"

namespace spanwatch::notify {
namespace {

class PlannerRouteModelTest : public PlannerRouteTest {
 protected:
  void Begin(std::uint64_t seed) {
    seed_ = seed;
    random_.seed(seed);
    active_.clear();
    all_.clear();
    said_.clear();
    messages_.clear();
    sent_.clear();
    PlannerOptions options = WithUrl({});
    options.receiver.send_resolved = seed % 3 != 0;
    options.direct = [this](const core::Incident& incident) { return said_.at(incident.id); };
    planner_ = DiscordPlanner(options);
    planner_.SetTarget(true, false, now_);
    fault_ = [this](const Request& request) { return AnswerOf(request); };
  }

  // The routing says something else of any incident.
  void Change() {
    if (said_.empty()) return;
    auto it = said_.begin();
    std::advance(it, random_() % said_.size());
    it->second.muted = random_() % 2 == 0;
    it->second.muted_by = kSilence;
    it->second.routed = random_() % 5 != 0;
    planner_.Redirect(now_);
  }

  Reply AnswerOf(const Request& request) {
    const Json body = Json::parse(request.body, nullptr, false);
    const std::string title = request.method == Method::kPost ? TitleOf(body) : "";
    for (const auto& [id, direction] : said_) {
      if (title.find(": Alert" + id + ":") == std::string::npos || title.starts_with("Resolved")) continue;
      EXPECT_TRUE(direction.routed && !direction.muted) << seed_ << " " << title;
    }
    quiet_ += request.body.find("\"Quiet\"") != std::string::npos ? 1 : 0;
    unmuted_ += request.body.find("no longer muted") != std::string::npos ? 1 : 0;
    if (random_() % 6 == 0) Change();
    const auto dice = random_() % 12;
    return dice == 0 ? Status(502) : dice == 1 ? Status(429, R"({"retry_after":0.3})") : Good(request);
  }

  void Step(int step) {
    const std::string id = std::to_string(random_() % 10) + "x" + std::to_string(step / 40);
    const bool is_active = active_.contains(id);
    if (!is_active && all_.insert(id).second) {
      said_[id] = base_;
      said_[id].group_key = std::to_string(random_() % 3);
      said_[id].group_wait_ns = random_() % 3 == 0 ? 2 * kSec : 0;
      active_[id] = Alone(id);
      Add(active_[id], TransitionKind::kFiring);
    } else if (is_active && random_() % 3 == 0) {
      Add(active_[id], TransitionKind::kResolved);
      active_.erase(id);
    } else if (is_active) {
      const bool up = random_() % 2 == 0;
      active_[id].severity = up ? Severity::kCritical : Severity::kWarning;
      active_[id].value += 1e8;
      Add(active_[id], up ? TransitionKind::kEscalated : TransitionKind::kDeescalated);
    }
    if (random_() % 3 == 0) Change();
    RunFor(static_cast<std::int64_t>(random_() % 4000) * 1'000'000);
    EXPECT_TRUE(planner_.NextDue() != INT64_MAX || planner_.Waiting(false) == 0) << seed_;
  }

  void End() {
    for (const auto& [id, incident] : active_) Add(incident, TransitionKind::kResolved);
    fault_ = nullptr;
    RunFor(600 * kSec);
    planner_.Next(now_);
    EXPECT_EQ(planner_.Slots(), 0u) << seed_;
    EXPECT_EQ(planner_.TrackedIncidents(), 0u) << seed_;
    std::map<std::string, int> live;
    for (const auto& [id, message] : messages_) {
      if (message["embeds"].empty()) continue;  // cut to a link
      EXPECT_THAT(TitleOf(message), testing::StartsWith("Resolved")) << seed_;
      const bool is_fold = TitleOf(message).find(" more ") != std::string::npos;
      EXPECT_LE(is_fold ? 1 : ++live[TitleOf(message)], 1) << seed_;
    }
  }

  std::uint64_t seed_ = 0;
  std::mt19937_64 random_;
  std::map<std::string, core::Incident> active_;
  std::set<std::string> all_;
  std::size_t quiet_ = 0, unmuted_ = 0;
};

// Random lives, silences, reroutings and faults, some while a request is under way. Nothing new is ever said of what
// may not be told, and at the end every message that is out is green or a link.
TEST_F(PlannerRouteModelTest, HoweverItGoesNothingIsSaidOfWhatIsMutedAndNothingStaysRed) {
  for (std::uint64_t seed = 1; seed <= 40 && !HasFailure(); ++seed) {
    Begin(seed);
    for (int step = 0; step < 100; ++step) Step(step);
    End();
  }
  EXPECT_GT(quiet_, 50u);
  EXPECT_GT(unmuted_, 10u);
}

// The storm's promise: of n incidents in g groups within a group interval at most 3 messages a group and one fold each,
// and for the receiver 10 in 10 s and one for the rest; all of them within Discord's 5 requests in 2 s.
TEST_F(PlannerRouteModelTest, AThousandAlertsInASecondAreAsFewMessagesAsPromised) {
  for (int i = 0; i < 1000; ++i) {
    const std::string id = "i" + std::to_string(i);
    said_[id] = base_;
    said_[id].group_key = std::to_string(i % 50);
    Fire(id);
    now_ += kSec / 1000;
  }
  std::deque<std::int64_t> accepted;
  fault_ = [&](const Request& request) {
    while (!accepted.empty() && now_ - accepted.front() >= 2 * kSec) accepted.pop_front();
    if (accepted.size() >= 5) {
      const auto wait = static_cast<double>(accepted.front() + 2 * kSec - now_) / 1e9;
      Reply reply = Status(429, R"({"retry_after":)" + std::to_string(wait) + "}");
      reply.bucket = "b";
      return reply;
    }
    accepted.push_back(now_);
    Reply reply = Good(request);
    reply.bucket = "b";
    reply.remaining = std::to_string(5 - accepted.size());
    reply.reset_after = std::to_string(static_cast<double>(accepted.front() + 2 * kSec - now_) / 1e9);
    return reply;
  };
  const std::int64_t begin = now_;
  RunFor(6 * kSec);
  EXPECT_EQ(messages_.size(), 11u) << "ten, and one for the rest";
  EXPECT_EQ(Title("110"), "Warning: 990 more alerts");
  EXPECT_LE(sent_.back().at_ns - begin, 5 * kSec) << "11 posts at 5 in 2 s";
  EXPECT_EQ(planner_.counters().rate_limited, 0u) << "the headers were obeyed";
  EXPECT_EQ(planner_.counters().dropped, 0u);
}

}  // namespace
}  // namespace spanwatch::notify
