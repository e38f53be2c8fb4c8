#include "sidecar/http/events.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "sidecar/core/completed_view.h"
#include "sidecar/http/events_json.h"

namespace spanwatch::http {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kPieceBytes = 32 * 1024;
constexpr std::chrono::seconds kHealthInterval(1);

std::vector<std::string> ServicesOf(const core::TraceSummary& trace) {
  std::vector<std::string> services;
  for (const auto& service : trace.services) services.push_back(service.name);
  return services;
}

std::vector<std::string> ServicesOf(const core::Incident& incident) {
  std::vector<std::string> services;
  for (const auto& label : incident.labels) {
    if (label.name == "service") services.push_back(label.value);
  }
  return services;
}

struct News {
  std::int64_t at_ns = 0;
  std::vector<std::string> services;
  std::string text;
};

std::int64_t LatestOf(const core::Incident& incident) {
  return std::max({incident.active_at_ns, incident.fired_at_ns, incident.resolved_at_ns, incident.last_match_ns});
}

// What became of an incident; null: nothing that is told.
const char* ChangeOf(const core::Incident* before, const core::Incident& now) {
  if (before == nullptr || before->state != now.state) return core::ToString(now.state);
  if (now.state != core::AlertState::kFiring || now.severity == before->severity) return nullptr;
  return now.severity > before->severity ? "escalated" : "deescalated";
}

}  // namespace

class EventHub::Stream : public BodyStream {
 public:
  Stream(std::shared_ptr<EventHub> hub, EventFilter filter, std::uint64_t cursor)
      : hub_(std::move(hub)), filter_(std::move(filter)), cursor_(cursor), spoke_(Clock::now()) {}
  ~Stream() override {
    MutexLock lock(&hub_->mutex_);
    hub_->streams_.erase(this);
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  void SetWaker(std::function<void()> wake) override {
    MutexLock lock(&hub_->mutex_);
    wake_ = std::move(wake);
  }

  State Next(std::string* out) override {
    if (!greeted_) {
      greeted_ = true;
      *out +=
          "retry: 3000\nevent: hello\ndata: " + HelloJson(hub_->options_.version, hub_->engine_->Generation()) + "\n\n";
    }
    bool more = false;
    {
      MutexLock lock(&hub_->mutex_);
      hub_->log_.Read(filter_, kPieceBytes, &cursor_, out);
      more = cursor_ < hub_->log_.next_id();
    }
    const Clock::time_point now = Clock::now();
    if (out->empty() && now - spoke_ >= hub_->options_.keep_alive) *out += ": keep-alive\n\n";
    if (!out->empty()) spoke_ = now;
    return more ? State::kMore : State::kWait;
  }

  // REQUIRES: the hub's mutex_.
  void Wake() const {
    if (wake_) wake_();
  }

 private:
  const std::shared_ptr<EventHub> hub_;
  const EventFilter filter_;
  std::uint64_t cursor_;
  Clock::time_point spoke_;
  bool greeted_ = false;
  std::function<void()> wake_;  // guarded by the hub's mutex_
};

EventHub::EventHub(const core::Engine* engine, EventOptions options)
    : engine_(engine),
      options_(std::move(options)),
      log_(options_.first_id, options_.max_events, options_.max_bytes),
      thread_([this] { Run(); }) {}

EventHub::~EventHub() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

std::size_t EventHub::stream_count() const {
  MutexLock lock(&mutex_);
  return streams_.size();
}

std::shared_ptr<BodyStream> EventHub::Subscribe(EventFilter filter, std::optional<std::uint64_t> last_id) {
  if (stream_count() >= options_.max_streams) return nullptr;
  if (Poll()) WakeAll();  // what happened while nobody listened comes before "now"
  std::shared_ptr<Stream> stream;
  bool first = false;
  {
    MutexLock lock(&mutex_);
    if (streams_.size() >= options_.max_streams) return nullptr;
    // One after the last possible id is none: it is of another life, and the log will say so.
    const std::uint64_t cursor = !last_id ? log_.next_id() : *last_id == UINT64_MAX ? *last_id : *last_id + 1;
    first = streams_.empty();
    stream = std::make_shared<Stream>(shared_from_this(), std::move(filter), cursor);
    streams_.insert(stream.get());
  }
  if (first) changed_.notify_all();
  return stream;
}

void EventHub::WakeAll() {
  MutexLock lock(&mutex_);
  for (const Stream* stream : streams_) stream->Wake();
}

void EventHub::Run() {
  for (;;) {
    {
      MutexLock lock(&mutex_);
      const auto until = Clock::now() + options_.interval;
      while (!stopping_ && (streams_.empty() || Clock::now() < until)) {
        if (streams_.empty()) {
          changed_.wait(mutex_);
        } else {
          changed_.wait_until(mutex_, until);
        }
      }
      if (stopping_) return;
    }
    if (Poll()) WakeAll();
  }
}

// True: there is something new in the log.
bool EventHub::Poll() {
  MutexLock lock(&poll_mutex_);
  const auto log_end = [this] {
    MutexLock log_lock(&mutex_);
    return log_.next_id();
  };
  const std::uint64_t before = log_end();
  const bool first = !std::exchange(polled_, true);
  const std::uint64_t generation = engine_->Generation();
  if (first) completion_ = engine_->CompletedSince(0, 0).last;
  if (first || generation != generation_) {
    TellTraces();
    TellAlerts(first);
  }
  generation_ = generation;
  // Health also changes with time alone.
  if (first || Clock::now() - health_at_ >= kHealthInterval) TellHealth(first);
  return log_end() != before;
}

void EventHub::TellTraces() {
  const core::CompletedView completed = engine_->CompletedSince(completion_, options_.max_traces);
  completion_ = completed.last;
  std::vector<std::string> texts;
  for (const core::TraceSummary& trace : completed.traces) texts.push_back(SummaryText(trace));
  MutexLock lock(&mutex_);
  log_.AppendGap(EventType::kTrace, completed.missed);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    log_.Append(EventType::kTrace, ServicesOf(completed.traces[i]), std::move(texts[i]));
  }
}

