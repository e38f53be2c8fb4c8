// Canaries, one of each class, in every text that every public call takes: none is found in any byte on the wire.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <exception>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "sdk/cpp/src/record.h"
#include "tests/support/redaction_vectors.h"
#include "tests/unit/sdk/traced.h"

namespace spanwatch::test {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

struct Canary {
  const char* text;    // what the program says
  const char* needle;  // what must not be found
};

// By their shapes: anywhere. The literals lie in read-only data, as those of a program do.
constexpr Canary kShapes[] = {
    {"mail canary.bird@example.com now", "canary.bird"},
    {"call +49 30 55501237 now", "55501237"},
    {"key sk-canaryABCDEF0123456789 end", "canaryABCDEF"},
    {"sent Bearer canarybearer0123456789 end", "canarybearer"},
    {"jwt eyJjYW5hcnkiOiJ5ZXMifQ.eyJjYW5hcnkiOiJ5ZXMifQ.canarysignature0123456789abcdefgh end", "canarysignature"},
    {"bot MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.canaryDiscordToken012345678 end", "canaryDiscordToken"},
    {"hi <@803511102246789121> there", "803511102246789121"},
    {"with password=canaryhunter2 set", "canaryhunter2"},
    {"at postgres://bot:canarypw77@db.local/x", "canarypw77"},
    {"POST https://discord.com/api/webhooks/123456/canaryHook0123456789012345678901234567890123456789012",
     "canaryHook"},
};
// By their keys.
struct KeyCanary {
  const char* key;
  const char* needle;
};
constexpr KeyCanary kKeys[] = {
    {"password", "canarykeyed1"},
    {"userEmail", "canarykeyed2"},
    {"http.request.header.authorization", "canarykeyed3"},
    {"message.content", "canarykeyed4"},
    {"gen_ai.prompt", "canarykeyed5"},
    {"discordToken", "canarykeyed6"},
};
constexpr int kFields = 20;  // texts that each shape is put into, at least

std::set<std::string> Needles() {
  std::set<std::string> needles;
  for (const Canary& canary : kShapes) needles.insert(canary.needle);
  for (const KeyCanary& canary : kKeys) needles.insert(canary.needle);
  return needles;
}

struct Custom : std::runtime_error {
  using std::runtime_error::runtime_error;
};

void FailWithNested(Text name, const std::string& text) {
  Span span(name);
  try {
    try {
      throw Custom("inner " + text);
    } catch (...) {
      std::throw_with_nested(std::runtime_error("outer " + text));
    }
  } catch (...) {
    span.FailWithCurrentException();
  }
}

// What goes with a context: tags of the whole trace, correlation, baggage, metadata of a new one.
void SayInContexts(Text text, const std::string& copy) {
  const char* const parent = "00-0af7651916cd43dd8448eb211c80319d-b7ad6b7169203331-01";
  { const Span extracted(text, SpanKind::kServer, Context::FromTraceparent(parent, "", "note=" + copy)); }
  {
    Span outer("outermost", SpanKind::kServer, Context());
    outer.LinkTo(Context::FromTraceparent(parent, "vendor=" + copy));
    const ContextScope scope(Context::Current().SetTags({{"traceNote", text}, {text, copy}}).WithBaggage("note", copy));
    const CorrelationScope correlation(copy);
    { Span inner("inner"); }
  }
  WithNewContext({{"source", text}, {text, copy}}, [](Span& span) { span.SetTag("new", true); });
}

// Each public call that takes text, with this one.
void SayEverywhere(Text text) {
  const std::string copy(text.view());
  Span root(text, SpanKind::kServer,
            Context::FromTraceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                                     "vendor=" + copy.substr(copy.find(' ') + 1)));
  Span span(text);
  span.SetTag("note", text).SetTag(text, "value").SetTag(std::string_view(copy), 7).SetTag("note2", copy);
  span.SetTag("value", Value(text));
  span.SetTags({{"first", text}, {text, true}, {"second", copy}});
  span.AddLog(LogLevel::kWarn, text);
  span.AddLog(LogLevel::kInfo, copy, {{"field", text}, {"field2", copy}, {text, 1.5}});
  { Span(text).Fail(text); }
  { Span(copy).Fail(text, copy); }
  { Span("failed").Fail(copy); }
  FailWithNested("nested", copy);
  try {
    Traced(text, [&] { throw std::invalid_argument(copy); });
  } catch (const std::invalid_argument&) {
  }
  try {
    Span unwound(text);
    throw 1;
  } catch (int) {
  }
  { Span many(text, SpanKind::kClient, Context::Current()); }
  SayInContexts(text, copy);
  SetGauge(text.view(), {{"label", text.view()}}, 1);
  SetGauge("gauge", {{text.view(), "x"}}, 1);
}

