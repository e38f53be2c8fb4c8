// What a thread block needs of the process: waking the sender, random bytes, where constants lie.
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>

#include "sdk/cpp/src/capture.h"
#include "sdk/cpp/src/clock.h"
#include "sdk/cpp/src/thread_block.h"
#include "spanwatch/span.h"

namespace spanwatch::internal {

std::atomic<std::uint32_t> g_wake{kAsleep};
std::atomic<DrainFunction> g_drain{nullptr};
std::uintptr_t g_constants_begin = 0;
std::uintptr_t g_constants_size = 0;

namespace {

// Never closed: a thread that is just ending a span must not write to a descriptor that means something else by now.
std::atomic<int> g_wake_descriptor{-1};

// The C library's own functions are where a cancelled thread (pthread_cancel) ends, by unwinding: from a function that
// must not throw, that ends the process. This one is not, and leaves errno, which the program may be about to read.
template <typename... Args>
long UncancelledCall(long number, Args... args) noexcept {
  const int error = errno;
  const long result = syscall(number, args...);
  errno = error;
  return result;
}

int MakeDescriptor() noexcept { return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC); }

// The first object is the program itself, which is never unloaded. Its constants are in the segments that are not
// writable, which lie together at its start.
int FindProgram(dl_phdr_info* info, std::size_t, void*) noexcept {
  std::uintptr_t begin = UINTPTR_MAX;
  std::uintptr_t end = 0;
  std::uintptr_t writable = UINTPTR_MAX;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)& header = info->dlpi_phdr[i];
    if (header.p_type != PT_LOAD) continue;
    const std::uintptr_t from = info->dlpi_addr + header.p_vaddr;
    if ((header.p_flags & PF_W) != 0) {
      if (from < writable) writable = from;
      continue;
    }
    if (from < begin) begin = from;
    if (from + header.p_memsz > end) end = from + header.p_memsz;
  }
  if (end > writable) end = writable;
  if (begin < end) {
    g_constants_begin = begin;
    g_constants_size = end - begin < UINT32_MAX ? end - begin : UINT32_MAX;  // offsets have 32 bits
  }
  return 1;
}

}  // namespace

void FindConstants() noexcept {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, [] { dl_iterate_phdr(FindProgram, nullptr); });
}

bool IsProgramText(const char* text) noexcept {
  FindConstants();
  return IsConstant(text);
}

// Looks and takes none: another thread that opens a file just now must not fail for it. From the limit down, because
// the kernel gives the lowest free one: where the highest are in use, so are nearly all.
bool AreDescriptorsLeft(int count) noexcept {
  constexpr int kMostLookedAt = 1 << 16;
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return false;
  const int end = limit.rlim_cur < INT_MAX ? static_cast<int>(limit.rlim_cur) : INT_MAX;
  const int begin = end > kMostLookedAt ? end - kMostLookedAt : 0;
  for (int i = end - 1; i >= begin && count > 0; --i) {
    if (fcntl(i, F_GETFD) < 0) --count;
  }
  if (count > 0) return false;
  const int one = MakeDescriptor();  // the whole system may have none left
  if (one >= 0) close(one);
  return one >= 0;
}

int WakeDescriptor() noexcept {
  int descriptor = g_wake_descriptor.load(std::memory_order_relaxed);
  if (descriptor < 0) {
    descriptor = MakeDescriptor();
    g_wake_descriptor.store(descriptor, std::memory_order_relaxed);
  }
  return descriptor;
}

void RemakeWakeDescriptorAfterFork() noexcept {
  const int shared_with_parent = g_wake_descriptor.exchange(MakeDescriptor(), std::memory_order_relaxed);
  if (shared_with_parent >= 0) close(shared_with_parent);
}

void Wake(std::uint32_t how) noexcept {
  if (const DrainFunction drain = g_drain.load(std::memory_order_acquire); __builtin_expect(drain != nullptr, 0))
    return how == kWakeFull ? drain() : void();
  // One write until the sender comes: a storm of failures does not become a storm of system calls.
  if (g_wake.load(std::memory_order_relaxed) >= how) return;
  if (g_wake.exchange(how, std::memory_order_acq_rel) >= how) return;
  const std::uint64_t one = 1;
  const int descriptor = g_wake_descriptor.load(std::memory_order_relaxed);
  if (descriptor >= 0 && UncancelledCall(SYS_write, descriptor, &one, sizeof(one)) < 0) return;  // full: it is awake
}

void FillRandom(void* out, std::size_t size) noexcept {
  if (UncancelledCall(SYS_getrandom, out, size, GRND_NONBLOCK) == static_cast<long>(size)) return;
  std::uint64_t seed = static_cast<std::uint64_t>(WallNs()) ^ reinterpret_cast<std::uintptr_t>(out) ^
                       static_cast<std::uint64_t>(getpid()) << 40 ^ Ticks();
  auto* bytes = static_cast<unsigned char*>(out);
  while (size > 0) {  // splitmix64
    std::uint64_t z = seed += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    z ^= z >> 31;
    const std::size_t step = size < sizeof(z) ? size : sizeof(z);
    std::memcpy(bytes, &z, step);
    bytes += step;
    size -= step;
  }
}

}  // namespace spanwatch::internal
