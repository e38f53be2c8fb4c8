#include "sidecar/core/engine_impl.h"

namespace spanwatch::core {

ErrorsView Engine::Impl::GetErrors() const {
  MutexLock lock(&mutex_);
  ErrorsView view = errors_.Show(now_ns_, catalog_, store_);
  view.since_ns = started_ns_;
  return view;
}
ErrorsView Engine::GetErrors() const { return impl_->GetErrors(); }

}  // namespace spanwatch::core
