// What can go wrong when a bot talks to a model. The type's name is what alerts and metrics group errors by.
#ifndef EXAMPLES_DISCORD_BOT_ERRORS_H_
#define EXAMPLES_DISCORD_BOT_ERRORS_H_

#include <stdexcept>

namespace bot {

class TimeoutError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class RateLimitError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class SafetyFilterError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class DiscordApiError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace bot

#endif  // EXAMPLES_DISCORD_BOT_ERRORS_H_
