#include "sidecar/core/prices.h"

#include <algorithm>
#include <functional>
#include <tuple>
#include <utility>

namespace spanwatch::core {

Prices::Prices(std::vector<Price> list) : list_(std::move(list)) {
  std::stable_sort(list_.begin(), list_.end(), [](const Price& a, const Price& b) {
    return std::tie(a.model, a.from_ns) < std::tie(b.model, b.from_ns);
  });
  for (const Price& price : list_) {
    if (price.model.ends_with('*')) beginnings_.push_back(price.model.size() - 1);
  }
  std::sort(beginnings_.begin(), beginnings_.end(), std::greater<>());
  beginnings_.erase(std::unique(beginnings_.begin(), beginnings_.end()), beginnings_.end());
}

Prices::Names Prices::Run(std::string_view name) const {
  const auto begin = std::lower_bound(list_.begin(), list_.end(), name,
                                      [](const Price& price, std::string_view wanted) { return price.model < wanted; });
  auto end = begin;
  while (end != list_.end() && end->model == name) ++end;
  return {static_cast<std::size_t>(begin - list_.begin()), static_cast<std::size_t>(end - list_.begin())};
}

Prices::Names Prices::Fitting(std::string_view model) const {
  // A model that calls itself "gpt*" is not meant by an entry for what begins so.
  if (model.size() <= kMaxModelBytes && !model.ends_with('*')) {
    if (const Names whole = Run(model); whole.first != whole.end) return whole;
  }
  std::string name;
  for (const std::size_t size : beginnings_) {
    if (size > model.size()) continue;
    name.assign(model.substr(0, size)).push_back('*');
    if (const Names run = Run(name); run.first != run.end) return run;
  }
  return {0, 0};
}

const Price* Prices::Find(std::string_view model, std::int64_t at_ns) const {
  if (model.empty()) return nullptr;
  Names run = Fitting(model);
  const std::size_t slash = model.rfind('/');
  if (run.first == run.end && slash != std::string_view::npos && slash + 1 < model.size())
    run = Fitting(model.substr(slash + 1));
  while (run.first != run.end && list_[run.end - 1].from_ns > at_ns) --run.end;
  return run.first == run.end ? nullptr : &list_[run.end - 1];
}

}  // namespace spanwatch::core
