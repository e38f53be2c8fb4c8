// What the key of a tag says about its value: for the SDK's spans and for OTLP that reaches the sidecar. Pure; any
// thread.
#ifndef SPANWATCH_SDK_CPP_REDACT_KEYS_H_
#define SPANWATCH_SDK_CPP_REDACT_KEYS_H_

#include <cstdint>
#include <string_view>

namespace spanwatch::redact {

enum class KeyVerdict : std::uint8_t {
  kKeep,
  kSecret,    // the value is a secret or names a person: userEmail, http.request.header.authorization, openai-api-key
  kContent,   // what people wrote or a model answered: gen_ai.input.messages, message.content
  kUnlisted,  // in the SDK's strict mode: text is not kept. JudgeKey never says so
};

// Letter case, '-' and '_' do not count; the end of the name decides: "user.email", "db_password", "discordToken".
KeyVerdict JudgeKey(std::string_view key) noexcept;

// The same for a word before '=' or ':' in text.
bool IsSecretName(std::string_view word) noexcept;

// Of those, the ones that prose rarely writes before a colon: not "unexpected token: }".
bool IsStrongSecretName(std::string_view word) noexcept;

// Of headers whose whole line is secret: authorization, cookie, ...
bool IsSecretHeader(std::string_view word) noexcept;

// Whether `name` ends with `word` (in lower case, without '-' and '_') as a word of its own.
bool EndsWithWord(std::string_view name, std::string_view word) noexcept;

// Keys whose text strict mode keeps: kinds, states, versions, models, routes; nothing that a person wrote or is.
bool IsHarmlessKey(std::string_view key) noexcept;

constexpr char LowerChar(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

}  // namespace spanwatch::redact

#endif  // SPANWATCH_SDK_CPP_REDACT_KEYS_H_
