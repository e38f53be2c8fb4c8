#include "sidecar/notify/worker.h"

#include <pthread.h>
#include <signal.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "sidecar/notify/steady.h"

namespace spanwatch::notify {
namespace {

constexpr std::int64_t kLongestSleep = 60'000'000'000;
constexpr std::int64_t kAbortGrace = 200'000'000;
constexpr std::int64_t kStandingEvery = 1'000'000'000;

PlannerOptions ToPlannerOptions(const core::Receiver& receiver, const Options& options,
                                const std::shared_ptr<KeptTraces>& kept, const Direct& direct) {
  PlannerOptions result;
  result.direct = direct;
  result.receiver = receiver;
  result.external_url = options.external_url;
  while (result.external_url.ends_with('/')) result.external_url.pop_back();
  result.max_age_ns = options.max_age_ns;
  result.max_incidents = options.queue_limit;
  result.trace_stored = options.trace_stored;
  result.to_wall_ns = WallNow() - SteadyNow();
  if (kept == nullptr) return result;
  result.path_of = [kept](const core::Incident& incident) { return kept->PathOf(incident); };
  if (options.trace_stored) {
    result.trace_stored = [kept, stored = options.trace_stored](const TraceId& id) {
      return stored(id) || kept->Has(id);
    };
  }
  return result;
}

}  // namespace

Worker::Worker(core::Receiver target, const Options& options, std::shared_ptr<GlobalGate> gate,
               std::shared_ptr<Outbox> outbox, std::shared_ptr<KeptTraces> kept, Direct direct)
    : name_(target.name),
      gate_(std::move(gate)),
      outbox_(std::move(outbox)),
      kept_(std::move(kept)),
      direct_(std::move(direct)),
      planner_(MakePlanner(ToPlannerOptions(target, options, kept_, direct_))),
      queue_(options.queue_limit) {
  status_.name = counters_.receiver = name_;
  status_.configured = !target.url.empty();
  new_settings_ = Settings{std::move(target), options};
}

void Worker::Load() {
  StoredReceiver stored = outbox_->Load(name_, &receiver_);
  outbox_->CountUnreadable(planner_->Load(stored, SteadyNow(), WallNow()));
  loaded_ = true;
  webhook_ = stored.webhook;
  unconsumed_ = std::move(stored.unconsumed);
  MutexLock lock(&mutex_);
  queue_sequence_ = stored.sequence;
  counters_.possible_duplicates = planner_->counters().possible_duplicates;
}

void Worker::Start() {
  MutexLock lock(&mutex_);
  if (thread_.joinable() || done_) return;
  thread_ = std::thread(&Worker::Run, shared_from_this());
}

void Worker::Enqueue(const std::vector<core::Transition>& transitions, std::uint64_t sequence) {
  {
    MutexLock lock(&mutex_);
    if (stopping_) return;
    for (const core::Transition& transition : transitions) queue_dropped_ += queue_.Push(transition);
    queue_sequence_ = std::max(queue_sequence_, sequence);
  }
  wake_.notify_all();
}

void Worker::Reconcile(const std::vector<core::Incident>& living, bool nothing_known) {
  {
    MutexLock lock(&mutex_);
    if (nothing_known && !thread_.joinable()) queue_.DropResolved();
    living_ = Living{living, nothing_known};
  }
  wake_.notify_all();
}

void Worker::Refresh(const std::vector<std::string>& incidents) {
  {
    MutexLock lock(&mutex_);
    if (stopping_) return;
    refreshed_.insert(incidents.begin(), incidents.end());
  }
  wake_.notify_all();
}

void Worker::Redirect() {
  {
    MutexLock lock(&mutex_);
    redirect_ = true;
  }
  wake_.notify_all();
}

void Worker::Configure(core::Receiver target, const Options& options) {
  {
    MutexLock lock(&mutex_);
    queue_.SetLimit(options.queue_limit);
    redirect_ = true;
    new_settings_ = Settings{std::move(target), options};
  }
  wake_.notify_all();
}

void Worker::Run(std::shared_ptr<Worker> self) {
  // A peer that closes while we write is an error, not a signal; the process's own signals go to its main thread.
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGPIPE, SIGTERM, SIGINT, SIGHUP, SIGXFSZ}) sigaddset(&signals, number);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  while (self->Step()) {
  }
  {
    MutexLock lock(&self->mutex_);
    self->done_ = true;
    self->undelivered_ = self->planner_->Waiting(true) + self->queue_.size();
  }
  self->wake_.notify_all();
}

bool Worker::HasNews() const {
  return !queue_.empty() || queue_sequence_ > taken_sequence_ || living_ || !refreshed_.empty() || redirect_ ||
         new_settings_ || asked_ != answered_ || stopping_;
}

