// Where the receiver may listen: checks of configured endpoints, the search for the default socket, and the lock that
// keeps a second sidecar from stealing a socket silently (a second ipc bind succeeds and takes all new connections). No
// ZeroMQ here.
#ifndef SPANWATCH_SIDECAR_INGEST_ENDPOINT_H_
#define SPANWATCH_SIDECAR_INGEST_ENDPOINT_H_

#include <string>
#include <tl/expected.hpp>

namespace spanwatch::ingest {

struct Endpoint {
  std::string uri;
  std::string path;  // of ipc; empty: tcp
};

// Accepts ipc:// with an absolute path of at most 107 bytes, where nothing but a socket may stand already, and tcp://
// on loopback. Error: text with the endpoint, the cause and what to do.
tl::expected<Endpoint, std::string> CheckEndpoint(const std::string& uri);

struct SocketDirectories {
  std::string runtime_dir;  // $XDG_RUNTIME_DIR; may be empty
  std::string run = "/run";
  std::string tmp = "/tmp";
};
SocketDirectories SystemSocketDirectories();  // reads the environment

// spanwatch.sock in the first usable of RUNTIME/spanwatch (0700), RUN/spanwatch (0750, group spanwatch if there is
// one), TMP/spanwatch-UID (0700, ours alone). Makes the directory if need be.
tl::expected<Endpoint, std::string> FindDefaultSocket(const SocketDirectories& directories);

// An flock on `<socket path>.lock`, held while this lives. The file stays: a stale one does no harm.
class EndpointLock {
 public:
  static tl::expected<EndpointLock, std::string> Acquire(const Endpoint& endpoint);
  EndpointLock(EndpointLock&& other) noexcept;
  EndpointLock& operator=(EndpointLock&& other) = delete;
  ~EndpointLock();

 private:
  explicit EndpointLock(int fd) : fd_(fd) {}
  int fd_;
};

// After bind: mode 0660, and the group of its directory if that is the system-wide one. Error: text.
tl::expected<void, std::string> SetSocketMode(const Endpoint& endpoint);

}  // namespace spanwatch::ingest

#endif  // SPANWATCH_SIDECAR_INGEST_ENDPOINT_H_
