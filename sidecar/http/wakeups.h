// How other threads wake the listener's poll thread, and which connections they mean. Streams hold it longer than the
// listener may live. Threads: any.
#ifndef SPANWATCH_SIDECAR_HTTP_WAKEUPS_H_
#define SPANWATCH_SIDECAR_HTTP_WAKEUPS_H_

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <set>
#include <utility>

#include "sidecar/core/mutex.h"

namespace spanwatch::http {

class Wakeups {
 public:
  Wakeups() = default;
  ~Wakeups() { Close(); }
  Wakeups(const Wakeups&) = delete;
  Wakeups& operator=(const Wakeups&) = delete;

  // False: errno says why.
  bool Open() {
    MutexLock lock(&mutex_);
    fd_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return fd_ >= 0;
  }
  void Close() {
    MutexLock lock(&mutex_);
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }
  // To be polled for POLLIN; -1: not open.
  int fd() const {
    MutexLock lock(&mutex_);
    return fd_;
  }

  void Wake() {
    MutexLock lock(&mutex_);
    WakeLocked();
  }
  void Wake(std::uint64_t connection) {
    MutexLock lock(&mutex_);
    if (fd_ < 0) return;
    connections_.insert(connection);
    WakeLocked();
  }
  // Ends the readiness of fd(); the connections since the last call.
  std::set<std::uint64_t> Take() {
    MutexLock lock(&mutex_);
    std::uint64_t count;
    [[maybe_unused]] const auto ignored = read(fd_, &count, sizeof count);
    return std::exchange(connections_, {});
  }

 private:
  void WakeLocked() REQUIRES(mutex_) {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto ignored = write(fd_, &one, sizeof one);
  }

  mutable Mutex mutex_;
  int fd_ GUARDED_BY(mutex_) = -1;
  std::set<std::uint64_t> connections_ GUARDED_BY(mutex_);
};

}  // namespace spanwatch::http

#endif  // SPANWATCH_SIDECAR_HTTP_WAKEUPS_H_
