// The process's resident memory, sampled by the sender thread, and what it did while a span ran.
#ifndef SPANWATCH_SDK_CPP_SRC_MEMORY_SAMPLER_H_
#define SPANWATCH_SDK_CPP_SRC_MEMORY_SAMPLER_H_

#include <cstddef>
#include <cstdint>

namespace spanwatch::internal {

// Keeps the last 1024 samples, and of older ones one a second (with the second's highest) for about half an hour.
// Threads: the sender alone. Times are ticks.
class MemorySampler {
 public:
  MemorySampler() noexcept;
  ~MemorySampler();
  MemorySampler(const MemorySampler&) = delete;
  MemorySampler& operator=(const MemorySampler&) = delete;

  // Reads the resident bytes from the kernel and adds them; nothing if they cannot be read.
  void Sample(std::uint64_t now, std::uint64_t ticks_per_second) noexcept;
  void Add(std::uint64_t now, std::int64_t rss_bytes, std::uint64_t ticks_per_second) noexcept;

  // Growth (last sample inside less the last one before) and highest value while a span ran. False if no sample fell in
  // it: then nothing is known.
  bool During(std::uint64_t start, std::uint64_t end, std::int64_t* delta, std::int64_t* peak) const noexcept {
    if (fine_.size == 0 || fine_.Last().time < start) return false;  // most spans
    return Search(start, end, delta, peak);
  }

  std::int64_t last_rss() const noexcept { return last_rss_; }

 private:
  struct Entry {
    std::uint64_t time;
    std::int64_t rss;
    std::int64_t peak;
  };
  // The newest N entries, oldest first.
  template <std::uint32_t N>
  struct History {
    Entry entries[N];
    std::uint32_t first = 0;
    std::uint32_t size = 0;
    const Entry& At(std::uint32_t i) const noexcept { return entries[(first + i) % N]; }
    const Entry& Last() const noexcept { return At(size - 1); }
    void Push(const Entry& entry) noexcept {
      if (size == N)
        first = (first + 1) % N;
      else
        ++size;
      entries[(first + size - 1) % N] = entry;
    }
    // How many entries are before `time`.
    std::uint32_t Before(std::uint64_t time) const noexcept {
      std::uint32_t low = 0;
      std::uint32_t high = size;
      while (low < high) {
        const std::uint32_t middle = (low + high) / 2;
        if (At(middle).time < time)
          low = middle + 1;
        else
          high = middle;
      }
      return low;
    }
  };

  bool Search(std::uint64_t start, std::uint64_t end, std::int64_t* delta, std::int64_t* peak) const noexcept;

  int statm_ = -1;
  std::int64_t page_bytes_ = 4096;
  std::int64_t last_rss_ = 0;
  Entry second_{};  // the running one of `coarse_`
  History<1024> fine_;
  History<2048> coarse_;
};

}  // namespace spanwatch::internal

#endif  // SPANWATCH_SDK_CPP_SRC_MEMORY_SAMPLER_H_
