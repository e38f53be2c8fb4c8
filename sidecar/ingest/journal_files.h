// The journal's directory as its writer sees it: lock, segments, and the one that is written. Layout: docs/journal.md.
//
// Threads: one at a time (Journal::Open, from then on the writer thread). Errors are texts for the user: what failed,
// where, and what to do.
#ifndef SPANWATCH_SIDECAR_INGEST_JOURNAL_FILES_H_
#define SPANWATCH_SIDECAR_INGEST_JOURNAL_FILES_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "sidecar/ingest/journal_io.h"
#include "sidecar/ingest/journal_segment.h"

namespace spanwatch::ingest {

// later - earlier; saturates, because a damaged file can hold any time.
std::int64_t ElapsedNs(std::int64_t earlier, std::int64_t later);

class JournalFiles {
 public:
  struct Settings {
    std::string directory;
    std::uint64_t max_bytes = 0;
    std::uint64_t segment_bytes = 0;
    std::int64_t max_age_ns = 0;
    const JournalIo* io = nullptr;
  };
  struct Failure {
    std::string text;
    bool no_space = false;  // a full disk: it may pass
  };
  // How the last segment stands.
  struct Tail {
    bool append = false;  // it is open, and goes on with Write()
    bool torn = false;    // an incomplete record was cut off
    std::uint64_t bytes = 0, checkpoint_bytes = 0, nonce = 0, last_index = 0;
    std::int64_t first_ns = 0;
  };

  explicit JournalFiles(Settings settings) : settings_(std::move(settings)) {}

  // Makes and locks the directory, looks at all segments, cuts off a torn tail. Files that never got a checkpoint are
  // removed. To be repeated until it worked; nothing else may be called before.
  tl::expected<Tail, Failure> Prepare();
  bool prepared() const { return prepared_; }
  // Closes the segment that is written, and releases the lock: prepared() is false again.
  void Release();

  // Leaves the segment that is written and begins the next one. `bytes`: room for the segment's header, then a
  // checkpoint and perhaps records, all with checksums of `nonce`. Gives up old segments: those that `now_ns` makes too
  // old, and as many as the new one needs under max_bytes. `bytes` is used up. Empty: done. Else the old ones stand as
  // they were.
  std::string Begin(std::uint64_t nonce, std::int64_t now_ns, std::string* bytes);
  // Appends records. After an error the segment is closed behind what was whole; only Begin() goes on.
  std::string Write(std::string* bytes);
  // The segment that is written, and (after Begin) the directory: to be synced. Null: none.
  std::shared_ptr<const UniqueFd> current() const { return current_; }
  std::shared_ptr<const UniqueFd> directory() const { return directory_fd_; }

  std::uint64_t segments() const { return segments_.size(); }
  std::uint64_t bytes() const;     // of valid records and headers
  std::int64_t oldest_ns() const;  // 0: none
  std::vector<SegmentFile> List() const;

 private:
  struct Segment {
    SegmentFile file;
    std::uint64_t bytes = 0;       // valid
    std::uint64_t file_bytes = 0;  // taken, with what is preallocated
    std::int64_t first_ns = 0;     // engine time of its checkpoint
    bool has_time = false;         // false: its head cannot be read
  };
  struct Spare {
    std::string path;
    std::uint64_t file_bytes = 0;
  };

  std::string MakeDirectory(int* error) const;
  std::string Lock(int* error);
  tl::expected<Tail, Failure> Scan();
  bool ScanLast(const SegmentFile& file, Tail* tail);
  void OpenTail(SegmentReader* reader, Tail* tail);
  void Leave();
  void GiveUpOld(std::int64_t now_ns, std::uint64_t need);
  void GiveUpOldest(bool keep_file);
  std::string OpenNext(std::uint64_t number, std::shared_ptr<const UniqueFd>* fd);
  std::string Allocate(int fd, std::uint64_t* file_bytes) const;
  // 0, or errno. Everything, in as many calls as it takes.
  int WriteAll(int fd, std::string_view bytes, std::uint64_t offset) const;
  std::string Explain(const std::string& what, int error) const;
  std::uint64_t FileBytes() const;

  Settings settings_;
  bool prepared_ = false;
  UniqueFd lock_;
  std::shared_ptr<const UniqueFd> directory_fd_;
  std::deque<Segment> segments_;  // oldest first; the last is written if current_ is set
  std::shared_ptr<const UniqueFd> current_;
  Spare spare_;  // an emptied file that has no segment's name any more; no path: none
};

}  // namespace spanwatch::ingest

#endif  // SPANWATCH_SIDECAR_INGEST_JOURNAL_FILES_H_
