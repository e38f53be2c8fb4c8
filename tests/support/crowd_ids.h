// The names of a crowd's processes (tests/e2e/crowd.cc), so that somebody else can claim them (hostile.cc): only tests
// know the id of another process. Pure; standard library only.
#ifndef SPANWATCH_TESTS_SUPPORT_CROWD_IDS_H_
#define SPANWATCH_TESTS_SUPPORT_CROWD_IDS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace spanwatch::testing {

inline constexpr char kCrowdGauge[] = "crowd.number";
// The span that the first process of a crowd reports as open.
inline constexpr char kOpenOperation[] = "crowd.open";

// `count` bytes that depend on the crowd's seed and a number.
inline std::string CrowdBytes(std::uint64_t seed, std::uint64_t number, std::size_t count) {
  std::string bytes;
  std::uint64_t state = (seed + 1) * 0xD1B54A32D192ED03u + number * 0x8CB92BA72F3D8DD7u;
  while (bytes.size() < count) {
    std::uint64_t z = state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    bytes += static_cast<char>(z >> 24 | 1);
  }
  return bytes;
}

inline std::string CrowdProcessId(std::uint64_t seed, std::uint64_t number) { return CrowdBytes(seed, number, 16); }
inline std::string CrowdOpenTrace(std::uint64_t seed) { return CrowdBytes(seed, 1u << 20, 16); }
inline std::string CrowdOpenSpan(std::uint64_t seed) { return CrowdBytes(seed, 2u << 20, 8); }

}  // namespace spanwatch::testing

#endif  // SPANWATCH_TESTS_SUPPORT_CROWD_IDS_H_
