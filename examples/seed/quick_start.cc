// spanwatch-seed-quick-start: start, services, messages, a trace by hand.
#include <cstdio>
#include <exception>
#include <string>

#include "examples/seed/services.h"
#include "spanwatch/discord.h"
#include "spanwatch/instrument.h"
#include "spanwatch/spanwatch.h"

namespace {

void HandleMessages() {
  seed::GeminiService gemini_service;
  seed::ConversationManager conversation_manager;
  seed::ContextManager context_manager;

  auto [gemini, conversation, context] = spanwatch::InstrumentServices(
      {}, spanwatch::InstrumentLlm(&gemini_service), spanwatch::InstrumentConversationManager(&conversation_manager),
      spanwatch::InstrumentContextManager(&context_manager));

  seed::Client client;
  client.on_message_create(spanwatch::WrapMessageHandler(
      [&gemini = gemini, &conversation = conversation, &context = context](const seed::Message& message) {
        // One trace a message; all calls of services in here belong to it.
        conversation.Call<&seed::ConversationManager::addMessage>(message);
        const std::string prompt = context.Call<&seed::ContextManager::buildContext>(message);
        const seed::Answer answer = gemini.Call<&seed::GeminiService::generateResponse>(seed::Request{prompt});
        std::printf("%s\n", answer.text.c_str());
      }));
  client.Receive({"What is a span?", {80351110224678912}, {}});
}

void TraceByHand() {
  spanwatch::WithNewContext({{"source", "custom_operation"}, {"metadata", "additional_context"}}, [] {
    spanwatch::Context::Current().SetTags({{"operation", "custom_work"}});

    spanwatch::Span span("data_processing");
    // Your work here. The span ends when it goes out of scope; as an error, if an exception takes it out.
  });
}

}  // namespace

int main() {
  spanwatch::Options options;
  options.service_name = "quick-start";
  spanwatch::Start(options);

  HandleMessages();
  TraceByHand();

  spanwatch::Shutdown();
}