Worker::Work Worker::WaitForWork() {
  const std::int64_t now = SteadyNow();
  const std::int64_t due = std::max(planner_->NextDue(), gate_->load());
  const std::int64_t save_at = save_at_ns_ == INT64_MIN ? INT64_MAX : save_at_ns_;
  const std::int64_t until = std::min({due, save_at, now + kLongestSleep});
  const bool nothing_left = planner_->Waiting(true) == 0 || planner_->given_up();
  MutexLock lock(&mutex_);
  while (!HasNews() && SteadyNow() < until) wake_.wait_until(mutex_, ToSteady(until));
  // While stopping, what is left may have to wait for its turn, but no longer than the deadline.
  while (stopping_ && !nothing_left && queue_.empty() && SteadyNow() < std::min(until, deadline_ns_)) {
    wake_.wait_until(mutex_, ToSteady(std::min(until, deadline_ns_)));
  }
  Work work;
  work.transitions = queue_.TakeAll();
  work.sequence = taken_sequence_ = queue_sequence_;
  work.living = std::exchange(living_, std::nullopt);
  work.refreshed = std::exchange(refreshed_, {});
  work.redirect = std::exchange(redirect_, false);
  work.settings = std::exchange(new_settings_, std::nullopt);
  work.stopping = stopping_;
  work.deadline_ns = deadline_ns_;
  return work;
}

bool Worker::Step() {
  Work work = WaitForWork();
  Take(&work);
  if (work.stopping) {
    if (SteadyNow() >= work.deadline_ns || planner_->Waiting(true) == 0 || planner_->given_up()) {
      Save();
      Publish();
      return false;
    }
  }
  PublishStanding();
  const bool sent = SendOne();
  if (!sent) Save();
  if (sent || !work.transitions.empty() || work.settings || work.living || work.redirect) Publish();
  return true;
}

void Worker::Take(Work* work) {
  if (work->settings) Adopt(std::move(*work->settings));
  const std::int64_t now = SteadyNow();
  for (const core::Transition& transition : std::exchange(unconsumed_, {})) planner_->Add(transition, now, true);
  for (const core::Transition& transition : work->transitions) planner_->Add(transition, now);
  sequence_ = work->sequence;
  standing_is_old_ = true;
  for (const std::string& id : work->refreshed) planner_->Refresh(id, now);
  if (work->redirect) planner_->Redirect(now);
  if (work->living) planner_->Reconcile(work->living->incidents, work->living->tell_all, now);
}

// What failed is written later, all of it at once: what the disk holds by then is of an earlier time.
void Worker::Save() {
  if (outbox_ == nullptr || SteadyNow() < save_at_ns_) return;
  const Changes changes = planner_->TakeChanges();
  if (changes.Empty() && sequence_ == stored_sequence_ && webhook_ == stored_webhook_) return;
  if (outbox_->Save(&receiver_, changes, sequence_, webhook_)) {
    stored_sequence_ = sequence_;
    stored_webhook_ = webhook_;
    save_at_ns_ = INT64_MIN;
  } else {
    planner_->ForgetSaved();
    save_at_ns_ = SteadyNow() + outbox_->retry_ns();
  }
}

// Messages can only be edited by the webhook that posted them.
bool Worker::IsSameTarget(const Channel* channel) {
  const bool first = std::exchange(loaded_, false);
  if (channel == nullptr) return first;  // as long as nothing can be sent, the messages of an earlier process are kept
  std::string identity = channel->Identity();
  if (outbox_ == nullptr) return std::exchange(identity_, std::move(identity)) == channel->Identity();
  std::string fingerprint = outbox_->Fingerprint(identity);
  return std::exchange(webhook_, fingerprint) == fingerprint;
}

void Worker::Adopt(Settings settings) {
  has_url_ = !settings.target.url.empty();
  channel_.reset();
  url_problem_.clear();
  if (has_url_) {
    auto channel = MakeChannel(settings.target, settings.options.external_url, settings.options.version);
    if (channel) {
      channel_ = std::move(*channel);
    } else {
      url_problem_ = channel.error();
      spdlog::error("receiver '{}': {}; nothing is posted", name_, url_problem_);
    }
  }
  const bool same = IsSameTarget(channel_.get());
  planner_ = Planner::Adapt(std::move(planner_), ToPlannerOptions(settings.target, settings.options, kept_, direct_),
                            SteadyNow(), WallNow());
  planner_->SetTarget(channel_ != nullptr, same, SteadyNow());
  told_given_up_ = told_failing_ = false;
  std::shared_ptr<client::HttpClient> client;
  if (channel_ != nullptr) {
    client::Options http;
    http.origin = channel_->Origin();
    http.timeout_ns = settings.options.request_timeout_ns;
    client = std::make_shared<client::HttpClient>(http);
  }
  MutexLock lock(&mutex_);
  client_ = std::move(client);
}

