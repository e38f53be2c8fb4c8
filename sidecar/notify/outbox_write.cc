// What is written, in transactions: transitions that wait, a receiver's changes, deletions.
#include <algorithm>
#include <chrono>
#include <utility>

#include "sidecar/core/incident_codec.h"
#include "sidecar/notify/outbox.h"

namespace spanwatch::notify {
namespace {

constexpr std::uint64_t kBodyVersion = 1;
constexpr std::int64_t kBatch = 512;  // rows deleted in one transaction
constexpr int kBatchesATime = 8;

template <typename Clock>
std::int64_t Now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch()).count();
}

DbResult Nothing() { return DbResult::kOk; }

}  // namespace

bool Outbox::Usable() {
  if (refused_) return false;
  if (db_.is_open() && !failing_) return true;
  if (Now<std::chrono::steady_clock>() < retry_at_ns_) return false;
  if (db_.is_open()) return true;
  const DbResult result = OpenFile();
  if (result != DbResult::kOk) OnFailure(result);
  return result == DbResult::kOk;
}

void Outbox::OnFailure(DbResult result) {
  const std::string error = db_.error();
  Count(&OutboxStatus::write_errors);
  if (result == DbResult::kCorrupt) {
    PutAside();
    result = OpenFile();
    if (result == DbResult::kOk) return;
  }
  failing_ = true;
  retry_at_ns_ = Now<std::chrono::steady_clock>() + options_.retry_ns;
  if (!refused_) SetProblem(error.empty() ? "cannot be written" : error);
}

DbResult Outbox::TryTransact(const Step& step) {
  DbResult result = db_.Run("BEGIN IMMEDIATE");
  if (result == DbResult::kOk) result = WriteWaiting();
  if (result == DbResult::kOk) result = step();
  if (result == DbResult::kOk) result = db_.Run("COMMIT");
  if (result != DbResult::kOk && db_.InTransaction()) db_.Run("ROLLBACK");
  return result;
}

// Writes what waits, and what `step` writes. After a damaged file was replaced only the former: `generation_` tells.
bool Outbox::Transact(const Step& step) {
  if (!Usable()) return false;
  const std::uint64_t generation = generation_;
  DbResult result = TryTransact(step);
  if (result == DbResult::kFull && db_.UsedBytes() >= options_.max_bytes / 10 * 9 &&
      DeleteForSpace() == DbResult::kOk) {
    result = TryTransact(step);
  }
  if (result != DbResult::kOk) {
    OnFailure(result);
    if (generation == generation_ || TryTransact(Nothing) != DbResult::kOk) return false;
  }
  OnWritten();
  return true;
}

DbResult Outbox::WriteWaiting() {
  const std::int64_t now = Now<std::chrono::system_clock>();
  staged_sequence_ = sequence_;
  std::string body;
  for (Waiting& waiting : waiting_) {
    body.clear();
    core::CodecWriter writer(&body);
    writer.U64(kBodyVersion);
    core::Save(waiting.transition, &writer);
    SqliteDb::Statement insert =
        db_.Prepare("INSERT OR IGNORE INTO transitions(id, at_ns, kind, written_ns, body) VALUES(?, ?, ?, ?, ?)");
    insert.BindText(waiting.transition.id).Bind(waiting.transition.at_ns);
    insert.Bind(static_cast<std::int64_t>(waiting.transition.kind)).Bind(now).BindBlob(body);
    if (const DbResult result = insert.Step(); result != DbResult::kOk) return result;
    waiting.inserted = db_.Changes() == 1;
    if (waiting.inserted) staged_sequence_ = std::uint64_t(db_.LastRowId());
  }
  return WriteSilences();
}

void Outbox::OnWritten() {
  sequence_ = staged_sequence_;
  unwritten_silences_.clear();
  unsynced_ = true;
  failing_ = false;
  SetProblem("");
  if (waiting_.empty()) return;
  std::uint64_t committed = 0;
  std::int64_t latest = committed_ns_.load();
  for (const Waiting& waiting : waiting_) {
    committed += waiting.inserted ? 1 : 0;
    latest = std::max(latest, waiting.transition.at_ns);
  }
  committed_ns_ = latest;
  MutexLock lock(&status_mutex_);
  status_.committed += committed;
  status_.repeats += waiting_.size() - committed;
  status_.pending = 0;
}

bool Outbox::IsKnown(const std::string& id) {
  return db_.is_open() && db_.Prepare("SELECT 1 FROM transitions WHERE id=?").BindText(id).Step() == DbResult::kRow;
}

