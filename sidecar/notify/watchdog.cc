#include "sidecar/notify/watchdog.h"

#include <pthread.h>
#include <signal.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "sidecar/notify/steady.h"
#include "sidecar/notify/url_channel.h"
#include "sidecar/notify/url_channel_reply.h"

namespace spanwatch::notify {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

}  // namespace

std::string WatchdogUrlProblem(const core::Secret& url) {
  const auto parts = ParseUrl(url.Reveal());
  return parts ? "" : parts.error();
}

void Watchdog::Start() {
  MutexLock lock(&mutex_);
  if (thread_.joinable() || stopping_) return;
  status_.configured = !options_.url.empty();
  thread_ = std::thread([this] { Run(); });
}

void Watchdog::Stop() {
  std::thread thread;
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    if (client_ != nullptr) client_->Abort();
    thread = std::exchange(thread_, {});
  }
  wake_.notify_all();
  if (thread.joinable()) thread.join();
}

void Watchdog::Reconfigure(WatchdogOptions options) {
  {
    MutexLock lock(&mutex_);
    if (options.url == options_.url && options.interval_ns == options_.interval_ns) return;
    status_.configured = !options.url.empty();
    status_.last_error.clear();
    status_.problem.clear();
    options_ = std::move(options);
    ++generation_;
  }
  wake_.notify_all();
}

WatchdogStatus Watchdog::GetStatus() const {
  MutexLock lock(&mutex_);
  return status_;
}

void Watchdog::Run() {
  // A peer that closes while we write is an error, not a signal; the process's own signals go to its main thread.
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGPIPE, SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, number);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  while (true) {
    WatchdogOptions options;
    std::uint64_t generation = 0;
    {
      MutexLock lock(&mutex_);
      if (stopping_) return;
      options = options_;
      generation = generation_;
    }
    const std::int64_t begin_ns = SteadyNow();
    const std::int64_t wait_ns = options.url.empty() ? INT64_MAX : Ping(options);
    const std::int64_t until_ns = wait_ns > INT64_MAX - begin_ns ? INT64_MAX : begin_ns + wait_ns;
    MutexLock lock(&mutex_);
    while (!stopping_ && generation == generation_ && SteadyNow() < until_ns) {
      wake_.wait_until(mutex_, ToSteady(std::min(until_ns, SteadyNow() + 3600 * kSecond)));
    }
  }
}

std::int64_t Watchdog::Ping(const WatchdogOptions& options) {
  const std::string problem = options.problem ? options.problem() : "";
  if (!problem.empty() && !std::exchange(unwell_, true)) {
    spdlog::error("watchdog: no ping is sent, so that it tells somebody: {}", problem);
  } else if (problem.empty() && std::exchange(unwell_, false)) {
    spdlog::info("watchdog: well again, pings are sent");
  }
  std::shared_ptr<client::HttpClient> client;
  const auto url = ParseUrl(options.url.Reveal());
  {
    MutexLock lock(&mutex_);
    status_.problem = problem;
    if (!problem.empty()) ++status_.withheld;
    if (!problem.empty() || !url || stopping_) return std::min(options.interval_ns, 5 * kSecond);
    client::Options http;
    http.origin = url->origin;
    http.timeout_ns = options.request_timeout_ns;
    http.max_answer_bytes = 4096;
    client = client_ = std::make_shared<client::HttpClient>(http);
  }
  client::Request request;
  request.method = "GET";
  request.target = url->target;
  request.headers = {{"User-Agent", "Spanwatch/" + options.version}, {"Accept", "*/*"}};
  Reply reply = ReadReply(client->Send(request));
  const UrlSecrets secrets(url->target, "");
  reply.body = secrets.RemoveFrom(std::move(reply.body));
  const UrlOutcome outcome = JudgeUrl(reply, WallNow());
  const bool good = outcome.verdict == UrlVerdict::kDelivered;
  failures_ = good ? 0 : std::min(failures_ + 1, 20);
  {
    MutexLock lock(&mutex_);
    client_.reset();
    if (stopping_) return 0;
    ++(good ? status_.sent : status_.failed);
    if (good) status_.last_sent_ns = WallNow();
    status_.last_error = outcome.text;
  }
  if (!good && !std::exchange(told_, true)) {
    spdlog::warn("watchdog: the ping fails: {}", outcome.text);
  } else if (good && std::exchange(told_, false)) {
    spdlog::info("watchdog: pings go through again");
  }
  // One that failed is tried again soon: a watchdog waits for little more than an interval.
  if (good) return options.interval_ns;
  return std::min(options.interval_ns, std::max(outcome.retry_after_ns, kSecond << std::min(failures_ - 1, 6)));
}

}  // namespace spanwatch::notify