bool Worker::SendOne() {
  if (const std::int64_t closed_until = gate_->load(); closed_until > SteadyNow()) return false;
  const std::optional<Request> request = planner_->Next(SteadyNow());
  if (!request) return false;
  if (request->method == Method::kPost) Save();
  std::shared_ptr<client::HttpClient> client;
  {
    MutexLock lock(&mutex_);
    client = client_;
  }
  Reply reply = ReadReply(client->Send(channel_->ToHttp(*request)));
  reply.body = channel_->RemoveSecrets(std::move(reply.body));
  reply.transport_error = channel_->RemoveSecrets(std::move(reply.transport_error));
  planner_->OnReply(reply, SteadyNow(), WallNow());
  standing_is_old_ = true;
  if (const std::int64_t block = planner_->TakeGlobalBlock(); block > 0) {
    std::int64_t old = gate_->load();
    while (old < block && !gate_->compare_exchange_weak(old, block)) {
    }
  }
  Save();
  return true;
}

void Worker::Publish() {
  const PlannerCounters& from = planner_->counters();
  {
    MutexLock lock(&mutex_);
    status_.configured = has_url_;
    status_.given_up = planner_->given_up() || !url_problem_.empty();
    status_.last_delivered_ns = planner_->last_delivered_wall_ns();
    status_.last_error = url_problem_.empty() ? planner_->last_error() : url_problem_;
    status_.queued = planner_->Waiting(false);
    counters_.posted = from.posted;
    counters_.edited = from.edited;
    counters_.failed = from.failed;
    counters_.retried = from.retried;
    counters_.rate_limited = from.rate_limited;
    counters_.fallbacks = from.fallbacks;
    counters_.dropped = from.dropped;
    counters_.possible_duplicates = from.possible_duplicates;
  }
  LogChanges();
}

// Before each request, which may take long, and when somebody asks; otherwise seldom, for it takes time.
void Worker::PublishStanding() {
  const std::int64_t now = SteadyNow();
  std::uint64_t asked = 0;
  {
    MutexLock lock(&mutex_);
    if (asked_ == answered_ && (!standing_is_old_ || now - kStandingEvery < standing_at_ns_)) return;
    asked = asked_;
  }
  auto standing = std::make_shared<Standing>();
  for (auto& [id, delivery] : planner_->Explain(SIZE_MAX, now, WallNow())) (*standing)[id] = std::move(delivery);
  standing_is_old_ = false;
  standing_at_ns_ = now;
  {
    MutexLock lock(&mutex_);
    standing_ = std::move(standing);
    answered_ = asked;
  }
  wake_.notify_all();
}

std::shared_ptr<const Worker::Standing> Worker::Explain(std::int64_t until_ns) {
  MutexLock lock(&mutex_);
  if (!thread_.joinable() || done_) return standing_;
  const std::uint64_t question = ++asked_;
  wake_.notify_all();
  while (answered_ < question && !done_ && SteadyNow() < until_ns) wake_.wait_until(mutex_, ToSteady(until_ns));
  return standing_;
}

// Once for each change of state, not for each message.
void Worker::LogChanges() {
  if (abandoned_.load()) return;
  if (planner_->given_up() && !std::exchange(told_given_up_, true)) {
    spdlog::error("receiver '{}': gave up, nothing is posted until the configuration changes: {}", name_,
                  planner_->last_error());
  }
  const bool failing = !planner_->last_error().empty();
  if (failing && !told_failing_ && !planner_->given_up()) {
    spdlog::warn("receiver '{}': delivery fails: {}", name_, planner_->last_error());
  } else if (!failing && told_failing_) {
    spdlog::info("receiver '{}': delivery works again", name_);
  }
  told_failing_ = failing;
}

void Worker::BeginStop(std::int64_t deadline_ns) {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    deadline_ns_ = std::min(deadline_ns_, deadline_ns);
    if (!thread_.joinable()) {
      done_ = true;
      undelivered_ = queue_.size();
    }
  }
  wake_.notify_all();
}

bool Worker::WaitUntilDone(std::int64_t until_ns) {
  MutexLock lock(&mutex_);
  while (!done_ && SteadyNow() < until_ns) wake_.wait_until(mutex_, ToSteady(until_ns));
  return done_;
}

std::size_t Worker::FinishStop(std::int64_t deadline_ns) {
  bool done = WaitUntilDone(deadline_ns);
  if (!done) {
    std::shared_ptr<client::HttpClient> client;
    {
      MutexLock lock(&mutex_);
      client = client_;
    }
    if (client != nullptr) client->Abort();
    done = WaitUntilDone(SteadyNow() + kAbortGrace);
  }
  std::thread thread;
  std::size_t undelivered = 0;
  {
    MutexLock lock(&mutex_);
    thread = std::exchange(thread_, {});
    undelivered = done ? undelivered_ : std::max<std::size_t>(status_.queued + queue_.size(), 1);
  }
  if (thread.joinable()) {
    if (done) {
      thread.join();
    } else {
      abandoned_.store(true);
      thread.detach();
    }
  }
  return undelivered;
}

TargetStatus Worker::Status() const {
  MutexLock lock(&mutex_);
  TargetStatus status = status_;
  status.queued += status.configured ? queue_.size() : 0;
  return status;
}

Counters Worker::Counts() const {
  MutexLock lock(&mutex_);
  Counters counters = counters_;
  counters.dropped += queue_dropped_;
  return counters;
}

}  // namespace spanwatch::notify
