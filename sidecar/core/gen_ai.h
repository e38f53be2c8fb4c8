// Counts calls of language models by service and model. Names of models come from outside: at most kMaxPairs pairs have
// their own counts, further ones are counted together as service "(other)", model "(other)". Not thread-safe: the
// engine's mutex guards it.
#ifndef SPANWATCH_SIDECAR_CORE_GEN_AI_H_
#define SPANWATCH_SIDECAR_CORE_GEN_AI_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "sidecar/core/catalog.h"
#include "sidecar/core/codec.h"
#include "sidecar/core/gen_ai_view.h"
#include "sidecar/core/prices.h"
#include "sidecar/core/span_batch.h"

namespace spanwatch::core {

class GenAi {
 public:
  static constexpr std::size_t kMaxPairs = 200;

  // A span that may be a call; those that are none, and wrappers of calls, do not count. `prices` may be null.
  void OnSpan(std::int64_t now_ns, std::uint32_t service, const SpanBatch& batch, const SpanView& span,
              const Prices* prices);
  // Forgets pairs without a call for `idle_ns`; 0: none.
  void Sweep(std::int64_t now_ns, std::int64_t idle_ns);
  void ForgetService(std::uint32_t service);  // its number is free again
  std::uint64_t bytes() const;                // by formula
  void Mark();                                // Show() counts from here on
  void Show(const Catalog& catalog, GenAiView* out) const;

  void Save(CodecWriter* out) const;
  bool Load(CodecReader* in, std::size_t services);  // into a fresh object; false: not such bytes

 private:
  struct Counts {
    double calls = 0, unpriced = 0, cost = 0;
    std::array<double, kTokenTypes> tokens{};
  };
  struct Pair {
    std::int64_t last_seen_ns = 0;
    bool priced = false;                   // a call had a price
    std::array<bool, kTokenTypes> told{};  // a call told such tokens
    Counts counts, at_mark;
  };
  struct Key {
    std::uint32_t service;
    std::string model;
    auto operator<=>(const Key&) const = default;
  };

  Pair& PairOf(std::uint32_t service, std::string_view model);

  std::map<Key, Pair> pairs_;
};

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_GEN_AI_H_
