// Threads that turn requests into replies, in two lanes: urgent requests never wait behind slow ones. The queues hold
// at most one request a connection, so the listener's limit of connections bounds them.
#ifndef SPANWATCH_SIDECAR_HTTP_WORKERS_H_
#define SPANWATCH_SIDECAR_HTTP_WORKERS_H_

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "sidecar/core/mutex.h"
#include "sidecar/http/listener.h"

namespace spanwatch::http {

struct Finished {
  std::uint64_t connection = 0;
  Reply reply;
};

// Threads: all functions may be called from any thread; Start and Stop once each, in this order.
class Workers {
 public:
  // `notify` is called, outside the lock, after each finished request.
  Workers(Listener::Handler handler, std::function<void()> notify)
      : handler_(std::move(handler)), notify_(std::move(notify)) {}
  ~Workers() { Stop(); }
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  void Start(int normal, int urgent);
  void Stop();  // drops what is queued, waits for what runs
  void Submit(std::uint64_t connection, std::string request, bool urgent);
  std::vector<Finished> TakeFinished();

 private:
  struct Job {
    std::uint64_t connection = 0;
    std::string request;
  };

  void Run(std::size_t lane);
  Reply Handle(std::string request) const;

  const Listener::Handler handler_;
  const std::function<void()> notify_;
  std::vector<std::thread> threads_;

  Mutex mutex_;
  std::array<CondVar, 2> wake_;  // by lane: 0 normal, 1 urgent
  std::array<std::deque<Job>, 2> queues_ GUARDED_BY(mutex_);
  std::vector<Finished> finished_ GUARDED_BY(mutex_);
  bool stopping_ GUARDED_BY(mutex_) = false;
};

}  // namespace spanwatch::http

#endif  // SPANWATCH_SIDECAR_HTTP_WORKERS_H_
