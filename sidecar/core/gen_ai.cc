#include "sidecar/core/gen_ai.h"

#include <algorithm>
#include <tuple>

#include "sidecar/core/model_call.h"
#include "sidecar/core/utf8.h"

namespace spanwatch::core {
namespace {

constexpr std::uint32_t kOtherService = 0;
constexpr std::string_view kUnknownModel = "(unknown)";
constexpr std::uint64_t kPairBytes = 320;  // with its share of the tree

// As a label holds it: two names that a page or a scrape could not tell apart are one.
std::string NameOf(std::string_view model) {
  if (model.empty()) model = kUnknownModel;
  std::string name(CutUtf8(model, kMaxModelBytes));
  for (char& c : name) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '_';
  }
  return name;
}

}  // namespace

const char* ToString(TokenType type) {
  constexpr const char* kNames[] = {"input", "output", "cached_input", "cache_write", "reasoning"};
  return kNames[static_cast<std::size_t>(type)];
}

GenAi::Pair& GenAi::PairOf(std::uint32_t service, std::string_view model) {
  Key key{service, NameOf(model)};
  if (const auto known = pairs_.find(key); known != pairs_.end()) return known->second;
  const Key other{kOtherService, std::string(kOtherName)};
  const std::size_t own = pairs_.size() - pairs_.count(other);
  return pairs_[own < kMaxPairs ? std::move(key) : other];
}

void GenAi::OnSpan(std::int64_t now_ns, std::uint32_t service, const SpanBatch& batch, const SpanView& span,
                   const Prices* prices) {
  const TagSource tags(batch, span);
  const TokenUse use = UseOf(tags);
  const std::string_view model = ModelOf(tags);
  AttributeView operation;
  if (!use.Any() && model.empty() && !tags.FindOwn("gen_ai.operation.name", &operation)) return;
  if (IsWrapper(tags)) return;
  Pair& pair = PairOf(service, model);
  pair.last_seen_ns = now_ns;
  Counts& counts = pair.counts;
  counts.calls += span.weight;
  const std::optional<double> cost = CostOf(tags, use, prices, span.end_ns);
  if (cost) {
    pair.priced = true;
    counts.cost += span.weight * *cost;
  } else if (use.Any()) {
    counts.unpriced += span.weight;
  }
  const std::optional<double>* const told[] = {&use.input, &use.output, &use.cached_input, &use.cache_write,
                                               &use.reasoning};
  for (std::size_t i = 0; i < kTokenTypes; ++i) {
    if (!*told[i]) continue;
    pair.told[i] = true;
    counts.tokens[i] += span.weight * **told[i];
  }
}

void GenAi::Sweep(std::int64_t now_ns, std::int64_t idle_ns) {
  if (idle_ns == 0) return;
  std::erase_if(pairs_, [&](const auto& each) { return now_ns - each.second.last_seen_ns >= idle_ns; });
}

void GenAi::ForgetService(std::uint32_t service) {
  std::erase_if(pairs_, [&](const auto& each) { return each.first.service == service; });
}

std::uint64_t GenAi::bytes() const { return pairs_.size() * (kPairBytes + kMaxModelBytes); }

void GenAi::Mark() {
  for (auto& [key, pair] : pairs_) pair.at_mark = pair.counts;
}

void GenAi::Show(const Catalog& catalog, GenAiView* out) const {
  for (const auto& [key, pair] : pairs_) {
    ModelCalls& shown = out->models.emplace_back();
    shown.service = catalog.service_name(key.service);
    shown.model = key.model;
    shown.calls = pair.counts.calls - pair.at_mark.calls;
    shown.unpriced = pair.counts.unpriced - pair.at_mark.unpriced;
    if (pair.priced) shown.cost = pair.counts.cost - pair.at_mark.cost;
    for (std::size_t i = 0; i < kTokenTypes; ++i) {
      if (pair.told[i]) shown.tokens[i] = pair.counts.tokens[i] - pair.at_mark.tokens[i];
    }
  }
  std::sort(out->models.begin(), out->models.end(), [](const ModelCalls& a, const ModelCalls& b) {
    return std::tie(a.service, a.model) < std::tie(b.service, b.model);
  });
}

void GenAi::Save(CodecWriter* out) const {
  out->U64(pairs_.size());
  for (const auto& [key, pair] : pairs_) {
    out->U64(key.service).Text(key.model).I64(pair.last_seen_ns).Bool(pair.priced);
    out->F64(pair.counts.calls).F64(pair.counts.unpriced).F64(pair.counts.cost);
    for (std::size_t i = 0; i < kTokenTypes; ++i) {
      out->Bool(pair.told[i]);
      if (pair.told[i]) out->F64(pair.counts.tokens[i]);
    }
  }
}

bool GenAi::Load(CodecReader* in, std::size_t services) {
  for (std::uint64_t n = in->Below(kMaxPairs + 2); n > 0 && in->ok(); --n) {
    Key key;
    key.service = static_cast<std::uint32_t>(in->Below(services));
    key.model = in->Text();
    if (!in->ok() || key.model.empty() || key.model.size() > kMaxModelBytes) return false;
    const auto [at, is_new] = pairs_.try_emplace(std::move(key));
    if (!is_new) return false;
    Pair& pair = at->second;
    pair.last_seen_ns = in->I64();
    pair.priced = in->Bool();
    pair.counts.calls = in->F64();
    pair.counts.unpriced = in->F64();
    pair.counts.cost = in->F64();
    for (std::size_t i = 0; i < kTokenTypes; ++i) {
      pair.told[i] = in->Bool();
      if (pair.told[i]) pair.counts.tokens[i] = in->F64();
    }
  }
  return in->ok();
}

}  // namespace spanwatch::core
