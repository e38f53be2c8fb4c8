// The notifier dies at any moment and starts again: every alert is told, in one live message.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <new>
#include <random>

#include "sidecar/notify/notifier.h"
#include "tests/unit/notify/imitation.h"
#include "tests/unit/notify/incidents.h"
#include "tests/unit/notify/outbox_files.h"
#include "tests/unit/notify/receivers.h"

namespace spanwatch::notify {
namespace {

using core::Severity;
using core::TransitionKind;
using Json = nlohmann::json;

constexpr std::int64_t kBudget = 20 * kSec;

Options With(const std::string& url, const std::string& file) {
  Options options;
  core::Receiver receiver = DiscordReceiver("discord", url);
  receiver.growth_interval_ns = 2'000'000;
  receiver.storm_messages = 0;
  AddReceiver(receiver, &options);
  options.external_url = "http://localhost:9464";
  options.state_path = file;
  options.state_retry_ns = 50'000'000;
  return options;
}

// What an engine would say of one incident of its own rule.
core::Transition Say(const std::string& id, int number, TransitionKind kind, Severity severity, std::int64_t at_ns) {
  core::Incident incident = MakeIncident(id, severity);
  incident.alertname = "Alert" + id;
  incident.value = incident.worst_value = 2e9 + number * 1e8;
  incident.last_match_ns = at_ns;
  core::Transition transition = MakeTransition(incident, kind);
  transition.id = id + "/" + std::to_string(number) + "/" + core::ToString(kind);
  transition.at_ns = at_ns;
  return transition;
}

std::vector<core::Transition> Firing(const std::string& id) {
  return {Say(id, 1, TransitionKind::kFiring, Severity::kWarning, kEpoch)};
}
std::vector<core::Transition> Resolved(const std::string& id) {
  return {Say(id, 9, TransitionKind::kResolved, Severity::kWarning, kEpoch + 9)};
}

std::string TitleOf(const Json& message) {
  return message["embeds"].empty() ? message["content"].get<std::string>() : message["embeds"][0].value("title", "");
}

// Five incidents, each fires, grows, perhaps rises, and ends; shuffled into one order. Times are equal now and then.
std::vector<core::Transition> Story(std::mt19937* random) {
  std::vector<std::vector<core::Transition>> incidents;
  for (const std::string id : {"a", "b", "c", "d", "e"}) {
    std::vector<core::Transition>& story = incidents.emplace_back();
    Severity severity = Severity::kWarning;
    int number = 0;
    story.push_back(Say(id, ++number, TransitionKind::kFiring, severity, 0));
    for (auto n = (*random)() % 3; n > 0; --n) {
      const bool rises = severity == Severity::kWarning && (*random)() % 3 == 0;
      if (rises) severity = Severity::kCritical;
      story.push_back(Say(id, ++number, rises ? TransitionKind::kEscalated : TransitionKind::kUpdated, severity, 0));
    }
    story.push_back(Say(id, ++number, TransitionKind::kResolved, severity, 0));
  }
  std::vector<core::Transition> all;
  std::int64_t now = kEpoch;
  while (!incidents.empty()) {
    auto& story = incidents[(*random)() % incidents.size()];
    now += (*random)() % 3 == 0 ? 0 : 1;
    story.front().at_ns = story.front().incident.last_match_ns = now;
    all.push_back(story.front());
    story.erase(story.begin());
    std::erase_if(incidents, [](const auto& rest) { return rest.empty(); });
  }
  return all;
}

struct Shared {
  std::atomic<std::size_t> decided;  // transitions that the engine's journal has
  std::atomic<std::uint64_t> possible_duplicates;
};

// The sidecar in small: starts, folds, goes on as it is told ('n': the next transition; 'e': end in order).
int RunSidecar(const Options& options, const std::vector<core::Transition>& story, Shared* shared, int commands) {
  spdlog::set_level(spdlog::level::off);
  Notifier notifier(options);
  notifier.Start();
  const auto found = notifier.Counts().at(0).possible_duplicates;
  shared->possible_duplicates += found;
  std::vector<core::Transition> fold;
  std::map<std::string, core::Incident> living;
  for (std::size_t i = 0; i < shared->decided; ++i) {
    living[story[i].incident.id] = story[i].incident;
    if (story[i].at_ns >= notifier.CommittedNs()) fold.push_back(story[i]);
  }
  notifier.Enqueue(fold);
  std::vector<core::Incident> incidents;
  for (const auto& [id, incident] : living) {
    if (incident.state == core::AlertState::kFiring) incidents.push_back(incident);
  }
  notifier.Reconcile(incidents);
  char command = 0;
  while (read(commands, &command, 1) == 1 && command == 'n') {
    const std::size_t next = shared->decided++;
    notifier.Enqueue({story[next]});
  }
  const std::size_t left = notifier.Stop(kBudget);
  shared->possible_duplicates += notifier.Counts().at(0).possible_duplicates - found;
  return left == 0 && notifier.GetOutboxStatus().problem.empty() ? 0 : 1;
}

struct Child {
  pid_t pid = -1;
  int commands = -1;
};

Child Spawn(const Options& options, const std::vector<core::Transition>& story, Shared* shared) {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  Child child;
  child.commands = ends[1];
  child.pid = fork();
  if (child.pid == 0) {
    close(ends[1]);
    _exit(RunSidecar(options, story, shared, ends[0]));
  }
  close(ends[0]);
  return child;
}

void SpinFor(std::chrono::microseconds length) {
  const auto end = std::chrono::steady_clock::now() + length;
  while (std::chrono::steady_clock::now() < end) {
  }
}

int Reap(const Child& child) {
  close(child.commands);
  int status = 0;
  waitpid(child.pid, &status, 0);
  return status;
}

struct Figures {
  int kills = 0;
  std::uint64_t messages = 0, duplicates = 0, counted = 0;
};

struct Seen {
  std::vector<std::string> forgotten, not_ended;  // alert names
  std::uint64_t surplus = 0;                      // live messages beyond one an incident
  std::uint64_t cuts = 0;
};

Seen Look(const Json& state, const std::vector<core::Transition>& story) {
  std::map<std::string, int> live, ended;
  for (const auto& transition : story) live.emplace(transition.incident.alertname, 0);
  Seen seen;
  for (const Json& message : state["messages"]) {
    const std::string title = TitleOf(message);
    seen.cuts += message["embeds"].empty() ? 1 : 0;
    for (auto& [name, count] : live) {
      if (title.find(name) == std::string::npos) continue;
      ++count;
      ended[name] += title.starts_with("Resolved") ? 1 : 0;
    }
  }
  for (const auto& [name, count] : live) {
    if (count == 0) seen.forgotten.push_back(name);
    if (ended[name] == 0) seen.not_ended.push_back(name);
    seen.surplus += std::uint64_t(std::max(count - 1, 0));
  }
  return seen;
}

// What Discord was sent, in short.
std::string Told(const Json& state) {
  std::string text;
  for (const Json& message : state["messages"]) {
    text += "\n" + message["id"].get<std::string>() + ": " + TitleOf(message);
    for (const Json& edit : message["edits"]) text += " <- " + TitleOf(edit);
  }
  return text;
}

// The cut of a replaced message is not urgent: it may come last.
Json WaitForTheEnd(Imitation* discord, const std::vector<core::Transition>& story, const Shared& shared) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  for (;;) {
    Json state = discord->Wait(0);
    const Seen seen = Look(state, story);
    const bool good = seen.forgotten.empty() && seen.not_ended.empty() && seen.surplus <= shared.possible_duplicates;
    if (good || std::chrono::steady_clock::now() > deadline) return state;
    SpinFor(std::chrono::microseconds(1000));
  }
}

void Check(const Json& state, const std::vector<core::Transition>& story, std::uint64_t counted, Figures* figures) {
  const Seen seen = Look(state, story);
  const auto rises =
      std::count_if(story.begin(), story.end(), [](const auto& t) { return t.kind == TransitionKind::kEscalated; });
  EXPECT_THAT(seen.forgotten, testing::IsEmpty());
  EXPECT_THAT(seen.not_ended, testing::IsEmpty());
  EXPECT_LE(seen.cuts, std::uint64_t(rises)) << "only a rise replaces a message";
  EXPECT_LE(seen.surplus, counted) << "duplicates that nobody counted" << Told(state);
  figures->messages += state["messages"].size();
  figures->duplicates += seen.surplus;
  figures->counted += counted;
}

void OneRun(Imitation* discord, unsigned seed, Shared* shared, Figures* figures) {
  std::mt19937 random(seed);
  const std::vector<core::Transition> story = Story(&random);
  TempDir dir;
  Options options = With(discord->url(), dir.File());
  options.hold_until_reconcile = true;
  discord->Control("reset", Json::object());
  new (shared) Shared{};
  Child child = Spawn(options, story, shared);
  for (int kills = 0; kills < 8;) {
    const std::size_t decided = shared->decided;
    if (decided < story.size()) {
      ASSERT_EQ(write(child.commands, "n", 1), 1);
    }
    SpinFor(std::chrono::microseconds(random() % 4000));
    if (random() % 3 == 0) {
      kill(child.pid, SIGKILL);
      Reap(child);
      child = Spawn(options, story, shared);
      ++kills;
      ++figures->kills;
    } else {
      // The child may still be busy; the next command waits in its pipe, but never more than there are transitions.
      while (decided < story.size() && shared->decided == decided) SpinFor(std::chrono::microseconds(50));
    }
    if (decided >= story.size()) break;
  }
  for (std::size_t i = shared->decided; i < story.size(); ++i) ASSERT_EQ(write(child.commands, "n", 1), 1);
  const Json state = WaitForTheEnd(discord, story, *shared);
  ASSERT_EQ(write(child.commands, "e", 1), 1);
  EXPECT_EQ(Reap(child), 0);
  EXPECT_EQ(shared->decided.load(), story.size());
  Check(state, story, shared->possible_duplicates, figures);
}

TEST(NotifierRestart, KilledAtAnyMomentNoAlertIsForgottenAndDuplicatesAreCounted) {
  Imitation discord;
  void* memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  const char* wanted = getenv("SPANWATCH_OUTBOX_RUNS");
  const unsigned runs = wanted == nullptr ? 50 : static_cast<unsigned>(atoi(wanted));
  Figures figures;
  for (unsigned seed = 1; seed <= runs && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    OneRun(&discord, seed, static_cast<Shared*>(memory), &figures);
  }
  munmap(memory, sizeof(Shared));
  printf("outbox: %u runs, %d kills, %d messages, %d posted twice, %d counted as possible duplicates\n", runs,
         figures.kills, int(figures.messages), int(figures.duplicates), int(figures.counted));
  EXPECT_GE(figures.kills, int(runs));
}

class Restart : public testing::Test {
 protected:
  Json Run(const std::vector<core::Transition>& transitions, bool reconcile = false,
           const std::vector<core::Incident>& living = {}) {
    Notifier notifier(With(discord_.url(), dir_.File()));
    notifier.Start();
    committed_ns_ = notifier.CommittedNs();
    notifier.Enqueue(transitions);
    if (reconcile) notifier.Reconcile(living);
    EXPECT_EQ(notifier.Stop(kBudget), 0u);
    return discord_.Wait(0);
  }

