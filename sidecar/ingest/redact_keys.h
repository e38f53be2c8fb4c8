// What the name of an attribute says about its value. Pure; any thread.
#ifndef SPANWATCH_SIDECAR_INGEST_REDACT_KEYS_H_
#define SPANWATCH_SIDECAR_INGEST_REDACT_KEYS_H_

#include <cstdint>
#include <string_view>

namespace spanwatch::ingest {

enum class KeyVerdict : std::uint8_t {
  kKeep,
  kSecret,   // the value is a secret or names a person: userEmail, http.request.header.authorization, openai-api-key
  kContent,  // what people wrote or a model answered: gen_ai.input.messages, message.content
};

// Letter case, '-' and '_' do not count; the end of the name decides: "user.email", "db_password", "discordToken".
KeyVerdict JudgeKey(std::string_view key);

// The same for a word before '=' or ':' in text.
bool IsSecretName(std::string_view word);

// Of those, the ones that prose rarely writes before a colon: not "unexpected token: }".
bool IsStrongSecretName(std::string_view word);

// Of headers whose whole line is secret: authorization, cookie, ...
bool IsSecretHeader(std::string_view word);

}  // namespace spanwatch::ingest

#endif  // SPANWATCH_SIDECAR_INGEST_REDACT_KEYS_H_
