// A lazy coroutine task whose spans follow it from thread to thread. What makes it so are the three lines that name
// TracedPromise; the rest is any task type.
#ifndef EXAMPLES_COROUTINES_TASK_H_
#define EXAMPLES_COROUTINES_TASK_H_

#include <coroutine>
#include <exception>
#include <future>
#include <optional>
#include <utility>

#include "spanwatch/coroutine.h"
#include "spanwatch/span.h"

namespace example {

template <typename T>
class Task;

template <typename T>
struct TaskResult {
  void return_value(T given) { value.emplace(std::move(given)); }
  T Take() { return std::move(*value); }
  std::optional<T> value;
};
template <>
struct TaskResult<void> {
  void return_void() const noexcept {}
  void Take() const noexcept {}
};

// Runs when it is awaited; goes on on whatever thread resumes it. Await it once. Threads: one at a time.
template <typename T>
class [[nodiscard]] Task {
 public:
  struct promise_type : spanwatch::TracedPromise, TaskResult<T> {
    Task get_return_object() { return Task(std::coroutine_handle<promise_type>::from_promise(*this)); }
    auto initial_suspend() noexcept { return StartSuspended(); }  // the context comes back when it starts
    auto final_suspend() noexcept {
      Finish();  // the context leaves the thread
      return Last();
    }
    void unhandled_exception() noexcept { error = std::current_exception(); }

    struct Last {
      bool await_ready() const noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> self) const noexcept {
        return self.promise().awaiting;
      }
      void await_resume() const noexcept {}
    };
    std::coroutine_handle<> awaiting = std::noop_coroutine();
    std::exception_ptr error;
  };

  Task(Task&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
  Task& operator=(Task&&) = delete;
  ~Task() {
    if (coroutine_) coroutine_.destroy();
  }

  struct Awaiter {
    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) const noexcept {
      coroutine.promise().awaiting = awaiting;
      return coroutine;
    }
    T await_resume() const {
      if (coroutine.promise().error) std::rethrow_exception(coroutine.promise().error);
      return coroutine.promise().Take();
    }
    std::coroutine_handle<promise_type> coroutine;
  };
  Awaiter operator co_await() && noexcept { return Awaiter{coroutine_}; }

 private:
  explicit Task(std::coroutine_handle<promise_type> coroutine) noexcept : coroutine_(coroutine) {}
  std::coroutine_handle<promise_type> coroutine_;
};

// A coroutine that nobody awaits: it starts at once and ends by itself.
struct Detached {
  struct promise_type : spanwatch::TracedPromise {
    Detached get_return_object() const noexcept { return {}; }
    auto initial_suspend() noexcept { return StartAtOnce(); }
    std::suspend_never final_suspend() noexcept {
      Finish();
      return {};
    }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }
  };
};

// Runs a task and waits for it, from a plain function.
template <typename T>
T Wait(Task<T> task) {
  std::promise<T> promise;
  [](Task<T> work, std::promise<T>* done) -> Detached {
    try {
      if constexpr (std::is_void_v<T>) {
        co_await std::move(work);
        done->set_value();
      } else {
        done->set_value(co_await std::move(work));
      }
    } catch (...) {
      done->set_exception(std::current_exception());
    }
  }(std::move(task), &promise);
  return promise.get_future().get();
}

}  // namespace example

#endif  // EXAMPLES_COROUTINES_TASK_H_