void EventHub::TellAlerts(bool first) {
  std::map<std::string, core::Incident, std::less<>> now;
  for (core::Incident& incident : engine_->Incidents()) {
    std::string id = incident.id;
    now.emplace(std::move(id), std::move(incident));
  }
  std::vector<News> news;
  for (const auto& [id, incident] : now) {
    const auto before = incidents_.find(id);
    const char* change = ChangeOf(before == incidents_.end() ? nullptr : &before->second, incident);
    if (change != nullptr) news.push_back({LatestOf(incident), ServicesOf(incident), AlertText(incident, change)});
  }
  for (const auto& [id, incident] : incidents_) {
    if (incident.state != core::AlertState::kPending || now.contains(id)) continue;
    core::Incident gone = incident;
    gone.state = core::AlertState::kInactive;
    news.push_back({LatestOf(gone), ServicesOf(gone), AlertText(gone, core::ToString(gone.state))});
  }
  incidents_ = std::move(now);
  if (first) return;  // who has just come reads /api/v1/alerts
  std::stable_sort(news.begin(), news.end(), [](const News& a, const News& b) { return a.at_ns < b.at_ns; });
  MutexLock lock(&mutex_);
  for (News& each : news) log_.Append(EventType::kAlert, std::move(each.services), std::move(each.text));
}

void EventHub::TellHealth(bool first) {
  health_at_ = Clock::now();
  const core::HealthView view = engine_->GetHealth();
  HealthByService now;
  MutexLock lock(&mutex_);
  for (const core::ServiceHealth& service : view.services) {
    now[service.service] = service.status;
    const auto known = health_.find(service.service);
    const core::HealthStatus before = known == health_.end() ? core::HealthStatus::kHealthy : known->second;
    if (first || before == service.status) continue;
    log_.Append(EventType::kHealth, {service.service}, HealthText(service, before));
  }
  health_ = std::move(now);
}

}  // namespace spanwatch::http
