// Silences on disk, and who is told to look again.
#include "sidecar/notify/dispatch.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <random>

#include "sidecar/notify/steady.h"
#include "tests/unit/notify/outbox_files.h"
#include "tests/unit/notify/routes.h"

namespace spanwatch::notify {
namespace {

tl::expected<std::shared_ptr<const core::StringMatcher>, std::string> Compile(const std::string& pattern) {
  return std::make_shared<StdRegex>(pattern);
}

// What a dispatcher tells receivers.
class Calls {
 public:
  Dispatcher::Redirect Function() {
    return [this](const std::vector<std::string>& receivers) {
      const std::lock_guard<std::mutex> lock(mutex_);
      for (const std::string& name : receivers) ++calls_[name];
      called_.notify_all();
    };
  }
  int Of(const std::string& name) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return calls_[name];
  }
  bool WaitFor(const std::string& name, int count) {
    std::unique_lock<std::mutex> lock(mutex_);
    return called_.wait_for(lock, std::chrono::seconds(60), [&] { return calls_[name] >= count; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable called_;
  std::map<std::string, int> calls_;
};

std::shared_ptr<const core::Routing> TwoReceivers() {
  auto routing = std::make_shared<core::Routing>(Receivers({"team", "pager"}));
  routing->route.routes = {To("pager", {Equal("severity", "critical")})};
  routing->inhibit_rules = {{"", {Equal("alertname", "Health")}, {Equal("alertname", "Errors")}, {"service"}}};
  return routing;
}

core::Transition Firing(core::Incident incident) {
  return MakeTransition(std::move(incident), core::TransitionKind::kFiring);
}

core::Silence ForBot(std::int64_t length_ns) {
  return SilenceOf("", {Equal("service", "bot")}, WallNow(), WallNow() + length_ns);
}

std::shared_ptr<Outbox> OpenOutbox(const std::string& path) {
  OutboxOptions options;
  options.path = path;
  options.retry_ns = 0;
  auto outbox = std::make_shared<Outbox>(options);
  outbox->Open();
  return outbox;
}

TEST(DispatcherTest, TellsThoseWhoseDirectionsChange) {
  Calls calls;
  Dispatcher dispatcher(TwoReceivers(), nullptr, Compile, calls.Function());
  dispatcher.Start();
  const core::Incident errors = Alert("1", "Errors", {{"service", "bot"}});
  dispatcher.Take({Firing(errors)});
  EXPECT_EQ(calls.Of("team"), 0) << "whoever is told of an incident need not look again because of it";
  EXPECT_FALSE(dispatcher.DirectionFor("team", errors).muted);
  dispatcher.Take({Firing(Alert("2", "Health", {{"service", "bot"}}))});
  EXPECT_EQ(calls.Of("team"), 1);
  EXPECT_EQ(calls.Of("pager"), 0);
  EXPECT_EQ(dispatcher.DirectionFor("team", errors).muted_by, "inhibited by Health");
  dispatcher.Take({MakeTransition(Alert("2", "Health", {{"service", "bot"}}), core::TransitionKind::kResolved)});
  EXPECT_EQ(calls.Of("team"), 2);
  EXPECT_FALSE(dispatcher.DirectionFor("team", errors).muted);
}

TEST(DispatcherTest, ASilenceHoldsAtOnceAndEndsByItself) {
  Calls calls;
  Dispatcher dispatcher(TwoReceivers(), nullptr, Compile, calls.Function());
  dispatcher.Start();
  const core::Incident incident = Alert("1", "Slow", {{"service", "bot"}});
  dispatcher.Take({Firing(incident)});
  const auto id = dispatcher.SetSilence(ForBot(300'000'000));
  ASSERT_TRUE(id.has_value()) << id.error();
  EXPECT_GE(calls.Of("team"), 1);
  ASSERT_TRUE(calls.WaitFor("team", 2)) << "nobody was told of its end";
  EXPECT_FALSE(dispatcher.DirectionFor("team", incident).muted);
  EXPECT_EQ(dispatcher.Counts().silences, (std::array<std::uint64_t, 3>{0, 0, 1}));
  EXPECT_EQ(dispatcher.Counts().silenced_total, 1u);
}

TEST(DispatcherTest, APendingSilenceBeginsByItself) {
  Calls calls;
  Dispatcher dispatcher(TwoReceivers(), nullptr, Compile, calls.Function());
  dispatcher.Start();
  const core::Incident incident = Alert("1", "Slow", {{"service", "bot"}});
  dispatcher.Take({Firing(incident)});
  core::Silence silence = ForBot(3600 * kSec);
  silence.starts_ns += 300'000'000;
  ASSERT_TRUE(dispatcher.SetSilence(silence).has_value());
  ASSERT_TRUE(calls.WaitFor("team", 1));
  EXPECT_TRUE(dispatcher.DirectionFor("team", incident).muted);
}

TEST(DispatcherTest, SilencesOutliveTheProcessAndSoDoesTheirEnd) {
  TempDir directory;
  std::string kept, expired;
  {
    const auto outbox = OpenOutbox(directory.File());
    Dispatcher dispatcher(TwoReceivers(), outbox, Compile, nullptr);
    dispatcher.Start();
    core::Silence silence = ForBot(3600 * kSec);
    silence.matchers.push_back({"team", core::MatchOp::kNotRegex, "a|b", nullptr});
    kept = dispatcher.SetSilence(silence).value();
    expired = dispatcher.SetSilence(ForBot(3600 * kSec)).value();
    EXPECT_TRUE(dispatcher.ExpireSilence(expired));
    EXPECT_FALSE(dispatcher.ExpireSilence("nothing"));
  }
  const auto outbox = OpenOutbox(directory.File());
  Dispatcher dispatcher(TwoReceivers(), outbox, Compile, nullptr);
  dispatcher.Start();
  ASSERT_EQ(dispatcher.Silences().size(), 2u);
  EXPECT_TRUE(dispatcher.DirectionFor("team", Alert("1", "Slow", {{"service", "bot"}})).muted);
  EXPECT_FALSE(dispatcher.DirectionFor("team", Alert("1", "Slow", {{"service", "bot"}, {"team", "a"}})).muted);
  EXPECT_TRUE(dispatcher.ExpireSilence(kept));
  EXPECT_FALSE(dispatcher.DirectionFor("team", Alert("1", "Slow", {{"service", "bot"}})).muted);
}

TEST(DispatcherTest, WithoutADiskASilenceWaitsForIt) {
  TempDir directory;
  const std::string path = directory.File("later") + "/notify.db";
  {
    const auto outbox = OpenOutbox(path);
    EXPECT_FALSE(outbox->GetStatus().writable);
    Dispatcher dispatcher(TwoReceivers(), outbox, Compile, nullptr);
    dispatcher.Start();
    ASSERT_TRUE(dispatcher.SetSilence(ForBot(3600 * kSec)).has_value());
    EXPECT_TRUE(dispatcher.DirectionFor("team", Alert("1", "Slow", {{"service", "bot"}})).muted);
    EXPECT_GT(outbox->GetStatus().write_errors, 0u) << "it must not be lost quietly";
    std::filesystem::create_directory(directory.File("later"));
    outbox->Tend();
    EXPECT_TRUE(outbox->GetStatus().writable);
  }
  EXPECT_EQ(OpenOutbox(path)->LoadSilences().size(), 1u);
}

TEST(DispatcherTest, ARowThatCannotBeReadIsCounted) {
  TempDir directory;
  OpenOutbox(directory.File())->SaveSilences({{"x", "no silence"}}, {});
  const auto outbox = OpenOutbox(directory.File());
  Dispatcher dispatcher(TwoReceivers(), outbox, Compile, nullptr);
  dispatcher.Start();
  EXPECT_TRUE(dispatcher.Silences().empty());
  EXPECT_EQ(outbox->GetStatus().unreadable, 1u);
}

TEST(DispatcherTest, ExplainsThoseThatFireAndThoseThatAreOver) {
  Dispatcher dispatcher(TwoReceivers(), nullptr, Compile, nullptr);
  dispatcher.Start();
  core::Incident incident = Alert("1", "Slow", {{"service", "bot"}}, core::Severity::kCritical);
  dispatcher.Take({Firing(incident)});
  auto explained = dispatcher.Explain("print-1");
  ASSERT_EQ(explained.size(), 1u);
  EXPECT_EQ(explained[0].second.receivers[1].route, "route.routes[0]");
  dispatcher.Reconcile({});
  explained = dispatcher.Explain("print-1");
  ASSERT_EQ(explained.size(), 1u);
  EXPECT_EQ(explained[0].first.state, core::AlertState::kResolved);
}

// Everything at once from several threads; what matters is what the sanitizers say, and that it ends.
TEST(DispatcherTest, ManyThreads) {
  Calls calls;
  Dispatcher dispatcher(TwoReceivers(), nullptr, Compile, calls.Function());
  dispatcher.Start();
  std::vector<std::thread> threads;
  for (unsigned seed = 1; seed <= 4; ++seed) {
    threads.emplace_back([&, seed] {
      std::mt19937 random(seed);
      for (int i = 0; i < 200; ++i) {
        core::Incident incident =
            Alert(std::to_string(random() % 20), random() % 2 == 0 ? "Errors" : "Health", {{"service", "bot"}});
        if (random() % 3 == 0) incident.state = core::AlertState::kResolved;
        switch (random() % 6) {
          case 0:
            if (const auto id = dispatcher.SetSilence(ForBot(1 + static_cast<std::int64_t>(random() % 5'000'000))); id)
              dispatcher.ExpireSilence(*id);
            break;
          case 1:
            dispatcher.SetRouting(TwoReceivers());
            break;
          case 2:
            dispatcher.Explain(incident.fingerprint);
            dispatcher.Muted();
            dispatcher.Counts();
            break;
          case 3:
            dispatcher.DirectionFor("team", incident);
            break;
          default:
            dispatcher.Take({Firing(incident)});
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  dispatcher.Stop();
  const int before = calls.Of("team");
  dispatcher.Take({Firing(Alert("x", "Health", {{"service", "bot"}}))});
  EXPECT_EQ(calls.Of("team"), before) << "nobody is called after Stop";
}

}  // namespace
}  // namespace spanwatch::notify
