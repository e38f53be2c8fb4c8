// A list that grows by blocks: elements never move, and it takes what it holds, not up to twice as much. Elements are
// default-constructed. Not thread-safe.
#ifndef SPANWATCH_SIDECAR_CORE_BLOCKS_H_
#define SPANWATCH_SIDECAR_CORE_BLOCKS_H_

#include <cstddef>
#include <memory>
#include <vector>

namespace spanwatch::core {

template <typename T, std::size_t kBits = 6>
class Blocks {
 public:
  T& operator[](std::size_t i) { return blocks_[i >> kBits][i & kMask]; }
  const T& operator[](std::size_t i) const { return blocks_[i >> kBits][i & kMask]; }
  std::size_t size() const { return size_; }
  T& Append() {
    if (size_ == blocks_.size() << kBits) blocks_.push_back(std::make_unique<T[]>(std::size_t{1} << kBits));
    return (*this)[size_++];
  }

 private:
  static constexpr std::size_t kMask = (std::size_t{1} << kBits) - 1;
  std::vector<std::unique_ptr<T[]>> blocks_;
  std::size_t size_ = 0;
};

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_BLOCKS_H_
