#include "sidecar/state_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace spanwatch::app {
namespace {

constexpr int kMaxStarts = 3;
constexpr int kMaxSetAside = 9;

}  // namespace

tl::expected<std::unique_ptr<StateDirectory>, StateDirectory::Error> StateDirectory::Open(const std::string& path) {
  constexpr const char* kAdvice = "; name another directory, or set state_dir: \"\" to keep nothing";
  std::error_code error;
  const bool existed = std::filesystem::exists(path, error);
  std::filesystem::create_directories(path, error);
  if (error) {
    return tl::make_unexpected(Error{"state_dir " + path + " cannot be created: " + error.message() + kAdvice, false});
  }
  if (!existed) ::chmod(path.c_str(), 0700);
  const int lock = ::open((path + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (lock < 0) {
    return tl::make_unexpected(
        Error{"state_dir " + path + " cannot be written: " + std::strerror(errno) + kAdvice, false});
  }
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    ::close(lock);
    return tl::make_unexpected(Error{"state_dir " + path +
                                         " is in use by another sidecar; stop that one, or give this "
                                         "one a state_dir of its own",
                                     true});
  }
  return std::unique_ptr<StateDirectory>(new StateDirectory(path, lock));
}

StateDirectory::~StateDirectory() { ::close(lock_); }

std::string StateDirectory::BeginFold() {
  const std::string file = path_ + "/starting";
  int before = 0;
  std::ifstream(file) >> before;
  std::string said;
  if (before >= kMaxStarts) {
    std::error_code error;
    std::string aside;
    for (int n = 1; n <= kMaxSetAside; ++n) {
      aside = journal() + ".set-aside-" + std::to_string(n);
      if (!std::filesystem::exists(aside, error)) break;
    }
    std::filesystem::remove_all(aside, error);  // only the ninth can be there
    std::filesystem::rename(journal(), aside, error);
    if (!error) {
      said = "the last " + std::to_string(before) + " starts ended while the journal was read; it was moved to " +
             aside + " and a new one begins. `spanwatch replay " + aside + "` may show what is wrong with it";
    }
    before = 0;
  }
  std::ofstream(file) << before + 1 << '\n';
  return said;
}

void StateDirectory::EndFold() { ::unlink((path_ + "/starting").c_str()); }

}  // namespace spanwatch::app
