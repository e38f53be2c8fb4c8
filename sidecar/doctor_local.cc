// This machine: socket, clock, disk.
#include <grp.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <string>

#include "sidecar/core/rule.h"
#include "sidecar/doctor.h"
#include "sidecar/ingest/endpoint.h"

namespace spanwatch::app {
namespace {

constexpr std::uint64_t kOutboxBytes = 64u << 20;
constexpr std::uint64_t kLeastFreeBytes = 16u << 20;
constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kLeastWallNs = 1'704'067'200 * kSecond;  // 2024

std::string Size(std::uint64_t bytes) { return core::FormatValue(static_cast<double>(bytes), core::Unit::kBytes); }

std::string UserName(uid_t uid) {
  std::array<char, 4096> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  ::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found);
  return found == nullptr ? std::to_string(uid) : found->pw_name;
}

std::string GroupName(gid_t gid) {
  std::array<char, 4096> buffer{};
  group entry{};
  group* found = nullptr;
  ::getgrgid_r(gid, &entry, buffer.data(), buffer.size(), &found);
  return found == nullptr ? std::to_string(gid) : found->gr_name;
}

std::string OwnerText(const struct stat& info) {
  std::array<char, 8> mode{};
  std::snprintf(mode.data(), mode.size(), "%04o", info.st_mode & 07777u);
  return UserName(info.st_uid) + ":" + GroupName(info.st_gid) + " " + mode.data();
}

// 0, or the error of a connection to the socket.
int ConnectError(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return ENAMETOOLONG;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return errno;
  const int result = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
  ::close(fd);
  return result == EAGAIN ? 0 : result;  // its queue is full: somebody listens
}

bool IsSocket(const std::string& path, struct stat* info) {
  return ::lstat(path.c_str(), info) == 0 && S_ISSOCK(info->st_mode);
}

// Of `path`, or of what stands above it and exists.
std::filesystem::path Existing(std::filesystem::path path) {
  std::error_code error;
  while (!path.empty() && path.has_relative_path() && !std::filesystem::exists(path, error)) path = path.parent_path();
  return path.empty() ? "." : path;
}

std::uint64_t BytesBelow(const std::filesystem::path& directory) {
  std::error_code error;
  std::uint64_t bytes = 0;
  for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    std::error_code size_error;
    const auto size = it->file_size(size_error);
    if (!size_error) bytes += size;
  }
  return bytes;
}

}  // namespace

std::vector<std::string> SocketCandidates() {
  const ingest::SocketDirectories directories = ingest::SystemSocketDirectories();
  std::vector<std::string> paths;
  if (!directories.runtime_dir.empty()) paths.push_back(directories.runtime_dir + "/spanwatch/spanwatch.sock");
  paths.push_back(directories.run + "/spanwatch/spanwatch.sock");
  paths.push_back(directories.tmp + "/spanwatch-" + std::to_string(::geteuid()) + "/spanwatch.sock");
  return paths;
}

void Doctor::CheckSocketFile(const std::string& path) {
  struct stat info {};
  if (!IsSocket(path, &info)) {
    // A directory that this user may not look into hides the socket, it is not gone.
    if (::access(path.c_str(), F_OK) != 0 && errno == EACCES) {
      return Fail("socket", path + ": user " + UserName(::geteuid()) + " may not look into its directory",
                  "run program and sidecar as one user, or put the user into the directory's group");
    }
    // The sidecar makes the directory of the default socket alone.
    const std::string directory = std::filesystem::path(path).parent_path().string();
    if (!sidecar_.answers && !config_.ingest_endpoints.empty() && ::access(directory.c_str(), W_OK | X_OK) != 0) {
      return Fail("socket", path + ": no socket can be made in " + directory + ": " + std::strerror(errno),
                  "make that directory, writable for the sidecar's user, or name another path in ingest.endpoints");
    }
    if (!sidecar_.answers) return Ok("socket", path + " is not there yet: the sidecar makes it");
    return Fail("socket", path + " is gone although the sidecar runs: no program can connect",
                "restart the sidecar, and see who cleans up that directory");
  }
  const std::string text = path + " (" + OwnerText(info) + ")";
  const int error = ConnectError(path);
  if (error == 0 && sidecar_.answers) return Ok("socket", text + ": the sidecar listens");
  if (error == 0) {
    return Warn("socket", text + ": somebody listens, but not the sidecar of this configuration",
                "another sidecar may run: name its configuration with --config");
  }
  if (error == ECONNREFUSED && sidecar_.answers) {
    return Fail("socket", text + ": nobody listens", "restart the sidecar");
  }
  if (error == ECONNREFUSED) return Ok("socket", text + " was left behind; the next sidecar takes it over");
  Fail("socket", text + ": user " + UserName(::geteuid()) + " cannot connect: " + std::strerror(error),
       "run program and sidecar as one user, or put the user into the socket's group");
}

