// spanwatch-seed-best-practices: good and avoid, side by side.
#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>

#include "examples/seed/services.h"
#include "spanwatch/instrument.h"
#include "spanwatch/spanwatch.h"

namespace {

void DoWork() {}
struct Account {
  std::uint64_t id = 1;
  std::string email = "ann@example.com";
};

// 1. Context lifecycle
void GoodContext() {
  spanwatch::WithNewContext({{"source", "nightly_cleanup"}}, [] {
    DoWork();  // All work here is traced, and the trace ends with it.
  });
}
void AvoidContext() {
  auto* span = new spanwatch::Span("nightly_cleanup");
  DoWork();  // If this throws, the span never ends.
  delete span;
}

// 2. Spans
void GoodSpan() {
  spanwatch::Span span("operation");
  DoWork();
  // Ends on every way out; as an error, if an exception takes it out.
}
void BetterSpan() {
  spanwatch::Traced("operation", [] { DoWork(); });  // besides, keeps type, message and causes of the exception
}
void AvoidSpan() {
  spanwatch::Span span("operation");
  DoWork();
  span.End();
  DoWork();  // What follows End() belongs to no span, and what throws before it is noticed only as "left by an
             // exception".
}

// 3. Tags and logs
void GoodTags(const Account& user, const seed::Request& request) {
  spanwatch::Span span("GeminiService.generateResponse");
  span.SetTags({{"userId", spanwatch::HashUserId(user.id)},
                {"operationType", "ai_generation"},
                {"modelVersion", "gemini-1.5-pro"}});
  span.AddLog(spanwatch::LogLevel::kInfo, "Starting AI generation",
              {{"promptLength", request.prompt.size()}, {"temperature", request.temperature}});
}
void AvoidTags(const Account& user, const std::string& api_key) {
  spanwatch::Span span("GeminiService.generateResponse " + user.email);  // a name for each user: nothing groups
  span.SetTags({{"userEmail", user.email},                               // personal: redacted, at best
                {"apiKey", api_key}});                                   // a secret: redacted, at best
}

// 4. Services
void GoodInstrumentation(seed::GeminiService* gemini_service, seed::MyService* service) {
  const auto gemini = spanwatch::InstrumentLlm(gemini_service);  // the profile of its kind
  gemini.Call<&seed::GeminiService::generateResponse>(seed::Request{"hello"});

  spanwatch::InstrumentOptions<seed::MyService> options;
  options.skip_methods = {"get*", "cleanup"};  // what is not worth a span
  const spanwatch::Instrumented filtered(service, options);
  filtered.Call<&seed::MyService::processData>("data");
}
void AvoidInstrumentation(seed::MyService* service) {
  const spanwatch::Instrumented everything(service);
  for (int i = 0; i < 1000; ++i) everything.Call<&seed::MyService::getStats>();  // accessors in a loop: 1000 spans
}

}  // namespace

int main() {
  spanwatch::Start();
  seed::GeminiService gemini;
  seed::MyService service;
  GoodContext();
  AvoidContext();
  GoodSpan();
  BetterSpan();
  AvoidSpan();
  GoodTags(Account(), seed::Request{"hello"});
  AvoidTags(Account(), "not-a-real-key");
  GoodInstrumentation(&gemini, &service);
  AvoidInstrumentation(&service);
  spanwatch::Shutdown();
}
