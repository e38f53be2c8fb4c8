// spanwatch-coroutines: a bot in C++20 coroutines. Its spans have the right parents on whatever thread it goes on.
#include <cstdio>
#include <string>

#include "examples/coroutines/pool.h"
#include "examples/coroutines/task.h"
#include "spanwatch/coroutine.h"
#include "spanwatch/spanwatch.h"

namespace {

example::Pool& Workers() {
  static example::Pool pool(2);
  return pool;
}

example::Task<std::string> Generate(std::string prompt) {
  const spanwatch::Span span("Model.generate", spanwatch::SpanKind::kClient);
  co_await Workers().Switch();  // from here on another thread
  co_return "an answer to " + prompt;
}

example::Task<std::string> Answer(std::string message) {
  const spanwatch::Span span("Bot.answer");
  // The span of the call ends with the task, and has its exception if it fails.
  std::string text = co_await spanwatch::Traced("Bot.ask", [&] { return Generate(message); });
  const spanwatch::Span send("Bot.send");  // child of Bot.answer, though on another thread
  co_return text;
}

}  // namespace

int main() {
  spanwatch::Options options;
  options.service_name = "coroutines";
  spanwatch::Start(options);
  std::printf("%s\n", example::Wait(Answer("hello")).c_str());
  spanwatch::Shutdown();
}
