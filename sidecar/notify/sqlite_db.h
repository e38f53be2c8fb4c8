// SQLite in the few forms that the outbox needs, so that one source file alone includes sqlite3.h. Errors are values;
// nothing throws. Not thread-safe: one owner at a time.
//
// Files are made 0600. WAL, synchronous=NORMAL: what is committed outlives the process; a power cut may cost what came
// after the last Checkpoint(). locking_mode=EXCLUSIVE: a second user of the file is refused, and the WAL's index is
// heap memory, not a mapping, so that a full disk is an error and not a signal.
#ifndef SPANWATCH_SIDECAR_NOTIFY_SQLITE_DB_H_
#define SPANWATCH_SIDECAR_NOTIFY_SQLITE_DB_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace spanwatch::notify {

enum class DbResult : std::uint8_t {
  kOk,
  kRow,      // of Step: there is a row to read
  kFull,     // the disk, or the size given to Open
  kCorrupt,  // not a database, or a damaged one
  kFailed,   // anything else: permissions, I/O, in use
};

class SqliteDb {
 public:
  // A statement in use. Bind by position from 1 on, read columns from 0 on; texts and blobs that Step gave are valid
  // until the next Step. Its end resets it for the next user.
  class Statement {
   public:
    explicit Statement(SqliteDb* db, sqlite3_stmt* statement) : db_(db), statement_(statement) {}
    ~Statement();
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;

    Statement& Bind(std::int64_t value);
    Statement& BindText(std::string_view text);  // must live until the statement's end
    Statement& BindBlob(std::string_view bytes);
    DbResult Step();
    std::int64_t Integer(int column) const;
    std::string_view Bytes(int column) const;

   private:
    SqliteDb* const db_;
    sqlite3_stmt* const statement_;
    int bound_ = 0;
  };

  SqliteDb() = default;
  ~SqliteDb() { Close(); }
  SqliteDb(const SqliteDb&) = delete;
  SqliteDb& operator=(const SqliteDb&) = delete;

  // Opens or makes the file and checks it whole. `max_bytes` bounds it.
  DbResult Open(const std::string& path, std::int64_t max_bytes);
  void Close();
  bool is_open() const { return db_ != nullptr; }

  // `sql` must be a literal: statements are kept by its address.
  Statement Prepare(const char* sql);
  DbResult Run(const char* sql);  // one without results; also several, separated by ;
  // The first column of the first row; `fallback` if there is none.
  std::int64_t Number(const char* sql, std::int64_t fallback);

  bool InTransaction() const;
  std::int64_t Changes() const;
  std::int64_t LastRowId() const;
  DbResult Checkpoint();  // moves the WAL into the file and syncs both
  std::int64_t UsedBytes();
  const std::string& error() const { return error_; }  // of the last call that failed; names no data
  DbResult last_failure() const { return last_failure_; }

 private:
  DbResult Judge(int code);

  sqlite3* db_ = nullptr;
  std::map<const char*, sqlite3_stmt*> statements_;
  std::string error_;
  DbResult last_failure_ = DbResult::kOk;
};

}  // namespace spanwatch::notify

#endif  // SPANWATCH_SIDECAR_NOTIFY_SQLITE_DB_H_
