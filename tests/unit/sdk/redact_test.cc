// Redaction by itself: shapes and keys (shared with the sidecar), policies, limits, and the keyed hash.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "sdk/cpp/redact/keys.h"
#include "sdk/cpp/redact/siphash.h"
#include "sdk/cpp/redact/text.h"
#include "sdk/cpp/src/redactor.h"
#include "sdk/cpp/src/thread_block.h"
#include "sdk/cpp/src/user_hash.h"
#include "spanwatch/redaction.h"
#include "tests/support/cpu_time.h"
#include "tests/support/redaction_vectors.h"

namespace spanwatch::internal {
namespace {

using redact::PutHex;
using redact::RedactText;
using redact::SipHash;
using spanwatch::testing::ReadRedactionVectors;
using spanwatch::testing::RedactionVector;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::SizeIs;

Redaction Policy(RedactionMode mode) {
  Redaction policy;
  policy.mode = mode;
  return policy;
}

std::unique_ptr<Redactor> Make(const Redaction& policy) { return std::make_unique<Redactor>(policy); }
std::unique_ptr<Redactor> Make(RedactionMode mode = RedactionMode::kDefault) { return Make(Policy(mode)); }

// A tag's value, as it leaves.
std::string Tag(Redactor* redactor, const std::string& key, const std::string& text) {
  return std::string(redactor->Value(redactor->Key(key).verdict, text));
}

TEST(RedactVectors, TheSdkObeysThem) {
  TextBuffer out, again;
  const auto redactor = Make();
  for (const RedactionVector& vector : ReadRedactionVectors()) {
    if (vector.is_key) {
      const KeyVerdict verdict = redactor->Key(vector.input).verdict;
      EXPECT_EQ(verdict == KeyVerdict::kSecret, vector.expected == "secret") << vector.where;
      EXPECT_EQ(verdict == KeyVerdict::kContent, vector.expected == "content") << vector.where;
      continue;
    }
    const bool dirty = RedactText(vector.input, kMaxTextBytes, &out) > 0;
    EXPECT_EQ(dirty ? std::string(out.view()) : vector.input, vector.expected) << vector.where;
    EXPECT_EQ(redactor->Text(vector.input, kMaxTextBytes), vector.expected) << vector.where;
    EXPECT_EQ(RedactText(vector.expected, kMaxTextBytes, &again), 0u) << vector.where;
  }
}

TEST(RedactTextTest, OutputIsBoundedAndNeverCutsACharacter) {
  TextBuffer out;
  for (const std::string piece : {"://a@", "a@b.cc,", "pwd=x,", "jwt=[]", "<@12345>", "+12345678 ", "\xe2\x82\xac"}) {
    for (const std::size_t limit : {std::size_t{20}, std::size_t{128}, std::size_t{4096}}) {
      std::string text = "ada@example.com ";
      while (text.size() < 4000) text += piece;
      ASSERT_GT(RedactText(text, limit, &out), 0u);
      EXPECT_LE(out.view().size(), limit);
      EXPECT_LE(out.view().size(), kRedactedGrowth * text.size());
      EXPECT_EQ(CutUtf8(out.view().data(), out.view().size(), out.view().size()), out.view().size());
      EXPECT_EQ(std::string(out.view()).find("[redacted:em]"), std::string::npos);
    }
  }
  std::string longest = "x";
  for (int i = 0; i < 100; ++i) longest += "://a@";
  RedactText(longest, kMaxTextBytes, &out);
  EXPECT_LE(out.view().size(), kRedactedGrowth * longest.size());
}

TEST(RedactTextTest, RandomTextsKeepTheBoundsAndTwiceIsOnce) {
  constexpr std::string_view kPieces[] = {"a",     "@",   ".",          "com",     "pwd",
                                          "token", "=",   ":",          "'",       "\\",
                                          " ",     "+",   "12345678",   "<@",      ">",
                                          "(",     "555", "://",        "Bearer ", "eyJh",
                                          "jwt=",  "[",   "]",          "%40",     "\xe2\x82\xac",
                                          "\x80",  ",",   "-----BEGIN", "\n"};
  std::mt19937_64 random(7);
  TextBuffer out, again;
  for (int round = 0; round < 20000; ++round) {
    std::string text;
    for (std::uint64_t n = random() % 24; n > 0; --n) text += kPieces[random() % std::size(kPieces)];
    const std::vector<char> exact(text.begin(), text.end());  // so that a sanitizer sees a byte too far
    if (RedactText({exact.data(), exact.size()}, kMaxTextBytes, &out) == 0) continue;
    ASSERT_LE(out.view().size(), kRedactedGrowth * text.size()) << text;
    const bool is_utf8 = text.find('\x80') == std::string::npos;  // else a mark may swallow the byte before it
    if (is_utf8) {
      ASSERT_EQ(RedactText(out.view(), kMaxTextBytes, &again), 0u) << text << "\n" << out.view();
    }
    const std::size_t limit = random() % 64;
    RedactText({exact.data(), exact.size()}, limit, &out);
    ASSERT_LE(out.view().size(), limit);
  }
}

// A quadratic scan of a mebibyte takes minutes.
TEST(RedactTextTest, HostileTextIsLinear) {
  TextBuffer out;
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
    RedactText(text, kMaxTextBytes, &out);
  }
  EXPECT_LT(cpu.Seconds(), 60);
}

// Cut texts end anywhere: of whatever began there, nothing is left that would have been hidden whole.
TEST(RedactorTest, ASecretCutAtTheLimitDoesNotLeak) {
  const auto redactor = Make();
  const std::string jwt =
      std::string("eyJhbGciOiJIUzI1NiJ9.") + "eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "dozjgNryP4J3jVmNHl0w5N";
  for (const std::string& secret :
       {std::string("ada.lovelace@example.com"), jwt, "sk-abcdef" + std::string("0123456789abcdef"),
        std::string("postgres://bot:swordfish@db/x")}) {
    for (std::size_t shown = 8; shown < secret.size(); ++shown) {
      std::string text(4096 - shown - 1, 'x');
      text += ' ' + secret.substr(0, shown);
      const std::string out(redactor->Text(text, kMaxTextBytes));
      if (secret.substr(0, shown).find_first_of("@:0123456789") == std::string::npos)
        continue;  // a name like any other
      EXPECT_THAT(out, Not(HasSubstr(secret.substr(secret[0] == 'p' ? 11 : 0, shown - 2)))) << out.substr(4000);
    }
  }
  EXPECT_EQ(redactor->Text(std::string(4096, 'x'), kMaxTextBytes), std::string(4096, 'x'));
  EXPECT_EQ(redactor->Text(std::string(256, '7'), kMaxNameBytes), "[redacted:cut]");
  // A key that was cut lost the end that tells what it is.
  EXPECT_EQ(Tag(redactor.get(), std::string(256, 'k'), "x"), "[redacted:key]");
}

TEST(RedactorTest, DefaultHidesByKeyAndShape) {
  const auto redactor = Make();
  EXPECT_EQ(Tag(redactor.get(), "userEmail", "nobody"), "[redacted:key]");
  EXPECT_EQ(Tag(redactor.get(), "message.content", "hello"), "[redacted:content]");
  EXPECT_EQ(Tag(redactor.get(), "note", "ask ada@example.com"), "ask [redacted:email]");
  EXPECT_EQ(Tag(redactor.get(), "note", "free text"), "free text");
  EXPECT_EQ(redactor->Key("to ada@example.com").text, "to [redacted:email]");
  EXPECT_EQ(redactor->marks(), 4u);
  EXPECT_NE(redactor->policy_hash(), 0u);
}

// The second look-up comes from the caches: the same answers.
TEST(RedactorTest, CachesDoNotChangeAnswers) {
  FindConstants();
  const auto redactor = Make();
  const char* const literals[] = {"apiKey", "message.content", "note", "ada@example.com", "mail ada@example.com now"};
  for (int round = 0; round < 3; ++round) {
    for (const char* const literal : literals) {
      const auto fresh = Make();
      EXPECT_EQ(redactor->Key(literal).text, fresh->Key(std::string(literal)).text);
      EXPECT_EQ(redactor->Key(literal).verdict, fresh->Key(std::string(literal)).verdict) << literal;
      EXPECT_EQ(redactor->Text(literal, kMaxTextBytes), fresh->Text(std::string(literal), kMaxTextBytes));
    }
  }
  // The same address with another length is another text.
  const char* const both = "apiKeys and so on";
  EXPECT_EQ(redactor->Key(std::string_view(both, 6)).verdict, KeyVerdict::kSecret);
  EXPECT_EQ(redactor->Key(std::string_view(both, 14)).verdict, KeyVerdict::kKeep);
  // More keys than the tables hold.
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 2000; ++i) {
      const std::string number = std::to_string(i);
      ASSERT_EQ(redactor->Key("key" + number).verdict, KeyVerdict::kKeep);
      ASSERT_EQ(redactor->Key(number + "token").verdict, KeyVerdict::kSecret);
    }
  }
}

