#include "sidecar/core/timeouts.h"

#include <array>

namespace spanwatch::core {
namespace {

constexpr std::size_t kLookedAt = 1024;

bool StartsIgnoringCase(std::string_view text, std::string_view lower) {
  if (text.size() < lower.size()) return false;
  for (std::size_t i = 0; i < lower.size(); ++i) {
    const char c = text[i];
    if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c) != lower[i]) return false;
  }
  return true;
}

// One pass: failures come in storms, with long messages.
bool HasSign(std::string_view text) {
  constexpr std::array<std::string_view, 3> kTime = {"timeout", "timed out", "timedout"};
  constexpr std::array<std::string_view, 3> kDeadline = {"deadline exceeded", "deadline_exceeded", "deadlineexceeded"};
  text = text.substr(0, kLookedAt);
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = static_cast<char>(text[i] | 0x20);
    if (c != 't' && c != 'd') continue;
    for (const std::string_view sign : c == 't' ? kTime : kDeadline) {
      if (StartsIgnoringCase(text.substr(i), sign)) return true;
    }
  }
  return false;
}

}  // namespace

bool SaysTimeout(std::string_view error_type, std::string_view error_message, std::int64_t http_status) {
  return http_status == 408 || http_status == 504 || error_type == "408" || error_type == "504" ||
         HasSign(error_type) || HasSign(error_message);
}

}  // namespace spanwatch::core