Outbox::Committed Outbox::Commit(std::vector<core::Transition> transitions) {
  MutexLock lock(&mutex_);
  Committed result;
  if (refused_) {
    Count(&OutboxStatus::given_up, transitions.size());
    return {std::move(transitions), sequence_};
  }
  const std::size_t begin = waiting_.size();
  std::uint64_t repeats = 0;
  for (core::Transition& transition : transitions) {
    if (waiting_ids_.insert(transition.id).second) {
      waiting_.push_back({std::move(transition), false});
    } else {
      ++repeats;
    }
  }
  if (Transact(Nothing)) {
    for (std::size_t i = begin; i < waiting_.size(); ++i) {
      if (waiting_[i].inserted) result.fresh.push_back(std::move(waiting_[i].transition));
    }
    ForgetWaiting();
  } else {
    repeats += DropKnown(begin);
    for (std::size_t i = begin; i < waiting_.size(); ++i) result.fresh.push_back(waiting_[i].transition);
    TrimWaiting();
  }
  Count(&OutboxStatus::repeats, repeats);
  result.sequence = sequence_;
  return result;
}

// Of those from `begin` on. Reading works on a disk that cannot be written.
std::size_t Outbox::DropKnown(std::size_t begin) {
  std::deque<Waiting> unknown;
  std::size_t dropped = 0;
  for (std::size_t i = begin; i < waiting_.size(); ++i) {
    const std::string& id = waiting_[i].transition.id;
    if (IsKnown(id)) {
      waiting_ids_.erase(id);
      ++dropped;
    } else {
      unknown.push_back(std::move(waiting_[i]));
    }
  }
  waiting_.resize(begin);
  for (Waiting& waiting : unknown) waiting_.push_back(std::move(waiting));
  return dropped;
}

void Outbox::ForgetWaiting() {
  waiting_.clear();
  waiting_ids_.clear();
}

void Outbox::TrimWaiting() {
  std::uint64_t given_up = 0;
  for (; waiting_.size() > options_.max_waiting; ++given_up) {
    waiting_ids_.erase(waiting_.front().transition.id);
    waiting_.pop_front();
  }
  MutexLock lock(&status_mutex_);
  status_.given_up += given_up;
  status_.pending = waiting_.size();
}

DbResult Outbox::WriteChanges(const std::string& name, const Changes& changes, std::uint64_t consumed,
                              const std::string& webhook) {
  DbResult result = db_.Prepare("INSERT OR REPLACE INTO receivers VALUES(?, ?, ?)")
                        .BindText(name)
                        .Bind(std::int64_t(consumed))
                        .BindText(webhook)
                        .Step();
  if (changes.reset) {
    for (const char* sql : {"DELETE FROM incidents WHERE receiver=?", "DELETE FROM slots WHERE receiver=?"}) {
      if (result == DbResult::kOk) result = db_.Prepare(sql).BindText(name).Step();
    }
  }
  for (const std::string& id : changes.removed_incidents) {
    if (result != DbResult::kOk) return result;
    result = db_.Prepare("DELETE FROM incidents WHERE receiver=? AND id=?").BindText(name).BindText(id).Step();
  }
  for (const std::uint64_t id : changes.removed_slots) {
    if (result != DbResult::kOk) return result;
    result = db_.Prepare("DELETE FROM slots WHERE receiver=? AND id=?").BindText(name).Bind(std::int64_t(id)).Step();
  }
  for (const StoredSlot& slot : changes.slots) {
    if (result != DbResult::kOk) return result;
    SqliteDb::Statement insert = db_.Prepare("INSERT OR REPLACE INTO slots VALUES(?, ?, ?)");
    result = insert.BindText(name).Bind(std::int64_t(slot.id)).BindBlob(slot.body).Step();
  }
  for (const StoredIncident& incident : changes.incidents) {
    if (result != DbResult::kOk) return result;
    SqliteDb::Statement insert = db_.Prepare("INSERT OR REPLACE INTO incidents VALUES(?, ?, ?, ?, ?)");
    insert.BindText(name).BindText(incident.id).Bind(std::int64_t(incident.slot)).Bind(std::int64_t(incident.joined));
    result = insert.BindBlob(incident.body).Step();
  }
  return result;
}

bool Outbox::Save(Receiver* receiver, const Changes& changes, std::uint64_t consumed, const std::string& webhook) {
  MutexLock lock(&mutex_);
  if (!Usable()) return false;
  if (receiver->generation != generation_ && !changes.reset) return false;
  const std::uint64_t generation = generation_;
  if (!Transact([&]() NO_THREAD_SAFETY_ANALYSIS { return WriteChanges(receiver->name, changes, consumed, webhook); })) {
    return false;
  }
  // They were handed out when they could not be written.
  ForgetWaiting();
  if (generation != generation_) return false;
  receiver->generation = generation_;
  return true;
}

