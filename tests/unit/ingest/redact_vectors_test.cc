// The sidecar's redaction and the SDK's are two pieces of code and one set of rules: the same vectors, and the same
// answer to whatever is made of the same pieces.
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "sdk/cpp/src/redact_keys.h"
#include "sdk/cpp/src/redact_text.h"
#include "sidecar/ingest/redact_keys.h"
#include "sidecar/ingest/redact_text.h"
#include "tests/support/redaction_vectors.h"
#include "tests/unit/ingest/otlp_http_random.h"

namespace spanwatch::ingest {
namespace {

using testing::RandomOtlp;

constexpr std::string_view kTextPieces[] = {"a",
                                            "@",
                                            ".",
                                            "com",
                                            "password",
                                            "token",
                                            "=",
                                            ":",
                                            "\"",
                                            "'",
                                            "\\",
                                            " ",
                                            "+",
                                            "1234567890",
                                            "<@",
                                            ">",
                                            "-",
                                            "_",
                                            "(",
                                            ")",
                                            "555",
                                            "//",
                                            "://",
                                            "Bearer ",
                                            "basic ",
                                            "QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
                                            "eyJhbGciOiJIUzI1NiJ9",
                                            "sk-0123456789abcdefghij",
                                            "AIza",
                                            "[redacted:email]",
                                            "[",
                                            "]",
                                            "{",
                                            "}",
                                            "\n",
                                            "%40",
                                            "ü",
                                            "MTk4NjIyNDgzNDcxOTI1MjQ4",
                                            "Cl2FMQ",
                                            "ZnCjm1XVW7vRze4b7Cq4se7kKWs",
                                            "/webhooks/",
                                            "authorization",
                                            "null",
                                            ",",
                                            ";",
                                            "-----BEGIN",
                                            " PRIVATE KEY-----",
                                            "1-800-555-1234",
                                            "api_key",
                                            "Cookie",
                                            "\x80",
                                            "\xf0\x9f"};
constexpr std::string_view kKeyPieces[] = {
    "user",    "User", ".",      "-",    "_",  "email",   "Email",  "api",    "Key",        "key", "token",
    "Tokens",  "pass", "word",   "mail", "e",  "x",       "gen_ai", "prompt", "Completion", "0",   "content",
    "message", "role", "cookie", "auth", "or", "ization", "phone",  "number", "jwt",        "otp"};

std::string Redacted(const std::string& text) {
  std::string out;
  RedactedCounts counts{};
  return RedactText(text, &out, &counts) ? out : text;
}

std::string RedactedBySdk(const std::string& text) {
  internal::TextBuffer out;
  return internal::RedactText(text, internal::kMaxTextBytes, &out) > 0 ? std::string(out.view()) : text;
}

TEST(RedactVectors, TheSidecarObeysThem) {
  for (const spanwatch::testing::RedactionVector& vector : spanwatch::testing::ReadRedactionVectors()) {
    if (!vector.is_key) {
      EXPECT_EQ(Redacted(vector.input), vector.expected) << vector.where;
      continue;
    }
    const KeyVerdict verdict = JudgeKey(vector.input);
    EXPECT_EQ(verdict == KeyVerdict::kSecret, vector.expected == "secret") << vector.where;
    EXPECT_EQ(verdict == KeyVerdict::kContent, vector.expected == "content") << vector.where;
  }
}

TEST(RedactVectors, BothEndsSayTheSameOfRandomTexts) {
  RandomOtlp random(23);
  int changed = 0;
  for (int round = 0; round < 30'000; ++round) {
    std::string text;
    for (std::size_t n = random.Below(14); n > 0; --n) text += kTextPieces[random.Below(std::size(kTextPieces))];
    const std::string here = Redacted(text);
    ASSERT_EQ(RedactedBySdk(text), here) << text;
    changed += here != text ? 1 : 0;
    ASSERT_EQ(static_cast<int>(internal::JudgeKey(text)), static_cast<int>(JudgeKey(text))) << text;
  }
  EXPECT_GT(changed, 3'000);
}

TEST(RedactVectors, BothEndsSayTheSameOfRandomKeys) {
  RandomOtlp random(29);
  int denied = 0;
  for (int round = 0; round < 30'000; ++round) {
    std::string key;
    for (std::size_t n = random.Below(6); n > 0; --n) key += kKeyPieces[random.Below(std::size(kKeyPieces))];
    ASSERT_EQ(static_cast<int>(internal::JudgeKey(key)), static_cast<int>(JudgeKey(key))) << key;
    denied += JudgeKey(key) != KeyVerdict::kKeep ? 1 : 0;
  }
  EXPECT_GT(denied, 3'000);
}

}  // namespace
}  // namespace spanwatch::ingest