TEST(RedactorTest, ContentStaysOnlyWhenAskedFor) {
  Redaction policy = Policy(RedactionMode::kDefault);
  policy.keep_content = true;
  const auto redactor = Make(policy);
  EXPECT_EQ(Tag(redactor.get(), "gen_ai.prompt", "hi, I am ada@example.com"), "hi, I am [redacted:email]");
  EXPECT_EQ(Tag(redactor.get(), "apiKey", "x"), "[redacted:key]");
  EXPECT_NE(redactor->policy_hash(), Make()->policy_hash());
}

TEST(RedactorTest, StrictKeepsWhatIsListed) {
  const auto redactor = Make(RedactionMode::kStrict);
  EXPECT_EQ(Tag(redactor.get(), "note", "Ada was here"), "[redacted:strict]");
  EXPECT_EQ(Tag(redactor.get(), "http.route", "/users/:id"), "/users/:id");
  EXPECT_EQ(Tag(redactor.get(), "linked.traceId", "0af7651916cd43dd8448eb211c80319c"),
            "0af7651916cd43dd8448eb211c80319c");
  EXPECT_EQ(Tag(redactor.get(), "gen_ai.request.model", "gemini-pro"), "gemini-pro");
  EXPECT_EQ(Tag(redactor.get(), "Service.Name", "bot of ada@example.com"), "bot of [redacted:email]");
  EXPECT_EQ(Tag(redactor.get(), "message.content", "hello"), "[redacted:content]");
  EXPECT_EQ(Tag(redactor.get(), "spanwatch.exception.causes", "Error: Ada"), "[redacted:strict]");
  EXPECT_EQ(Tag(redactor.get(), "any.id", HashUserId("ada")), HashUserId("ada"));
  EXPECT_EQ(Tag(redactor.get(), "any.id", "u_" + std::string(32, 'g')), "[redacted:strict]");
  EXPECT_EQ(redactor->log_verdict(), KeyVerdict::kUnlisted);
  EXPECT_NE(redactor->policy_hash(), Make()->policy_hash());
}

