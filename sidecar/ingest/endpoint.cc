#include "sidecar/ingest/endpoint.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

namespace spanwatch::ingest {
namespace {

constexpr std::size_t kMaxSocketPath = 107;  // sun_path less its terminating zero
constexpr std::string_view kIpc = "ipc://";
constexpr std::string_view kTcp = "tcp://";
constexpr char kGroup[] = "spanwatch";

std::string Error(int number) { return std::strerror(number); }

bool IsLoopback(std::string host) {
  if (host == "localhost") return true;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
    in6_addr address;
    return ::inet_pton(AF_INET6, host.c_str(), &address) == 1 && IN6_IS_ADDR_LOOPBACK(&address);
  }
  in_addr address;
  return ::inet_pton(AF_INET, host.c_str(), &address) == 1 && (ntohl(address.s_addr) >> 24) == 127;
}

bool IsPort(std::string_view text) {
  if (text == "*") return true;
  if (text.empty() || text.size() > 5 || text.find_first_not_of("0123456789") != std::string_view::npos) return false;
  return std::atoi(std::string(text).c_str()) <= 65535;
}

tl::expected<Endpoint, std::string> CheckTcp(const std::string& uri) {
  const std::string address = uri.substr(kTcp.size());
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos || !IsPort(std::string_view(address).substr(colon + 1))) {
    return tl::unexpected(uri + ": write tcp://127.0.0.1:PORT with a port up to 65535, or * for any free one");
  }
  if (!IsLoopback(address.substr(0, colon))) {
    return tl::unexpected(
        uri +
        ": spans are received over tcp on loopback only, because off the machine they would travel "
        "unencrypted and anybody could send some; use tcp://127.0.0.1:PORT, tcp://[::1]:PORT or ipc://");
  }
  return Endpoint{uri, ""};
}

tl::expected<Endpoint, std::string> CheckIpc(const std::string& uri) {
  const std::string path = uri.substr(kIpc.size());
  if (path.empty() || path.front() != '/') {
    return tl::unexpected(uri +
                          ": the path of an ipc socket must be absolute, as in ipc:///run/spanwatch/spanwatch.sock");
  }
  if (path.size() > kMaxSocketPath) {
    return tl::unexpected(uri + ": the path has " + std::to_string(path.size()) + " bytes, a socket's may have " +
                          std::to_string(kMaxSocketPath) + "; choose a shorter directory");
  }
  struct stat info {};
  if (::lstat(path.c_str(), &info) == 0 && !S_ISSOCK(info.st_mode)) {
    return tl::unexpected(uri + ": " + path + " exists and is not a socket; remove it or choose another path");
  }
  return Endpoint{uri, path};
}

// Makes or checks one candidate. Empty: usable. Else why not.
std::string PrepareDirectory(const std::string& path, mode_t mode, bool ours_alone) {
  const bool made = ::mkdir(path.c_str(), mode) == 0;
  if (!made && errno != EEXIST) return path + ": " + Error(errno);
  if (made) {
    // mkdir obeys the umask; the mode is part of the contract.
    if (::chmod(path.c_str(), mode) != 0) return path + ": " + Error(errno);
    if (!ours_alone) {
      const group* entry = ::getgrnam(kGroup);
      // Without the right to give it away the directory stays ours: usable, for fewer people.
      if (entry != nullptr && ::chown(path.c_str(), static_cast<uid_t>(-1), entry->gr_gid) != 0) errno = 0;
    }
  }
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return path + ": " + Error(errno);
  if (!S_ISDIR(info.st_mode)) return path + ": not a directory";
  if (ours_alone && info.st_uid != ::geteuid()) return path + ": belongs to another user";
  if (ours_alone && (info.st_mode & 077) != 0) return path + ": other users may enter; its mode must be 0700";
  if (::access(path.c_str(), W_OK | X_OK) != 0) return path + ": " + Error(errno);
  return {};
}

}  // namespace

tl::expected<Endpoint, std::string> CheckEndpoint(const std::string& uri) {
  if (uri.compare(0, kIpc.size(), kIpc) == 0) return CheckIpc(uri);
  if (uri.compare(0, kTcp.size(), kTcp) == 0) return CheckTcp(uri);
  return tl::unexpected(uri + ": an endpoint begins with ipc:// or tcp://");
}

SocketDirectories SystemSocketDirectories() {
  SocketDirectories directories;
  const char* runtime_dir = std::getenv("XDG_RUNTIME_DIR");
  if (runtime_dir != nullptr && runtime_dir[0] == '/') directories.runtime_dir = runtime_dir;
  return directories;
}

tl::expected<Endpoint, std::string> FindDefaultSocket(const SocketDirectories& directories) {
  struct Candidate {
    std::string path;
    mode_t mode;
    bool ours_alone;
  };
  const Candidate candidates[] = {
      {directories.runtime_dir.empty() ? "" : directories.runtime_dir + "/spanwatch", 0700, false},
      {directories.run + "/spanwatch", 0750, false},
      {directories.tmp + "/spanwatch-" + std::to_string(::geteuid()), 0700, true}};
  std::string problems;
  for (const Candidate& candidate : candidates) {
    if (candidate.path.empty()) continue;
    std::string problem = PrepareDirectory(candidate.path, candidate.mode, candidate.ours_alone);
    if (problem.empty()) {
      auto endpoint = CheckEndpoint(std::string(kIpc) + candidate.path + "/spanwatch.sock");
      if (endpoint) return endpoint;
      problem = endpoint.error();
    }
    problems += "\n  " + problem;
  }
  return tl::unexpected("no directory for the default socket is usable; set ingest.endpoints to a path that is:" +
                        problems);
}

tl::expected<EndpointLock, std::string> EndpointLock::Acquire(const Endpoint& endpoint) {
  const std::string path = endpoint.path + ".lock";
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
  if (fd < 0) {
    return tl::unexpected(endpoint.uri + ": cannot create " + path + ": " + Error(errno) +
                          "; make its directory writable for this user or choose another path in ingest.endpoints");
  }
  EndpointLock lock(fd);
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno == EWOULDBLOCK) {
    return tl::unexpected(endpoint.uri + ": another sidecar is running on this socket (it holds " + path +
                          "); stop it or choose another path in ingest.endpoints");
  }
  return tl::unexpected(endpoint.uri + ": cannot lock " + path + ": " + Error(errno));
}

EndpointLock::EndpointLock(EndpointLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

EndpointLock::~EndpointLock() {
  if (fd_ >= 0) ::close(fd_);
}

tl::expected<void, std::string> SetSocketMode(const Endpoint& endpoint) {
  if (::chmod(endpoint.path.c_str(), 0660) != 0) {
    return tl::unexpected(endpoint.uri + ": cannot set the mode of the socket: " + Error(errno));
  }
  const std::string directory = endpoint.path.substr(0, endpoint.path.rfind('/'));
  const group* entry = ::getgrnam(kGroup);
  struct stat info {};
  if (entry != nullptr && ::stat(directory.c_str(), &info) == 0 && info.st_gid == entry->gr_gid &&
      ::chown(endpoint.path.c_str(), static_cast<uid_t>(-1), entry->gr_gid) != 0) {
    return tl::unexpected(endpoint.uri + ": cannot give the socket to group " + kGroup + ": " + Error(errno));
  }
  return {};
}

}  // namespace spanwatch::ingest
