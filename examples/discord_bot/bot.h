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
  // Returns whether the user got an answer. Throws nothing.
  bool OnMessage(const Message& message) noexcept;
  void OnHealthTimer() noexcept { health_.CheckHealth(); }

 private:
  void Answer(const Message& message);
  void Send(const Message& message, const std::string& text);

  ContextManager contexts_;
  ConversationManager conversations_;
  GeminiService gemini_;
  AttachmentService attachments_;
  HealthMonitor health_{&conversations_};
};

}  // namespace bot

#endif  // EXAMPLES_DISCORD_BOT_BOT_H_
