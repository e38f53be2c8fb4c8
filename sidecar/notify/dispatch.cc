#include "sidecar/notify/dispatch.h"

#include <pthread.h>
#include <signal.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <tuple>

#include "sidecar/notify/steady.h"

namespace spanwatch::notify {
namespace {

// The wall clock may be set while the thread waits for a time.
constexpr std::int64_t kLongestSleep = 10'000'000'000;

}  // namespace

Dispatcher::Dispatcher(std::shared_ptr<const core::Routing> routing, std::shared_ptr<Outbox> outbox,
                       CompilePattern compile, Redirect redirect)
    : outbox_(std::move(outbox)),
      redirect_(std::move(redirect)),
      index_(std::move(routing)),
      book_(std::move(compile)) {}

Dispatcher::~Dispatcher() { Stop(); }

void Dispatcher::Start() {
  std::vector<std::string> over;
  {
    MutexLock lock(&mutex_);
    if (std::exchange(started_, true) || stopping_) return;
    index_.Advance(WallNow());
    std::size_t unreadable = 0;
    for (const StoredSilence& row : outbox_ == nullptr ? std::vector<StoredSilence>() : outbox_->LoadSilences()) {
      unreadable += book_.Add(row.body) ? 0 : 1;
    }
    if (unreadable > 0) {
      outbox_->CountUnreadable(unreadable);
      spdlog::error("{} silences could not be read and do not hold", unreadable);
    }
    over = book_.Purge(WallNow());
    for (const auto& [id, silence] : book_.all()) index_.PutSilence(silence);
    index_.TakeChanged();
    thread_ = std::thread(&Dispatcher::Run, this);
  }
  Store({}, over);
}

void Dispatcher::Stop() {
  std::thread thread;
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    thread = std::exchange(thread_, {});
  }
  wake_.notify_all();
  if (thread.joinable()) thread.join();
  MutexLock lock(&call_mutex_);
  may_call_ = false;
}

void Dispatcher::Run() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, number);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  for (;;) {
    std::vector<std::string> changed;
    {
      MutexLock lock(&mutex_);
      if (stopping_) return;
      index_.Advance(WallNow());
      changed = index_.TakeChanged();
      if (changed.empty()) {
        const std::int64_t next = index_.NextChange();
        if (next == INT64_MAX) {
          wake_.wait(mutex_);
        } else {
          wake_.wait_until(mutex_,
                           ToSteady(SteadyNow() + std::clamp<std::int64_t>(next - WallNow(), 0, kLongestSleep)));
        }
      }
    }
    Tell(changed);
  }
}

void Dispatcher::Tell(const std::vector<std::string>& receivers) {
  if (receivers.empty() || redirect_ == nullptr) return;
  MutexLock lock(&call_mutex_);
  if (may_call_) redirect_(receivers);
}

void Dispatcher::SetRouting(std::shared_ptr<const core::Routing> routing) {
  MutexLock lock(&mutex_);
  index_.SetRouting(std::move(routing));
  index_.TakeChanged();
}

void Dispatcher::Take(const std::vector<core::Transition>& transitions) {
  std::vector<std::string> changed;
  {
    MutexLock lock(&mutex_);
    for (const core::Transition& transition : transitions) index_.Put(transition.incident);
    changed = index_.TakeChanged();
  }
  Tell(changed);
}

void Dispatcher::Reconcile(const std::vector<core::Incident>& living) {
  std::vector<std::string> changed;
  {
    MutexLock lock(&mutex_);
    index_.Reset(living);
    changed = index_.TakeChanged();
  }
  Tell(changed);
}

Direction Dispatcher::DirectionFor(const std::string& receiver, const core::Incident& incident) const {
  MutexLock lock(&mutex_);
  return index_.DirectionFor(receiver, incident);
}

std::vector<std::pair<core::Incident, Verdict>> Dispatcher::Explain(const std::string& fingerprint) const {
  MutexLock lock(&mutex_);
  std::vector<std::pair<core::Incident, Verdict>> all;
  for (const core::Incident* incident : index_.WithFingerprint(fingerprint)) {
    all.emplace_back(*incident, index_.Judge(*incident));
  }
  return all;
}

std::vector<MutedIncident> Dispatcher::Muted() const {
  MutexLock lock(&mutex_);
  std::vector<MutedIncident> all;
  for (const auto& [id, muted] : index_.muted()) all.push_back({id, muted.silenced_by, muted.inhibited_by});
  return all;
}

RoutingCounts Dispatcher::Counts() const {
  const std::int64_t now = WallNow();
  MutexLock lock(&mutex_);
  RoutingCounts counts;
  for (const auto& [id, silence] : book_.all()) ++counts.silences[static_cast<std::size_t>(StateOf(silence, now))];
  for (const auto& [id, muted] : index_.muted()) {
    counts.silenced += muted.silenced_by.empty() ? 0 : 1;
    counts.inhibited += muted.inhibited_by.empty() ? 0 : 1;
  }
  counts.silenced_total = index_.silenced_total();
  counts.inhibited_total = index_.inhibited_total();
  return counts;
}

std::vector<core::Silence> Dispatcher::Silences() const {
  const std::int64_t now = WallNow();
  std::vector<core::Silence> all;
  {
    MutexLock lock(&mutex_);
    for (const auto& [id, silence] : book_.all()) {
      if (now - silence.ends_ns < kKeepSilencesNs) all.push_back(silence);
    }
  }
  std::sort(all.begin(), all.end(), [](const core::Silence& a, const core::Silence& b) {
    return std::tie(a.updated_ns, a.id) > std::tie(b.updated_ns, b.id);
  });
  return all;
}

void Dispatcher::Apply(const SilenceBook::Changed& changed, std::vector<StoredSilence>* rows) {
  for (const std::string& id : changed.removed) index_.DropSilence(id);
  for (const std::string& id : changed.written) {
    const core::Silence& silence = *book_.Find(id);
    index_.PutSilence(silence);
    rows->push_back({id, SilenceBook::Encode(silence)});
  }
}

void Dispatcher::Store(const std::vector<StoredSilence>& rows, const std::vector<std::string>& removed) {
  if (outbox_ != nullptr && (!rows.empty() || !removed.empty())) outbox_->SaveSilences(rows, removed);
}

tl::expected<std::string, std::string> Dispatcher::SetSilence(core::Silence silence) {
  MutexLock one_at_a_time(&write_mutex_);
  std::vector<StoredSilence> rows;
  std::vector<std::string> receivers;
  SilenceBook::Changed changed;
  {
    MutexLock lock(&mutex_);
    const std::int64_t now = WallNow();
    auto result = book_.Set(std::move(silence), now);
    if (!result) return tl::make_unexpected(std::move(result.error()));
    changed = std::move(*result);
    index_.Advance(now);
    Apply(changed, &rows);
    receivers = index_.TakeChanged();
  }
  wake_.notify_all();
  Store(rows, changed.removed);
  Tell(receivers);
  return changed.id;
}

bool Dispatcher::ExpireSilence(const std::string& id) {
  MutexLock one_at_a_time(&write_mutex_);
  std::vector<StoredSilence> rows;
  std::vector<std::string> receivers;
  {
    MutexLock lock(&mutex_);
    const std::int64_t now = WallNow();
    SilenceBook::Changed changed;
    if (!book_.Expire(id, now, &changed)) return false;
    index_.Advance(now);
    Apply(changed, &rows);
    receivers = index_.TakeChanged();
  }
  wake_.notify_all();
  Store(rows, {});
  Tell(receivers);
  return true;
}

}  // namespace spanwatch::notify
