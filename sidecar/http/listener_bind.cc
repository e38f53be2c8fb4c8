#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "sidecar/http/listener_impl.h"

namespace spanwatch::http {
namespace {

std::string BindError(const ListenerOptions& options, int error) {
  const std::string port = std::to_string(options.port);
  std::string text = "cannot listen on " + options.host + ":" + port + ": " + std::strerror(error);
  if (error == EADDRINUSE) {
    return text + ". Another program, perhaps another sidecar, has this port: stop it (ss -ltnp 'sport = :" + port +
           "' names it) or set " + options.setting + " to another port";
  }
  if (error == EACCES) {
    return text + ". Ports below 1024 need the capability CAP_NET_BIND_SERVICE: set " + options.setting +
           " to a higher port";
  }
  if (error == EADDRNOTAVAIL)
    return text + ". No interface of this machine has this address: correct " + options.setting;
  return text + ". Check " + options.setting;
}

}  // namespace

tl::expected<int, std::string> BindListener(const ListenerOptions& options) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
  std::string host = options.host == "localhost" ? "127.0.0.1" : options.host;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), std::to_string(options.port).c_str(), &hints, &found) != 0) {
    return tl::unexpected("cannot listen on \"" + options.host +
                          "\": not a numeric address or \"localhost\". Correct " + options.setting);
  }
  const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int error = fd < 0 ? errno : 0;
  if (fd >= 0) {
    // A port in TIME_WAIT may be taken again; one that somebody listens on may not. SO_REUSEPORT would share it
    // silently.
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, 512) != 0) error = errno;
  }
  freeaddrinfo(found);
  if (error == 0) return fd;
  if (fd >= 0) close(fd);
  return tl::unexpected(BindError(options, error));
}

int BoundPort(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
  if (address.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port);
  return ntohs(reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
}

}  // namespace spanwatch::http
