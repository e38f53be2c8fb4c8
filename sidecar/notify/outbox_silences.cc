// The silences, in the outbox's file.
#include "sidecar/notify/outbox.h"

namespace spanwatch::notify {

std::vector<StoredSilence> Outbox::LoadSilences() {
  MutexLock lock(&mutex_);
  std::vector<StoredSilence> all;
  if (!Usable()) return all;
  DbResult result = DbResult::kOk;
  {
    SqliteDb::Statement row = db_.Prepare("SELECT id, body FROM silences ORDER BY id");
    while ((result = row.Step()) == DbResult::kRow) {
      all.push_back({std::string(row.Bytes(0)), std::string(row.Bytes(1))});
    }
  }
  // What could be read of a damaged file is written into the next one.
  for (const StoredSilence& silence : all) silences_[silence.id] = silence.body;
  if (result != DbResult::kOk) OnFailure(result);
  return all;
}

void Outbox::SaveSilences(const std::vector<StoredSilence>& written, const std::vector<std::string>& removed) {
  MutexLock lock(&mutex_);
  for (const StoredSilence& silence : written) {
    silences_[silence.id] = silence.body;
    unwritten_silences_.insert(silence.id);
  }
  for (const std::string& id : removed) {
    silences_.erase(id);
    unwritten_silences_.insert(id);
  }
  // What waits beside them was handed on when it could not be written.
  if (Transact([] { return DbResult::kOk; })) ForgetWaiting();
}

DbResult Outbox::WriteSilences() {
  for (const std::string& id : unwritten_silences_) {
    const auto it = silences_.find(id);
    DbResult result = DbResult::kOk;
    if (it == silences_.end()) {
      result = db_.Prepare("DELETE FROM silences WHERE id=?").BindText(id).Step();
    } else {
      SqliteDb::Statement write = db_.Prepare("INSERT OR REPLACE INTO silences VALUES(?, ?)");
      result = write.BindText(id).BindBlob(it->second).Step();
    }
    if (result != DbResult::kOk) return result;
  }
  return DbResult::kOk;
}

}  // namespace spanwatch::notify
