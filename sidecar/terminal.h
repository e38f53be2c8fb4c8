// Colours for people: on a terminal, unless NO_COLOR is set. Any thread.
#ifndef SPANWATCH_SIDECAR_TERMINAL_H_
#define SPANWATCH_SIDECAR_TERMINAL_H_

#include <unistd.h>

#include <cstdlib>
#include <string>

namespace spanwatch::app {

class Paint {
 public:
  explicit Paint(int fd) : on_(::isatty(fd) == 1 && std::getenv("NO_COLOR") == nullptr) {}
  bool on() const { return on_; }
  std::string Bold(const std::string& text) const { return With("1", text); }
  std::string Dim(const std::string& text) const { return With("2", text); }
  std::string Red(const std::string& text) const { return With("31", text); }
  std::string Green(const std::string& text) const { return With("32", text); }
  std::string Yellow(const std::string& text) const { return With("33", text); }

 private:
  std::string With(const char* code, const std::string& text) const {
    return on_ ? std::string("\033[") + code + "m" + text + "\033[0m" : text;
  }
  const bool on_;
};

}  // namespace spanwatch::app

#endif  // SPANWATCH_SIDECAR_TERMINAL_H_
