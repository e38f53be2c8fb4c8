// A program that puts a secret of each class into every kind of text it traces, and tells how many of its spans did not
// arrive. canaries ENDPOINT
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>

#include "spanwatch/spanwatch.h"

namespace {

constexpr const char* kSecrets[] = {
    "mail canary.bird@example.com now",
    "call +49 30 55501237 now",
    "key sk-canaryABCDEF0123456789 end",
    "sent Bearer canarybearer0123456789 end",
    "bot MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.canaryDiscordToken012345678 end",
    "hi <@803511102246789121> there",
    "with password=canaryhunter2 set",
    "at postgres://bot:canarypw77@db.local/x",
};

void Say(const std::string& text) {
  spanwatch::Span span(text);
  span.SetTags({{"note", text}, {text, 1}, {"password", "canarykeyed"}, {"message.content", "canarycontent"}});
  span.AddLog(spanwatch::LogLevel::kWarn, text, {{"field", text}});
  try {
    try {
      throw std::runtime_error(text);
    } catch (...) {
      std::throw_with_nested(std::logic_error(text));
    }
  } catch (...) {
    span.FailWithCurrentException();
  }
  spanwatch::Span("failed").Fail(text, text);
  spanwatch::SetGauge("gauge", {{"label", text}}, 1);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  spanwatch::Options options;
  options.service_name = "canaries";
  options.service_version = kSecrets[0];
  options.endpoint = argv[1];
  if (!spanwatch::Start(options)) return 1;
  for (const char* const secret : kSecrets) Say(secret);
  const std::uint64_t missing = spanwatch::Shutdown(10000);
  std::printf("redaction %s, not delivered %llu\n", spanwatch::GetStats().redaction,
              static_cast<unsigned long long>(missing));
  return missing == 0 ? 0 : 1;
}
