#include "sdk/cpp/redact/keys.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace spanwatch::redact {
namespace {

// Ends of names, whatever stands before ("dbpassword"). In lower case, without '-' and '_'.
constexpr std::string_view kSecretEnds[] = {
    "password",      "passwords",   "passwd",      "passphrase",       "secret",     "secrets",       "apikey",
    "apikeys",       "token",       "cookie",      "cookies",          "email",      "emails",        "emailaddress",
    "authorization", "credential",  "credentials", "connectionstring", "privatekey", "secretkey",     "accesskey",
    "webhookurl",    "phonenumber", "creditcard",  "cardnumber",       "signingkey", "encryptionkey",
};
// Too short for that: they must be a word of their own.
constexpr std::string_view kSecretWords[] = {"pwd", "pass", "phone", "mail",   "ssn",
                                             "cvv", "jwt",  "auth",  "bearer", "otp"};

// Measures of language models: "gen_ai.server.time_to_first_token".
constexpr std::string_view kMeasureEnds[] = {"tofirsttoken", "pertoken", "peroutputtoken"};

constexpr std::string_view kStrongEnds[] = {"password",  "passwd",           "passphrase", "pwd",
                                            "secret",    "apikey",           "privatekey", "secretkey",
                                            "accesskey", "connectionstring", "signingkey", "encryptionkey"};

constexpr std::string_view kSecretHeaders[] = {"authorization", "proxyauthorization", "cookie", "setcookie", "xapikey"};

// Whole names of what was said. In lower case.
constexpr std::string_view kContent[] = {
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.system_instructions",
    "gen_ai.prompt",
    "gen_ai.completion",
    "gen_ai.content.prompt",
    "gen_ai.content.completion",
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.call.result",
    "gen_ai.event.content",
    "message.content",
    "message_content",
    "messagecontent",
    "message.text",
    "content",
    "prompt",
    "completion",
    "llm.prompts",
    "llm.completions",
    "input.value",
    "output.value",
    "traceloop.entity.input",
    "traceloop.entity.output",
    "http.request.body",
    "http.response.body",
    "messaging.message.body",
};
// Families with an index in their names: gen_ai.prompt.0.content.
constexpr std::string_view kContentFamilies[] = {"gen_ai.prompt.",   "gen_ai.completion.",  "llm.prompts.",
                                                 "llm.completions.", "llm.input_messages.", "llm.output_messages."};
constexpr std::string_view kContentHarmless[] = {".role", ".finish_reason"};
constexpr std::size_t kLongestContent = 64;

constexpr bool IsLetter(char c) { return LowerChar(c) >= 'a' && LowerChar(c) <= 'z'; }
constexpr bool IsJoint(char c) { return c == '-' || c == '_'; }

// Where `end` begins in `name`, if `name` ends with it; else npos. Compares backwards, over joints.
std::size_t FindEnd(std::string_view name, std::string_view end) noexcept {
  std::size_t at = name.size();
  for (std::size_t i = end.size(); i > 0;) {
    while (at > 0 && IsJoint(name[at - 1])) --at;
    if (at == 0 || LowerChar(name[at - 1]) != end[i - 1]) return std::string_view::npos;
    --at;
    --i;
  }
  return at;
}

bool BeginsWord(std::string_view name, std::size_t at) noexcept {
  if (at == 0 || !IsLetter(name[at - 1])) return true;
  return name[at] >= 'A' && name[at] <= 'Z' && name[at - 1] >= 'a' && name[at - 1] <= 'z';
}

// Which two letters the names end with, [last] -> bits of the one before: tells most keys apart at once.
using LetterPairs = std::array<std::uint32_t, 26>;

constexpr std::uint32_t LetterBit(char c) { return 1u << (c - 'a'); }

constexpr LetterPairs LastPairs() {
  LetterPairs pairs{};
  const auto add = [&](std::string_view word) {
    pairs[static_cast<std::size_t>(word.back() - 'a')] |= LetterBit(word[word.size() - 2]);
  };
  for (const std::string_view word : kSecretEnds) add(word);
  for (const std::string_view word : kSecretWords) add(word);
  return pairs;
}
constexpr LetterPairs kLastPairs = LastPairs();

bool MayEndSecret(std::string_view word) noexcept {
  std::size_t before = word.size() - 1;
  while (before > 0 && IsJoint(word[before - 1])) --before;
  if (before == 0 || !IsLetter(word[before - 1])) return false;
  return (kLastPairs[static_cast<std::size_t>(LowerChar(word.back()) - 'a')] &
          LetterBit(LowerChar(word[before - 1]))) != 0;
}

bool IsContent(std::string_view key) noexcept {
  if (key.size() > kLongestContent) key = key.substr(0, kLongestContent);
  std::array<char, kLongestContent> buffer;
  std::transform(key.begin(), key.end(), buffer.begin(), LowerChar);
  const std::string_view lower(buffer.data(), key.size());
  if (std::find(std::begin(kContent), std::end(kContent), lower) != std::end(kContent)) return true;
  const bool family = std::any_of(std::begin(kContentFamilies), std::end(kContentFamilies),
                                  [&](std::string_view prefix) { return lower.starts_with(prefix); });
  return family && std::none_of(std::begin(kContentHarmless), std::end(kContentHarmless),
                                [&](std::string_view end) { return lower.ends_with(end); });
}

// In lower case. A dot at the end: all that begin so.
constexpr std::string_view kHarmless[] = {"breaker",
                                          "channel.type",
                                          "circuit",
                                          "circuit_breaker.",
                                          "cloud.",
                                          "code.",
                                          "command.name",
                                          "container.id",
                                          "container.image.",
                                          "container.name",
                                          "correlation.id",
                                          "db.collection.name",
                                          "db.namespace",
                                          "db.operation",
                                          "db.operation.name",
                                          "db.system",
                                          "db.system.name",
                                          "deployment.",
                                          "discord.event",
                                          "error.type",
                                          "event.name",
                                          "exception.type",
                                          "gen_ai.operation.name",
                                          "gen_ai.output.type",
                                          "gen_ai.provider.name",
                                          "gen_ai.request.model",
                                          "gen_ai.response.finish_reasons",
                                          "gen_ai.response.model",
                                          "gen_ai.system",
                                          "gen_ai.token.type",
                                          "gen_ai.tool.name",
                                          "host.arch",
                                          "host.name",
                                          "host.type",
                                          "http.method",
                                          "http.request.method",
                                          "http.route",
                                          "http.scheme",
                                          "k8s.cluster.name",
                                          "k8s.container.name",
                                          "k8s.deployment.name",
                                          "k8s.namespace.name",
                                          "k8s.node.name",
                                          "k8s.pod.name",
                                          "kind",
                                          "linked.",
                                          "llm.model",
                                          "llm.provider",
                                          "log.logger",
                                          "log.severity",
                                          "messaging.destination.name",
                                          "messaging.operation",
                                          "messaging.operation.name",
                                          "messaging.operation.type",
                                          "messaging.system",
                                          "method",
                                          "model",
                                          "modelversion",
                                          "network.protocol.name",
                                          "network.protocol.version",
                                          "network.transport",
                                          "network.type",
                                          "operation",
                                          "operationtype",
                                          "os.",
                                          "outcome",
                                          "pool",
                                          "process.executable.name",
                                          "process.pid",
                                          "process.runtime.",
                                          "provider",
                                          "queue",
                                          "region",
                                          "rpc.method",
                                          "rpc.service",
                                          "rpc.system",
                                          "server.address",
                                          "service.",
                                          "state",
                                          "status",
                                          "telemetry.",
                                          "thread.name",
                                          "type",
                                          "url.scheme",
                                          "version"};
constexpr std::size_t kLongestHarmless = 64;

bool MayBeContent(std::string_view key) noexcept {
  switch (LowerChar(key.front())) {
    case 'g':
    case 'm':
    case 'c':
    case 'p':
    case 'l':
    case 'i':
    case 'o':
    case 't':
    case 'h':
      return key.size() >= 6;
    default:
      return false;
  }
}

}  // namespace

