#include "sidecar/ingest/otlp_http.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "sidecar/ingest/ingest.h"
#include "sidecar/ingest/otlp_wire.h"
#include "tests/unit/ingest/gzip.h"
#include "tests/unit/ingest/otlp_builder.h"
#include "tests/unit/ingest/otlp_http_random.h"

namespace spanwatch::ingest {
namespace {

using namespace testing;  // NOLINT: the builder
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

constexpr char kProtobuf[] = "application/x-protobuf";
constexpr char kJson[] = "application/json";

std::string Body(int spans = 1) {
  std::vector<std::string> encoded;
  for (int i = 0; i < spans; ++i) {
    SpanSpec span;
    span.span_id = "span" + std::to_string(1000 + i);
    encoded.push_back(span.Encode());
  }
  return TracesData("bot", encoded);
}

// code and message of a google.rpc.Status.
std::pair<std::uint64_t, std::string> ReadStatus(const OtlpHttpResponse& response) {
  std::pair<std::uint64_t, std::string> status;
  WireReader reader(response.body);
  for (WireField field; reader.Next(&field);) {
    if (field.number == 1) status.first = static_cast<unsigned char>(field.value[0]);
    if (field.number == 2) status.second = field.value;
  }
  EXPECT_FALSE(reader.broken());
  return status;
}

struct Receiver {
  explicit Receiver(OtlpHttpOptions options = {})
      : http(options, [this](std::string record) {
          if (!room) return false;
          records.push_back(std::move(record));
          return true;
        }) {}

  OtlpHttpResponse Post(const std::string& body, const std::string& type = kProtobuf, const std::string& encoding = "",
                        const std::string& path = "/v1/traces", const std::string& method = "POST") {
    return http.Handle({method, path, type, encoding, body});
  }

  bool room = true;
  std::vector<std::string> records;
  OtlpHttp http;
};

TEST(OtlpHttp, Protobuf) {
  Receiver receiver;
  const OtlpHttpResponse response = receiver.Post(Body(3));
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.content_type, kProtobuf);
  EXPECT_EQ(response.body, "");
  EXPECT_THAT(receiver.records, ElementsAre(Body(3)));
  EXPECT_EQ(receiver.http.GetCounts().spans_accepted, 3u);
  EXPECT_THAT(receiver.http.GetCounts().requests, ElementsAre(Pair(200, 1u)));
}

TEST(OtlpHttp, JsonMakesTheSameRecord) {
  Receiver receiver;
  RandomOtlp random(1);
  for (const std::string type : {"application/json", "Application/JSON; charset=utf-8", " application/json ;x=y"}) {
    receiver.records.clear();
    const OtlpHttpResponse response = receiver.Post(random.Json(kOtlpTracesData, Body(2)), type);
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.content_type, kJson);
    EXPECT_EQ(response.body, "{}");
    EXPECT_THAT(receiver.records, ElementsAre(Body(2)));
  }
}

TEST(OtlpHttp, Gzip) {
  Receiver receiver;
  EXPECT_EQ(receiver.Post(Gzip(Body()), kProtobuf, "gzip").status, 200);
  EXPECT_EQ(receiver.Post(Gzip("{}"), kJson, "GZIP").body, "{}");
  EXPECT_EQ(receiver.Post(Body(), kProtobuf, "identity").status, 200);
  EXPECT_THAT(receiver.records, ElementsAre(Body(), Body()));
  const OtlpHttpResponse truncated = receiver.Post(Gzip(Body()).substr(0, 30), kProtobuf, "gzip");
  EXPECT_EQ(truncated.status, 400);
  EXPECT_EQ(ReadStatus(truncated), std::make_pair(std::uint64_t{3}, std::string("the gzip body ends in the middle")));
  EXPECT_EQ(receiver.Post(Body(), kProtobuf, "gzip").status, 400);
  const OtlpHttpResponse zstd = receiver.Post(Body(), kProtobuf, "zstd");
  EXPECT_EQ(zstd.status, 415);
  EXPECT_THAT(zstd.headers, ElementsAre(Pair("Accept-Encoding", "gzip")));
  EXPECT_THAT(receiver.records.size(), 2u);
}

TEST(OtlpHttp, EmptyRequestsAreGoodAndMakeNoRecord) {
  Receiver receiver;
  EXPECT_EQ(receiver.Post("").status, 200);
  EXPECT_EQ(receiver.Post("").body, "");
  EXPECT_EQ(receiver.Post("{}", kJson).body, "{}");
  EXPECT_EQ(receiver.Post(Wrap(1, "")).status, 200);
  EXPECT_TRUE(receiver.records.empty());
}

