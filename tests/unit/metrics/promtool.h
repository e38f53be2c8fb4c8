// Runs `promtool check metrics` on a text. For tests.
#ifndef SPANWATCH_TESTS_UNIT_METRICS_PROMTOOL_H_
#define SPANWATCH_TESTS_UNIT_METRICS_PROMTOOL_H_

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <string>

namespace spanwatch::metrics {

inline bool HavePromtool() { return std::system("command -v promtool >/dev/null 2>&1") == 0; }

// What promtool says about `text`: empty if it finds nothing.
inline std::string CheckMetrics(const std::string& text) {
  char path[] = "/tmp/spanwatch-metrics-XXXXXX";
  const int fd = mkstemp(path);
  EXPECT_GE(fd, 0);
  std::FILE* file = fdopen(fd, "w");
  EXPECT_EQ(std::fwrite(text.data(), 1, text.size(), file), text.size());
  std::fclose(file);
  std::FILE* pipe = popen((std::string("promtool check metrics < ") + path + " 2>&1").c_str(), "r");
  std::string output;
  std::array<char, 4096> buffer;
  for (std::size_t n; (n = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) output.append(buffer.data(), n);
  const int status = pclose(pipe);
  unlink(path);
  return status == 0 ? output : output + "[exit status " + std::to_string(status) + "]";
}

}  // namespace spanwatch::metrics

#endif  // SPANWATCH_TESTS_UNIT_METRICS_PROMTOOL_H_