bool IsSecretName(std::string_view word) noexcept {
  while (!word.empty() && IsJoint(word.back())) word.remove_suffix(1);
  if (word.size() < 3 || !IsLetter(word.back()) || !MayEndSecret(word)) return false;
  for (const std::string_view end : kSecretEnds) {
    if (FindEnd(word, end) == std::string_view::npos) continue;
    return std::none_of(std::begin(kMeasureEnds), std::end(kMeasureEnds),
                        [&](std::string_view measure) { return FindEnd(word, measure) != std::string_view::npos; });
  }
  for (const std::string_view end : kSecretWords) {
    if (const std::size_t at = FindEnd(word, end); at != std::string_view::npos && BeginsWord(word, at)) return true;
  }
  return false;
}

bool IsStrongSecretName(std::string_view word) noexcept {
  return std::any_of(std::begin(kStrongEnds), std::end(kStrongEnds),
                     [&](std::string_view end) { return FindEnd(word, end) != std::string_view::npos; });
}

bool IsSecretHeader(std::string_view word) noexcept {
  return std::any_of(std::begin(kSecretHeaders), std::end(kSecretHeaders),
                     [&](std::string_view header) { return FindEnd(word, header) == 0; });
}

KeyVerdict JudgeKey(std::string_view key) noexcept {
  if (key.empty()) return KeyVerdict::kKeep;
  if (IsSecretName(key)) return KeyVerdict::kSecret;
  return MayBeContent(key) && IsContent(key) ? KeyVerdict::kContent : KeyVerdict::kKeep;
}

bool EndsWithWord(std::string_view name, std::string_view word) noexcept {
  const std::size_t at = FindEnd(name, word);
  return at != std::string_view::npos && BeginsWord(name, at);
}

bool IsHarmlessKey(std::string_view key) noexcept {
  if (key.size() > kLongestHarmless) return false;
  std::array<char, kLongestHarmless> buffer;
  std::transform(key.begin(), key.end(), buffer.begin(), LowerChar);
  const std::string_view lower(buffer.data(), key.size());
  return std::any_of(std::begin(kHarmless), std::end(kHarmless), [&](std::string_view listed) {
    return listed.back() == '.' ? lower.starts_with(listed) : lower == listed;
  });
}

}  // namespace spanwatch::redact