TEST(OtlpHttp, PartialSuccess) {
  Receiver receiver;
  SpanSpec good, wrong;
  wrong.trace_id = "short";
  const std::string bytes = TracesData("bot", {good.Encode(), wrong.Encode(), wrong.Encode() + '\x0f'});
  const OtlpHttpResponse response = receiver.Post(bytes);
  EXPECT_EQ(response.status, 200);
  WireReader reader(response.body);
  WireField partial;
  ASSERT_TRUE(reader.Next(&partial));
  EXPECT_EQ(partial.number, 1u);
  OtlpHttpResponse inner;
  inner.body = partial.value;
  const auto [rejected, message] = ReadStatus(inner);
  EXPECT_EQ(rejected, 2u);
  EXPECT_THAT(message, HasSubstr("1 with an invalid id"));
  EXPECT_THAT(message, HasSubstr("1 that cannot be read"));
  EXPECT_EQ(receiver.records.size(), 1u);
  const auto counts = receiver.http.GetCounts();
  EXPECT_EQ(counts.spans_accepted, 1u);
  EXPECT_EQ(counts.spans_rejected.Total(), 2u);

  RandomOtlp random(1);
  const std::string json =
      R"({"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"12","spanId":"eee19b7ec3c1b174"}]}]}]})";
  const auto answer = nlohmann::json::parse(receiver.Post(json, kJson).body);
  EXPECT_EQ(answer["partialSuccess"]["rejectedSpans"], "1");
  EXPECT_THAT(answer["partialSuccess"]["errorMessage"].get<std::string>(), HasSubstr("invalid id"));
}

TEST(OtlpHttp, RubbishIs400InTheEncodingOfTheRequest) {
  Receiver receiver;
  const OtlpHttpResponse protobuf = receiver.Post("\x0a\x7fxx");
  EXPECT_EQ(protobuf.status, 400);
  EXPECT_EQ(protobuf.content_type, kProtobuf);
  EXPECT_EQ(ReadStatus(protobuf).first, 3u);
  EXPECT_THAT(ReadStatus(receiver.Post("{\"resourceSpans\":[]}")).second,
              HasSubstr("send Content-Type: application/json"));
  EXPECT_THAT(ReadStatus(receiver.Post(Gzip(Body()))).second, HasSubstr("send Content-Encoding: gzip"));
  const OtlpHttpResponse json = receiver.Post("{\"resourceSpans\":7}", kJson);
  EXPECT_EQ(json.status, 400);
  EXPECT_EQ(json.content_type, kJson);
  const auto status = nlohmann::json::parse(json.body);
  EXPECT_EQ(status["code"], 3);
  EXPECT_EQ(status["message"], "the JSON body cannot be read: resourceSpans: an array was expected (byte 17)");
  EXPECT_EQ(receiver.Post("", kJson).status, 400);
  EXPECT_EQ(receiver.Post(Wrap(1, "\x0f")).status, 400);  // a single part, and that one broken
  EXPECT_TRUE(receiver.records.empty());
}

