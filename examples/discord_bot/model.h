// The language model's client library, simulated: what GeminiService calls. Untraced, like any library of others.
#ifndef EXAMPLES_DISCORD_BOT_MODEL_H_
#define EXAMPLES_DISCORD_BOT_MODEL_H_

#include <string>

namespace bot {

struct Completion {
  std::string text;
  int input_tokens = 0;
  int output_tokens = 0;
};

// Answers after a while. Throws TimeoutError, RateLimitError or SafetyFilterError. Threads: any.
Completion GenerateContent(const std::string& prompt);

}  // namespace bot

#endif  // EXAMPLES_DISCORD_BOT_MODEL_H_
