#include <gtest/gtest.h>

#include <vector>

#include "sdk/cpp/redact/keys.h"
#include "sdk/cpp/redact/text.h"
#include "sidecar/core/utf8.h"
#include "tests/support/cpu_time.h"
#include "tests/unit/ingest/otlp_http_random.h"

namespace spanwatch::redact {
namespace {

using ingest::testing::RandomOtlp;

std::string Redacted(std::string_view text) {
  std::string out;
  RedactedCounts counts{};
  if (!RedactText(text, &out, &counts)) return std::string(text);
  std::string again;
  EXPECT_FALSE(RedactText(out, &again, &counts)) << text << "\n" << out << "\n" << again;
  return out;
}

struct Case {
  std::string_view text, expected;
};

void ExpectAll(const std::vector<Case>& cases) {
  for (const Case& c : cases) EXPECT_EQ(Redacted(c.text), c.expected);
}

TEST(RedactText, Emails) {
  ExpectAll({
      {"ada@example.com", "[redacted:email]"},
      {"mail to <ada.l+bot@mail.example.co.uk>.", "mail to <[redacted:email]>."},
      {"ada@example.com.", "[redacted:email]."},
      {"a@b.cc,c@d.ee", "[redacted:email],[redacted:email]"},
      {"jürgen@müller.de wrote", "[redacted:email] wrote"},
      {"GET /users?mail=x&u=ada%40example.com&z=1", "GET /users?mail=[redacted:secret]&u=[redacted:email]&z=1"},
      {"npm install left-pad@1.2.3", "npm install left-pad@1.2.3"},
      {"user@localhost", "user@localhost"},
      {"@example.com", "@example.com"},
      {"fw529a3039@dt=t61rcWkgMzE", "fw529a3039@dt=t61rcWkgMzE"},
      {"a @ b.com", "a @ b.com"},
  });
}

TEST(RedactText, Discord) {
  // Put together here, so that nobody's scanner takes this file for a leak.
  const std::string token = std::string("MTk4NjIyNDgzNDcxOTI1MjQ4") + ".Cl2FMQ." + "ZnCjm1XVW7vRze4b7Cq4se7kKWs";
  ExpectAll({
      {"hi <@80351110224678912> and <@!80351110224678912>, <@&165511591545143296>!",
       "hi [redacted:mention] and [redacted:mention], [redacted:mention]!"},
      {"<#41771983423143937> <:mmLol:216154654256398347>", "<#41771983423143937> <:mmLol:216154654256398347>"},
      {"login failed: " + token, "login failed: [redacted:token]"},
      {"Authorization: Bot " + token, "Authorization: [redacted:secret]"},
  });
  const std::string secret(68, 'x');
  EXPECT_EQ(Redacted("POST https://discord.com/api/webhooks/1234567890/" + secret + "?wait=true"),
            "POST https://discord.com/api/webhooks/1234567890/[redacted:token]?wait=true");
}

TEST(RedactText, KeysAndTokens) {
  const std::string tail = "abcDEF0123456789abcDEF0123456789abcd";
  for (const std::string prefix :
       {"sk-", "sk-ant-api03-", "sk-proj-", "AIza", "ghp_", "xoxb-", "hf_", "gsk_", "glpat-"}) {
    EXPECT_EQ(Redacted("key " + prefix + tail + "!"), "key [redacted:api_key]!") << prefix;
    EXPECT_EQ(Redacted("https://generativelanguage.googleapis.com/v1?x=" + prefix + tail),
              "https://generativelanguage.googleapis.com/v1?x=[redacted:api_key]");
  }
  const std::string jwt = std::string("eyJhbGciOiJIUzI1NiJ9.") + "eyJzdWIiOiIxMjM0NTY3ODkwIn0." +
                          "dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U";
  const std::string pem =
      std::string("x -----BEGIN RSA ") + "PRIVATE KEY-----\nMIIE\n-----END RSA " + "PRIVATE KEY----- y";
  ExpectAll({
      {"cookie was " + jwt + ";", "cookie was [redacted:token];"},
      {"sent Bearer abc123.def-456~x with it", "sent Bearer [redacted:token] with it"},
      {"BEARER 0123456789abcdef", "BEARER [redacted:token]"},
      {"bearer authentication failed", "bearer authentication failed"},
      {"basic authentication failed", "basic authentication failed"},
      {"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Basic [redacted:credentials]"},
      {pem, "x [redacted:api_key] y"},
      {"postgres://bot:hunter2@db.local:5432/bot", "postgres://[redacted:credentials]@db.local:5432/bot"},
      {"https://example.com/@ada/post", "https://example.com/@ada/post"},
      {"trace 5b8efff798038103d269b633813fc60c", "trace 5b8efff798038103d269b633813fc60c"},
      {"550e8400-e29b-41d4-a716-446655440000", "550e8400-e29b-41d4-a716-446655440000"},
      {"sk-some-long-kebab-case-name", "sk-some-long-kebab-case-name"},
  });
}

TEST(RedactText, Phones) {
  ExpectAll({
      {"call +49 30 1234567 now", "call [redacted:phone] now"},
      {"+4915123456789", "[redacted:phone]"},
      {"+1 (555) 123-4567.", "[redacted:phone]."},
      {"(555) 123-4567", "[redacted:phone]"},
      {"tel 555-123-4567, 1-800-555-1234", "tel [redacted:phone], [redacted:phone]"},
      {"555.123.4567", "[redacted:phone]"},
      {"2024-01-02T03:04:05+00:00", "2024-01-02T03:04:05+00:00"},
      {"Mon, 02 Jan 2006 15:04:05 +0000", "Mon, 02 Jan 2006 15:04:05 +0000"},
      {"192.168.100.200", "192.168.100.200"},
      {"1e+1000000000", "1e+1000000000"},
      {"1544712660000000000 of 80351110224678912", "1544712660000000000 of 80351110224678912"},
      {"a+12 b +5", "a+12 b +5"},
  });
}

TEST(RedactText, Assignments) {
  ExpectAll({
      {"password=hunter2&user=ada", "password=[redacted:secret]&user=ada"},
      {"DB_PASSWORD = hunter2", "DB_PASSWORD = [redacted:secret]"},
      {"--api-key=abc --verbose", "--api-key=[redacted:secret] --verbose"},
      {R"({"apiKey": "abc\"d", "n": 1})", R"({"apiKey": "[redacted:secret]\"d", "n": 1})"},
      {R"({\"token\":\"abc\",\"n\":1})", R"({\"token\":\"[redacted:secret]\",\"n\":1})"},
      {R"({"cookies":["a=1","b=2"],"n":1})", R"({"cookies":[redacted:secret],"n":1})"},
      {"Set-Cookie: a=b; Path=/\r\nHost: x", "Set-Cookie: [redacted:secret]\r\nHost: x"},
      {"password: hunter2", "password: [redacted:secret]"},
      {"client_secret => 'x y'", "client_secret => '[redacted:secret]'"},
      {"Unexpected token: }", "Unexpected token: }"},
      {"max_tokens=500 tokens: 3", "max_tokens=500 tokens: 3"},
      {"token=null secret=", "token=null secret="},
      {"microphone=on monkey=1 keyboard: us", "microphone=on monkey=1 keyboard: us"},
      {"token://host/path", "token://host/path"},
  });
}

TEST(RedactText, OrdinaryTextStays) {
  for (const std::string_view text : {"",
                                      "GeminiService.generateContent",
                                      "GET /api/v1/users/:id",
                                      "SELECT * FROM users WHERE id = $1",
                                      "http.request.method",
                                      "connect ECONNREFUSED 127.0.0.1:5432",
                                      "Error: timeout after 30000 ms (attempt 3 of 5)",
                                      "a+b=c",
                                      "1.2.3.4:80",
                                      "x=1, y=2",
                                      "node_modules/@opentelemetry/sdk-trace-base/build/src/Span.js:42:13",
                                      "2026-11-22 08:41:42.123",
                                      "=",
                                      ":",
                                      "@",
                                      "+",
                                      "%40",
                                      "(",
                                      "Basic ",
                                      "Bearer ",
                                      "[redacted:email]",
                                      "user@",
                                      "<@>",
                                      "<@123>",
                                      "key: value",
                                      "::::====",
                                      "https://host/path?x=1#y"}) {
    EXPECT_EQ(Redacted(text), text);
  }
}

TEST(RedactText, AnyBytesTwiceAreTheSame) {
  RandomOtlp random(11);
  constexpr std::string_view kPieces[] = {"a",
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
                                          "(",
                                          ")",
                                          "555",
                                          "//",
                                          "Bearer ",
                                          "basic ",
                                          "eyJhbGciOiJIUzI1NiJ9",
                                          "sk-0123456789abcdefghij",
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
                                          "-----BEGIN"};
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    for (std::size_t n = random.Below(12); n > 0; --n) text += kPieces[random.Below(std::size(kPieces))];
    Redacted(text);
  }
}