TEST(OtlpHttp, TooLargeBeforeAndAfterInflating) {
  OtlpHttpOptions options;
  options.max_body_bytes = 10'000;
  Receiver receiver(options);
  const OtlpHttpResponse plain = receiver.Post(std::string(10'001, 'x'), kJson);
  EXPECT_EQ(plain.status, 413);
  EXPECT_EQ(nlohmann::json::parse(plain.body)["code"], 2);
  EXPECT_EQ(receiver.Post(Gzip(std::string(10'001, 'x')), kProtobuf, "gzip").status, 413);
  EXPECT_EQ(receiver.Post(Gzip(Body(20)), kProtobuf, "gzip").status, 200);
}

TEST(OtlpHttp, WrongPathsAndMethodsSayWhatToDo) {
  Receiver receiver;
  EXPECT_EQ(receiver.Post(Body(), kProtobuf, "", "/").status, 404);
  EXPECT_THAT(ReadStatus(receiver.Post(Body(), kProtobuf, "", "/")).second,
              HasSubstr("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"));
  EXPECT_EQ(ReadStatus(receiver.Post(Body(), kProtobuf, "", "/")).first, 12u);
  EXPECT_THAT(receiver.Post("{}", kJson, "", "/v1/metrics").body, HasSubstr("OTEL_METRICS_EXPORTER=none"));
  EXPECT_THAT(receiver.Post("{}", kJson, "", "/v1/logs").body, HasSubstr("OTEL_LOGS_EXPORTER=none"));
  const OtlpHttpResponse get = receiver.Post("", "", "", "/v1/traces", "GET");
  EXPECT_EQ(get.status, 405);
  EXPECT_THAT(get.headers, ElementsAre(Pair("Allow", "POST, OPTIONS")));
  EXPECT_EQ(receiver.Post("", "", "", "/v1/traces", "OPTIONS").status, 204);
  EXPECT_EQ(receiver.Post("", "", "", "/", "GET").status, 404);
  for (const std::string type : {"", "text/plain", "application/x-protobuf2", "application/grpc"}) {
    EXPECT_EQ(receiver.Post(Body(), type).status, 415) << type;
  }
  EXPECT_TRUE(receiver.records.empty());
}

TEST(OtlpHttp, FullIs503WithRetryAfter) {
  Receiver receiver;
  receiver.room = false;
  const OtlpHttpResponse response = receiver.Post(Body());
  EXPECT_EQ(response.status, 503);
  EXPECT_THAT(response.headers, ElementsAre(Pair("Retry-After", "1")));
  EXPECT_EQ(ReadStatus(response).first, 14u);
  EXPECT_EQ(receiver.http.GetCounts().spans_accepted, 0u);
  receiver.room = true;
  EXPECT_EQ(receiver.Post(Body()).status, 200);
}

TEST(OtlpHttp, TooManyBytesAtWorkIs503) {
  OtlpHttpOptions options;
  options.max_working_bytes = 1000;
  std::mutex mutex;
  std::condition_variable changed;
  bool inside = false, go = false;
  OtlpHttp http(options, [&](std::string) {
    std::unique_lock lock(mutex);
    inside = true;
    changed.notify_all();
    changed.wait(lock, [&] { return go; });
    return true;
  });
  const OtlpHttpRequest large{"POST", "/v1/traces", kProtobuf, "", Body(20)};
  int first = 0;
  std::thread thread([&] { first = http.Handle(large).status; });  // alone, it may be larger than the limit
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return inside; });
  }
  EXPECT_EQ(http.Handle(large).status, 503);
  {
    std::unique_lock lock(mutex);
    go = true;
    changed.notify_all();
  }
  thread.join();
  EXPECT_EQ(first, 200);
  EXPECT_EQ(http.Handle(large).status, 200);
}

TEST(OtlpHttp, LargeBodiesBecomeSeveralRecords) {
  OtlpHttpOptions options;
  options.split = {10'000, 20'000, 100};
  Receiver receiver(options);
  EXPECT_EQ(receiver.Post(Body(1000)).status, 200);
  EXPECT_GT(receiver.records.size(), 5u);
  std::size_t spans = 0;
  for (const std::string& record : receiver.records) {
    core::SpanBatch batch;
    EXPECT_TRUE(DecodeOtlp(record, &batch));
    spans += batch.spans.size();
  }
  EXPECT_EQ(spans, 1000u);
}

TEST(OtlpHttp, RecordsAreRedacted) {
  Receiver receiver;
  SpanSpec span;
  span.attributes = {KeyValue("note", StringValue("from ada@example.com")),
                     KeyValue("userPassword", StringValue("plain"))};
  EXPECT_EQ(receiver.Post(TracesData("bot", {span.Encode()})).status, 200);
  ASSERT_EQ(receiver.records.size(), 1u);
  EXPECT_THAT(receiver.records[0], HasSubstr("from [redacted:email]"));
  EXPECT_EQ(receiver.records[0].find("plain"), std::string::npos);
  const auto counts = receiver.http.GetCounts();
  EXPECT_EQ(counts.redacted[static_cast<std::size_t>(Redacted::kEmail)], 1u);
  EXPECT_EQ(counts.redacted[static_cast<std::size_t>(Redacted::kKey)], 1u);
}

TEST(OtlpHttp, SurvivesMutations) {
  Receiver receiver;
  RandomOtlp random(5);
  for (int round = 0; round < 2000; ++round) {
    const bool json = random.Maybe();
    std::string body = random.TracesData();
    if (json) body = random.Json(kOtlpTracesData, body);
    for (std::size_t n = random.Below(5); n > 0 && !body.empty(); --n)
      body[random.Below(body.size())] = static_cast<char>(random.Below(256));
    const bool gzip = random.Maybe();
    if (gzip) body = Gzip(body);
    if (gzip && random.Maybe()) body.resize(random.Below(body.size()));
    const int status = receiver.Post(body, json ? kJson : kProtobuf, gzip ? "gzip" : "").status;
    ASSERT_TRUE(status == 200 || status == 400) << status;
  }
  for (const std::string& record : receiver.records) {
    core::SpanBatch batch;
    ASSERT_TRUE(DecodeOtlp(record, &batch));
  }
}

}  // namespace
}  // namespace spanwatch::ingest
