#include "sidecar/ingest/answerer.h"

#include <limits>
#include <string>

namespace spanwatch::ingest {

void Answerer::SetSettings(const Settings& settings) {
  if (settings == settings_) return;
  settings_ = settings;
  ++settings_version_;
}

void Answerer::Take(const core::Answer& answer, std::uint64_t index) {
  index_ = index;
  Connection* const connection = connections_->Find(answer.connection);
  if (connection == nullptr) {
    ++dropped_;
    return;
  }
  // A connection normally carries one process; answers of another must not be lost in the joining.
  const bool same = connection->ack.process_id == answer.process_id;
  if (connection->ack_pending && (answer.kind != core::AnswerKind::kAck || !same)) ReadyAck(connection);
  if (answer.kind != core::AnswerKind::kAck) {
    ready_.push_back({index, answer});
    return;
  }
  connection->ack = answer;
  if (!connection->ack_pending) {
    connection->ack_pending = true;
    waiting_.push_back(connection->number);
  }
}

std::int64_t Answerer::DueNs() const {
  if (waiting_.empty()) return std::numeric_limits<std::int64_t>::max();
  return received_bytes_ >= kAckBytes ? flushed_ns_ : flushed_ns_ + kAckIntervalNs;
}

void Answerer::Flush(std::int64_t now_ns) {
  for (const std::uint64_t number : waiting_) {
    Connection* const connection = connections_->Find(number);
    if (connection == nullptr) {
      ++dropped_;
    } else if (connection->ack_pending) {
      ReadyAck(connection);
    }
  }
  waiting_.clear();
  received_bytes_ = 0;
  flushed_ns_ = now_ns;
}

// The latest index, not that of the answered record: no more than a few milliseconds of records lie in between.
void Answerer::ReadyAck(Connection* connection) {
  connection->ack_pending = false;
  ready_.push_back({index_, connection->ack});
}

void Answerer::Release(std::uint64_t acknowledged) {
  for (; !ready_.empty() && ready_.front().index <= acknowledged; ready_.pop_front()) Send(ready_.front().answer);
}

void Answerer::Send(const core::Answer& answer) {
  Connection* const connection = connections_->Find(answer.connection);
  if (connection == nullptr) {
    ++dropped_;
    return;
  }
  const bool news = connection->settings_sent != settings_version_;
  const bool with_settings =
      answer.kind == core::AnswerKind::kWelcome || (answer.kind == core::AnswerKind::kAck && news);
  if (socket_->Send(connection->routing_id, EncodeAnswer(answer, with_settings ? &settings_ : nullptr))) {
    ++sent_;
    if (with_settings) connection->settings_sent = settings_version_;
  } else {
    ++dropped_;
  }
}

}  // namespace spanwatch::ingest
