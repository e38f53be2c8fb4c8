// A value that must not be shown. Plain value; any thread.
#ifndef SPANWATCH_SIDECAR_CORE_SECRET_H_
#define SPANWATCH_SIDECAR_CORE_SECRET_H_

#include <string>
#include <utility>

namespace spanwatch::core {

// Prints nowhere: only Reveal() gives it out.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string value) : value_(std::move(value)) {}
  const std::string& Reveal() const { return value_; }
  bool empty() const { return value_.empty(); }
  friend bool operator==(const Secret&, const Secret&) = default;

 private:
  std::string value_;
};

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_SECRET_H_