// Texts made to be slow: each must take time in proportion to its length. Far above what is expected, so that a busy
// machine passes; a quadratic scan of a mebibyte takes minutes.
TEST(RedactText, HostileTextIsLinear) {
  const test::CpuTime cpu;
  for (const std::string piece : {"@",
                                  "%40",
                                  "a@",
                                  "password=",
                                  "password=\"[redacted:",
                                  "token:",
                                  "+1",
                                  "(",
                                  "1.1.",
                                  "://",
                                  "://a@",
                                  "-----BEGIN PRIVATE KEY-----",
                                  "eyJaaaaaaaaaaaaaaaaaaaaaaaaaa.",
                                  "Bearer ",
                                  "'",
                                  "\\\"",
                                  "<@1",
                                  "123.",
                                  "cookies=[",
                                  "555-"}) {
    std::string text;
    while (text.size() < 1u << 20) text += piece;
    std::string out;
    RedactedCounts counts{};
    RedactText(text, &out, &counts);
  }
  EXPECT_LT(cpu.Seconds(), 60);
}

TEST(RedactKeys, Verdicts) {
  for (const std::string_view key : {"userEmail",
                                     "user.email",
                                     "password",
                                     "db.Password",
                                     "apiKey",
                                     "api_key",
                                     "API-KEY",
                                     "openaiApiKey",
                                     "http.request.header.x-api-key",
                                     "http.request.header.authorization",
                                     "http.response.header.set-cookie",
                                     "discord.token",
                                     "accessToken",
                                     "client_secret",
                                     "secret",
                                     "user.phone",
                                     "phoneNumber",
                                     "jwt",
                                     "auth",
                                     "userPwd",
                                     "db.connection_string",
                                     "token_"}) {
    EXPECT_EQ(JudgeKey(key), KeyVerdict::kSecret) << key;
  }
  for (const std::string_view key :
       {"gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.prompt", "gen_ai.completion", "message.content",
        "gen_ai.prompt.0.content", "Message.Content", "llm.input_messages.1.message.content", "input.value"}) {
    EXPECT_EQ(JudgeKey(key), KeyVerdict::kContent) << key;
  }
  for (const std::string_view key : {"",
                                     "service.name",
                                     "gen_ai.usage.input_tokens",
                                     "gen_ai.request.max_tokens",
                                     "gen_ai.token.type",
                                     "gen_ai.request.model",
                                     "messageLength",
                                     "http.request.method",
                                     "microphone",
                                     "compass",
                                     "exception.message",
                                     "gen_ai.prompt.0.role",
                                     "gen_ai.completion.0.finish_reason",
                                     "hasAttachments",
                                     "code.function.name",
                                     "telephone_count",
                                     "oauth.scope",
                                     "__",
                                     "key",
                                     "tokens"}) {
    EXPECT_EQ(JudgeKey(key), KeyVerdict::kKeep) << key;
  }
}

TEST(RedactText, NeverCutsACharacter) {
  std::string wide;
  for (int i = 0; i < 200; ++i) wide += "\xE2\x82\xAC";
  for (const std::string prefix : {"", "x", "xy"}) {
    const std::string redacted = Redacted(prefix + wide + "anna@example.or" + prefix + wide);
    EXPECT_TRUE(core::IsUtf8(redacted)) << redacted;
    EXPECT_NE(redacted.find("[redacted:email]"), std::string::npos);
  }
}

}  // namespace
}  // namespace spanwatch::redact
