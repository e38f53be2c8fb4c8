// A TCP client that sends exactly the bytes it is told to. For tests.
#ifndef SPANWATCH_TESTS_UNIT_HTTP_RAW_CLIENT_H_
#define SPANWATCH_TESTS_UNIT_HTTP_RAW_CLIENT_H_

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <string>
#include <string_view>

namespace spanwatch::http {

class RawClient {
 public:
  explicit RawClient(int port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval limit{30, 0};  // a test that would hang fails instead
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    connected_ = connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;
  ~RawClient() { close(fd_); }

  bool connected() const { return connected_; }
  int fd() const { return fd_; }

  bool Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto size = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (size <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(size));
    }
    return true;
  }

  // Everything until the server closes.
  std::string ReadAll() {
    std::string all;
    while (ReadSome(&all)) {
    }
    return all;
  }

  // One answer with Content-Length: head and body.
  std::string ReadAnswer() {
    std::string answer = std::move(rest_);
    rest_.clear();
    for (;;) {
      const auto head = answer.find("\r\n\r\n");
      const auto length_at = answer.find("Content-Length: ");
      if (head != std::string::npos && length_at < head) {
        const std::size_t size = head + 4 + std::stoul(answer.substr(length_at + 16, 20));
        if (answer.size() >= size) {
          rest_ = answer.substr(size);
          return answer.substr(0, size);
        }
      }
      if (!ReadSome(&answer)) return answer;
    }
  }

 private:
  bool ReadSome(std::string* out) {
    char buffer[65536];
    const auto size = recv(fd_, buffer, sizeof buffer, 0);
    if (size > 0) out->append(buffer, static_cast<std::size_t>(size));
    return size > 0;
  }

  const int fd_;
  bool connected_ = false;
  std::string rest_;
};

}  // namespace spanwatch::http

#endif  // SPANWATCH_TESTS_UNIT_HTTP_RAW_CLIENT_H_
