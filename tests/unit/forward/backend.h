// An OTLP backend on loopback that answers as a test says, and traces to send to it. Header only, tests.
#ifndef SPANWATCH_TESTS_UNIT_FORWARD_BACKEND_H_
#define SPANWATCH_TESTS_UNIT_FORWARD_BACKEND_H_

#include <httplib.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "sidecar/forward/forwarder.h"
#include "sidecar/ingest/ingest.h"
#include "tests/unit/ingest/trace_copy.h"

namespace spanwatch::forward::testing {

struct Answer {
  int status = 200;
  std::string body = {};
  std::string content_type = "application/x-protobuf";
  std::string retry_after = {};
  bool hang = false;  // answers when Release() was called
};

class Backend {
 public:
  Backend() {
    server_.new_task_queue = [] { return new httplib::ThreadPool(4); };
    server_.Post(".*",
                 [this](const httplib::Request& request, httplib::Response& response) { Handle(request, &response); });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::yield();
  }
  ~Backend() {
    Release();
    server_.stop();
    thread_.join();
  }
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/v1/traces"; }
  // The next answers, in order; then 200 for ever.
  void Will(std::vector<Answer> answers) {
    const std::lock_guard lock(mutex_);
    answers_.assign(answers.begin(), answers.end());
  }
  void Release() {
    const std::lock_guard lock(mutex_);
    released_ = true;
    wake_.notify_all();
  }
  // Waits for at least so many requests; all so far.
  std::vector<httplib::Request> Wait(std::size_t count) {
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, std::chrono::seconds(60), [&] { return requests_.size() >= count; });
    return requests_;
  }

 private:
  void Handle(const httplib::Request& request, httplib::Response* response) {
    Answer answer;
    {
      std::unique_lock lock(mutex_);
      requests_.push_back(request);
      if (!answers_.empty()) {
        answer = answers_.front();
        answers_.pop_front();
      }
      wake_.notify_all();
      if (answer.hang) wake_.wait(lock, [&] { return released_; });
    }
    response->status = answer.status;
    if (!answer.retry_after.empty()) response->set_header("Retry-After", answer.retry_after);
    response->set_content(answer.body, answer.content_type.c_str());
  }

  httplib::Server server_;
  int port_ = 0;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Answer> answers_;
  std::vector<httplib::Request> requests_;
  bool released_ = false;
};

inline core::TraceCopy MakeTrace(std::uint64_t id, std::size_t spans = 2, std::size_t text_bytes = 10) {
  core::TraceCopy trace;
  trace.summary.trace_id = {7, id};
  trace.resources = {{{"service.name", core::AttributeType::kString, 0, 0, "bot"}}};
  for (std::size_t i = 0; i < spans; ++i) {
    core::SpanCopy span;
    span.span_id = {i + 1};
    span.parent_id = {i};
    span.start_ns = 1'700'000'000'000'000'000 + static_cast<std::int64_t>(i);
    span.end_ns = span.start_ns + 5;
    span.service = "bot";
    span.name = "operation " + std::to_string(id);
    span.scope = "scope";
    span.attributes = {{"text", core::AttributeType::kString, 0, 0, std::string(text_bytes, 'x')}};
    trace.spans.push_back(span);
  }
  return trace;
}

inline std::vector<core::Completed> Ids(std::uint64_t first, std::uint64_t count = 1) {
  std::vector<core::Completed> list;
  for (std::uint64_t i = first; i < first + count; ++i) list.push_back({TraceId{7, i}, 0, nullptr});
  return list;
}

// The spans of all requests, as lines.
inline std::vector<std::string> SpansOf(const std::vector<httplib::Request>& requests) {
  std::vector<std::string> lines;
  for (const httplib::Request& request : requests) {
    core::SpanBatch batch;
    if (!ingest::DecodeOtlp(request.body, &batch)) return {"not OTLP"};
    for (std::string& line : ingest::testing::Lines(ingest::testing::OwnTraces(batch))) lines.push_back(line);
  }
  return lines;
}

}  // namespace spanwatch::forward::testing

#endif  // SPANWATCH_TESTS_UNIT_FORWARD_BACKEND_H_
