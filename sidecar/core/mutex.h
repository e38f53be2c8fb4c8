// std::mutex with clang's thread-safety annotations (-Wthread-safety).
#ifndef SPANWATCH_SIDECAR_CORE_MUTEX_H_
#define SPANWATCH_SIDECAR_CORE_MUTEX_H_

#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define SPANWATCH_ANNOTATE(x) __attribute__((x))
#else
#define SPANWATCH_ANNOTATE(x)
#endif
#define GUARDED_BY(x) SPANWATCH_ANNOTATE(guarded_by(x))
#define REQUIRES(...) SPANWATCH_ANNOTATE(requires_capability(__VA_ARGS__))
#define EXCLUDES(...) SPANWATCH_ANNOTATE(locks_excluded(__VA_ARGS__))
#define ACQUIRE(...) SPANWATCH_ANNOTATE(acquire_capability(__VA_ARGS__))
#define RELEASE(...) SPANWATCH_ANNOTATE(release_capability(__VA_ARGS__))
#define NO_THREAD_SAFETY_ANALYSIS SPANWATCH_ANNOTATE(no_thread_safety_analysis)

namespace spanwatch {

class SPANWATCH_ANNOTATE(capability("mutex")) Mutex {
 public:
  void Lock() ACQUIRE() { mutex_.lock(); }
  void Unlock() RELEASE() { mutex_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

class SPANWATCH_ANNOTATE(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex* mutex) ACQUIRE(mutex) : mutex_(mutex) { mutex_->Lock(); }
  ~MutexLock() RELEASE() { mutex_->Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex* const mutex_;
};

// std::condition_variable over a Mutex; its names. (condition_variable_any has a mutex of its own: every hand-over
// between threads would cost twice the switches.)
class CondVar {
 public:
  void wait(Mutex& mutex) REQUIRES(mutex) {  // NOLINT(readability-identifier-naming)
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    changed_.wait(lock);
    lock.release();
  }
  template <typename TimePoint>
  std::cv_status wait_until(Mutex& mutex, const TimePoint& until)
      REQUIRES(mutex) {  // NOLINT(readability-identifier-naming)
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    const std::cv_status status = changed_.wait_until(lock, until);
    lock.release();
    return status;
  }
  void notify_one() { changed_.notify_one(); }  // NOLINT(readability-identifier-naming)
  void notify_all() { changed_.notify_all(); }  // NOLINT(readability-identifier-naming)

 private:
  std::condition_variable changed_;
};

}  // namespace spanwatch

#endif  // SPANWATCH_SIDECAR_CORE_MUTEX_H_
