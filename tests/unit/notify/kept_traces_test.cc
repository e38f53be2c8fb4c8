// The traces that alerts link to: in the message, beyond the store's time, over a restart and with a disk in trouble.
#include "sidecar/notify/kept_traces.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>
#include <sqlite3.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <map>
#include <thread>

#include "sidecar/notify/notifier.h"
#include "tests/unit/core/analysis_builder.h"
#include "tests/unit/notify/imitation.h"
#include "tests/unit/notify/incidents.h"
#include "tests/unit/notify/outbox_files.h"
#include "tests/unit/notify/receivers.h"

namespace spanwatch::notify {
namespace {

using core::TransitionKind;
using Json = nlohmann::json;

constexpr std::int64_t kBudget = 20 * kSec;

// A store: traces that can be taken away.
class Store {
 public:
  // Of the incidents' worst trace: the model's call takes nine tenths of it.
  void Put(const TraceId& id, bool complete = true) {
    std::vector<core::testing::Line> lines = {{2, 1, "generate", 100, 1000, "", "bot"}};
    if (complete) lines.insert(lines.begin(), {1, 0, "turn", 0, 1000, "", "bot"});
    core::TraceCopy trace = core::testing::Trace(lines);
    trace.summary.trace_id = id;
    trace.summary.complete = complete;
    trace.summary.span_count = static_cast<std::uint32_t>(lines.size());
    trace.summary.services = {{"bot", 2, 0}};
    trace.resources.resize(1);
    MutexLock lock(&mutex_);
    traces_[id.ToHex()] = std::move(trace);
  }
  void Clear() {
    MutexLock lock(&mutex_);
    traces_.clear();
  }
  std::optional<core::TraceCopy> Find(const TraceId& id) {
    MutexLock lock(&mutex_);
    ++asked_;
    const auto it = traces_.find(id.ToHex());
    return it == traces_.end() ? std::nullopt : std::optional(it->second);
  }
  bool Has(const TraceId& id) {
    MutexLock lock(&mutex_);
    return traces_.contains(id.ToHex());
  }
  int asked() {
    MutexLock lock(&mutex_);
    return asked_;
  }

