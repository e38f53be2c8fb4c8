// What the bot would meet outside: time that passes, a model that fails, a cache that grows. Everything that happens to
// message n follows from the seed and n alone, whichever thread handles it and however long it really takes.
// A program that copies this bot leaves this file out.
#ifndef EXAMPLES_DISCORD_BOT_SIMULATION_H_
#define EXAMPLES_DISCORD_BOT_SIMULATION_H_

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>

#include "examples/discord_bot/message.h"

namespace bot {

enum class Misbehaviour : std::uint8_t { kAuto, kNone, kSlow, kDeep, kErrors, kLeak };
const char* ToString(Misbehaviour misbehaviour);

// Small deterministic random numbers (splitmix64). A value.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t Next();
  double Uniform();  // [0, 1)
  double Uniform(double low, double high) { return low + (high - low) * Uniform(); }
  bool Chance(double probability) { return Uniform() < probability; }
  double LogNormal(double median, double sigma);  // most near the median, a few far above

 private:
  std::uint64_t state_;
};

// What is wrong with the world while one message is handled.
struct Weather {
  bool slow = false;     // the model takes seconds
  bool failing = false;  // the model fails nine times in ten
  int reply_chain = 0;   // levels of recursion, 0: as usual
  int leak_mb = 0;       // megabytes that stay behind
};

// Threads: all functions from any thread.
class Simulation {
 public:
  struct Options {
    std::uint64_t seed = 1;
    double rate = 5;  // messages a second: tells which moment of the bot's day a message falls into
    double time_scale = 1;
    Misbehaviour misbehave = Misbehaviour::kAuto;
  };
  explicit Simulation(const Options& options) : options_(options) {}
  ~Simulation();
  Simulation(const Simulation&) = delete;
  Simulation& operator=(const Simulation&) = delete;

  Message MakeMessage(std::uint64_t number) const;
  Weather WeatherOf(std::uint64_t number) const;
  Random RandomOf(std::uint64_t number, std::uint64_t purpose) const;

  // Lets simulated time pass; returns at once after Stop().
  void Pause(double milliseconds);
  // Grows the process by so many megabytes, in steps. At most four such blocks are kept.
  void Leak(int megabytes);
  void Stop();
  bool stopping() const { return stopping_.load(std::memory_order_relaxed); }

 private:
  struct Block {
    void* data = nullptr;
    std::size_t bytes = 0;
  };

  const Options options_;
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::condition_variable stopped_;
  std::deque<Block> leaked_;  // under mutex_
};

// The simulation and the message that the code of this thread works on.
class Scene {
 public:
  Scene(Simulation* simulation, std::uint64_t number, std::uint64_t purpose = 0);
  ~Scene();
  Scene(const Scene&) = delete;
  Scene& operator=(const Scene&) = delete;
  static Scene& Current();  // REQUIRES: a Scene lives on this thread

  // Believable latency: log-normal around the median.
  void Latency(double median_ms, double sigma = 0.35);
  Simulation& simulation() { return *simulation_; }
  Random& random() { return random_; }
  const Weather& weather() const { return weather_; }
  std::uint64_t number() const { return number_; }

 private:
  Simulation* const simulation_;
  const std::uint64_t number_;
  Random random_;
  const Weather weather_;
  Scene* const outer_;
};

}  // namespace bot

#endif  // EXAMPLES_DISCORD_BOT_SIMULATION_H_
