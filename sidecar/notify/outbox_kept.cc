// The traces that are kept for alerts, in the outbox's file.
#include <utility>

#include "sidecar/notify/outbox.h"

namespace spanwatch::notify {

StoredKept Outbox::LoadKept(std::uint64_t* generation) {
  MutexLock lock(&mutex_);
  *generation = 0;
  if (!Usable()) return {};
  StoredKept stored;
  SqliteDb::Statement incident = db_.Prepare("SELECT id, info FROM kept_incidents");
  DbResult result = DbResult::kOk;
  while ((result = incident.Step()) == DbResult::kRow) {
    stored.incidents.push_back({std::string(incident.Bytes(0)), std::string(incident.Bytes(1))});
  }
  if (result == DbResult::kOk) {
    SqliteDb::Statement trace = db_.Prepare("SELECT id, info, coalesce(length(body), 0) FROM kept_traces");
    while ((result = trace.Step()) == DbResult::kRow) {
      StoredKeptTrace row;
      row.id = trace.Bytes(0);
      row.info = trace.Bytes(1);
      row.size = std::uint64_t(trace.Integer(2));
      stored.traces.push_back(std::move(row));
    }
  }
  if (result != DbResult::kOk) {
    OnFailure(result);
    return {};
  }
  *generation = generation_;
  return stored;
}

// An own transaction and no OnFailure: a copy that does not fit must not make the alerts wait for the next attempt.
Outbox::KeptResult Outbox::SaveKept(const KeptChanges& changes, std::uint64_t* generation) {
  MutexLock lock(&mutex_);
  if (!Usable()) return KeptResult::kFailed;
  if (*generation != generation_ && !changes.reset) return KeptResult::kOtherFile;
  DbResult result = db_.Run("BEGIN IMMEDIATE");
  if (result == DbResult::kOk) result = WriteKept(changes);
  if (result == DbResult::kOk) result = db_.Run("COMMIT");
  if (result == DbResult::kOk) {
    *generation = generation_;
    unsynced_ = true;
    return KeptResult::kOk;
  }
  if (db_.InTransaction()) db_.Run("ROLLBACK");
  Count(&OutboxStatus::kept_write_errors);
  if (result == DbResult::kCorrupt) OnFailure(result);
  return KeptResult::kFailed;
}

DbResult Outbox::WriteKept(const KeptChanges& changes) {
  DbResult result = DbResult::kOk;
  if (changes.reset) result = db_.Run("DELETE FROM kept_incidents; DELETE FROM kept_traces");
  for (const std::string& id : changes.removed_incidents) {
    if (result != DbResult::kOk) return result;
    result = db_.Prepare("DELETE FROM kept_incidents WHERE id=?").BindText(id).Step();
  }
  for (const std::string& id : changes.removed_traces) {
    if (result != DbResult::kOk) return result;
    result = db_.Prepare("DELETE FROM kept_traces WHERE id=?").BindText(id).Step();
  }
  for (const StoredKeptTrace& trace : changes.traces) {
    if (result != DbResult::kOk) return result;
    const bool is_new = trace.change == StoredKeptTrace::Body::kNew;
    SqliteDb::Statement write =
        db_.Prepare("INSERT INTO kept_traces(id, info) VALUES(?, ?) ON CONFLICT(id) DO UPDATE SET info=excluded.info");
    result = write.BindText(trace.id).BindBlob(trace.info).Step();
    if (result != DbResult::kOk || trace.change == StoredKeptTrace::Body::kAsItWas) continue;
    if (is_new) {
      SqliteDb::Statement body = db_.Prepare("UPDATE kept_traces SET body=?2 WHERE id=?1");
      result = body.BindText(trace.id).BindBlob(trace.body).Step();
    } else {
      result = db_.Prepare("UPDATE kept_traces SET body=NULL WHERE id=?").BindText(trace.id).Step();
    }
  }
  for (const StoredKeptIncident& incident : changes.incidents) {
    if (result != DbResult::kOk) return result;
    SqliteDb::Statement write = db_.Prepare("INSERT OR REPLACE INTO kept_incidents VALUES(?, ?)");
    result = write.BindText(incident.id).BindBlob(incident.info).Step();
  }
  return result;
}

std::string Outbox::ReadKept(const std::string& id) {
  MutexLock lock(&mutex_);
  if (!db_.is_open()) return "";
  SqliteDb::Statement row = db_.Prepare("SELECT body FROM kept_traces WHERE id=?");
  return row.BindText(id).Step() == DbResult::kRow ? std::string(row.Bytes(0)) : std::string();
}

}  // namespace spanwatch::notify
