#include "sdk/cpp/src/memory_sampler.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>

namespace spanwatch::internal {

MemorySampler::MemorySampler() noexcept : page_bytes_(sysconf(_SC_PAGESIZE)) {}

MemorySampler::~MemorySampler() {
  if (statm_ >= 0) close(statm_);
}

void MemorySampler::Sample(std::uint64_t now, std::uint64_t ticks_per_second) noexcept {
  // Opened here, and not once for all: the process may have had no descriptor left.
  if (statm_ < 0) statm_ = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  char text[128];
  const ssize_t size = statm_ < 0 ? -1 : pread(statm_, text, sizeof(text) - 1, 0);
  if (size <= 0) return;
  text[size] = 0;
  char* end = nullptr;
  std::strtoull(text, &end, 10);
  const auto resident_pages = static_cast<std::int64_t>(std::strtoull(end, nullptr, 10));
  Add(now, resident_pages * page_bytes_, ticks_per_second);
}

void MemorySampler::Add(std::uint64_t now, std::int64_t rss_bytes, std::uint64_t ticks_per_second) noexcept {
  last_rss_ = rss_bytes;
  fine_.Push({now, rss_bytes, rss_bytes});
  const std::int64_t peak = second_.time != 0 && second_.peak > rss_bytes ? second_.peak : rss_bytes;
  second_ = {second_.time == 0 ? now : second_.time, rss_bytes, peak};
  if (now - second_.time < ticks_per_second) return;
  coarse_.Push({now, rss_bytes, peak});
  second_ = {};
}

bool MemorySampler::Search(std::uint64_t start, std::uint64_t end, std::int64_t* delta,
                           std::int64_t* peak) const noexcept {
  const std::uint32_t first = fine_.Before(start);
  const std::uint32_t last = fine_.Before(end + 1);
  if (first == last) return false;
  std::int64_t highest = fine_.At(first).peak;
  for (std::uint32_t i = first + 1; i < last; ++i) {
    if (fine_.At(i).peak > highest) highest = fine_.At(i).peak;
  }
  const std::int64_t at_end = fine_.At(last - 1).rss;
  std::int64_t before = first > 0 ? fine_.At(first - 1).rss : fine_.At(first).rss;
  if (first == 0 && coarse_.size > 0) {  // it started before what is kept in detail
    const std::uint32_t from = coarse_.Before(start);
    const std::uint32_t to = coarse_.Before(fine_.At(0).time);
    if (from > 0)
      before = coarse_.At(from - 1).rss;
    else if (to > 0)
      before = coarse_.At(0).rss;
    for (std::uint32_t i = from; i < to; ++i) {
      if (coarse_.At(i).peak > highest) highest = coarse_.At(i).peak;
    }
  }
  *delta = at_end - before;
  *peak = highest;
  return true;
}

}  // namespace spanwatch::internal