 private:
  Mutex mutex_;
  std::map<std::string, core::TraceCopy> traces_ GUARDED_BY(mutex_);
  int asked_ GUARDED_BY(mutex_) = 0;
};

constexpr const char* kPath = "generate **90 %** (900 ms)\nturn **10 %** (100 ms)";
const TraceId kTrace = MakeIncident("a").worst_trace;

// With a deadline; false if it never came true.
template <typename Condition>
bool Wait(const Condition& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

class KeptTracesTest : public testing::Test {
 protected:
  KeptTracesTest() { spdlog::set_level(spdlog::level::off); }
  ~KeptTracesTest() override { spdlog::set_level(spdlog::level::info); }

  Options With(const std::string& url, const std::string& file = "") {
    Options options;
    core::Receiver receiver = DiscordReceiver("discord", url);
    receiver.growth_interval_ns = 1'000'000;
    receiver.storm_messages = 0;
    AddReceiver(receiver, &options);
    options.external_url = "http://localhost:9464";
    options.state_path = file;
    options.state_retry_ns = 10'000'000;
    options.find_trace = [this](const TraceId& id) { return store_.Find(id); };
    options.trace_stored = [this](const TraceId& id) { return store_.Has(id); };
    return options;
  }
  static core::Transition Say(const std::string& id, const TraceId& trace, TransitionKind kind) {
    core::Incident incident = MakeIncident(id);
    incident.alertname = "Alert" + id;
    incident.worst_trace = trace;
    return MakeTransition(incident, kind);
  }
  static core::Transition Fire(const std::string& id = "a", const TraceId& trace = kTrace) {
    return Say(id, trace, TransitionKind::kFiring);
  }
  static std::string Field(const Json& message, const std::string& name = "Critical path") {
    for (const auto& field : message["embeds"][0]["fields"]) {
      if (field["name"] == name) return field["value"];
    }
    return "(none)";
  }
  static bool KeptOnDisk(const Notifier& notifier, std::uint64_t count) {
    return Wait([&] { return notifier.GetOutboxStatus().kept_traces == count; });
  }
  void Execute(const std::string& sql) {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(dir_.File().c_str(), &db), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
    sqlite3_close(db);
  }
  // A life that fires one alert, and ends.
  void Live(const std::string& url = "") {
    Notifier notifier(With(url, dir_.File()));
    notifier.Start();
    notifier.Enqueue({Fire()});
    EXPECT_TRUE(KeptOnDisk(notifier, 1));
    notifier.Stop(kBudget);
  }

  Store store_;
  TempDir dir_;
};

TEST_F(KeptTracesTest, TheFirstMessageTellsThePath) {
  Imitation discord;
  store_.Put(kTrace);
  Notifier notifier(With(discord.url()));
  notifier.Start();
  notifier.Enqueue({Fire()});
  const auto state = discord.Wait(1);
  EXPECT_EQ(Field(state["messages"][0]), kPath);
  EXPECT_EQ(notifier.Stop(kBudget), 0u);
  EXPECT_EQ(discord.Wait(1)["messages"][0]["edits"].size(), 0u) << "nothing to add";
}

TEST_F(KeptTracesTest, ALargeTraceHoldsUpNoMessage) {
  Imitation discord;
  store_.Put(kTrace);
  std::promise<void> posted;
  Options options = With(discord.url());
  options.find_trace = [this, wait = posted.get_future().share()](const TraceId& id) {
    wait.wait();
    return store_.Find(id);
  };
  Notifier notifier(options);
  notifier.Start();
  notifier.Enqueue({Fire()});
  const Json first = discord.Wait(1);
  posted.set_value();
  EXPECT_EQ(Field(first["messages"][0]), "(none)");
  EXPECT_EQ(Field(discord.Wait(1, 1)["messages"][0]), kPath) << "it comes with an edit";
}

TEST_F(KeptTracesTest, ATraceThatIsNotCompleteIsLookedAtAgain) {
  Imitation discord;
  store_.Put(kTrace, false);
  Notifier notifier(With(discord.url()));
  notifier.Start();
  notifier.Enqueue({Fire()});
  EXPECT_EQ(Field(discord.Wait(1)["messages"][0]), "generate **100 %** (900 ms)\nso far: the trace is not complete");
  store_.Put(kTrace);
  EXPECT_EQ(Field(discord.Wait(1, 1)["messages"][0]), kPath);
  EXPECT_TRUE(Wait([&] {
    const auto kept = notifier.GetKeptTrace(kTrace);
    return kept && kept->trace.summary.complete;
  }));
}

TEST_F(KeptTracesTest, TheLinkLivesWhenTheStoreForgets) {
  Imitation discord;
  store_.Put(kTrace);
  Notifier notifier(With(discord.url()));
  notifier.Start();
  notifier.Enqueue({Fire()});
  discord.Wait(1);
  ASSERT_TRUE(KeptOnDisk(notifier, 1));
  store_.Clear();
  notifier.Enqueue({Say("a", kTrace, TransitionKind::kResolved)});
  const Json message = discord.Wait(1, 1)["messages"][0];
  EXPECT_THAT(Field(message, "Slowest trace"), testing::HasSubstr("/trace/" + kTrace.ToHex()));
  EXPECT_EQ(Field(message), kPath);
  const auto kept = notifier.GetKeptTrace(kTrace);
  ASSERT_TRUE(kept);
  EXPECT_FALSE(kept->cut);
  EXPECT_EQ(kept->trace.spans.at(1).name, "generate");
  EXPECT_THAT(kept->alerts, testing::ElementsAre("Alerta"));
  EXPECT_FALSE(notifier.GetKeptTrace({7, 7})) << "no alert refers to it";
}

TEST_F(KeptTracesTest, AnotherWorstTraceReplacesTheCopy) {
  const TraceId other{5, 5};
  store_.Put(kTrace);
  store_.Put(other);
  Notifier notifier(With(""));
  notifier.Start();
  notifier.Enqueue({Fire()});
  ASSERT_TRUE(KeptOnDisk(notifier, 1));
  notifier.Enqueue({Say("a", other, TransitionKind::kUpdated)});
  EXPECT_TRUE(Wait([&] { return notifier.GetKeptTrace(other).has_value(); }));
  EXPECT_FALSE(notifier.GetKeptTrace(kTrace));
}

TEST_F(KeptTracesTest, ATraceThatIsNotStoredLeavesTheFieldOut) {
  Imitation discord;
  Notifier notifier(With(discord.url()));
  notifier.Start();
  notifier.Enqueue({Fire()});
  const Json message = discord.Wait(1)["messages"][0];
  EXPECT_EQ(Field(message), "(none)");
  EXPECT_THAT(Field(message, "Slowest trace"), testing::HasSubstr("no longer stored"));
}

TEST_F(KeptTracesTest, ARestartGoesOnWithCopiesAndPaths) {
  Imitation discord;
  store_.Put(kTrace);
  Live(discord.url());
  store_.Clear();
  Notifier notifier(With(discord.url(), dir_.File()));
  notifier.Start();
  const auto kept = notifier.GetKeptTrace(kTrace);
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->trace.spans.size(), 2u);
  EXPECT_THAT(kept->alerts, testing::ElementsAre("Alerta"));
  core::Transition resolved = Say("a", kTrace, TransitionKind::kResolved);
  resolved.id = "a/2/resolved";
  resolved.at_ns += 1;
  notifier.Enqueue({resolved});
  const Json message = discord.Wait(1, 1)["messages"][0];
  EXPECT_EQ(Field(message), kPath);
  EXPECT_THAT(Field(message, "Slowest trace"), testing::HasSubstr("](http"));
}

// Killed after the alert was written and before its trace was: the engine still has both.
TEST_F(KeptTracesTest, WhatWasNotCopiedInTimeIsCopiedByTheNextLife) {
  store_.Put(kTrace);
  Live();
  Execute("DELETE FROM kept_traces; DELETE FROM kept_incidents");
  Notifier notifier(With("", dir_.File()));
  notifier.Start();
  EXPECT_FALSE(notifier.GetKeptTrace(kTrace));
  notifier.Reconcile({Fire().incident});
  EXPECT_TRUE(Wait([&] { return notifier.GetKeptTrace(kTrace).has_value(); }));
}

TEST_F(KeptTracesTest, AFileFromBeforeIsTakenOver) {
  store_.Put(kTrace);
  Live();
  Execute("DROP TABLE kept_traces; DROP TABLE kept_incidents");
  Notifier notifier(With("", dir_.File()));
  notifier.Start();
  EXPECT_GT(notifier.CommittedNs(), 0) << "what it knows of alerts is taken over";
  notifier.Enqueue({Fire("b", kTrace)});
  EXPECT_TRUE(KeptOnDisk(notifier, 1));
  EXPECT_EQ(notifier.GetOutboxStatus().problem, "");
}

TEST_F(KeptTracesTest, ADamagedCopyIsAsNone) {
  store_.Put(kTrace);
  Live();
  Execute("UPDATE kept_traces SET body = x'0a0b0c0d'");
  Notifier notifier(With("", dir_.File()));
  notifier.Start();
  EXPECT_FALSE(notifier.GetKeptTrace(kTrace));
  EXPECT_EQ(notifier.GetOutboxStatus().unreadable, 1u);
}

TEST_F(KeptTracesTest, CopiesStayInTheirBudget) {
  Options options = With("", dir_.File());
  options.kept_max_bytes = 2000;
  Notifier notifier(options);
  notifier.Start();
  std::vector<core::Transition> all;
  for (std::uint64_t i = 1; i <= 100; ++i) {
    store_.Put({9, i});
    all.push_back(Fire("i" + std::to_string(i), {9, i}));
  }
  notifier.Enqueue(all);
  EXPECT_TRUE(Wait([&] { return notifier.GetKeptTrace({9, 100}).has_value(); }));
  notifier.Stop(kBudget);
  const OutboxStatus status = notifier.GetOutboxStatus();
  EXPECT_LE(status.kept_trace_bytes, 2000u);
  EXPECT_GT(status.kept_traces, 2u);
  EXPECT_LT(status.kept_traces, 100u);
}

// The copies alone wait; alerts go on being written.
TEST_F(KeptTracesTest, ACopyThatCannotBeWrittenHoldsUpNoAlert) {
  OutboxOptions options;
  options.path = dir_.File();
  options.max_bytes = 200'000;
  Outbox outbox(options);
  outbox.Open();
  std::uint64_t generation = 0;
  outbox.LoadKept(&generation);
  ASSERT_GT(generation, 0u);
  KeptChanges changes;
  changes.traces.push_back({"x", "info", 0, StoredKeptTrace::Body::kNew, std::string(300'000, 'x')});
  EXPECT_EQ(outbox.SaveKept(changes, &generation), Outbox::KeptResult::kFailed);
  EXPECT_EQ(outbox.GetStatus().kept_write_errors, 1u);
  EXPECT_TRUE(outbox.GetStatus().writable);
  EXPECT_EQ(outbox.Commit({Fire()}).fresh.size(), 1u);
  EXPECT_EQ(outbox.GetStatus().pending, 0u);
  changes.traces[0].body = "short";
  EXPECT_EQ(outbox.SaveKept(changes, &generation), Outbox::KeptResult::kOk);
  EXPECT_EQ(outbox.ReadKept("x"), "short");
  changes.traces[0].change = StoredKeptTrace::Body::kAsItWas;
  EXPECT_EQ(outbox.SaveKept(changes, &generation), Outbox::KeptResult::kOk);
  EXPECT_EQ(outbox.ReadKept("x"), "short");
  changes.traces[0].change = StoredKeptTrace::Body::kNone;
  EXPECT_EQ(outbox.SaveKept(changes, &generation), Outbox::KeptResult::kOk);
  EXPECT_EQ(outbox.ReadKept("x"), "");
  ++generation;
  EXPECT_EQ(outbox.SaveKept(changes, &generation), Outbox::KeptResult::kOtherFile);
  changes.reset = true;
  EXPECT_EQ(outbox.SaveKept(changes, &generation), Outbox::KeptResult::kOk);
}

TEST_F(KeptTracesTest, WithoutAWorkingDiskTheyAreInMemory) {
  store_.Put(kTrace);
  Notifier notifier(With("", dir_.File("missing/notify.db")));
  notifier.Start();
  notifier.Enqueue({Fire()});
  EXPECT_TRUE(Wait([&] { return notifier.GetKeptTrace(kTrace).has_value(); }));
}

TEST_F(KeptTracesTest, NobodyIsAskedAfterTheEnd) {
  store_.Put(kTrace, false);
  {
    Notifier notifier(With("", dir_.File()));
    notifier.Start();
    notifier.Enqueue({Fire()});
    EXPECT_TRUE(Wait([&] { return store_.asked() > 0; }));
    notifier.Stop(0);
    const int asked = store_.asked();
    notifier.Enqueue({Fire("b", {3, 3})});
    EXPECT_EQ(store_.asked(), asked);
  }
  Notifier never_started(With("", dir_.File()));
  never_started.Enqueue({Fire()});
}

}  // namespace
}  // namespace spanwatch::notify