void Doctor::CheckSocket() {
  std::string first_found;
  struct stat info {};
  for (const std::string& path : SocketCandidates()) {
    if (first_found.empty() && IsSocket(path, &info)) first_found = "ipc://" + path;
  }
  std::vector<std::string> endpoints = sidecar_.answers ? sidecar_.endpoints : config_.ingest_endpoints;
  if (endpoints.empty()) endpoints.push_back(first_found.empty() ? "ipc://" + SocketCandidates().front() : first_found);
  for (const std::string& endpoint : endpoints) {
    if (endpoint.starts_with("ipc://")) {
      CheckSocketFile(endpoint.substr(std::strlen("ipc://")));
    } else {
      Ok("socket", endpoint + " (programs need TRACING_ENDPOINT=" + endpoint + ")");
    }
  }
  if (sidecar_.answers && config_.ingest_endpoints.empty() && !first_found.empty() &&
      std::find(endpoints.begin(), endpoints.end(), first_found) == endpoints.end()) {
    Warn(
        "socket",
        "programs of user " + UserName(::geteuid()) + " look at " + first_found + " first, which is not this sidecar's",
        "remove that socket if it is stale, or set TRACING_ENDPOINT=" + endpoints.front());
  }
}

void Doctor::CheckClock(std::int64_t moved_ns) {
  const std::int64_t wall_ns = std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count();
  if (wall_ns < kLeastWallNs) {
    return Fail("clock", "the wall clock is years behind", "set it: spans, links and messages carry its time");
  }
  if (std::abs(moved_ns) > kSecond / 10) {
    return Warn("clock",
                "the wall clock was set while this command ran, by " +
                    core::FormatValue(static_cast<double>(std::abs(moved_ns)), core::Unit::kNanoseconds),
                "let ntpd or chronyd slew it instead of setting it");
  }
  timex times{};
  const int state = ::adjtimex(&times);
  if (state < 0) return Ok("clock", "runs steadily; whether it is synchronised cannot be read here");
  if (state == TIME_ERROR || (times.status & STA_UNSYNC) != 0) {
    return Warn("clock", "not synchronised with a time server",
                "timedatectl set-ntp true; with several machines, times of a trace would not fit");
  }
  Ok("clock", "synchronised, off by at most " +
                  core::FormatValue(static_cast<double>(times.maxerror) * 1000.0, core::Unit::kNanoseconds));
}

void Doctor::CheckDisk() {
  const std::string directory = sidecar_.answers ? sidecar_.state_dir : config_.state_dir;
  if (directory.empty()) {
    return Warn("disk", "no state_dir: a restart forgets traces and alerts", "name a directory under state_dir");
  }
  const std::filesystem::path existing = Existing(directory);
  const bool is_there = existing == std::filesystem::path(directory);
  // The sidecar proves by running that it can write; this user may be another one.
  if (!sidecar_.answers && ::access(existing.c_str(), W_OK | X_OK) != 0) {
    return Fail("disk",
                "state_dir " + directory + ": user " + UserName(::geteuid()) + " cannot write in " + existing.string(),
                "run as the sidecar's user, or name another state_dir");
  }
  struct statvfs space {};
  if (::statvfs(existing.c_str(), &space) != 0) {
    return Fail("disk", "state_dir " + directory + ": " + std::strerror(errno), "name another state_dir");
  }
  const std::uint64_t free = static_cast<std::uint64_t>(space.f_bavail) * space.f_frsize;
  const bool visible = ::access(directory.c_str(), R_OK | X_OK) == 0;
  const std::uint64_t used = visible ? BytesBelow(std::filesystem::path(directory) / "journal") : 0;
  const std::uint64_t need = config_.journal_max_bytes + kOutboxBytes - std::min(used, config_.journal_max_bytes);
  const std::string text = "state_dir " + directory + (is_there ? "" : " (not there yet)") + ": " + Size(free) +
                           " free, journal " + (visible || !is_there ? Size(used) : "(not for this user to see)") +
                           " of " + Size(config_.journal_max_bytes);
  if (free < kLeastFreeBytes) {
    return Fail("disk", text, "make room: without it the journal is memory only, and a restart forgets");
  }
  if (free < need && (visible || !is_there))
    return Warn("disk", text, "make room for " + Size(need) + " more, or lower journal.max_size");
  Ok("disk", text);
}

void Doctor::CheckJournal() {
  if (!sidecar_.answers || sidecar_.state_dir.empty()) return;
  if (!sidecar_.journal_on) {
    return Fail("journal", "memory only: " + sidecar_.journal_problem, "it tries again every 5 s; see docs/journal.md");
  }
  if (sidecar_.outbox_on && !sidecar_.outbox_writable) {
    return Fail("journal", "notify.db: " + sidecar_.outbox_problem, "alerts are delivered from memory until it works");
  }
  Ok("journal", "every record is written, every alert is on disk before it is sent");
}

}  // namespace spanwatch::app