void SayByKey(Text key, Text value) {
  Span span("keyed");
  span.SetTag(key, value).SetTag(std::string(key.view()), std::string(value.view()));
  span.SetTags({{key, value}});
  span.AddLog(LogLevel::kInfo, "line", {{key, value}});
  for (int i = 0; i < 70; ++i) span.SetTag("tag" + std::to_string(i), i);
  span.SetTag(key, value);  // the table is full: replaces
  SetGauge("gauge", {{key.view(), value.view()}}, 2);
}

void SayAll() {
  for (const Canary& canary : kShapes) {
    SayEverywhere(canary.text);
    SayEverywhere(std::string(canary.text));
  }
  for (const KeyCanary& canary : kKeys) SayByKey(canary.key, canary.needle);
}

Options PrivateOptions(const FakeSidecar& sidecar, RedactionMode mode) {
  Options options = TracedOptions(sidecar.endpoint());
  options.redaction.mode = mode;
  options.service_name = kShapes[0].text;
  options.service_version = kShapes[1].text;
  for (const Canary& canary : kShapes) {
    options.resource_attributes.emplace_back("deployment.note" + std::string(canary.needle).substr(0, 3), canary.text);
    options.resource_attributes.emplace_back(canary.text, "x");
  }
  for (const KeyCanary& canary : kKeys) options.resource_attributes.emplace_back(canary.key, canary.needle);
  return options;
}

std::size_t Count(const std::string& bytes, const std::string& needle) {
  std::size_t count = 0;
  for (std::size_t at = bytes.find(needle); at != std::string::npos; at = bytes.find(needle, at + 1)) ++count;
  return count;
}

// Runs a program that says everything, until its open spans and gauges have been reported too; gives all bytes.
std::string WireBytes(RedactionMode mode) {
  FakeSidecar sidecar;
  {
    TracedProgram program(PrivateOptions(sidecar, mode));
    EXPECT_TRUE(program.connected());
    std::vector<Span> open;
    for (const Canary& canary : kShapes) open.emplace_back(Span(canary.text)).Detach();
    SayAll();
    EXPECT_TRUE(sidecar.WaitFor([](const std::vector<WireMessage>& messages) {
      bool listed = false, beaten = false;
      for (const WireMessage& message : messages) {
        listed = listed || (message.kind == kOpenSpans && message.spans.size() == std::size(kShapes));
        beaten = beaten || (message.kind == kHeartbeat && message.gauges.size() > std::size(kShapes));
      }
      return listed && beaten;
    }));
    open.clear();
    EXPECT_EQ(Shutdown(kDeadlineMs), 0u);
    const Stats stats = GetStats();
    EXPECT_EQ(stats.redacted > 0, mode != RedactionMode::kOff);
    EXPECT_STREQ(stats.redaction, mode == RedactionMode::kOff      ? "off"
                                  : mode == RedactionMode::kStrict ? "strict"
                                                                   : "default");
    EXPECT_EQ(stats.problems.find("redaction is off") != std::string::npos, mode == RedactionMode::kOff);
  }
  std::string bytes;
  for (const WireMessage& message : sidecar.Messages()) {
    EXPECT_EQ(message.redaction_policy == 0, mode == RedactionMode::kOff) << message.kind;
    bytes += message.raw;
  }
  return bytes;
}

