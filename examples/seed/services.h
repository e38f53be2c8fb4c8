// The services of a small bot, untraced: what the other files here instrument. Nothing in this file knows of tracing.
#ifndef EXAMPLES_SEED_SERVICES_H_
#define EXAMPLES_SEED_SERVICES_H_

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace seed {

struct User {
  std::uint64_t id = 0;
};
struct Message {
  std::string content;
  User author;
  std::vector<std::string> attachments;
};

struct Request {
  std::string prompt;
  double temperature = 0.7;
};
struct Answer {
  std::string text;
  int input_tokens = 0;
  int output_tokens = 0;
};

class GeminiService {
 public:
  Answer generateResponse(const Request& request) {
    ++calls_;
    if (request.prompt.empty()) throw std::invalid_argument("an empty prompt");
    return {"You said something of " + std::to_string(request.prompt.size()) + " bytes.", 12, 30};
  }
  std::string model() const { return "gemini-1.5-pro"; }
  int getStats() const { return calls_; }

 private:
  int calls_ = 0;
};

class ConversationManager {
 public:
  void addMessage(const Message& message) { lines_.push_back(message.content); }
  const std::vector<std::string>& history() const { return lines_; }

 private:
  std::vector<std::string> lines_;
};

class ContextManager {
 public:
  std::string buildContext(const Message& message) { return message.content; }
};

class HealthMonitor {
 public:
  bool checkHealth() { return true; }
};

class MyService {
 public:
  std::string processData(std::string data) { return data + "!"; }
  void cleanup() {}
  int getStats() const { return 1; }
  std::string version() const { return "1.4.2"; }
};

// Stands for a Discord library: calls the handler for each message.
class Client {
 public:
  void on_message_create(std::function<void(const Message&)> handler) { handler_ = std::move(handler); }
  void Receive(const Message& message) const { handler_(message); }

 private:
  std::function<void(const Message&)> handler_;
};

}  // namespace seed

#endif  // EXAMPLES_SEED_SERVICES_H_
