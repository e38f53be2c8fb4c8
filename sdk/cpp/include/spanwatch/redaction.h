// What the SDK takes out of names, tags, logs and errors before they leave the process, and ids that tell users apart
// without naming them.
//
// Redaction happens in the sender thread, before anything is sent: it costs the traced threads nothing. What is
// replaced leaves a mark, as "[redacted:email]", so that one sees that something was there:
//
//   email, mention, phone,
//   api_key, token,
//   credentials, secret      found in any text by its shape
//   key                      the whole value of a tag whose key ends with such a word: userEmail, db_password,
//                            http.header.authorization
//   content                  the whole value of a tag that holds what people wrote or a model answered:
//                            message.content, gen_ai.prompt
//   strict                   RedactionMode::kStrict: text whose key is not on the allow list
//
// Shapes are not meaning: a person's name in a tag is a name like any other. Hash ids of people (HashUserId), and trace
// lengths and counts instead of contents.
#ifndef SPANWATCH_REDACTION_H_
#define SPANWATCH_REDACTION_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#pragma GCC visibility push(default)
namespace spanwatch {

// How much is taken out.
enum class RedactionMode : std::uint8_t {
  kFromEnvironment,  // TRACING_REDACTION: default, strict or off; else kDefault
  kDefault,          // keys that say so lose their values, shapes of secrets are replaced everywhere
  kStrict,           // besides: text stays only under keys of the allow list; errors keep their type, not their message
  kOff,              // nothing is looked at. GetStats() says so
};

// Part of Options. Threads: a value.
struct Redaction {
  RedactionMode mode = RedactionMode::kFromEnvironment;
  // Keep what people wrote and models answered (mark "content"). Shapes of secrets are replaced in it all the same.
  bool keep_content = false;
  // Tags with these keys keep their values (but for shapes of secrets), also where kDefault would hide them. Letter
  // case does not count; "discord.*" stands for all keys that begin with "discord.".
  std::vector<std::string> allow_keys;
  // Tags whose keys end with one of these words lose their values. Letter case, '-' and '_' do not count: "street"
  // denies street, user.street, userStreet and user_street, but not mainstreet. Goes before allow_keys.
  std::vector<std::string> deny_keys;
};

// A pseudonym of an id: "u_" and 32 hex digits, the same for the same id and key, telling nothing without the key. It
// is SipHash-2-4 (128 bits) with the key of Options::hash_key (or TRACING_HASH_KEY), which Start() takes over. Without
// one, and before Start(), with a random key of this process: pseudonyms then change with each run. strict mode keeps
// pseudonyms under any key. Empty if memory is short. Threads: any.
//
//   span.SetTag("user.id", spanwatch::HashUserId(message.author.id));
std::string HashUserId(std::string_view id) noexcept;
// Of a number: the same as of its decimal digits.
std::string HashUserId(std::uint64_t id) noexcept;

}  // namespace spanwatch

#pragma GCC visibility pop

#endif  // SPANWATCH_REDACTION_H_
