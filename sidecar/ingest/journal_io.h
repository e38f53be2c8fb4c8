// What the journal asks of the system, and a descriptor that closes itself.
//
// JournalIo is the seam for tests: a disk that is full, slow or broken, and a clock that they step. A JournalIo is
// constant after construction; its functions are called from the journal's threads, several at a time.
#ifndef SPANWATCH_SIDECAR_INGEST_JOURNAL_IO_H_
#define SPANWATCH_SIDECAR_INGEST_JOURNAL_IO_H_

#include <sys/types.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>

namespace spanwatch::ingest {

// Results and errno as of the system calls of these names.
struct JournalIo {
  std::function<ssize_t(int fd, const void* bytes, std::size_t size, off_t offset)> pwrite;
  std::function<int(int fd, off_t size)> allocate;  // fallocate(fd, 0, 0, size)
  std::function<int(int fd)> sync;                  // fdatasync
  std::function<std::int64_t()> steady_ns;
  std::int64_t sync_every_ns = 5'000'000'000;

  static const JournalIo& System();
};

class UniqueFd {
 public:
  explicit UniqueFd(int fd = -1) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~UniqueFd() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

}  // namespace spanwatch::ingest

#endif  // SPANWATCH_SIDECAR_INGEST_JOURNAL_IO_H_