void Outbox::ForgetAllBut(const std::vector<std::string>& names) {
  MutexLock lock(&mutex_);
  if (!Usable()) return;
  std::vector<std::string> gone;
  {
    SqliteDb::Statement known = db_.Prepare("SELECT name FROM receivers");
    while (known.Step() == DbResult::kRow) gone.emplace_back(known.Bytes(0));
  }
  std::erase_if(gone, [&](const auto& name) { return std::find(names.begin(), names.end(), name) != names.end(); });
  for (const std::string& name : gone) {
    for (const char* sql : {"DELETE FROM incidents WHERE receiver=?", "DELETE FROM slots WHERE receiver=?",
                            "DELETE FROM receivers WHERE name=?"}) {
      if (const DbResult result = db_.Prepare(sql).BindText(name).Step(); result != DbResult::kOk) {
        return OnFailure(result);
      }
    }
  }
}

Outbox::Committed Outbox::Tend() {
  MutexLock lock(&mutex_);
  if (!waiting_.empty() || !unwritten_silences_.empty() || failing_ || !db_.is_open()) {
    // Something must really be written, to know whether it can be.
    const Step probe = [&]() NO_THREAD_SAFETY_ANALYSIS {
      return db_.Run("INSERT OR REPLACE INTO meta VALUES('probe', abs(random() % 1000000))");
    };
    if (Transact(probe)) ForgetWaiting();
  }
  if (!failing_ && db_.is_open()) {
    DbResult result = DeleteOld();
    if (result == DbResult::kOk && std::exchange(unsynced_, false)) result = db_.Checkpoint();
    if (result != DbResult::kOk) OnFailure(result);
  }
  UpdateSizes();
  return {{}, sequence_};
}

DbResult Outbox::DeleteOld() {
  // Without receivers nobody waits for any.
  const std::int64_t consumed =
      db_.Number("SELECT coalesce(min(consumed), (SELECT max(seq) FROM transitions), 0) FROM receivers", 0);
  for (int i = 0; i < kBatchesATime && updates_deleted_to_ < std::uint64_t(consumed); ++i) {
    SqliteDb::Statement updates = db_.Prepare(
        "DELETE FROM transitions WHERE seq IN (SELECT seq FROM transitions WHERE seq > ? AND seq <= ? AND kind = ? "
        "AND at_ns < ? ORDER BY seq LIMIT ?)");
    updates.Bind(std::int64_t(updates_deleted_to_)).Bind(consumed);
    updates.Bind(static_cast<std::int64_t>(core::TransitionKind::kUpdated)).Bind(committed_ns_.load()).Bind(kBatch);
    if (const DbResult result = updates.Step(); result != DbResult::kOk) return result;
    if (db_.Changes() > 0) unsynced_ = true;
    if (db_.Changes() < kBatch) updates_deleted_to_ = std::uint64_t(consumed);
  }
  const DbResult result = DeleteFirst(Now<std::chrono::system_clock>() - options_.keep_ns);
  if (result != DbResult::kOk || db_.UsedBytes() < options_.max_bytes / 10 * 9) return result;
  return DeleteForSpace();
}

DbResult Outbox::DeleteForSpace() {
  DbResult result = DbResult::kOk;
  for (int i = 0; i < kBatchesATime && result == DbResult::kOk; ++i) {
    result = DeleteFirst(INT64_MAX);
    if (db_.UsedBytes() < options_.max_bytes / 4 * 3) break;
  }
  return result;
}

// Of the first ones, those that were written before, that every receiver has, and that a fold cannot bring again.
DbResult Outbox::DeleteFirst(std::int64_t written_before_ns) {
  SqliteDb::Statement first = db_.Prepare(
      "DELETE FROM transitions WHERE seq IN (SELECT seq FROM (SELECT seq, written_ns, at_ns FROM transitions "
      "ORDER BY seq LIMIT ?) WHERE written_ns < ? AND at_ns < ? AND seq <= coalesce((SELECT min(consumed) "
      "FROM receivers), seq))");
  const DbResult result = first.Bind(kBatch).Bind(written_before_ns).Bind(committed_ns_.load()).Step();
  if (result == DbResult::kOk && db_.Changes() > 0) unsynced_ = true;
  return result;
}

}  // namespace spanwatch::notify
