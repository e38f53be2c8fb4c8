// Asks the sidecar's HTTP API on this machine. A program of yours uses its own HTTP client.
#ifndef EXAMPLES_SEED_SIDECAR_H_
#define EXAMPLES_SEED_SIDECAR_H_

#include <string>

#include "examples/seed/json.h"

namespace seed {

class Sidecar {
 public:
  explicit Sidecar(int port) : port_(port) {}

  // The body of GET `path`; empty unless the answer is 200.
  std::string GetText(const std::string& path) const;
  Json Get(const std::string& path) const { return Json::Parse(GetText(path)); }

 private:
  const int port_;
};

}  // namespace seed

#endif  // EXAMPLES_SEED_SIDECAR_H_
