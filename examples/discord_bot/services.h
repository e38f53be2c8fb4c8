// The services of a Discord LLM bot, traced. All are thread-safe.
#ifndef EXAMPLES_DISCORD_BOT_SERVICES_H_
#define EXAMPLES_DISCORD_BOT_SERVICES_H_

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "examples/discord_bot/message.h"

namespace bot {

// What the model is told beside the message.
struct PromptContext {
  std::vector<std::string> history;
  std::string profile;
  int reply_levels = 0;
};

// Gathers what belongs to a message: history and profile at the same time, then the chain of messages it answers to.
class ContextManager {
 public:
  PromptContext BuildContext(const Message& message);

 private:
  std::vector<std::string> FetchHistory(const Message& message);
  std::string FetchProfile(const Message& message);
  int ResolveReplyChain(int levels_left);
};

// Keeps each channel's last messages.
class ConversationManager {
 public:
  void AddMessage(const Message& message);
  void SaveReply(const Message& message, const std::string& reply);
  std::size_t Count() const;

 private:
  void Append(std::uint64_t channel, std::string line);

  mutable std::mutex mutex_;
  std::map<std::uint64_t, std::vector<std::string>> channels_;  // under mutex_
};

// Talks to the model; tries again once when it is rate-limited.
class GeminiService {
 public:
  // Throws what the model throws.
  std::string GenerateResponse(const Message& message, const PromptContext& context);

 private:
  std::string BuildPrompt(const Message& message, const PromptContext& context);
  std::string CallModel(const std::string& prompt);
};

// Looks after attachments.
class AttachmentService {
 public:
  void Load(const Message& message);
};

// Checks the parts that the bot depends on, now and then.
class HealthMonitor {
 public:
  explicit HealthMonitor(const ConversationManager* conversations) : conversations_(conversations) {}
  void CheckHealth();

 private:
  const ConversationManager* const conversations_;
};

}  // namespace bot

#endif  // EXAMPLES_DISCORD_BOT_SERVICES_H_
