#include "sidecar/forward/forwarder.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "sidecar/forward/collector.h"
#include "sidecar/forward/sender.h"

namespace spanwatch::forward {
namespace {

constexpr std::int64_t kAbortGraceNs = 200'000'000;

// A peer that closes while we write is an error, not a signal; the process's own signals go to its main thread.
void BlockSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGPIPE, SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, number);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

}  // namespace

class Forwarder::Impl {
 public:
  Impl(Options options, Fetch fetch)
      : fetch_(std::move(fetch)),
        shared_(std::make_shared<Shared>(options)),
        collector_(options, shared_.get(), &fetch_) {}

  void Start() {
    MutexLock lock(&threads_mutex_);
    if (collector_thread_.joinable() || stopped_) return;
    collector_thread_ = std::thread([this] {
      BlockSignals();
      collector_.Run();
    });
    sender_thread_ = std::thread([shared = shared_] {
      BlockSignals();
      Sender(shared).Run();
    });
  }

  std::size_t Stop(std::int64_t budget_ns) {
    const std::int64_t deadline = SteadyNow() + std::max<std::int64_t>(budget_ns, 0);
    shared_->BeginStop(deadline);
    MutexLock lock(&threads_mutex_);
    stopped_ = true;
    if (sender_thread_.joinable()) {
      bool done = shared_->WaitForSender(deadline);
      if (!done) {
        shared_->AbortSending();
        done = shared_->WaitForSender(SteadyNow() + kAbortGraceNs);
      }
      if (done) {
        sender_thread_.join();
      } else {
        shared_->Abandon();
        sender_thread_.detach();
      }
      collector_thread_.join();
    }
    return shared_->DropRest();
  }

  Shared& shared() { return *shared_; }

 private:
  const Fetch fetch_;
  const std::shared_ptr<Shared> shared_;
  Collector collector_;
  Mutex threads_mutex_;
  std::thread collector_thread_ GUARDED_BY(threads_mutex_);
  std::thread sender_thread_ GUARDED_BY(threads_mutex_);
  bool stopped_ GUARDED_BY(threads_mutex_) = false;
};

Forwarder::Forwarder(Options options, Fetch fetch)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(fetch))) {}
Forwarder::~Forwarder() { impl_->Stop(0); }
void Forwarder::Start() { impl_->Start(); }
void Forwarder::Enqueue(std::vector<core::Completed> traces) { impl_->shared().Enqueue(std::move(traces)); }
std::size_t Forwarder::Stop(std::int64_t budget_ns) { return impl_->Stop(budget_ns); }
void Forwarder::Reconfigure(Options options) { impl_->shared().Configure(std::move(options)); }
Status Forwarder::GetStatus() const { return impl_->shared().GetStatus(); }
Counters Forwarder::Counts() const { return impl_->shared().Counts(); }

}  // namespace spanwatch::forward
