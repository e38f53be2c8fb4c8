// The directory that outlives the process: state_dir/journal and state_dir/notify.db. Locked while open. One thread.
#ifndef SPANWATCH_SIDECAR_STATE_DIRECTORY_H_
#define SPANWATCH_SIDECAR_STATE_DIRECTORY_H_

#include <memory>
#include <string>
#include <tl/expected.hpp>

namespace spanwatch::app {

class StateDirectory {
 public:
  struct Error {
    std::string text;     // says what to do
    bool locked = false;  // another sidecar has it; else it cannot be created or written
  };
  // Creates `path` (0700, parents as needed), makes sure that files can be written there, and locks it.
  static tl::expected<std::unique_ptr<StateDirectory>, Error> Open(const std::string& path);
  ~StateDirectory();
  StateDirectory(const StateDirectory&) = delete;
  StateDirectory& operator=(const StateDirectory&) = delete;

  std::string journal() const { return path_ + "/journal"; }
  std::string notify_database() const { return path_ + "/notify.db"; }

  // Around the reading of the journal. Bytes that kill the sidecar must not keep it down for ever: when three starts in
  // a row did not get to EndFold(), moves the journal aside and returns what to say; else empty.
  std::string BeginFold();
  void EndFold();

 private:
  StateDirectory(std::string path, int lock) : path_(std::move(path)), lock_(lock) {}

  const std::string path_;
  const int lock_;
};

}  // namespace spanwatch::app

#endif  // SPANWATCH_SIDECAR_STATE_DIRECTORY_H_
