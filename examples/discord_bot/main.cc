// spanwatch-demo: a Discord LLM bot with simulated gateway and model, traced with Spanwatch.
// What a bot of your own copies: the services, bot.cc, and Start and Shutdown below.
#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <cstdio>
#include <string>
#include <thread>

#include "examples/discord_bot/bot.h"
#include "examples/discord_bot/flags.h"
#include "examples/discord_bot/gateway.h"
#include "examples/discord_bot/simulation.h"
#include "spanwatch/spanwatch.h"

namespace bot {
namespace {

constexpr std::uint64_t kHealthCheckEvery = 50;  // messages

// Turns SIGINT and SIGTERM into simulation->Stop(). Made before any other thread, so that all of them block the
// signals.
class StopOnSignal {
 public:
  explicit StopOnSignal(Simulation* simulation) {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGINT);
    sigaddset(&signals_, SIGTERM);
    sigaddset(&signals_, SIGUSR1);  // ends the thread
    pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
    thread_ = std::thread([this, simulation] {
      int number = 0;
      sigwait(&signals_, &number);
      simulation->Stop();
    });
  }
  ~StopOnSignal() {
    pthread_kill(thread_.native_handle(), SIGUSR1);
    thread_.join();
  }

 private:
  sigset_t signals_;
  std::thread thread_;
};

void PrintSummary(std::uint64_t handled, std::uint64_t failed, std::uint64_t not_delivered) {
  const spanwatch::Stats stats = spanwatch::GetStats();
  const auto line = [](const char* name, std::uint64_t value) {
    std::printf("%-24s %llu\n", name, static_cast<unsigned long long>(value));
  };
  line("messages handled", handled);
  line("messages failed", failed);
  line("spans emitted", stats.emitted);
  line("spans delivered", stats.delivered);
  line("spans sampled out", stats.sampled_out);
  for (int i = 0; i < stats.drop_reasons; ++i) {
    if (stats.drops[i].spans > 0) line((std::string("dropped ") + stats.drops[i].reason).c_str(), stats.drops[i].spans);
  }
  line("not delivered", not_delivered);
  if (stats.emitted > stats.sampled_out && stats.delivered == 0)
    std::printf("no sidecar took them; spanwatch doctor looks for the reason\n");
  if (!stats.problems.empty()) std::printf("%s\n", stats.problems.c_str());
}

int Main(int argc, char** argv) {
  Flags flags;
  std::string text;
  if (const Parsed parsed = ParseFlags(argc, argv, &flags, &text); parsed != Parsed::kRun) {
    std::fputs(text.c_str(), parsed == Parsed::kHelp ? stdout : stderr);
    return parsed == Parsed::kHelp ? 0 : 2;
  }
  setvbuf(stdout, nullptr, _IOLBF, 0);
  Simulation simulation({flags.seed, flags.rate, flags.time_scale, flags.misbehave});
  const StopOnSignal stop_on_signal(&simulation);

  spanwatch::Options options;
  options.service_name = flags.service;
  options.endpoint = flags.endpoint;
  if (!spanwatch::Start(options)) std::printf("tracing is off\n");

  std::atomic<std::uint64_t> handled{0}, failed{0};
  Bot bot;
  Gateway gateway({flags.rate, flags.duration_s, flags.messages, flags.threads}, &simulation,
                  [&](const Message& message) {
                    if (!bot.OnMessage(message)) failed.fetch_add(1);
                    handled.fetch_add(1);
                    if (message.number % kHealthCheckEvery == 0) bot.OnHealthTimer();
                  });
  std::printf("the bot gets %g messages a second; misbehaviour: %s; seed %llu\n", flags.rate, ToString(flags.misbehave),
              static_cast<unsigned long long>(flags.seed));
  gateway.Run();

  const std::uint64_t not_delivered = spanwatch::Shutdown();
  PrintSummary(handled.load(), failed.load(), not_delivered);
  return 0;
}

}  // namespace
}  // namespace bot

int main(int argc, char** argv) { return bot::Main(argc, argv); }
