// Finds personal data and secrets in text by their shapes, and replaces them by marks as "[redacted:email]". Clean text
// costs about a nanosecond a byte and no allocation. Replacing again changes nothing. Pure; any thread.
#ifndef SPANWATCH_SIDECAR_INGEST_REDACT_TEXT_H_
#define SPANWATCH_SIDECAR_INGEST_REDACT_TEXT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace spanwatch::ingest {

enum class Redacted : std::uint8_t {
  kEmail,
  kMention,  // of a Discord user or role
  kPhone,
  kApiKey,       // by the prefixes of well-known issuers, and private keys
  kToken,        // bearer, JWT, Discord bot token, webhook
  kCredentials,  // user and password in a URL, basic authentication
  kSecret,       // what is assigned to a secret name: password=...
  kKey,          // the value of an attribute with such a name
  kContent,      // the value of an attribute that holds what people wrote
  kDepth,        // arrays and maps too deep to look through
};
inline constexpr std::size_t kRedactedKinds = 10;
using RedactedCounts = std::array<std::uint64_t, kRedactedKinds>;

std::string_view RedactedName(Redacted kind);  // "email": [a-z_]
std::string_view RedactedMark(Redacted kind);  // "[redacted:email]"

// False: `text` is clean, `out` and `counts` untouched. Else `out` is set and `counts` increased.
bool RedactText(std::string_view text, std::string* out, RedactedCounts* counts);

}  // namespace spanwatch::ingest

#endif  // SPANWATCH_SIDECAR_INGEST_REDACT_TEXT_H_
