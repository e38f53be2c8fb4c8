// What varies in a message is folded, what says why it failed stays: docs/errors.md.
#include "sidecar/core/error_text.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace spanwatch::core {
namespace {

struct Case {
  const char *message, *expected;
};

void Check(std::initializer_list<Case> cases) {
  for (const Case& each : cases) EXPECT_EQ(NormaliseError(each.message), each.expected) << each.message;
}

TEST(ErrorText, Numbers) {
  Check({{"timeout after 30000ms", "timeout after <n>"},
         {"timeout after 1m30.5s, attempt 3/5", "timeout after <n>, attempt <n>/<n>"},
         {"expected -5 but got +7.25", "expected <n> but got +<n>"},
         {"heap of 1,234,567 bytes, 99.5% used", "heap of <n> bytes, <n>% used"},
         {"lists 1,2,3 and [4, 5]", "lists <n>,<n>,<n> and [<n>, <n>]"},
         {"loss is 2.5e-7", "loss is <n>"},
         {"user 123456789012345678 is unknown", "user <n> is unknown"},
         {"retry in 17", "retry in <n>"},
         {"range 10-20", "range <n>-<n>"},
         {"", ""},
         {"  \t\n ", ""},
         {"two\n  lines\there", "two lines here"}});
}

TEST(ErrorText, NumbersInNamesStayReadable) {
  Check({{"model gemini-1.5-pro failed", "model gemini-1.5-pro failed"},
         {"model gpt-4o-mini is overloaded", "model gpt-4o-mini is overloaded"},
         {"claude-3-opus-20240229 refused", "claude-3-opus-<n> refused"},
         {"models/gemini-2.0-flash:generateContent is not found for v1beta1",
          "models/gemini-2.0-flash:generateContent is not found for v1beta1"},
         {"cannot convert Uint8Array to utf8mb4 on x86_64", "cannot convert Uint8Array to utf8mb4 on x86_64"},
         {"user_8172 has no shard-17", "user_<n> has no shard-17"},
         {"user8172 needs TLS1.2 and sha256", "user<n> needs TLS1.2 and sha<n>"},
         {"pod worker-7f9c6d5b8-x2k4q died", "pod worker-<id>-<id> died"},
         {"Größe überschritten: 15 Zeichen, naïve “größe”", "Größe überschritten: <n> Zeichen, naïve <text>"}});
}

TEST(ErrorText, StatusCodesStay) {
  Check({{"HTTP 503", "HTTP 503"},
         {"HTTP 404", "HTTP 404"},
         {"HTTP/1.1 502 from upstream", "HTTP/1.1 502 from upstream"},
         {"Request failed with status code 429", "Request failed with status code 429"},
         {"got status: 503 Service Unavailable", "got status: 503 Service Unavailable"},
         {"statusCode=500 after 12 tries", "statusCode=500 after <n> tries"},
         {"[429 Too Many Requests] quota of 60 used", "[429 Too Many Requests] quota of <n> used"},
         {"503 Server Error", "503 Server Error"},
         {"DiscordAPIError[50001]: Missing Access", "DiscordAPIError[50001]: Missing Access"},
         {"Error 1045 (28000): denied", "Error 1045 (<n>): denied"},
         {"exit code 137", "exit code 137"},
         {"code -32603", "code -32603"},
         {"killed by signal 9", "killed by signal 9"},
         {"E11000 duplicate key", "E11000 duplicate key"},
         {"ORA-00942: no such table", "ORA-00942: no such table"}});
  // Near misses.
  Check({{"503 users are waiting", "<n> users are waiting"},
         {"Error: 42 items failed", "Error: <n> items failed"},
         {"error 12 of 40", "error <n> of <n>"},
         {"status 1700000000", "status <n>"},
         {"code path took 503 steps", "code path took <n> steps"},
         {"404 Nothing", "<n> Nothing"}});
}

TEST(ErrorText, Ids) {
  Check({{"trace 5b8efff798038103d269b633813fc60c", "trace <id>"},
         {"session 550e8400-e29b-41d4-a716-446655440000 expired", "session <id> expired"},
         {"user-550E8400-E29B-41D4-A716-446655440000!", "user-<id>!"},
         {"at 0x7ffee4c0", "at <id>"},
         {"req_8sKd93jQ failed", "req_<id> failed"},
         {"device 00:1a:2b:3c:4d:5e", "device <id>"},
         {"commit 9a1c2207", "commit <id>"},
         {"the effaced facade deadbeef", "the effaced facade deadbeef"}});
}

TEST(ErrorText, Quotes) {
  Check(
      {{"Cannot read properties of undefined (reading 'foo')", "Cannot read properties of undefined (reading <text>)"},
       {"can't open the user's file", "can't open the user's file"},
       {"can't open 'it's here' now", "can't open <text> now"},
       {"no `table` and no \"\"", "no <text> and no <text>"},
       {"an open \" quote and another ' one", "an open \" quote and another ' one"},
       {"“Hallo” und „Welt“ und «monde»", "<text> und <text> und <text>"},
       {"can’t say ‘yes’", "can’t say <text>"}});
}

TEST(ErrorText, JsonKeepsWhatSaysWhatFailed) {
  Check({{R"({"error":{"code":503,"message":"The model is overloaded","status":"UNAVAILABLE"}})",
          R"({"error":{"code":503,"message":<text>,"status":"UNAVAILABLE"}})"},
         {R"({"code": 404, "path": "/a", "id": 17})", R"({"code": 404, "path": <text>, "id": <n>})"},
         {R"({\"code\":503,\"why\":\"busy\"})", R"({\"code\":503,\"why\":\<text>})"},
         {"{'user': 'bob', 'NOT_FOUND'}", "{'user': <text>, <text>}"}});
}

TEST(ErrorText, AddressesAndPaths) {
  Check({{"connect ECONNREFUSED 127.0.0.1:5432", "connect ECONNREFUSED <ip>:5432"},
         {"read tcp 10.0.0.1:53422->10.0.0.2:443: reset", "read tcp <ip>:<n>-><ip>:443: reset"},
         {"no route to fe80::1ff:fe23:4567:890a", "no route to <ip>"},
         {"listen on [::1]:8080", "listen on [<ip>]:<n>"},
         {"route 10.0.0.0/8", "route <ip>"},
         {"mail to jane.doe+x@example.co.uk bounced.", "mail to <email> bounced."},
         {"GET /users/8172/orders/9a1c2207?page=3&q=x failed", "GET /users/<id>/orders/<id>?<text> failed"},
         {"https://api.example.com:8443/v1/models/gemini-1.5-pro/17?key=abc: refused",
          "https://api.example.com:8443/v1/models/gemini-1.5-pro/<id>?<text>: refused"},
         {"http://bob:pw@10.1.2.3:40123/x.", "http://<text>@<ip>:<n>/x."},
         {"at /srv/app/dist/main.js:120:17", "at /srv/app/dist/main.js:<n>:<n>"},
         {"C:\\Users\\bob\\1234.txt", "C:\\Users\\bob\\<n>.txt"}});
}

TEST(ErrorText, Times) {
  Check({{"since 2024-05-01T10:00:00.123Z", "since <time>"},
         {"since 2024-05-01 10:00:00+02:00 it fails", "since <time> it fails"},
         {"at 23:59:59.5", "at <time>"},
         {"on 2024/05/01.", "on <time>."},
         {"10:20 is no time of day", "<n>:<n> is no time of day"}});
}

TEST(ErrorText, LongMessagesAreCutAtACharacter) {
  std::string text;
  for (int i = 0; i < 400; ++i) text += "é";
  const std::string cut = NormaliseError(text);
  EXPECT_LE(cut.size(), kMaxNormalised);
  EXPECT_TRUE(cut.ends_with("é..."));
  EXPECT_EQ(NormaliseError(std::string(kMaxNormalised, 'x')), std::string(kMaxNormalised, 'x'));
  EXPECT_EQ(NormaliseError(std::string(kMaxNormalised + 1, 'x')), std::string(kMaxNormalised - 3, 'x') + "...");
  EXPECT_EQ(CutText("aé", 2), "a");
  EXPECT_EQ(CutText("aé", 3), "aé");
}

TEST(ErrorText, HostileTextIsBoundedAndStaysUtf8) {
  std::mt19937_64 random(7);
  const std::string pieces[] = {"'",  "\"", "`",   "“", "”", "’",     "\\", "/", "::", "-",   "é",  "1",  "12", "a",
                                "ff", " ",  "://", "@", "{", "HTTP ", ".",  ",", "?",  "x=1", "e-", "0x", "T"};
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    for (std::uint64_t n = random() % 60; n > 0; --n) text += pieces[random() % std::size(pieces)];
    const std::string out = NormaliseError(text);
    ASSERT_LE(out.size(), kMaxNormalised) << text;
    for (std::size_t i = 0; i < out.size();) {
      const auto first = static_cast<unsigned char>(out[i]);
      const std::size_t size = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
      ASSERT_FALSE((first & 0xC0) == 0x80) << text;
      for (std::size_t k = 1; k < size; ++k) ASSERT_EQ(static_cast<unsigned char>(out.at(i + k)) & 0xC0, 0x80) << text;
      i += size;
    }
  }
  std::string quotes;
  for (int i = 0; i < 500'000; ++i) quotes += " 'a";
  EXPECT_LE(NormaliseError(quotes).size(), kMaxNormalised);
}

// Only digits, ids and quoted words differ: one text.
TEST(ErrorText, MessagesThatDifferInWhatVariesAreOne) {
  std::mt19937_64 random(3);
  const auto message = [&] {
    static const char* const kUsers[] = {"bob", "eve smith", "x"};
    return "user '" + std::string(kUsers[random() % 3]) + "' waited " + std::to_string(random() % 100'000) +
           " ms for /guilds/" + std::to_string(random()) + "/members at 10.0." + std::to_string(random() % 256) +
           ".1:443";
  };
  const std::string first = NormaliseError(message());
  EXPECT_EQ(first, "user <text> waited <n> ms for /guilds/<id>/members at <ip>:443");
  for (int i = 0; i < 200; ++i) EXPECT_EQ(NormaliseError(message()), first);
}

}  // namespace
}  // namespace spanwatch::core
