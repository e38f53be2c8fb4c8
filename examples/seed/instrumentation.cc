// spanwatch-seed-instrumentation: services with a profile, with options, and single functions.
#include <cstdio>
#include <string>
#include <utility>

#include "examples/seed/services.h"
#include "spanwatch/instrument.h"
#include "spanwatch/spanwatch.h"

namespace {

seed::GeminiService gemini_service;
seed::ConversationManager conversation_manager;
seed::ContextManager context_manager;
seed::HealthMonitor health_monitor;
seed::MyService my_service;

void Profiles() {
  const auto gemini = spanwatch::InstrumentLlm(&gemini_service);
  const auto conversation = spanwatch::InstrumentConversationManager(&conversation_manager);
  const auto context = spanwatch::InstrumentContextManager(&context_manager);
  const auto health = spanwatch::InstrumentHealthMonitor(&health_monitor);

  gemini.Call<&seed::GeminiService::generateResponse>(seed::Request{"hello"});
  conversation.Call<&seed::ConversationManager::addMessage>(seed::Message{"hello", {1}, {}});
  context.Call<&seed::ContextManager::buildContext>(seed::Message{"hello", {1}, {}});
  health.Call<&seed::HealthMonitor::checkHealth>();
}

void OwnService() {
  spanwatch::InstrumentOptions<seed::MyService> options;
  options.name = "MyService";
  options.skip_methods = {"cleanup", "getStats"};
  options.service_tags = [](const seed::MyService& service) {
    return spanwatch::TagList{{"serviceType", "custom"}, {"version", service.version()}};  // as service.version
  };
  const spanwatch::Instrumented custom(&my_service, options);

  custom.Call<&seed::MyService::processData>("data");  // a span MyService.processData
  custom.Call<&seed::MyService::cleanup>();            // none
}

// A method of one's own: the span is its first line.
class Processor {
 public:
  std::string processData(std::string data) {
    spanwatch::Span span("Processor.processData");
    return data + "!";
  }
};

std::string Shorten(std::string text) { return text.substr(0, 3); }

void Functions() {
  Processor().processData("data");
  const auto shorten = spanwatch::Trace("Text.shorten", &Shorten);
  std::printf("%s\n", shorten("a long text").c_str());
}

}  // namespace

int main() {
  spanwatch::Start();
  Profiles();
  OwnService();
  Functions();
  spanwatch::Shutdown();
}
