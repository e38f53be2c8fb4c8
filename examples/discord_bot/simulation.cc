#include "examples/discord_bot/simulation.h"

#include <sys/mman.h>

#include <chrono>
#include <cmath>
#include <cstring>

namespace bot {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr std::size_t kMegabyte = std::size_t{1} << 20;
constexpr std::size_t kLeakedBlocks = 4;

// The bot's day, again and again: what goes wrong, from which second to which.
constexpr double kDaySeconds = 240;
constexpr double kSlowFrom = 8, kSlowTo = 20;
constexpr double kDeepAt = 30;
constexpr double kErrorsFrom = 40, kErrorsTo = 110;
constexpr double kLeakAt = 130;

thread_local Scene* current_scene = nullptr;

}  // namespace

const char* ToString(Misbehaviour misbehaviour) {
  switch (misbehaviour) {
    case Misbehaviour::kAuto:
      return "auto";
    case Misbehaviour::kNone:
      return "none";
    case Misbehaviour::kSlow:
      return "slow";
    case Misbehaviour::kDeep:
      return "deep";
    case Misbehaviour::kErrors:
      return "errors";
    case Misbehaviour::kLeak:
      return "leak";
  }
  return "none";
}

std::uint64_t Random::Next() {
  std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

double Random::Uniform() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }

double Random::LogNormal(double median, double sigma) {
  const double radius = std::sqrt(-2 * std::log(1 - Uniform()));
  return median * std::exp(sigma * radius * std::cos(2 * kPi * Uniform()));
}

Simulation::~Simulation() {
  for (const Block& block : leaked_) munmap(block.data, block.bytes);
}

Random Simulation::RandomOf(std::uint64_t number, std::uint64_t purpose) const {
  Random mix(options_.seed * 0x9e3779b97f4a7c15u + number * 16 + purpose);
  return Random(mix.Next());
}

Message Simulation::MakeMessage(std::uint64_t number) const {
  static constexpr const char* kWords[] = {"what",  "is",   "the",   "best", "way",  "to",    "cook",  "rice",
                                           "could", "you",  "write", "a",    "poem", "about", "rain",  "please",
                                           "how",   "does", "this",  "work", "in",   "short", "words", "thanks"};
  Random random = RandomOf(number, 1);
  Message message;
  message.number = number;
  message.author_id = 200'000'000'000'000'000u + random.Next() % 500;
  message.channel_id = 100'000'000'000'000'000u + random.Next() % 12;
  const std::uint64_t words = 3 + random.Next() % 40;
  for (std::uint64_t i = 0; i < words; ++i) {
    if (i > 0) message.content += ' ';
    message.content += kWords[random.Next() % std::size(kWords)];
  }
  const Weather weather = WeatherOf(number);
  message.attachments = weather.leak_mb > 0 || random.Chance(0.15) ? 1 : 0;
  message.reply_chain = weather.reply_chain > 0 ? weather.reply_chain : static_cast<int>(random.Next() % 4);
  return message;
}

Weather Simulation::WeatherOf(std::uint64_t number) const {
  Weather weather;
  const auto nth = [&](std::uint64_t n) { return number % n == 0; };
  // The message that is the first one after `second` of the bot's day.
  const double now = std::fmod(static_cast<double>(number) / options_.rate, kDaySeconds);
  const auto first_after = [&](double second) { return now >= second && now - 1 / options_.rate < second; };
  switch (options_.misbehave) {
    case Misbehaviour::kNone:
      break;
    case Misbehaviour::kSlow:
      weather.slow = true;
      break;
    case Misbehaviour::kErrors:
      weather.failing = true;
      break;
    case Misbehaviour::kDeep:
      weather.reply_chain = nth(3) ? 26 : 16;
      break;
    case Misbehaviour::kLeak:
      weather.leak_mb = nth(30) ? 560 : nth(10) ? 140 : 0;
      break;
    case Misbehaviour::kAuto:
      weather.slow = now >= kSlowFrom && now < kSlowTo;
      weather.failing = now >= kErrorsFrom && now < kErrorsTo;
      if (first_after(kDeepAt)) weather.reply_chain = 17;
      if (first_after(kDeepAt + 4)) weather.reply_chain = 28;
      if (first_after(kLeakAt)) weather.leak_mb = 140;
      break;
  }
  return weather;
}

void Simulation::Pause(double milliseconds) {
  const auto length = std::chrono::duration<double, std::milli>(milliseconds / options_.time_scale);
  std::unique_lock<std::mutex> lock(mutex_);
  stopped_.wait_for(lock, length, [&] { return stopping(); });
}

void Simulation::Leak(int megabytes) {
  constexpr int kSteps = 20;
  Block block;
  block.bytes = static_cast<std::size_t>(megabytes) * kMegabyte;
  block.data = mmap(nullptr, block.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (block.data == MAP_FAILED) return;
  for (std::size_t i = 0; i < kSteps; ++i) {
    std::memset(static_cast<char*>(block.data) + i * (block.bytes / kSteps), 1, block.bytes / kSteps);
    // Not divided by the time scale: the process's memory is looked at every 20 ms.
    std::unique_lock<std::mutex> lock(mutex_);
    stopped_.wait_for(lock, std::chrono::milliseconds(10), [&] { return stopping(); });
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  leaked_.push_back(block);
  if (leaked_.size() > kLeakedBlocks) {
    munmap(leaked_.front().data, leaked_.front().bytes);
    leaked_.pop_front();
  }
}

void Simulation::Stop() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_.store(true, std::memory_order_relaxed);
  }
  stopped_.notify_all();
}

Scene::Scene(Simulation* simulation, std::uint64_t number, std::uint64_t purpose)
    : simulation_(simulation),
      number_(number),
      random_(simulation->RandomOf(number, 2 + purpose)),
      weather_(simulation->WeatherOf(number)),
      outer_(current_scene) {
  current_scene = this;
}

Scene::~Scene() { current_scene = outer_; }

Scene& Scene::Current() { return *current_scene; }

void Scene::Latency(double median_ms, double sigma) {
  // Three times the median at most: in good weather nothing is slow.
  simulation_->Pause(std::fmin(random_.LogNormal(median_ms, sigma), 3 * median_ms));
}

}  // namespace bot
