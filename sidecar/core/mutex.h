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

  // For std::condition_variable_any.
  void lock() ACQUIRE() { mutex_.lock(); }      // NOLINT(readability-identifier-naming)
  void unlock() RELEASE() { mutex_.unlock(); }  // NOLINT(readability-identifier-naming)

 private:
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

using CondVar = std::condition_variable_any;

}  // namespace spanwatch

#endif  // SPANWATCH_SIDECAR_CORE_MUTEX_H_
