#include "examples/discord_bot/services.h"

#include <exception>
#include <functional>
#include <thread>
#include <utility>

#include "examples/discord_bot/errors.h"
#include "examples/discord_bot/model.h"
#include "examples/discord_bot/simulation.h"
#include "spanwatch/spanwatch.h"

namespace bot {
namespace {

constexpr char kModel[] = "gemini-2.5-flash";
constexpr std::size_t kHistoryLines = 20;
constexpr int kAttempts = 2;

}  // namespace

// --- ContextManager
// ---------------------------------------------------------------------------------------------------

PromptContext ContextManager::BuildContext(const Message& message) {
  spanwatch::Span span("ContextManager.buildContext");
  PromptContext context;
  Scene& scene = Scene::Current();
  // Bind carries the current span to the other thread: fetchProfile becomes a child of buildContext there too.
  std::thread profile(spanwatch::Bind([&] {
    const Scene elsewhere(&scene.simulation(), scene.number(), 1);
    context.profile = FetchProfile(message);
  }));
  context.history = FetchHistory(message);
  profile.join();
  context.reply_levels = ResolveReplyChain(message.reply_chain);
  span.SetTag("historyLines", context.history.size());
  return context;
}

std::vector<std::string> ContextManager::FetchHistory(const Message& message) {
  spanwatch::Span span("ContextManager.fetchHistory", spanwatch::SpanKind::kClient);
  span.SetTag("db.system", "sqlite");
  Scene::Current().Latency(9);
  return std::vector<std::string>(message.number % 8 + 1, "a former message");
}

std::string ContextManager::FetchProfile(const Message& message) {
  spanwatch::Span span("ContextManager.fetchProfile", spanwatch::SpanKind::kClient);
  span.SetTag("db.system", "sqlite");
  Scene::Current().Latency(6);
  return message.author_id % 2 == 0 ? "likes short answers" : "likes long answers";
}

// Each message may answer to another one. A span a level: without a limit this is how a call stack runs away.
int ContextManager::ResolveReplyChain(int levels_left) {
  if (levels_left <= 0) return 0;
  spanwatch::Span span("ContextManager.resolveReplyChain");
  Scene::Current().Latency(2);
  return 1 + ResolveReplyChain(levels_left - 1);
}

// --- ConversationManager
// ----------------------------------------------------------------------------------------------

void ConversationManager::AddMessage(const Message& message) {
  spanwatch::Span span("ConversationManager.addMessage");
  span.SetTag("messageLength", message.content.size());
  Scene::Current().Latency(2);
  Append(message.channel_id, message.content);
}

void ConversationManager::SaveReply(const Message& message, const std::string& reply) {
  spanwatch::Span span("ConversationManager.saveReply");
  span.SetTag("replyLength", reply.size());
  Scene::Current().Latency(4);
  Append(message.channel_id, reply);
}

void ConversationManager::Append(std::uint64_t channel, std::string line) {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<std::string>& lines = channels_[channel];
  if (lines.size() >= kHistoryLines) lines.erase(lines.begin());
  lines.push_back(std::move(line));
}

std::size_t ConversationManager::Count() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return channels_.size();
}

// --- GeminiService
// ----------------------------------------------------------------------------------------------------

std::string GeminiService::GenerateResponse(const Message& message, const PromptContext& context) {
  // Traced() ends the span and, when an exception passes, keeps its type and message.
  return spanwatch::Traced("GeminiService.generateResponse", [&](spanwatch::Span& span) {
    span.SetTags({{"messageLength", message.content.size()}, {"model", kModel}});
    const std::string prompt = BuildPrompt(message, context);
    for (int attempt = 1;; ++attempt) {
      try {
        return CallModel(prompt);
      } catch (const RateLimitError& error) {
        if (attempt == kAttempts) throw;
        span.AddLog(spanwatch::LogLevel::kWarn, "rate-limited, trying again",
                    {{"attempt", attempt}, {"error", error.what()}});
        Scene::Current().Latency(80);
      }
    }
  });
}

std::string GeminiService::BuildPrompt(const Message& message, const PromptContext& context) {
  spanwatch::Span span("GeminiService.buildPrompt");
  std::string prompt = context.profile;
  for (const std::string& line : context.history) prompt += '\n' + line;
  prompt += '\n' + message.content;
  Scene::Current().Latency(1);
  span.SetTag("promptLength", prompt.size());
  return prompt;
}

std::string GeminiService::CallModel(const std::string& prompt) {
  return spanwatch::Traced("GeminiService.callModel", [&](spanwatch::Span& span) {
    span.SetTags({{"gen_ai.operation.name", "generate_content"}, {"gen_ai.request.model", kModel}});
    Completion completion = GenerateContent(prompt);
    span.SetTags({{"gen_ai.usage.input_tokens", completion.input_tokens},
                  {"gen_ai.usage.output_tokens", completion.output_tokens}});
    return std::move(completion.text);
  });
}

// --- AttachmentService
// ------------------------------------------------------------------------------------------------

void AttachmentService::Load(const Message& message) {
  spanwatch::Span span("AttachmentService.load");
  span.SetTag("attachments", message.attachments);
  Scene& scene = Scene::Current();
  scene.Latency(15);
  if (scene.weather().leak_mb > 0) scene.simulation().Leak(scene.weather().leak_mb);
}

// --- HealthMonitor
// ----------------------------------------------------------------------------------------------------

void HealthMonitor::CheckHealth() {
  spanwatch::Span span("HealthMonitor.checkHealth");
  {
    spanwatch::Span check("HealthMonitor.checkDatabase", spanwatch::SpanKind::kClient);
    Scene::Current().Latency(3);
  }
  {
    spanwatch::Span check("HealthMonitor.checkModel", spanwatch::SpanKind::kClient);
    Scene::Current().Latency(30);
  }
  // Rides on the SDK's heartbeat and is shown beside this process.
  spanwatch::SetGauge("conversations", {}, static_cast<double>(conversations_->Count()));
  span.AddLog(spanwatch::LogLevel::kInfo, "all parts answer");
}

}  // namespace bot
