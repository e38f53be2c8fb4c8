// A directory with a short path (ipc sockets may have 107 bytes) that goes away with its contents.
#ifndef SPANWATCH_TESTS_UNIT_INGEST_TEMP_DIR_H_
#define SPANWATCH_TESTS_UNIT_INGEST_TEMP_DIR_H_

#include <stdlib.h>

#include <filesystem>
#include <string>

namespace spanwatch::ingest {

class TempDir {
 public:
  TempDir() {
    char name[] = "/tmp/swXXXXXX";
    path_ = ::mkdtemp(name);
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  std::string path() const { return path_; }
  std::string path(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace spanwatch::ingest

#endif  // SPANWATCH_TESTS_UNIT_INGEST_TEMP_DIR_H_
