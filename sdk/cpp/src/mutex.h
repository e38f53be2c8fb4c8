// A mutex with clang's thread-safety annotations that a forked child can make anew.
#ifndef SPANWATCH_SDK_CPP_SRC_MUTEX_H_
#define SPANWATCH_SDK_CPP_SRC_MUTEX_H_

#include <pthread.h>

#if defined(__clang__)
#define SPANWATCH_ANNOTATE(x) __attribute__((x))
#else
#define SPANWATCH_ANNOTATE(x)
#endif
#define GUARDED_BY(x) SPANWATCH_ANNOTATE(guarded_by(x))
#define REQUIRES(...) SPANWATCH_ANNOTATE(requires_capability(__VA_ARGS__))
#define EXCLUDES(...) SPANWATCH_ANNOTATE(locks_excluded(__VA_ARGS__))
#define NO_THREAD_SAFETY_ANALYSIS SPANWATCH_ANNOTATE(no_thread_safety_analysis)

namespace spanwatch::internal {

// Never destroyed: may be used until the very end of the process.
class SPANWATCH_ANNOTATE(capability("mutex")) Mutex {
 public:
  constexpr Mutex() noexcept = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void Lock() noexcept SPANWATCH_ANNOTATE(acquire_capability()) { pthread_mutex_lock(&mutex_); }
  void Unlock() noexcept SPANWATCH_ANNOTATE(release_capability()) { pthread_mutex_unlock(&mutex_); }
  // In a forked child, where the thread that held it does not exist.
  void ResetAfterFork() noexcept { mutex_ = PTHREAD_MUTEX_INITIALIZER; }

 private:
  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
};

class SPANWATCH_ANNOTATE(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex* mutex) noexcept SPANWATCH_ANNOTATE(acquire_capability(mutex)) : mutex_(mutex) {
    mutex_->Lock();
  }
  ~MutexLock() SPANWATCH_ANNOTATE(release_capability()) { mutex_->Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex* const mutex_;
};

}  // namespace spanwatch::internal

#endif  // SPANWATCH_SDK_CPP_SRC_MUTEX_H_
