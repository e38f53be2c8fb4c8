#include "sidecar/core/hash.h"

#include <random>

namespace spanwatch::core {

std::uint64_t TableSeed() {
  static const std::uint64_t seed = [] {
    std::random_device device;
    return static_cast<std::uint64_t>(device()) << 32 | device();
  }();
  return seed;
}

}  // namespace spanwatch::core
