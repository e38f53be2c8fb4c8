// The bot: one trace a message.
#ifndef EXAMPLES_DISCORD_BOT_BOT_H_
#define EXAMPLES_DISCORD_BOT_BOT_H_

#include <cstdint>
#include <string>

#include "examples/discord_bot/services.h"

namespace bot {

// Threads: OnMessage and OnHealthTimer from any thread, any number at once.
class Bot {
 public:
  // `hash_key` makes the hashed user ids of this bot differ from everybody else's.
  explicit Bot(std::uint64_t hash_key) : hash_key_(hash_key) {}

  // Returns whether the user got an answer. Throws nothing.
  bool OnMessage(const Message& message) noexcept;
  void OnHealthTimer() noexcept { health_.CheckHealth(); }

 private:
  void Answer(const Message& message);
  void Send(const Message& message, const std::string& text);
  std::string HashUserId(std::uint64_t id) const;

  const std::uint64_t hash_key_;
  ContextManager contexts_;
  ConversationManager conversations_;
  GeminiService gemini_;
  AttachmentService attachments_;
  HealthMonitor health_{&conversations_};
};

}  // namespace bot

#endif  // EXAMPLES_DISCORD_BOT_BOT_H_
