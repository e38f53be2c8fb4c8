// The live stream: the log, its bounds and gaps; the hub's news; GET /api/v1/events; entity tags.
#include "sidecar/http/events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <nlohmann/json.hpp>

#include "sidecar/http/entity_tag.h"
#include "sidecar/http/server.h"
#include "tests/support/engine_driver.h"
#include "tests/unit/http/raw_client.h"

namespace spanwatch::http {
namespace {

using core::kMinute;
using core::kMs;
using core::kSecond;
using core::kStart;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;
using Json = nlohmann::json;

struct Told {
  std::string type, id;
  Json data;
};

// What a browser would make of the bytes; comments are "comment".
std::vector<Told> Parse(const std::string& text) {
  std::vector<Told> events;
  Told now;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    EXPECT_NE(end, std::string::npos);
    const std::string line = text.substr(at, end - at);
    at = end + 1;
    if (line.starts_with("event: ")) now.type = line.substr(7);
    if (line.starts_with("id: ")) now.id = line.substr(4);
    if (line.starts_with("data: ")) now.data = Json::parse(line.substr(6));
    if (line.starts_with(":")) now.type = "comment";
    if (line.empty()) events.push_back(std::exchange(now, {}));
  }
  return events;
}

std::vector<std::string> TypesOf(const std::vector<Told>& events) {
  std::vector<std::string> types;
  for (const Told& event : events) types.push_back(event.type);
  return types;
}

std::vector<Told> ReadLog(const EventLog& log, std::uint64_t* cursor, const EventFilter& filter = {}) {
  std::string out;
  log.Read(filter, 1 << 20, cursor, &out);
  return Parse(out);
}

TEST(EventLogTest, IsReadFromAnywhereAndFiltered) {
  EventLog log(100, 10, 10'000);
  log.Append(EventType::kTrace, {"bot", "db"}, "{\"n\":1}");
  log.Append(EventType::kAlert, {"db"}, "{\"n\":2}");
  log.Append(EventType::kHealth, {"bot"}, "{\"n\":3}");
  std::uint64_t cursor = 100;
  auto events = ReadLog(log, &cursor);
  EXPECT_THAT(TypesOf(events), ElementsAre("trace", "alert", "health"));
  EXPECT_EQ(events[0].id, "100");
  EXPECT_EQ(events[2].data["n"], 3);
  EXPECT_THAT(ReadLog(log, &cursor), IsEmpty());
  cursor = 102;
  EXPECT_THAT(TypesOf(ReadLog(log, &cursor)), ElementsAre("health"));
  EventFilter filter;
  filter.service = "db";
  cursor = 100;
  EXPECT_THAT(TypesOf(ReadLog(log, &cursor, filter)), ElementsAre("trace", "alert"));
  EXPECT_EQ(cursor, 103u);
  filter.types = {false, true, true};
  cursor = 100;
  EXPECT_THAT(TypesOf(ReadLog(log, &cursor, filter)), ElementsAre("alert"));
}

TEST(EventLogTest, IsBoundedAndSaysWhatIsGone) {
  EventLog log(1, 5, 10'000);
  for (int i = 0; i < 12; ++i) log.Append(EventType::kTrace, {}, "{}");
  std::uint64_t cursor = 3;
  auto events = ReadLog(log, &cursor);
  EXPECT_THAT(TypesOf(events), ElementsAre("gap", "trace", "trace", "trace", "trace", "trace"));
  EXPECT_EQ(events[0].data, Json::parse(R"({"skipped":5,"reason":"behind"})"));
  EXPECT_EQ(events[0].id, "7");  // whoever goes on from here misses nothing and is not told twice
  EXPECT_EQ(events[1].id, "8");

  EventLog bytes(1, 1000, 10'000);
  for (int i = 0; i < 100; ++i) bytes.Append(EventType::kTrace, {"bot"}, std::string(500, ' '));
  EXPECT_LE(bytes.bytes(), 10'000u);
}

TEST(EventLogTest, IdsOfAnotherLifeAreARestart) {
  EventLog log(1000, 5, 10'000);
  log.Append(EventType::kTrace, {}, "{}");
  for (const std::uint64_t other : {std::uint64_t{0}, std::uint64_t{999}, std::uint64_t{1002}, UINT64_MAX}) {
    std::uint64_t cursor = other;
    const auto events = ReadLog(log, &cursor);
    EXPECT_THAT(TypesOf(events), ElementsAre("gap", "trace")) << other;
    EXPECT_EQ(events[0].data, Json::parse(R"({"skipped":null,"reason":"restart"})"));
  }
}

TEST(EventLogTest, BurstsAreOneGapThatGrowsAndIsToldOnce) {
  EventLog log(1, 10, 10'000);
  log.Append(EventType::kTrace, {}, "{}");
  log.AppendGap(EventType::kTrace, 7);
  std::uint64_t cursor = 1;
  auto events = ReadLog(log, &cursor);
  EXPECT_THAT(TypesOf(events), ElementsAre("trace", "gap"));
  EXPECT_EQ(events[1].data, Json::parse(R"({"skipped":7,"reason":"burst"})"));
  log.AppendGap(EventType::kTrace, 3);
  events = ReadLog(log, &cursor);
  EXPECT_EQ(events.at(0).data["skipped"], 3);
  log.Append(EventType::kAlert, {}, "{}");
  EventFilter alerts;
  alerts.types = {false, true, false};
  cursor = 1;
  EXPECT_THAT(TypesOf(ReadLog(log, &cursor, alerts)), ElementsAre("alert"));  // not its gap
  cursor = 5;                                                                 // in the middle of the gap
  EXPECT_EQ(ReadLog(log, &cursor).at(0).data["skipped"], 7);
}

std::shared_ptr<const core::RuleSet> SlowRule() {
  core::Rule rule;
  rule.group = "g";
  rule.alert = "Slow";
  rule.measure = core::Measure::kSpanDuration;
  rule.by = {core::LabelSource::kService};
  rule.warning = 1e9;
  rule.critical = 5e9;
  rule.keep_firing_for_ns = 5 * kMinute;
  auto set = std::make_shared<core::RuleSet>();
  set->rules = {rule};
  return set;
}

class EventHubTest : public ::testing::Test {
 protected:
  // Its thread asks when `interval` is over; the tests with an hour ask by subscribing.
  void Start(EventOptions options = {}, std::chrono::milliseconds interval = std::chrono::hours(1)) {
    options.version = "1.2.3";
    options.interval = interval;
    hub_ = std::make_shared<EventHub>(&driver_.engine(), options);
  }
  std::shared_ptr<BodyStream> Open(std::optional<std::uint64_t> last_id = {}, EventFilter filter = {}) {
    return hub_->Subscribe(std::move(filter), last_id);
  }
  // A new client makes the hub look.
  void Look() { EXPECT_NE(Open(), nullptr); }
  static std::vector<Told> Read(BodyStream* stream) {
    std::string out;
    while (stream->Next(&out) == BodyStream::State::kMore) {
    }
    return Parse(out);
  }
  void Complete(std::uint64_t first, std::uint64_t count) {
    std::vector<core::TestSpan> spans;
    for (std::uint64_t i = 0; i < count; ++i) spans.push_back({.trace = first + i, .name = "op"});
    driver_.Spans(std::move(spans));
    driver_.At(now_ += 40 * kSecond);
  }

  core::EngineDriver driver_{core::Limits{}, SlowRule()};
  std::int64_t now_ = 0;
  std::shared_ptr<EventHub> hub_;
};

TEST_F(EventHubTest, HelloThenWhatIsNew) {
  Complete(1, 3);  // before the first client: not its business
  Start();
  const auto stream = Open();
  auto events = Read(stream.get());
  ASSERT_THAT(TypesOf(events), ElementsAre("hello"));
  EXPECT_EQ(events[0].data["version"], "1.2.3");
  EXPECT_EQ(events[0].data["generation"], driver_.engine().Generation());
  EXPECT_EQ(events[0].id, "");
  Complete(10, 2);
  Look();
  events = Read(stream.get());
  ASSERT_THAT(TypesOf(events), ElementsAre("trace", "trace"));
  EXPECT_EQ(events[0].data["traceId"], "0000000000abcdef000000000000000a");
  EXPECT_EQ(events[0].data["complete"], true);
  EXPECT_THAT(Read(stream.get()), IsEmpty());
}

TEST_F(EventHubTest, AlertsBeginRiseAndEnd) {
  Start();
  const auto stream = Open();
  Read(stream.get());
  const auto look = [&] {
    Look();
    std::vector<std::string> changes;
    for (const Told& event : Read(stream.get())) {
      if (event.type != "alert") continue;
      changes.push_back(event.data["change"]);
      EXPECT_EQ(event.data["labels"]["service"], "bot");
      EXPECT_EQ(event.data["labels"]["alertname"], "Slow");
    }
    return changes;
  };
  driver_.Spans({{.trace = 1, .id = 1, .duration_ns = 2 * kSecond}});
  EXPECT_THAT(look(), ElementsAre("firing"));
  driver_.Spans({{.trace = 1, .id = 2, .duration_ns = 2 * kSecond}});
  EXPECT_THAT(look(), IsEmpty());  // as before, but for its numbers
  driver_.Spans({{.trace = 1, .id = 3, .duration_ns = 6 * kSecond}});
  EXPECT_THAT(look(), ElementsAre("escalated"));
  driver_.At(10 * kMinute);
  EXPECT_THAT(look(), ElementsAre("resolved"));
  driver_.At(40 * kMinute);  // no longer shown
  EXPECT_THAT(look(), IsEmpty());
}

TEST_F(EventHubTest, LastEventIdGoesOnWhereTheClientWas) {
  EventOptions options;
  options.first_id = 5000;
  options.max_events = 4;
  Start(options);
  auto stream = Open();
  Read(stream.get());
  Complete(1, 1);
  Look();
  const auto events = Read(stream.get());
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].id, "5000");
  stream.reset();
  Complete(10, 3);  // while nobody listens
  stream = Open(5000);
  EXPECT_THAT(TypesOf(Read(stream.get())), ElementsAre("hello", "trace", "trace", "trace"));
  stream.reset();
  Complete(20, 9);
  stream = Open(5003);
  const auto late = Read(stream.get());
  EXPECT_THAT(TypesOf(late), ElementsAre("hello", "gap", "trace", "trace", "trace", "trace"));
  EXPECT_EQ(late[1].data["skipped"], 5);
  EXPECT_THAT(TypesOf(Read(Open(77).get())), ElementsAre("hello", "gap", "trace", "trace", "trace", "trace"));
}

TEST_F(EventHubTest, OneThatCannotFollowIsToldWhatItMissed) {
  EventOptions options;
  options.max_events = 100;
  Start(options);
  const auto slow = Open();
  Read(slow.get());
  for (std::uint64_t i = 0; i < 40; ++i) {
    Complete(1 + i * 10, 10);
    Look();
  }
  const auto events = Read(slow.get());
  ASSERT_EQ(events.size(), 101u);
  EXPECT_EQ(events[0].type, "gap");
  EXPECT_EQ(events[0].data["skipped"], 300);
}

TEST_F(EventHubTest, TracesBeyondTheRateAreAGap) {
  EventOptions options;
  options.max_traces = 20;
  Start(options);
  const auto stream = Open();
  Read(stream.get());
  Complete(1, 500);
  Look();
  const auto events = Read(stream.get());
  ASSERT_EQ(events.size(), 21u);
  EXPECT_EQ(events[0].data, Json::parse(R"({"skipped":480,"reason":"burst"})"));
  EXPECT_EQ(events[20].data["traceId"], "0000000000abcdef00000000000001f4");
}

TEST_F(EventHubTest, StreamsAreCountedAndRefusedWhenTooMany) {
  EventOptions options;
  options.max_streams = 2;
  Start(options);
  auto first = Open(), second = Open();
  EXPECT_EQ(hub_->stream_count(), 2u);
  EXPECT_EQ(Open(), nullptr);
  first.reset();
  EXPECT_NE(Open(), nullptr);
}

TEST_F(EventHubTest, CommentsKeepQuietStreamsAlive) {
  EventOptions options;
  options.keep_alive = std::chrono::milliseconds(0);
  Start(options);
  const auto stream = Open();
  Read(stream.get());
  EXPECT_THAT(TypesOf(Read(stream.get())), ElementsAre("comment"));
}

TEST_F(EventHubTest, ItsThreadLooksByItselfAndWakes) {
  Start({}, std::chrono::milliseconds(1));
  const auto stream = Open();
  std::promise<void> woken;
  stream->SetWaker([&, once = std::make_shared<std::atomic<bool>>(false)] {
    if (!once->exchange(true)) woken.set_value();
  });
  Read(stream.get());
  Complete(1, 1);
  ASSERT_EQ(woken.get_future().wait_for(std::chrono::seconds(30)), std::future_status::ready);
  EXPECT_THAT(TypesOf(Read(stream.get())), ElementsAre("trace"));
}

TEST(EntityTagTest, MatchesWeaklyInLists) {
  EXPECT_TRUE(EntityTags::Matches("W/\"a-1\"", "W/\"a-1\""));
  EXPECT_TRUE(EntityTags::Matches("\"a-1\"", "W/\"a-1\""));
  EXPECT_TRUE(EntityTags::Matches(" \"x\" ,W/\"a-1\" ", "W/\"a-1\""));
  EXPECT_TRUE(EntityTags::Matches("*", "W/\"a-1\""));
  EXPECT_FALSE(EntityTags::Matches("", "W/\"a-1\""));
  EXPECT_FALSE(EntityTags::Matches(",,", "W/\"a-1\""));
  EXPECT_FALSE(EntityTags::Matches("W/\"a-11\"", "W/\"a-1\""));
}

TEST(EntityTagTest, DependOnBootGenerationAndWhereItMattersTime) {
  const EntityTags tags, others;
  const std::string traces = tags.Of("/api/v1/traces", {}, 7, kStart);
  EXPECT_THAT(traces, StartsWith("W/\""));
  EXPECT_EQ(traces, tags.Of("/api/v1/traces", {{"start", "1700000000000"}}, 7, kStart + 3600 * kSecond));
  EXPECT_NE(traces, tags.Of("/api/v1/traces", {}, 8, kStart));
  EXPECT_NE(traces, others.Of("/api/v1/traces", {}, 7, kStart));
  const Params recent = {{"start", "-15m"}};
  EXPECT_EQ(tags.Of("/api/v1/traces", recent, 7, kStart), tags.Of("/api/v1/traces", recent, 7, kStart + 9 * kSecond));
  EXPECT_NE(tags.Of("/api/v1/traces", recent, 7, kStart), tags.Of("/api/v1/traces", recent, 7, kStart + 10 * kSecond));
  EXPECT_NE(tags.Of("/api/v1/stats", {}, 7, kStart), tags.Of("/api/v1/stats", {}, 7, kStart + kSecond));
  EXPECT_EQ(tags.Of("/metrics", {}, 7, kStart), "");
}

class EventServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Hooks hooks;
    hooks.engine = &driver_.engine();
    hooks.now_ns = [this] { return driver_.now_ns(); };
    hooks.version = "1.2.3";
    Options options;
    options.port = 0;
    server_ = std::make_unique<Server>(options, hooks);
    const auto started = server_->Start();
    ASSERT_TRUE(started) << started.error();
  }
  std::string Ask(const std::string& line, const std::string& headers = "") {
    RawClient client(server_->port());
    EXPECT_TRUE(client.Send(line + "\r\nHost: localhost\r\nConnection: close\r\n" + headers + "\r\n"));
    return client.ReadAll();
  }
  static std::string TagOf(const std::string& answer) {
    const std::size_t at = answer.find("ETag: ");
    return at == std::string::npos ? "" : answer.substr(at + 6, answer.find("\r\n", at) - at - 6);
  }

  core::EngineDriver driver_;
  std::unique_ptr<Server> server_;
};

TEST_F(EventServerTest, StreamsOverHttpUntilTheServerStops) {
  RawClient client(server_->port());
  ASSERT_TRUE(client.Send("GET /api/v1/events?types=trace HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  std::string all;
  const auto until = [&](const std::string& text) {
    char buffer[4096];
    while (all.find(text) == std::string::npos) {
      const auto size = recv(client.fd(), buffer, sizeof buffer, 0);
      if (size <= 0) return false;
      all.append(buffer, static_cast<std::size_t>(size));
    }
    return true;
  };
  ASSERT_TRUE(until("event: hello\ndata: {\"version\":\"1.2.3\"")) << all;
  EXPECT_THAT(all, HasSubstr("Content-Type: text/event-stream\r\n"));
  EXPECT_THAT(all, HasSubstr("X-Content-Type-Options: nosniff\r\n"));
  EXPECT_THAT(all, HasSubstr("Transfer-Encoding: chunked\r\n"));
  EXPECT_EQ(server_->GetCounts().streams, 1u);
  driver_.Spans({{.trace = 5, .id = 1, .name = "messageCreate"}});
  driver_.At(40 * kSecond);
  ASSERT_TRUE(until("\"rootOperation\":\"messageCreate\"")) << all;
  server_->Stop();
  EXPECT_FALSE(until("never"));
}

TEST_F(EventServerTest, HeadAndHttp10) {
  const std::string head = Ask("HEAD /api/v1/events HTTP/1.1");
  EXPECT_THAT(head, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_TRUE(head.ends_with("\r\n\r\n"));
  EXPECT_THAT(head, Not(HasSubstr("hello")));
  RawClient old(server_->port());
  ASSERT_TRUE(old.Send("GET /api/v1/events HTTP/1.0\r\nHost: localhost\r\n\r\n"));
  std::string text;
  char buffer[4096];
  while (text.find("hello") == std::string::npos) {
    const auto size = recv(old.fd(), buffer, sizeof buffer, 0);
    ASSERT_GT(size, 0) << text;
    text.append(buffer, static_cast<std::size_t>(size));
  }
  EXPECT_THAT(text, Not(HasSubstr("chunked")));
  EXPECT_THAT(text, HasSubstr("\r\n\r\nretry: 3000\n"));
}

TEST_F(EventServerTest, MistakesAreNamed) {
  EXPECT_THAT(Ask("GET /api/v1/events?types=trace,traces HTTP/1.1"), HasSubstr("\"field\":\"types\""));
  EXPECT_THAT(Ask("GET /api/v1/events?types=trace, HTTP/1.1"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(Ask("GET /api/v1/events?kind=trace HTTP/1.1"), HasSubstr("\"field\":\"kind\""));
  EXPECT_THAT(Ask("GET /api/v1/events?service=a&service=b HTTP/1.1"), HasSubstr("more than once"));
  EXPECT_THAT(Ask("GET /api/v1/events HTTP/1.1", "Last-Event-ID: x1\r\n"), HasSubstr("\"field\":\"Last-Event-ID\""));
  EXPECT_THAT(Ask("GET /api/v1/events HTTP/1.1", "Origin: http://evil.example\r\n"), StartsWith("HTTP/1.1 403 "));
}

TEST_F(EventServerTest, TooManyStreamsAreA503) {
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 64; ++i) {
    clients.push_back(std::make_unique<RawClient>(server_->port()));
    ASSERT_TRUE(clients.back()->Send("GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    char first;
    ASSERT_EQ(recv(clients.back()->fd(), &first, 1, 0), 1);
  }
  const std::string refused = Ask("GET /api/v1/events HTTP/1.1");
  EXPECT_THAT(refused, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(refused, HasSubstr("64 event streams"));
  EXPECT_THAT(Ask("GET /healthz HTTP/1.1"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(EventServerTest, WhoHasTheTagGetsNoBody) {
  const std::string first = Ask("GET /api/v1/traces HTTP/1.1");
  const std::string tag = TagOf(first);
  ASSERT_NE(tag, "") << first;
  const std::string again = Ask("GET /api/v1/traces HTTP/1.1", "If-None-Match: " + tag + "\r\n");
  EXPECT_THAT(again, StartsWith("HTTP/1.1 304 Not Modified\r\n"));
  EXPECT_EQ(TagOf(again), tag);
  EXPECT_TRUE(again.ends_with("\r\n\r\n"));
  EXPECT_THAT(again, Not(HasSubstr("Content-Length")));
  driver_.Spans({{.trace = 5, .id = 1}});
  const std::string changed = Ask("GET /api/v1/traces HTTP/1.1", "If-None-Match: " + tag + "\r\n");
  EXPECT_THAT(changed, StartsWith("HTTP/1.1 200 "));
  EXPECT_NE(TagOf(changed), tag);
  // Whoever may not ask is not told that nothing changed; a mistake has no tag.
  EXPECT_THAT(Ask("GET /api/v1/traces HTTP/1.1", "Origin: http://evil.example\r\nIf-None-Match: *\r\n"),
              StartsWith("HTTP/1.1 403 "));
  EXPECT_EQ(TagOf(Ask("GET /api/v1/traces?limit=x HTTP/1.1")), "");
}

}  // namespace
}  // namespace spanwatch::http