TEST(RedactorTest, KeysMayBeAllowedAndDenied) {
  for (const RedactionMode mode : {RedactionMode::kDefault, RedactionMode::kStrict}) {
    Redaction policy = Policy(mode);
    policy.allow_keys = {"Queue.Mail", "discord.*", "log.message", ""};
    policy.deny_keys = {"street", "pet-name", "discord.nick", "_"};
    const auto redactor = Make(policy);
    EXPECT_EQ(Tag(redactor.get(), "queue.mail", "outbox ada@example.com"), "outbox [redacted:email]");
    EXPECT_EQ(Tag(redactor.get(), "discord.token", "kind a"), "kind a");
    EXPECT_EQ(Tag(redactor.get(), "discord.nick", "ada"), "[redacted:key]");
    for (const std::string key : {"street", "user.street", "userStreet", "user_street", "petName", "pet_name"})
      EXPECT_EQ(Tag(redactor.get(), key, "x"), "[redacted:key]") << key;
    EXPECT_NE(Tag(redactor.get(), "mainstreet", "x"), "[redacted:key]");
    EXPECT_EQ(redactor->log_verdict(), KeyVerdict::kKeep);
  }
}

TEST(RedactorTest, OffLooksAtNothing) {
  const auto redactor = Make(RedactionMode::kOff);
  EXPECT_EQ(Tag(redactor.get(), "password", "ada@example.com"), "ada@example.com");
  EXPECT_EQ(redactor->policy_hash(), 0u);
  EXPECT_EQ(redactor->marks(), 0u);
}

