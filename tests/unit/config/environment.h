// Environment variables for the length of a test.
#ifndef SPANWATCH_TESTS_UNIT_CONFIG_ENVIRONMENT_H_
#define SPANWATCH_TESTS_UNIT_CONFIG_ENVIRONMENT_H_

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

namespace spanwatch::config {

class ScopedEnvironment {
 public:
  using Values = std::vector<std::pair<std::string, std::string>>;

  explicit ScopedEnvironment(Values values) : values_(std::move(values)) {
    for (const auto& [name, value] : values_) ::setenv(name.c_str(), value.c_str(), 1);
  }
  ~ScopedEnvironment() {
    for (const auto& [name, value] : values_) ::unsetenv(name.c_str());
  }
  ScopedEnvironment(const ScopedEnvironment&) = delete;
  ScopedEnvironment& operator=(const ScopedEnvironment&) = delete;

 private:
  const Values values_;
};

}  // namespace spanwatch::config

#endif  // SPANWATCH_TESTS_UNIT_CONFIG_ENVIRONMENT_H_
