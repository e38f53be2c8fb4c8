// What language models cost: a table by name and date, from a file. Immutable: any thread.
#ifndef SPANWATCH_SIDECAR_CORE_PRICES_H_
#define SPANWATCH_SIDECAR_CORE_PRICES_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace spanwatch::core {

inline constexpr std::size_t kMaxPrices = 1000;
inline constexpr std::size_t kMaxModelBytes = 128;
inline constexpr double kMaxPrice = 10'000;

// US dollars per million tokens.
struct Price {
  std::string model;                 // the whole name, or how it begins and then "*"
  std::int64_t from_ns = INT64_MIN;  // since the epoch: begin of a day, UTC; INT64_MIN: always
  double input = 0, output = 0;
  double cached_input = 0, cache_write = 0;  // of input tokens read from, or written to, the provider's cache
  bool operator==(const Price&) const = default;
};

class Prices {
 public:
  explicit Prices(std::vector<Price> list);
  Prices(const Prices&) = delete;
  Prices& operator=(const Prices&) = delete;

  // The price that held at `at_ns`. Null: none is known. The name that fits decides, then the date: a whole name before
  // a beginning, a longer beginning before a shorter one; of its entries the latest that had begun. Nothing fits: the
  // same for what stands behind the last '/' of `model` ("models/gemini-2.5-flash").
  const Price* Find(std::string_view model, std::int64_t at_ns) const;

  const std::vector<Price>& list() const { return list_; }  // by name, then date

 private:
  struct Names {  // a run of `list_` with one name
    std::size_t first, end;
  };
  Names Run(std::string_view name) const;
  Names Fitting(std::string_view model) const;

  std::vector<Price> list_;
  std::vector<std::size_t> beginnings_;  // their lengths, longest first
};

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_PRICES_H_
