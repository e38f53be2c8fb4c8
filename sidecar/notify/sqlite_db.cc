#include "sidecar/notify/sqlite_db.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace spanwatch::notify {
namespace {

constexpr std::int64_t kPageBytes = 4096;

}  // namespace

SqliteDb::Statement::~Statement() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

SqliteDb::Statement& SqliteDb::Statement::Bind(std::int64_t value) {
  if (statement_ != nullptr) sqlite3_bind_int64(statement_, ++bound_, value);
  return *this;
}

SqliteDb::Statement& SqliteDb::Statement::BindText(std::string_view text) {
  if (statement_ != nullptr) {
    sqlite3_bind_text64(statement_, ++bound_, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
  }
  return *this;
}

SqliteDb::Statement& SqliteDb::Statement::BindBlob(std::string_view bytes) {
  if (statement_ != nullptr) sqlite3_bind_blob64(statement_, ++bound_, bytes.data(), bytes.size(), SQLITE_STATIC);
  return *this;
}

DbResult SqliteDb::Statement::Step() {
  if (statement_ == nullptr) return db_->last_failure();
  return db_->Judge(sqlite3_step(statement_));
}

std::int64_t SqliteDb::Statement::Integer(int column) const { return sqlite3_column_int64(statement_, column); }

std::string_view SqliteDb::Statement::Bytes(int column) const {
  const void* data = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  return data == nullptr ? std::string_view() : std::string_view(static_cast<const char*>(data), std::size_t(size));
}

DbResult SqliteDb::Open(const std::string& path, std::int64_t max_bytes) {
  Close();
  // SQLite would make it 0644; the WAL gets the file's own mode.
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) {
    error_ = std::strerror(errno);
    return last_failure_ = errno == ENOSPC ? DbResult::kFull : DbResult::kFailed;
  }
  ::close(fd);
  const int code = sqlite3_open_v2(path.c_str(), &db_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  DbResult result = Judge(code);
  if (result == DbResult::kOk) {
    sqlite3_extended_result_codes(db_, 1);
    sqlite3_busy_timeout(db_, 250);
    result = Run("PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL");
  }
  // The checkpoints are the owner's; this one only bounds the WAL.
  if (result == DbResult::kOk) result = Run("PRAGMA wal_autocheckpoint=4000; PRAGMA journal_size_limit=1048576");
  if (result == DbResult::kOk) {
    const std::string limit =
        "PRAGMA max_page_count=" + std::to_string(std::max<std::int64_t>(max_bytes / kPageBytes, 16));
    result = Judge(sqlite3_exec(db_, limit.c_str(), nullptr, nullptr, nullptr));
  }
  if (result == DbResult::kOk) {
    Statement check = Prepare("PRAGMA quick_check(1)");
    result = check.Step();
    if (result == DbResult::kRow) result = check.Bytes(0) == "ok" ? DbResult::kOk : DbResult::kCorrupt;
    if (result == DbResult::kCorrupt) error_ = "the check of the file failed";
  }
  if (result != DbResult::kOk) {
    Close();
    last_failure_ = result;
  }
  return result;
}

void SqliteDb::Close() {
  for (const auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  statements_.clear();
  if (db_ != nullptr) sqlite3_close_v2(db_);
  db_ = nullptr;
}

SqliteDb::Statement SqliteDb::Prepare(const char* sql) {
  sqlite3_stmt*& statement = statements_[sql];
  if (statement == nullptr && db_ != nullptr) {
    Judge(sqlite3_prepare_v3(db_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr));
  }
  return Statement(this, statement);
}

DbResult SqliteDb::Run(const char* sql) {
  if (db_ == nullptr) return last_failure_ = DbResult::kFailed;
  return Judge(sqlite3_exec(db_, sql, nullptr, nullptr, nullptr));
}

std::int64_t SqliteDb::Number(const char* sql, std::int64_t fallback) {
  Statement statement = Prepare(sql);
  return statement.Step() == DbResult::kRow ? statement.Integer(0) : fallback;
}

bool SqliteDb::InTransaction() const { return db_ != nullptr && sqlite3_get_autocommit(db_) == 0; }
std::int64_t SqliteDb::Changes() const { return sqlite3_changes64(db_); }
std::int64_t SqliteDb::LastRowId() const { return sqlite3_last_insert_rowid(db_); }

DbResult SqliteDb::Checkpoint() {
  if (db_ == nullptr) return DbResult::kFailed;
  return Judge(sqlite3_wal_checkpoint_v2(db_, nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr));
}

std::int64_t SqliteDb::UsedBytes() {
  return (Number("PRAGMA page_count", 0) - Number("PRAGMA freelist_count", 0)) * kPageBytes;
}

DbResult SqliteDb::Judge(int code) {
  const int primary = code & 0xFF;
  if (primary == SQLITE_OK || primary == SQLITE_DONE) return DbResult::kOk;
  if (primary == SQLITE_ROW) return DbResult::kRow;
  error_ = sqlite3_errstr(code);
  // Without space SQLite says that writing failed; the system knows why.
  const int cause = db_ == nullptr ? 0 : sqlite3_system_errno(db_);
  const bool no_space = primary == SQLITE_IOERR && (cause == ENOSPC || cause == EDQUOT || cause == EFBIG);
  if (primary == SQLITE_IOERR && cause != 0) error_ += std::string(" (") + std::strerror(cause) + ")";
  if (primary == SQLITE_FULL || no_space) return last_failure_ = DbResult::kFull;
  // The statements are ours and right: an error in one means that the file is not what it should be.
  const bool corrupt = primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB || primary == SQLITE_ERROR;
  return last_failure_ = corrupt ? DbResult::kCorrupt : DbResult::kFailed;
}

}  // namespace spanwatch::notify
