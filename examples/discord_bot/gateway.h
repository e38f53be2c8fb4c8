// Discord's gateway, simulated: hands over messages at a steady rate, on a pool of threads. When all threads are busy
// and the short queue is full, it waits: no message is lost.
#ifndef EXAMPLES_DISCORD_BOT_GATEWAY_H_
#define EXAMPLES_DISCORD_BOT_GATEWAY_H_

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "examples/discord_bot/simulation.h"

namespace bot {

class Gateway {
 public:
  struct Options {
    double rate = 5;
    double duration_s = 0;       // 0: no end
    std::uint64_t messages = 0;  // 0: no end
    unsigned threads = 32;
  };
  // `handler` runs on the pool, in a Scene of its message, and must not throw.
  Gateway(const Options& options, Simulation* simulation, std::function<void(const Message&)> handler);

  // Returns after the last message was handled, or soon after simulation->Stop().
  void Run();

 private:
  void Work();
  bool Push(std::uint64_t number);  // false: stopping

  const Options options_;
  Simulation* const simulation_;
  const std::function<void(const Message&)> handler_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::uint64_t> queue_;  // under mutex_
  bool closed_ = false;              // under mutex_
};

}  // namespace bot

#endif  // EXAMPLES_DISCORD_BOT_GATEWAY_H_
