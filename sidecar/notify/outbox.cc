// The file: opening, setting up, putting aside, and what is told about it. Writing: outbox_write.cc.
#include "sidecar/notify/outbox.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <random>
#include <system_error>
#include <utility>

#include "sidecar/core/hash.h"
#include "sidecar/core/incident_codec.h"

namespace spanwatch::notify {
namespace {

constexpr std::int64_t kSchema = 1;
constexpr std::uint64_t kBodyVersion = 1;  // as in outbox_write.cc
constexpr int kDamagedKept = 3;

constexpr const char* kTables = R"(
CREATE TABLE IF NOT EXISTS meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS transitions(seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
  at_ns INTEGER NOT NULL, kind INTEGER NOT NULL, written_ns INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS receivers(name TEXT PRIMARY KEY, consumed INTEGER NOT NULL, webhook TEXT NOT NULL)
  WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS incidents(receiver TEXT NOT NULL, id TEXT NOT NULL, slot INTEGER NOT NULL,
  joined INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY(receiver, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS slots(receiver TEXT NOT NULL, id INTEGER NOT NULL, body BLOB NOT NULL,
  PRIMARY KEY(receiver, id)) WITHOUT ROWID;
PRAGMA user_version=1;
COMMIT)";
// Added to a file that has none yet. The version stays: one that does not know these tables leaves them alone, so that
// going back to it loses no alert.
constexpr const char* kKeptTables = R"(
CREATE TABLE IF NOT EXISTS kept_incidents(id TEXT PRIMARY KEY, info BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS kept_traces(id TEXT PRIMARY KEY, info BLOB NOT NULL, body BLOB);
CREATE TABLE IF NOT EXISTS silences(id TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;)";

std::uint64_t FileSize(const std::string& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  return error ? 0 : size;
}

// The numbers N of the files `path`.corrupt-N.
std::vector<int> NumbersPutAside(const std::filesystem::path& path) {
  const std::string prefix = path.filename().string() + ".corrupt-";
  std::vector<int> numbers;
  std::error_code error;
  for (std::filesystem::directory_iterator it(path.parent_path(), error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    int number = 0;
    const char* const last = name.data() + name.size();
    if (!name.starts_with(prefix)) continue;
    const auto parsed = std::from_chars(name.data() + prefix.size(), last, number);
    if (parsed.ec == std::errc() && parsed.ptr == last && number > 0 && number < 1'000'000) numbers.push_back(number);
  }
  return numbers;
}

}  // namespace

void Outbox::Open() {
  MutexLock lock(&mutex_);
  key_ = std::uint64_t{std::random_device{}()} << 32 | std::random_device{}();
  {
    MutexLock status_lock(&status_mutex_);
    status_.enabled = true;
  }
  const DbResult result = OpenFile();
  if (result != DbResult::kOk) OnFailure(result);
  was_new_ = made_new_ || result != DbResult::kOk;
}

void Outbox::Close() {
  MutexLock lock(&mutex_);
  if (db_.is_open() && !failing_) db_.Checkpoint();
  db_.Close();
  refused_ = true;
}

DbResult Outbox::OpenFile() {
  DbResult result = db_.Open(options_.path, options_.max_bytes);
  if (result == DbResult::kOk) result = SetUp();
  if (result == DbResult::kCorrupt) {
    PutAside();
    result = db_.Open(options_.path, options_.max_bytes);
    if (result == DbResult::kOk) result = SetUp();
  }
  if (result != DbResult::kOk) {
    db_.Close();
    return result;
  }
  ++generation_;
  for (const auto& [id, body] : silences_) unwritten_silences_.insert(id);
  failing_ = false;
  UpdateSizes();
  SetProblem("");
  return result;
}

DbResult Outbox::SetUp() {
  const std::int64_t version = db_.Number("PRAGMA user_version", 0);
  if (version > kSchema) {
    refused_ = true;
    SetProblem("the file is of a newer version of Spanwatch (" + std::to_string(version) + ")");
    return DbResult::kFailed;
  }
  made_new_ = version < kSchema;
  if (made_new_) {
    DbResult result = db_.Run("BEGIN IMMEDIATE");
    if (result == DbResult::kOk) result = db_.Run(kTables);
    if (result != DbResult::kOk) {
      if (db_.InTransaction()) db_.Run("ROLLBACK");
      return result;
    }
  }
  DbResult result = db_.Run(kKeptTables);
  if (result != DbResult::kOk) return result;
  const auto key = std::int64_t(key_);
  result = db_.Prepare("INSERT OR IGNORE INTO meta VALUES('key', ?)").Bind(key).Step();
  if (result != DbResult::kOk) return result;
  key_ = std::uint64_t(db_.Number("SELECT value FROM meta WHERE name='key'", key));
  sequence_ = std::uint64_t(db_.Number("SELECT seq FROM sqlite_sequence WHERE name='transitions'", 0));
  updates_deleted_to_ = 0;
  SqliteDb::Statement latest = db_.Prepare("SELECT max(at_ns), count(*) FROM transitions");
  result = latest.Step();
  if (result != DbResult::kRow) return result;
  // What is waiting in memory counts once it is written.
  if (latest.Integer(1) > 0) committed_ns_ = std::max(committed_ns_.load(), latest.Integer(0));
  return DbResult::kOk;
}

// Keeps the newest few: a disk that damages each file must not fill up with them.
void Outbox::PutAside() {
  db_.Close();
  std::vector<int> numbers = NumbersPutAside(options_.path);
  const int number = numbers.empty() ? 1 : *std::max_element(numbers.begin(), numbers.end()) + 1;
  const std::string aside = options_.path + ".corrupt-" + std::to_string(number);
  std::error_code error;
  std::filesystem::rename(options_.path, aside, error);
  if (error) std::filesystem::remove(options_.path, error);
  std::filesystem::rename(options_.path + "-wal", aside + "-wal", error);
  if (error) std::filesystem::remove(options_.path + "-wal", error);
  for (const int old : numbers) {
    if (old > number - kDamagedKept) continue;
    std::filesystem::remove(options_.path + ".corrupt-" + std::to_string(old), error);
    std::filesystem::remove(options_.path + ".corrupt-" + std::to_string(old) + "-wal", error);
  }
  sequence_ = 0;
  Count(&OutboxStatus::corruptions);
  const std::string note = "a damaged file was put aside as " + aside;
  {
    MutexLock lock(&status_mutex_);
    status_.note = note;
  }
  spdlog::error("outbox {}: {}; a new one is begun", options_.path, note);
}

std::string Outbox::Fingerprint(const std::string& secret) {
  MutexLock lock(&mutex_);
  return core::Hasher().Add(key_).Add(std::string_view(secret)).Digest128().ToHex();
}

StoredReceiver Outbox::Load(const std::string& name, Receiver* receiver) {
  MutexLock lock(&mutex_);
  StoredReceiver stored;
  *receiver = {name, 0};
  stored.sequence = sequence_;
  if (!Usable()) return stored;
  const DbResult result = ReadReceiver(name, &stored);
  if (result == DbResult::kOk) {
    receiver->generation = generation_;
  } else {
    OnFailure(result);
  }
  return stored;
}

DbResult Outbox::ReadReceiver(const std::string& name, StoredReceiver* stored) {
  SqliteDb::Statement known = db_.Prepare("SELECT consumed, webhook FROM receivers WHERE name=?");
  DbResult result = known.BindText(name).Step();
  if (result == DbResult::kOk) {
    SqliteDb::Statement insert = db_.Prepare("INSERT INTO receivers VALUES(?, ?, '')");
    return insert.BindText(name).Bind(std::int64_t(sequence_)).Step();
  }
  if (result != DbResult::kRow) return result;
  const auto consumed = std::uint64_t(known.Integer(0));
  stored->webhook = known.Bytes(1);
  SqliteDb::Statement incident = db_.Prepare("SELECT id, slot, joined, body FROM incidents WHERE receiver=?");
  incident.BindText(name);
  while ((result = incident.Step()) == DbResult::kRow) {
    stored->incidents.push_back({std::string(incident.Bytes(0)), std::uint64_t(incident.Integer(1)),
                                 std::uint64_t(incident.Integer(2)), std::string(incident.Bytes(3))});
  }
  if (result != DbResult::kOk) return result;
  SqliteDb::Statement slot = db_.Prepare("SELECT id, body FROM slots WHERE receiver=? ORDER BY id");
  slot.BindText(name);
  while ((result = slot.Step()) == DbResult::kRow) {
    stored->slots.push_back({std::uint64_t(slot.Integer(0)), std::string(slot.Bytes(1))});
  }
  return result == DbResult::kOk ? ReadAfter(consumed, &stored->unconsumed) : result;
}

DbResult Outbox::ReadAfter(std::uint64_t sequence, std::vector<core::Transition>* all) {
  SqliteDb::Statement row = db_.Prepare("SELECT body FROM transitions WHERE seq > ? ORDER BY seq");
  row.Bind(std::int64_t(sequence));
  DbResult result = DbResult::kOk;
  while ((result = row.Step()) == DbResult::kRow) {
    core::CodecReader reader(row.Bytes(0));
    core::Transition transition;
    if (reader.U64() == kBodyVersion && core::Load(&reader, &transition)) {
      all->push_back(std::move(transition));
    } else {
      Count(&OutboxStatus::unreadable);
    }
  }
  return result;
}

OutboxStatus Outbox::GetStatus() const {
  MutexLock lock(&status_mutex_);
  return status_;
}

void Outbox::Count(std::uint64_t OutboxStatus::*counter, std::uint64_t by) {
  MutexLock lock(&status_mutex_);
  status_.*counter += by;
}

void Outbox::UpdateSizes() {
  const std::uint64_t bytes = FileSize(options_.path) + FileSize(options_.path + "-wal");
  MutexLock lock(&status_mutex_);
  status_.bytes = bytes;
}

// Logged once for each change.
void Outbox::SetProblem(const std::string& problem) {
  std::string before;
  {
    MutexLock lock(&status_mutex_);
    before = std::exchange(status_.problem, problem);
    status_.writable = problem.empty();
  }
  if (before == problem) return;
  if (problem.empty()) {
    spdlog::info("outbox {}: works again", options_.path);
  } else {
    spdlog::error("outbox {}: {}; alerts are delivered from memory, a crash would forget them", options_.path, problem);
  }
}

}  // namespace spanwatch::notify
