#include "examples/discord_bot/bot.h"

#include <exception>

#include "examples/discord_bot/errors.h"
#include "examples/discord_bot/simulation.h"
#include "spanwatch/redaction.h"
#include "spanwatch/spanwatch.h"

namespace bot {

bool Bot::OnMessage(const Message& message) noexcept {
  // The root of this message's trace. Nothing of what the user wrote, and no id that leads to them.
  spanwatch::Span span("messageCreate", spanwatch::SpanKind::kConsumer);
  span.SetTags({{"userId", spanwatch::HashUserId(message.author_id)},
                {"messageLength", message.content.size()},
                {"hasAttachments", message.attachments > 0}});
  try {
    Answer(message);
    return true;
  } catch (const std::exception&) {
    span.FailWithCurrentException();
    try {
      Send(message, "Sorry, that did not work. Please try again.");
    } catch (const std::exception& error) {
      span.AddLog(spanwatch::LogLevel::kError, "no apology sent either", {{"error", error.what()}});
    }
    return false;
  }
}

void Bot::Answer(const Message& message) {
  const PromptContext context = contexts_.BuildContext(message);
  if (message.attachments > 0) attachments_.Load(message);
  conversations_.AddMessage(message);
  const std::string reply = gemini_.GenerateResponse(message, context);
  conversations_.SaveReply(message, reply);
  Send(message, reply);
}

void Bot::Send(const Message& message, const std::string& text) {
  spanwatch::Traced("Discord.sendMessage", [&](spanwatch::Span& span) {
    span.SetTags({{"replyLength", text.size()}, {"channel", message.channel_id % 1000}});
    Scene& scene = Scene::Current();
    scene.Latency(35);
    if (scene.random().Chance(0.002)) throw DiscordApiError("502 from Discord");
  });
}

}  // namespace bot