  Imitation discord_;
  TempDir dir_;
  std::int64_t committed_ns_ = 0;
};

TEST_F(Restart, TheSameTransitionAgainIsIgnored) {
  EXPECT_EQ(Run(Firing("a"))["messages"].size(), 1u);
  EXPECT_EQ(committed_ns_, INT64_MIN);
  auto state = Run(Firing("a"));
  EXPECT_EQ(committed_ns_, kEpoch);
  EXPECT_EQ(state["requests"].size(), 1u);
  state = Run(Resolved("a"));
  ASSERT_EQ(state["messages"].size(), 1u);
  EXPECT_THAT(TitleOf(state["messages"][0]), testing::StartsWith("Resolved"));
  EXPECT_EQ(Run(Firing("a"))["requests"].size(), 2u) << "over, and still known";
}

TEST_F(Restart, ARiseAfterARestartCutsTheMessageOfTheProcessBefore) {
  Run(Firing("a"));
  Run({Say("a", 2, TransitionKind::kEscalated, Severity::kCritical, kEpoch + 1)});
  // The cut, if the second process did not come to it, is the third one's.
  Notifier notifier(With(discord_.url(), dir_.File()));
  notifier.Start();
  const auto state = discord_.Wait(2, 1);
  EXPECT_EQ(notifier.Stop(kBudget), 0u);
  ASSERT_EQ(state["messages"].size(), 2u);
  EXPECT_THAT(TitleOf(state["messages"][0]), testing::StartsWith("Now critical"));
  EXPECT_THAT(TitleOf(state["messages"][1]), testing::StartsWith("Critical"));
}

TEST_F(Restart, WhatIsNoLongerWatchedIsShownAsEndedOnce) {
  Run(Firing("a"));
  Run(Firing("b"), true, {MakeIncident("b")});
  auto state = Run({}, true, {MakeIncident("b")});
  ASSERT_EQ(state["messages"].size(), 2u);
  EXPECT_THAT(TitleOf(state["messages"][0]), testing::StartsWith("No longer watched: Alerta"));
  EXPECT_EQ(state["messages"][0]["edits"].size(), 1u);
  EXPECT_THAT(state["messages"][0].dump(), testing::HasSubstr("Spanwatch was restarted"));
  EXPECT_THAT(TitleOf(state["messages"][1]), testing::StartsWith("Warning: Alertb"));
  EXPECT_EQ(Run({}, true, {MakeIncident("b")})["requests"].size(), state["requests"].size());
}

TEST_F(Restart, NothingIsSentBeforeTheFoldIsDone) {
  Options options = With(discord_.url(), dir_.File());
  options.hold_until_reconcile = true;
  Run(Firing("a"));
  Notifier notifier(options);
  notifier.Start();
  notifier.Enqueue({Say("b", 1, TransitionKind::kFiring, Severity::kWarning, kEpoch + 1),
                    Say("b", 2, TransitionKind::kResolved, Severity::kWarning, kEpoch + 2)});
  notifier.Enqueue(Resolved("a"));
  notifier.Reconcile({});
  const auto state = discord_.Wait(2, 1);
  ASSERT_EQ(state["messages"].size(), 2u);
  EXPECT_THAT(TitleOf(state["messages"][1]), testing::StartsWith("Resolved: Alertb"));
  EXPECT_EQ(state["requests"].size(), 3u) << "b is told once, as it is now";
}

TEST_F(Restart, WithoutItsFileThePastIsNotToldAnewButWhatStillFiresIs) {
  Options options = With(discord_.url(), dir_.File());
  options.hold_until_reconcile = true;
  Notifier notifier(options);
  notifier.Start();
  notifier.Enqueue({Say("old", 1, TransitionKind::kFiring, Severity::kWarning, kEpoch),
                    Say("old", 2, TransitionKind::kResolved, Severity::kWarning, kEpoch + 1),
                    Say("now", 1, TransitionKind::kFiring, Severity::kWarning, kEpoch + 2)});
  core::Incident long_since = MakeIncident("long");
  long_since.alertname = "Alertlong";
  core::Incident now = MakeIncident("now");
  notifier.Reconcile({now, long_since});
  EXPECT_EQ(discord_.Wait(2)["messages"].size(), 2u);
  EXPECT_EQ(notifier.Stop(kBudget), 0u);
  const auto state = discord_.Wait(2);
  ASSERT_EQ(state["messages"].size(), 2u);
  EXPECT_THAT(TitleOf(state["messages"][0]), testing::HasSubstr("Alertnow"));
  EXPECT_THAT(TitleOf(state["messages"][1]), testing::HasSubstr("Alertlong"));
}

TEST_F(Restart, AnotherWebhookGetsMessagesOfItsOwn) {
  Run(Firing("a"));
  Imitation other;
  {
    Options options = With(other.url(), dir_.File());
    Notifier notifier(options);
    notifier.Start();
    EXPECT_EQ(other.Wait(1)["messages"].size(), 1u) << "what still fires is told there";
    EXPECT_EQ(notifier.Stop(kBudget), 0u);
  }
  EXPECT_EQ(discord_.Wait(0)["requests"].size(), 1u);
  for (const char* file : {"notify.db", "notify.db-wal"}) {
    EXPECT_EQ(ReadAll(dir_.File(file)).find(discord_.token()), std::string::npos);
  }
}

TEST_F(Restart, AStartWithoutWebhookForgetsNoMessage) {
  Run(Firing("a"));
  {
    Notifier none(With("", dir_.File()));
    none.Start();
    EXPECT_EQ(none.Stop(kBudget), 0u);
  }
  const auto state = Run(Resolved("a"));
  ASSERT_EQ(state["messages"].size(), 1u);
  EXPECT_THAT(TitleOf(state["messages"][0]), testing::StartsWith("Resolved"));
}

TEST_F(Restart, AFoldOfManyIncidentsGoesOn) {
  std::vector<core::Transition> many;
  for (int i = 0; i < 20; ++i) {
    core::Incident incident = MakeIncident("i" + std::to_string(i));
    many.push_back(MakeTransition(incident, TransitionKind::kFiring));
  }
  const auto before = Run(many)["messages"].size();
  EXPECT_LE(before, 4u);
  for (core::Transition& transition : many) {
    transition = MakeTransition(transition.incident, TransitionKind::kResolved);
  }
  const auto state = Run(many);
  EXPECT_EQ(state["messages"].size(), before);
  for (const Json& message : state["messages"]) EXPECT_THAT(TitleOf(message), testing::StartsWith("Resolved"));
}

TEST_F(Restart, ADamagedFileIsToldAndDeliveryGoesOn) {
  WriteAll(dir_.File(), std::string(10000, 'z'));
  Notifier notifier(With(discord_.url(), dir_.File()));
  notifier.Start();
  notifier.Enqueue(Firing("a"));
  EXPECT_EQ(discord_.Wait(1)["messages"].size(), 1u);
  EXPECT_EQ(notifier.Stop(kBudget), 0u);
  const OutboxStatus status = notifier.GetOutboxStatus();
  EXPECT_EQ(status.corruptions, 1u);
  EXPECT_NE(status.note, "");
  EXPECT_EQ(status.committed, 1u);
}

TEST_F(Restart, AFullDiskDelaysNoAlertAndIsCaughtUpWith) {
  const int failed = InChild([&] {
    signal(SIGXFSZ, SIG_IGN);
    spdlog::set_level(spdlog::level::off);
    rlimit old{};
    getrlimit(RLIMIT_FSIZE, &old);
    Notifier notifier(With(discord_.url(), dir_.File()));
    notifier.Start();
    notifier.Enqueue(Firing("a"));
    discord_.Wait(1);
    const rlimit full{1, old.rlim_max};
    setrlimit(RLIMIT_FSIZE, &full);
    notifier.Enqueue(Firing("b"));
    const bool told = discord_.Wait(2)["messages"].size() == 2 && !notifier.GetOutboxStatus().writable &&
                      !notifier.GetOutboxStatus().problem.empty();
    setrlimit(RLIMIT_FSIZE, &old);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (notifier.CommittedNs() == INT64_MIN || !notifier.GetOutboxStatus().writable ||
           notifier.GetOutboxStatus().pending > 0) {
      if (std::chrono::steady_clock::now() > deadline) return 2;
      SpinFor(std::chrono::microseconds(1000));
    }
    return told && notifier.Stop(kBudget) == 0 ? 0 : 1;
  });
  EXPECT_EQ(failed, 0);
  auto state = Run(Resolved("b"));
  ASSERT_EQ(state["messages"].size(), 2u);
  EXPECT_THAT(TitleOf(state["messages"][1]), testing::StartsWith("Resolved: Alertb"));
}

}  // namespace
}  // namespace spanwatch::notify
