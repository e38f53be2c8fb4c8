#include "examples/discord_bot/gateway.h"

#include <chrono>
#include <utility>

namespace bot {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kStopCheck = std::chrono::milliseconds(50);

}  // namespace

Gateway::Gateway(const Options& options, Simulation* simulation, std::function<void(const Message&)> handler)
    : options_(options), simulation_(simulation), handler_(std::move(handler)) {}

void Gateway::Run() {
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < options_.threads; ++i) threads.emplace_back([this] { Work(); });
  const Clock::time_point begin = Clock::now();
  const auto seconds = [](double s) {
    return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(s));
  };
  for (std::uint64_t number = 1; options_.messages == 0 || number <= options_.messages; ++number) {
    const double at = static_cast<double>(number - 1) / options_.rate;
    if (options_.duration_s > 0 && at >= options_.duration_s) break;
    while (!simulation_->stopping() && Clock::now() < begin + seconds(at)) {
      std::this_thread::sleep_until(std::min(begin + seconds(at), Clock::now() + kStopCheck));
    }
    if (simulation_->stopping() || !Push(number)) break;
  }
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads) thread.join();
}

bool Gateway::Push(std::uint64_t number) {
  std::unique_lock<std::mutex> lock(mutex_);
  while (queue_.size() >= options_.threads) {
    changed_.wait_for(lock, kStopCheck);
    if (simulation_->stopping()) return false;
  }
  queue_.push_back(number);
  lock.unlock();
  changed_.notify_all();
  return true;
}

void Gateway::Work() {
  while (true) {
    std::uint64_t number = 0;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait(lock, [this] { return closed_ || !queue_.empty(); });
      if (queue_.empty() || simulation_->stopping()) return;
      number = queue_.front();
      queue_.pop_front();
    }
    changed_.notify_all();
    const Scene scene(simulation_, number);
    handler_(simulation_->MakeMessage(number));
  }
}

}  // namespace bot
