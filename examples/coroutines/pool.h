// A thread pool: work is posted, or a coroutine moves over to it with `co_await pool.Switch()`.
#ifndef EXAMPLES_COROUTINES_POOL_H_
#define EXAMPLES_COROUTINES_POOL_H_

#include <condition_variable>
#include <coroutine>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace example {

// Threads: any may call. The destructor runs what is posted and waits for it.
class Pool {
 public:
  explicit Pool(int threads) {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Run(); });
  }
  ~Pool() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  void Post(std::function<void()> work) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      work_.push_back(std::move(work));
    }
    changed_.notify_one();
  }

  struct Switcher {
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> coroutine) const {
      pool->Post([coroutine] { coroutine.resume(); });
    }
    void await_resume() const noexcept {}
    Pool* pool;
  };
  // The coroutine goes on on a thread of the pool.
  Switcher Switch() noexcept { return {this}; }

 private:
  void Run() {
    for (;;) {
      std::function<void()> work;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [this] { return stop_ || !work_.empty(); });
        if (work_.empty()) return;
        work = std::move(work_.front());
        work_.pop_front();
      }
      work();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> work_;  // under mutex_, as stop_
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace example

#endif  // EXAMPLES_COROUTINES_POOL_H_