TEST(RedactorTest, GaugesKeepTheirLimits) {
  const auto redactor = Make();
  std::vector<Gauge> gauges(3);
  gauges[0].name = "queue of ada@example.com";
  gauges[0].labels = {{"token", "x"}, {"who", "<@80351110224678912>"}, {"b@example.com", "1"}};
  gauges[1].name = std::string(113, 'x') + " a@example.com";
  gauges[2].name = std::string(128, '7');
  redactor->Redact(&gauges);
  EXPECT_EQ(gauges[0].name, "queue of [redacted:email]");
  const std::vector<std::pair<std::string, std::string>> labels = {
      {"token", "[redacted:key]"}, {"who", "[redacted:mention]"}, {"[redacted:email]", "1"}};
  EXPECT_EQ(gauges[0].labels, labels);
  EXPECT_LE(gauges[1].name.size(), 128u);
  EXPECT_THAT(gauges[1].name, Not(HasSubstr("example")));
  EXPECT_EQ(gauges[2].name, std::string(128, '7'));
}

// From the reference implementation's vectors.h: key 00..0f, messages 00, 00 01, ...
TEST(SipHashTest, PublishedVectors) {
  const struct {
    std::size_t size;
    const char* hash;
  } kVectors[] = {
      {0, "a3817f04ba25a8e66df67214c7550293"},  {1, "da87c1d86b99af44347659119b22fc45"},
      {2, "8177228da4a45dc7fca38bdef60affe4"},  {3, "9c70b60c5267a94e5f33b6b02985ed51"},
      {7, "a1f1ebbed8dbc153c0b84aa61ff08239"},  {8, "3b62a9ba6258f5610f83e264f31497b4"},
      {9, "264499060ad9baabc47f8b02bb6d71ed"},  {15, "5493e99933b0a8117e08ec0f97cfc3d9"},
      {16, "6ee2a4ca67b054bbfd3315bf85230577"}, {17, "473d06e8738db89854c066c47ae47740"},
      {31, "2939b0183223fafc1723de4f52c43d35"}, {32, "7c3956ca5eeafc3e363e9d556546eb68"},
      {63, "5150d1772f50834a503e069a973fbd7c"},
  };
  const auto key = ParseHashKey("000102030405060708090a0b0c0d0e0f");
  ASSERT_TRUE(key.has_value());
  EXPECT_EQ(key->k0, 0x0706050403020100u);
  EXPECT_EQ(key->k1, 0x0f0e0d0c0b0a0908u);
  for (const auto& vector : kVectors) {
    std::string message;
    for (std::size_t i = 0; i < vector.size; ++i) message += static_cast<char>(i);
    std::string hex(32, '?');
    PutHex(SipHash(*key, message), hex.data());
    EXPECT_EQ(hex, vector.hash) << vector.size;
  }
}

TEST(HashUserIdTest, StableWithTheSameKeyAndUselessWithout) {
  UseHashKey(ParseHashKey("000102030405060708090a0b0c0d0e0f"));
  const std::string first = HashUserId("80351110224678912");
  EXPECT_THAT(first, MatchesRegex("u_[0-9a-f]{32}"));
  EXPECT_EQ(HashUserId(80351110224678912u), first);
  EXPECT_NE(HashUserId("80351110224678913"), first);
  EXPECT_EQ(HashUserId(""), "u_a3817f04ba25a8e66df67214c7550293");
  EXPECT_EQ(HashUserId(0), HashUserId("0"));
  EXPECT_TRUE(IsUserHash(first));
  UseHashKey(ParseHashKey("another key, long enough"));
  const std::string other = HashUserId("80351110224678912");
  EXPECT_NE(other, first);
  UseHashKey(std::nullopt);
  const std::string random = HashUserId("80351110224678912");
  EXPECT_EQ(HashUserId("80351110224678912"), random);
  EXPECT_NE(random, first);
  EXPECT_NE(random, other);
  UseHashKey(ParseHashKey("000102030405060708090A0B0C0D0E0F"));
  EXPECT_EQ(HashUserId("80351110224678912"), first);
  UseHashKey(std::nullopt);
  EXPECT_EQ(HashUserId("80351110224678912"), random);
  EXPECT_FALSE(ParseHashKey("too short").has_value());
  EXPECT_FALSE(ParseHashKey("").has_value());
}

// No pseudonym looks like a secret to either end.
TEST(HashUserIdTest, PseudonymsPassRedaction) {
  const auto redactor = Make();
  for (std::uint64_t id = 0; id < 2000; ++id) {
    const std::string pseudonym = HashUserId(id);
    ASSERT_EQ(Tag(redactor.get(), "user.id", pseudonym), pseudonym);
  }
  EXPECT_EQ(redactor->marks(), 0u);
}

}  // namespace
}  // namespace spanwatch::internal
