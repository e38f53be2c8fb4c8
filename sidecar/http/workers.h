// Threads that turn requests into replies and streams into pieces, in two lanes: urgent requests never wait behind slow
// ones. The queues hold at most one job a connection, so the listener's limit of connections bounds them.
#ifndef SPANWATCH_SIDECAR_HTTP_WORKERS_H_
#define SPANWATCH_SIDECAR_HTTP_WORKERS_H_

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "sidecar/core/mutex.h"
#include "sidecar/http/listener.h"

namespace spanwatch::http {

struct Finished {
  std::uint64_t connection = 0;
  Reply reply;            // to a request
  bool is_piece = false;  // else of a stream: as it goes to the client, with the framing of chunks
  std::string piece;
  BodyStream::State state = BodyStream::State::kEnd;
  bool broken = false;  // the stream threw
};

// Threads: all functions may be called from any thread; Start and Stop once each, in this order.
class Workers {
 public:
  // `notify` is called, outside the lock, after each finished job.
  Workers(Listener::Handler handler, std::function<void()> notify)
      : handler_(std::move(handler)), notify_(std::move(notify)) {}
  ~Workers() { Stop(); }
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  void Start(int normal, int urgent);
  void Stop();  // drops what is queued, waits for what runs
  void Submit(std::uint64_t connection, std::string request, bool urgent);
  // The next piece of a stream, in the normal lane. One at a time of each stream.
  void SubmitPull(std::uint64_t connection, std::shared_ptr<BodyStream> stream, bool chunked);
  std::vector<Finished> TakeFinished();

 private:
  struct Job {
    std::uint64_t connection = 0;
    std::string request;
    std::shared_ptr<BodyStream> stream;  // null: the request
    bool chunked = false;
  };

  void Push(std::size_t lane, Job job);
  void Run(std::size_t lane);
  Reply Handle(std::string request) const;

  const Listener::Handler handler_;
  const std::function<void()> notify_;
  std::vector<std::thread> threads_;

  Mutex mutex_;
  std::array<CondVar, 2> wake_;  // by lane: 0 normal, 1 urgent
  std::array<std::deque<Job>, 2> queues_ GUARDED_BY(mutex_);
  std::vector<Finished> finished_ GUARDED_BY(mutex_);
  bool stopping_ GUARDED_BY(mutex_) = false;
};

}  // namespace spanwatch::http

#endif  // SPANWATCH_SIDECAR_HTTP_WORKERS_H_