TEST(PrivacyTest, NoCanaryIsOnTheWire) {
  const std::string bytes = WireBytes(RedactionMode::kDefault);
  for (const std::string& needle : Needles()) EXPECT_EQ(Count(bytes, needle), 0u) << needle;
  for (const char* const mark :
       {"email", "phone", "api_key", "token", "mention", "secret", "credentials", "key", "content"})
    EXPECT_THAT(bytes, HasSubstr("[redacted:" + std::string(mark) + "]"));
  EXPECT_THAT(bytes, HasSubstr("mail [redacted:email] now"));
}

TEST(PrivacyTest, NoCanaryIsOnTheWireInStrictModeNorAnyFreeText) {
  const std::string bytes = WireBytes(RedactionMode::kStrict);
  for (const std::string& needle : Needles()) EXPECT_EQ(Count(bytes, needle), 0u) << needle;
  // Only names of spans, of tags and of gauges keep the words around.
  EXPECT_THAT(bytes, HasSubstr("mail [redacted:email] now"));
  EXPECT_EQ(Count(bytes, "inner "), 0u);
  EXPECT_EQ(Count(bytes, "outer "), 0u);
}

// What shows that the two tests before look in the right place.
TEST(PrivacyTest, OffLetsAllThrough) {
  const std::string bytes = WireBytes(RedactionMode::kOff);
  for (const Canary& canary : kShapes)
    EXPECT_GE(Count(bytes, canary.needle), static_cast<std::size_t>(kFields)) << canary.needle;
  for (const KeyCanary& canary : kKeys) EXPECT_GE(Count(bytes, canary.needle), 4u) << canary.needle;
  EXPECT_EQ(Count(bytes, "[redacted:"), 0u);
}

TEST(PrivacyTest, HarmlessTextArrivesAsItIs) {
  FakeSidecar sidecar;
  TracedProgram program(sidecar);
  std::vector<std::string> texts;
  for (const auto& vector : spanwatch::testing::ReadRedactionVectors()) {
    if (!vector.is_key && vector.input == vector.expected && !vector.input.empty()) texts.push_back(vector.input);
  }
  for (const std::string& text : texts) {
    Span span(text);
    span.SetTag("text", text).AddLog(LogLevel::kInfo, text).Fail(text);
  }
  EXPECT_EQ(Shutdown(kDeadlineMs), 0u);
  const std::vector<WireSpan> spans = sidecar.Spans();
  ASSERT_EQ(spans.size(), texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(spans[i].name, texts[i]);
    EXPECT_EQ(spans[i].attributes.at("text"), texts[i]);
    EXPECT_EQ(spans[i].status_message, texts[i]);
    ASSERT_THAT(spans[i].events, SizeIs(1));
    EXPECT_EQ(spans[i].events[0].attributes.at("log.message"), texts[i]);
  }
  EXPECT_EQ(GetStats().redacted, 0u);
}

