// The health of services, the map of their calls and those of language models, for readers.
#include <algorithm>
#include <tuple>

#include "sidecar/core/engine_impl.h"

namespace spanwatch::core {
namespace {

constexpr std::size_t kPerHold = 200;

}  // namespace

HealthView Engine::Impl::GetHealth() const {
  HealthView view;
  for (std::uint32_t begin = 0;; begin += kPerHold) {
    MutexLock lock(&mutex_);
    view.now_ns = now_ns_;
    const std::size_t end = std::min(begin + kPerHold, health_.size());
    for (std::uint32_t i = begin; i < end; ++i) {
      ServiceHealth shown;
      if (health_.Show(now_ns_, i, catalog_, &shown)) view.services.push_back(std::move(shown));
    }
    if (end == health_.size()) break;
  }
  std::sort(view.services.begin(), view.services.end(), [](const ServiceHealth& a, const ServiceHealth& b) {
    return a.status != b.status ? a.status > b.status : a.service < b.service;
  });
  return view;
}

DependencyView Engine::Impl::GetDependencies() const {
  DependencyView view;
  for (std::size_t begin = 0;; begin += kPerHold) {
    MutexLock lock(&mutex_);
    view.now_ns = now_ns_;
    const std::size_t end = std::min(begin + kPerHold, dependencies_.slots());
    for (std::size_t i = begin; i < end; ++i) {
      Dependency shown;
      if (dependencies_.Show(now_ns_, i, catalog_, &shown)) view.edges.push_back(std::move(shown));
    }
    if (end == dependencies_.slots()) break;
  }
  std::sort(view.edges.begin(), view.edges.end(), [](const Dependency& a, const Dependency& b) {
    return std::tie(a.client, a.server) < std::tie(b.client, b.server);
  });
  return view;
}

GenAiView Engine::Impl::GetGenAi() const {
  GenAiView view;
  MutexLock lock(&mutex_);
  gen_ai_.Show(catalog_, &view);
  return view;
}

HealthView Engine::GetHealth() const { return impl_->GetHealth(); }
DependencyView Engine::GetDependencies() const { return impl_->GetDependencies(); }
GenAiView Engine::GetGenAi() const { return impl_->GetGenAi(); }

}  // namespace spanwatch::core
