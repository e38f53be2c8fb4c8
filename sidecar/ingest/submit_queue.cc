#include "sidecar/ingest/submit_queue.h"

#include <utility>

namespace spanwatch::ingest {

bool SubmitQueue::Submit(core::RecordKind kind, std::string bytes, const std::function<void()>& wake) {
  auto item = std::make_shared<Item>();
  item->kind = kind;
  item->bytes = std::move(bytes);
  {
    MutexLock lock(&mutex_);
    if (!open_ || bytes_ + item->bytes.size() > kMaxSubmitBytes) {
      ++refused_;
      return false;
    }
    bytes_ += item->bytes.size();
    items_.push_back(item);
  }
  wake();
  MutexLock lock(&mutex_);
  while (!item->done) changed_.wait(mutex_);
  return item->accepted;
}

std::shared_ptr<SubmitQueue::Item> SubmitQueue::Take() {
  MutexLock lock(&mutex_);
  if (items_.empty()) return nullptr;
  std::shared_ptr<Item> item = std::move(items_.front());
  items_.pop_front();
  bytes_ -= item->bytes.size();
  return item;
}

void SubmitQueue::Done(const std::shared_ptr<Item>& item, bool accepted) {
  MutexLock lock(&mutex_);
  item->done = true;
  item->accepted = accepted;
  changed_.notify_all();
}

void SubmitQueue::Close() {
  MutexLock lock(&mutex_);
  open_ = false;
  for (const auto& item : items_) item->done = true;
  items_.clear();
  bytes_ = 0;
  changed_.notify_all();
}

void SubmitQueue::Open() {
  MutexLock lock(&mutex_);
  open_ = true;
}

std::uint64_t SubmitQueue::refused() const {
  MutexLock lock(&mutex_);
  return refused_;
}

}  // namespace spanwatch::ingest
