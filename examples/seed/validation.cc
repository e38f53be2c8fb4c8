// spanwatch-seed-validation: tests of a traced program. Exit status 1 if one fails.
#include <cstdio>
#include <string>
#include <vector>

#include "examples/seed/services.h"
#include "spanwatch/instrument.h"
#include "spanwatch/spanwatch.h"
#include "spanwatch/testing.h"

namespace {

bool Expect(bool condition, const char* text) {
  std::printf("%s %s\n", condition ? "ok    " : "FAILED", text);
  return condition;
}

// Spans are captured in memory: no sidecar, no socket.
bool TracingWorks() {
  spanwatch::testing::Capture capture;
  seed::GeminiService gemini;
  spanwatch::WithNewContext({{"source", "test"}}, [&] {
    spanwatch::InstrumentLlm(&gemini).Call<&seed::GeminiService::generateResponse>(seed::Request{"hello"});
  });
  return Expect(capture.Tree() == "test\n  GeminiService.generateResponse\n", "one trace of two spans") &&
         Expect(capture.One("GeminiService.generateResponse").tag("promptLength") == 5, "its tags");
}

bool TheOverheadIsSmall() {
  spanwatch::Start();
  for (int i = 0; i < 10000; ++i) {
    spanwatch::Span span("work");
    span.SetTag("index", i);
  }
  const spanwatch::Stats stats = spanwatch::GetStats();
  spanwatch::Shutdown(0);
  std::printf("the SDK holds %llu bytes\n", static_cast<unsigned long long>(stats.own_bytes));
  return Expect(stats.own_bytes < 10u << 20, "less than 10 MB");
}

}  // namespace

int main() {
  const bool works = TracingWorks();
  const bool light = TheOverheadIsSmall();
  return works && light ? 0 : 1;
}
