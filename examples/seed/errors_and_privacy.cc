// spanwatch-seed-errors-and-privacy: what went wrong, and nothing about whom it happened to.
#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <system_error>

#include "examples/seed/services.h"
#include "spanwatch/spanwatch.h"

namespace {

std::error_code SaveTranscript() { return std::make_error_code(std::errc::no_space_on_device); }

void Errors() {
  spanwatch::Span span("Errors");
  // A line of the current span's log, wherever this is called.
  spanwatch::Context::Current().AddLog(spanwatch::LogLevel::kError, "Operation failed",
                                       {{"errorType", "ValidationError"}, {"inputLength", 512}});
  try {
    spanwatch::Traced("validate", [] { throw std::invalid_argument("no such command"); });
  } catch (const std::invalid_argument&) {
    // The span "validate" is failed: type std::invalid_argument, the message, nested causes.
  }
  // A result that is an error fails its span as well: std::error_code, expected, status.
  const std::error_code saved = spanwatch::Traced("saveTranscript", &SaveTranscript);
  std::printf("saved: %s\n", saved.message().c_str());
}

void Privacy(const seed::Message& message) {
  spanwatch::Span span("messageCreate");
  span.SetTags({{"userId", spanwatch::HashUserId(message.author.id)},
                {"messageLength", message.content.size()},  // not the content
                {"hasAttachments", !message.attachments.empty()}});
}

}  // namespace

int main() {
  spanwatch::Start();
  Errors();
  Privacy({"hello", {80351110224678912}, {}});
  spanwatch::Shutdown();
}