TEST(PrivacyTest, StrictKeepsNumbersNamesAndErrorTypes) {
  FakeSidecar sidecar;
  Options options = TracedOptions(sidecar.endpoint());
  options.redaction.mode = RedactionMode::kStrict;
  options.redaction.allow_keys = {"shown"};
  options.hash_key = "000102030405060708090a0b0c0d0e0f";
  TracedProgram program(options);
  {
    Span span("work");
    span.SetTags(
        {{"note", "free"}, {"count", 3}, {"ratio", 0.5}, {"ok", true}, {"shown", "yes"}, {"model", "gemini-pro"}});
    span.SetTag("password", 1234).SetTag("user.id", HashUserId(""));
    span.AddLog(LogLevel::kInfo, "said").Fail("TimeoutError", "Ada waited too long");
  }
  { Span("bare").Fail("Ada again"); }
  FailWithNested("nested", "Ada");
  EXPECT_EQ(Shutdown(kDeadlineMs), 0u);
  const WireSpan span = sidecar.SpansNamed("work")[0];
  const std::map<std::string, std::string> expected = {{"note", "[redacted:strict]"},
                                                       {"count", "3"},
                                                       {"ratio", "0.5"},
                                                       {"ok", "true"},
                                                       {"shown", "yes"},
                                                       {"model", "gemini-pro"},
                                                       {"password", "[redacted:key]"},
                                                       {"error.type", "TimeoutError"},
                                                       {"user.id", "u_a3817f04ba25a8e66df67214c7550293"}};
  for (const auto& [key, value] : expected) EXPECT_EQ(span.attributes.at(key), value) << key;
  EXPECT_EQ(span.status, 2u);
  EXPECT_EQ(span.status_message, "TimeoutError");
  EXPECT_EQ(span.events[0].attributes.at("log.message"), "[redacted:strict]");
  EXPECT_EQ(span.events[0].attributes.at("log.severity"), "info");
  EXPECT_EQ(sidecar.SpansNamed("bare")[0].status_message, "[redacted:strict]");
  const WireSpan nested = sidecar.SpansNamed("nested")[0];
  EXPECT_EQ(nested.status_message, "std::runtime_error");
  EXPECT_EQ(nested.events[0].attributes.at("exception.message"), "[redacted:strict]");
  EXPECT_EQ(nested.events[0].attributes.at("exception.type"), "std::runtime_error");
}

TEST(PrivacyTest, TracestateWithASecretKeepsOnlyTheSamplingEntry) {
  FakeSidecar sidecar;
  TracedProgram program(sidecar);
  const char* const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  { Span span("clean", SpanKind::kServer, Context::FromTraceparent(parent, "vendor=a,ot=th:8")); }
  { Span span("dirty", SpanKind::kServer, Context::FromTraceparent(parent, "vendor=ada@example.com,ot=th:8")); }
  { Span span("alone", SpanKind::kServer, Context::FromTraceparent(parent, "vendor=ada@example.com")); }
  EXPECT_EQ(Shutdown(kDeadlineMs), 0u);
  EXPECT_EQ(sidecar.SpansNamed("clean")[0].trace_state, "vendor=a,ot=th:8");
  EXPECT_EQ(sidecar.SpansNamed("dirty")[0].trace_state, "ot=th:8");
  EXPECT_EQ(sidecar.SpansNamed("alone")[0].trace_state, "");
}

// Texts that grow by redaction, up to every limit at once, still make whole batches.
TEST(PrivacyTest, RecordsFullOfSecretsAreEncodedWhole) {
  FakeSidecar sidecar;
  TracedProgram program(sidecar);
  std::string text;
  while (text.size() + 5 <= 4096) text += "://a@";
  for (int i = 0; i < 20; ++i) {
    Span span("full");
    for (int tag = 0; tag < 11; ++tag) span.SetTag("tag" + std::to_string(tag), text);
    for (int tag = 0; tag < 50; ++tag) span.SetTag("token" + std::to_string(tag) + ".jwt", "");
    span.Fail("a@b.cc", "a@b.cc");
    span.End();
    ASSERT_TRUE(WaitForStats([](const Stats& stats) { return stats.waiting == 0; }));  // a ring holds five of them
  }
  EXPECT_EQ(Shutdown(kDeadlineMs), 0u);
  const std::vector<WireSpan> spans = sidecar.SpansNamed("full");
  ASSERT_THAT(spans, SizeIs(20));
  for (const WireSpan& span : spans) {
    EXPECT_LE(span.attributes.at("tag0").size(), 4096u);
    EXPECT_GT(span.attributes.at("tag0").size(), 4000u);
    EXPECT_EQ(span.attributes.at("token7.jwt"), "[redacted:key]");
    EXPECT_EQ(span.status_message, "[redacted:email]");
  }
}

}  // namespace
}  // namespace spanwatch::test
