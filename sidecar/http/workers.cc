#include "sidecar/http/workers.h"

#include <exception>
#include <utility>

#include "sidecar/http/framing.h"

namespace spanwatch::http {

void Workers::Start(int normal, int urgent) {
  for (int i = 0; i < normal; ++i) threads_.emplace_back([this] { Run(0); });
  for (int i = 0; i < urgent; ++i) threads_.emplace_back([this] { Run(1); });
}

void Workers::Stop() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
  }
  for (CondVar& wake : wake_) wake.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void Workers::Submit(std::uint64_t connection, std::string request, bool urgent) {
  const std::size_t lane = urgent ? 1 : 0;
  {
    MutexLock lock(&mutex_);
    queues_[lane].push_back({connection, std::move(request)});
  }
  wake_[lane].notify_one();
}

std::vector<Finished> Workers::TakeFinished() {
  MutexLock lock(&mutex_);
  return std::exchange(finished_, {});
}

Reply Workers::Handle(std::string request) const {
  try {
    return handler_(std::move(request));
  } catch (const std::exception&) {
    // What it says may hold anything; the client learns only that it was us.
  } catch (...) {
  }
  return {ErrorAnswer(500, "Internal Server Error", "internal error"), true};
}

void Workers::Run(std::size_t lane) {
  for (;;) {
    Job job;
    {
      MutexLock lock(&mutex_);
      while (!stopping_ && queues_[lane].empty()) wake_[lane].wait(mutex_);
      if (stopping_) return;
      job = std::move(queues_[lane].front());
      queues_[lane].pop_front();
    }
    Finished finished{job.connection, Handle(std::move(job.request))};
    {
      MutexLock lock(&mutex_);
      finished_.push_back(std::move(finished));
    }
    notify_();
  }
}

}  // namespace spanwatch::http
