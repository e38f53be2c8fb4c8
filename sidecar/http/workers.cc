#include "sidecar/http/workers.h"

#include <exception>
#include <utility>

#include "sidecar/http/framing.h"

namespace spanwatch::http {
namespace {

// What it throws may say anything; the client learns only that the body is cut.
void Pull(BodyStream* stream, bool chunked, Finished* out) {
  out->is_piece = true;
  try {
    std::string piece;
    out->state = stream->Next(&piece);
    out->piece = chunked ? Chunk(std::move(piece), out->state == BodyStream::State::kEnd) : std::move(piece);
    return;
  } catch (const std::exception&) {
  } catch (...) {
  }
  out->state = BodyStream::State::kEnd;
  out->broken = true;
}

}  // namespace

void Workers::Start(int normal, int urgent) {
  for (int i = 0; i < normal; ++i) threads_.emplace_back([this] { Run(0); });
  for (int i = 0; i < urgent; ++i) threads_.emplace_back([this] { Run(1); });
}

void Workers::Stop() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
  }
  for (CondVar& wake : wake_) wake.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void Workers::Push(std::size_t lane, Job job) {
  {
    MutexLock lock(&mutex_);
    queues_[lane].push_back(std::move(job));
  }
  wake_[lane].notify_one();
}

void Workers::Submit(std::uint64_t connection, std::string request, bool urgent) {
  Push(urgent ? 1 : 0, {connection, std::move(request), nullptr, false});
}

void Workers::SubmitPull(std::uint64_t connection, std::shared_ptr<BodyStream> stream, bool chunked) {
  Push(0, {connection, {}, std::move(stream), chunked});
}

std::vector<Finished> Workers::TakeFinished() {
  MutexLock lock(&mutex_);
  return std::exchange(finished_, {});
}

Reply Workers::Handle(std::string request) const {
  try {
    return handler_(std::move(request));
  } catch (const std::exception&) {
    // What it says may hold anything; the client learns only that it was us.
  } catch (...) {
  }
  return {ErrorAnswer(500, "Internal Server Error", "internal error"), true};
}

void Workers::Run(std::size_t lane) {
  for (;;) {
    Job job;
    {
      MutexLock lock(&mutex_);
      while (!stopping_ && queues_[lane].empty()) wake_[lane].wait(mutex_);
      if (stopping_) return;
      job = std::move(queues_[lane].front());
      queues_[lane].pop_front();
    }
    Finished finished;
    finished.connection = job.connection;
    if (job.stream != nullptr) {
      Pull(job.stream.get(), job.chunked, &finished);
      job.stream.reset();
    } else {
      finished.reply = Handle(std::move(job.request));
    }
    {
      MutexLock lock(&mutex_);
      finished_.push_back(std::move(finished));
    }
    notify_();
  }
}

}  // namespace spanwatch::http
