// The Discord imitation of the end-to-end tests as a child process, and its control interface.
#ifndef SPANWATCH_TESTS_UNIT_NOTIFY_IMITATION_H_
#define SPANWATCH_TESTS_UNIT_NOTIFY_IMITATION_H_

#include <httplib.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

namespace spanwatch::notify {

class Imitation {
 public:
  Imitation() {
    int out[2];
    if (pipe(out) != 0) throw std::runtime_error("pipe");
    child_ = fork();
    if (child_ == 0) {
      dup2(out[1], 1);
      close(out[0]);
      setenv("PYTHONDONTWRITEBYTECODE", "1", 1);
      execlp("python3", "python3", SPANWATCH_SOURCE_DIR "/tests/e2e/discord_imitation.py", "--port", "0",
             "--no-rate-limit", static_cast<char*>(nullptr));
      _exit(127);
    }
    close(out[1]);
    char c;
    while (read(out[0], &c, 1) == 1 && c != '\n') url_ += c;
    close(out[0]);
    if (url_.find("/api/") == std::string::npos) throw std::runtime_error("the imitation did not start");
    origin_ = url_.substr(0, url_.find("/api/"));
  }
  ~Imitation() {
    kill(child_, SIGTERM);
    waitpid(child_, nullptr, 0);
  }
  Imitation(const Imitation&) = delete;
  Imitation& operator=(const Imitation&) = delete;

  const std::string& url() const { return url_; }
  std::string token() const { return url_.substr(url_.rfind('/') + 1); }

  // Waits for at least so many messages, edits and requests; the state then. A test that waits in vain fails on its
  // counts.
  nlohmann::json Wait(int messages, int edits = 0, int requests = 0) {
    return Control("wait", {{"messages", messages}, {"edits", edits}, {"requests", requests}, {"timeout", 60}});
  }
  void Fault(const nlohmann::json& fault) { Control("faults", fault); }

  nlohmann::json Control(const std::string& what, const nlohmann::json& body) {
    httplib::Client client(origin_);
    client.set_read_timeout(120);
    const auto result = client.Post(("/_control/" + what).c_str(), body.dump(), "application/json");
    if (!result || result->status != 200) throw std::runtime_error("control: " + what);
    return nlohmann::json::parse(result->body);
  }

 private:
  pid_t child_ = -1;
  std::string url_;
  std::string origin_;
};

}  // namespace spanwatch::notify

#endif  // SPANWATCH_TESTS_UNIT_NOTIFY_IMITATION_H_
