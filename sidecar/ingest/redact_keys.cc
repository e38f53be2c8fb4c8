#include "sidecar/ingest/redact_keys.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace spanwatch::ingest {
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

constexpr char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }
constexpr bool IsLetter(char c) { return Lower(c) >= 'a' && Lower(c) <= 'z'; }
constexpr bool IsJoint(char c) { return c == '-' || c == '_'; }

// Where `end` begins in `name`, if `name` ends with it; else npos. Compares backwards, over joints.
std::size_t FindEnd(std::string_view name, std::string_view end) {
  std::size_t at = name.size();
  for (std::size_t i = end.size(); i > 0;) {
    while (at > 0 && IsJoint(name[at - 1])) --at;
    if (at == 0 || Lower(name[at - 1]) != end[i - 1]) return std::string_view::npos;
    --at;
    --i;
  }
  return at;
}

bool BeginsWord(std::string_view name, std::size_t at) {
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

bool MayEndSecret(std::string_view word) {
  std::size_t before = word.size() - 1;
  while (before > 0 && IsJoint(word[before - 1])) --before;
  if (before == 0 || !IsLetter(word[before - 1])) return false;
  return (kLastPairs[static_cast<std::size_t>(Lower(word.back()) - 'a')] & LetterBit(Lower(word[before - 1]))) != 0;
}

bool IsContent(std::string_view key) {
  if (key.size() > kLongestContent) key = key.substr(0, kLongestContent);
  std::array<char, kLongestContent> buffer;
  std::transform(key.begin(), key.end(), buffer.begin(), Lower);
  const std::string_view lower(buffer.data(), key.size());
  if (std::find(std::begin(kContent), std::end(kContent), lower) != std::end(kContent)) return true;
  const bool family = std::any_of(std::begin(kContentFamilies), std::end(kContentFamilies),
                                  [&](std::string_view prefix) { return lower.starts_with(prefix); });
  return family && std::none_of(std::begin(kContentHarmless), std::end(kContentHarmless),
                                [&](std::string_view end) { return lower.ends_with(end); });
}

bool MayBeContent(std::string_view key) {
  switch (Lower(key.front())) {
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

bool IsSecretName(std::string_view word) {
  while (!word.empty() && IsJoint(word.back())) word.remove_suffix(1);
  if (word.size() < 3 || !IsLetter(word.back()) || !MayEndSecret(word)) return false;
  for (const std::string_view end : kSecretEnds) {
    if (FindEnd(word, end) != std::string_view::npos) return true;
  }
  for (const std::string_view end : kSecretWords) {
    if (const std::size_t at = FindEnd(word, end); at != std::string_view::npos && BeginsWord(word, at)) return true;
  }
  return false;
}

bool IsStrongSecretName(std::string_view word) {
  return std::any_of(std::begin(kStrongEnds), std::end(kStrongEnds),
                     [&](std::string_view end) { return FindEnd(word, end) != std::string_view::npos; });
}

bool IsSecretHeader(std::string_view word) {
  return std::any_of(std::begin(kSecretHeaders), std::end(kSecretHeaders),
                     [&](std::string_view header) { return FindEnd(word, header) == 0; });
}

KeyVerdict JudgeKey(std::string_view key) {
  if (key.empty()) return KeyVerdict::kKeep;
  if (IsSecretName(key)) return KeyVerdict::kSecret;
  return MayBeContent(key) && IsContent(key) ? KeyVerdict::kContent : KeyVerdict::kKeep;
}

}  // namespace spanwatch::ingest
