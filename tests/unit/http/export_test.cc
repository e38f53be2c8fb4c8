// GET /api/v1/export without a socket: formats, range, what an anonymised export must not tell.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "sidecar/http/anonymise.h"
#include "sidecar/http/export_stream.h"
#include "sidecar/http/router.h"
#include "tests/support/engine_driver.h"

namespace spanwatch::http {
namespace {

using Json = nlohmann::json;

class ExportTest : public testing::Test {
 protected:
  ExportTest() {
    for (std::uint64_t trace = 1; trace <= 5; ++trace) {
      const std::int64_t start_ns = core::kStart - static_cast<std::int64_t>(trace) * 20 * core::kMinute;
      driver_.Spans({{.trace = trace,
                      .id = trace * 100,
                      .service = "shop",
                      .name = "POST /orders/8374652",
                      .start_ns = start_ns,
                      .duration_ns = 1'500'250,
                      .failed = true,
                      .error_type = "BankError",
                      .error_message = "card 4111 refused for canary",
                      .tags = {{"user.name", "canary"}, {"correlation.id", "conversation-9"}}},
                     {.trace = trace,
                      .id = trace * 100 + 1,
                      .parent = trace * 100,
                      .service = "bank",
                      .name = "charge",
                      .start_ns = start_ns + core::kMs}});
    }
    hooks_.engine = &driver_.engine();
    hooks_.version = "1.2.3";
    hooks_.now_ns = [] { return core::kStart; };
    hooks_.encode_otlp = [](const core::TraceCopy& trace) { return "<" + trace.summary.trace_id.ToHex() + ">"; };
  }
  Response Get(Params params, std::string accept = "") {
    Request request;
    request.method = "GET";
    request.path = "/api/v1/export";
    request.host = "localhost";
    request.params = std::move(params);
    request.accept = std::move(accept);
    return Router(Options(), hooks_).Handle(request);
  }
  std::string Body(Params params, std::string accept = "") {
    const Response response = Get(std::move(params), std::move(accept));
    EXPECT_EQ(response.status, 200) << response.body;
    return response.stream == nullptr ? "" : Drain(response.stream.get());
  }

  core::EngineDriver driver_;
  Hooks hooks_;
};

TEST_F(ExportTest, AnonymisedTellsWhatHappenedAndNotToWhom) {
  const std::string text = Body({});
  const Json out = Json::parse(text);
  EXPECT_EQ(out["version"], "1.2.3");
  EXPECT_EQ(out["anonymised"], true);
  EXPECT_EQ(out["generatedAt"], "2023-11-14T22:13:20.000Z");
  EXPECT_EQ(out["range"]["start"], "2023-11-14T21:13:20.000Z") << "the last hour";
  EXPECT_TRUE(out["overview"].is_object());
  EXPECT_TRUE(out["health"].is_object());
  EXPECT_TRUE(out["dependencies"].is_object());
  ASSERT_EQ(out["traces"].size(), 3u) << "those of the last hour";
  const Json& trace = out["traces"][0];
  EXPECT_EQ(trace["rootService"], "shop");
  EXPECT_EQ(trace["rootOperation"], "POST /orders/{id}");
  EXPECT_EQ(trace["duration"], 2.0);
  EXPECT_EQ(trace["status"], "error");
  EXPECT_EQ(trace["spanCount"], 2);
  EXPECT_EQ(trace["errorCount"], 1);
  EXPECT_EQ(trace["maxDepth"], 2);
  EXPECT_EQ(trace["services"][1]["name"], "bank");
  ASSERT_EQ(trace["timeline"].size(), 2u);
  EXPECT_EQ(trace["timeline"][0]["duration"], 1.50025);
  EXPECT_EQ(trace["timeline"][1]["offset"], 1);
  EXPECT_EQ(trace["timeline"][1]["parent"], trace["timeline"][0]["id"]);
  EXPECT_EQ(trace["timeline"][0]["parent"], nullptr);
  for (const char* secret : {"canary", "4111", "8374652", "conversation-9", "BankError", "abcdef"})
    EXPECT_EQ(text.find(secret), std::string::npos) << secret;
  EXPECT_EQ(text.find(SpanId{100}.ToHex()), std::string::npos);
}

TEST_F(ExportTest, IdsAreHashedAnewInEachExport) {
  const Json one = Json::parse(Body({})), two = Json::parse(Body({}));
  std::set<std::string> ids;
  for (const Json* each : {&one, &two}) {
    for (const Json& trace : (*each)["traces"]) ids.insert(trace["id"].get<std::string>());
  }
  EXPECT_EQ(ids.size(), 6u);
}

TEST_F(ExportTest, WholeTracesInTheFormatsOfOthers) {
  const Json otlp = Json::parse(Body({{"format", "otlp"}}));
  EXPECT_EQ(otlp["resourceSpans"].size(), 6u) << "three traces of two services";
  const std::string id = TraceId{0xabcdef, 1}.ToHex();
  EXPECT_EQ(otlp["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["traceId"], id);
  const std::string newest = "<" + id + ">";
  EXPECT_EQ(Body({{"format", "otlp-protobuf"}}).substr(0, newest.size()), newest);
  EXPECT_EQ(Body({{"format", "otlp-protobuf"}}), Body({}, "application/x-protobuf"));
  EXPECT_EQ(Get({{"format", "otlp-protobuf"}}).content_type, "application/x-protobuf");
  EXPECT_EQ(Get({{"format", "otlp"}}).content_type, "application/json");
  const Json jaeger = Json::parse(Body({{"format", "jaeger"}}));
  EXPECT_TRUE(jaeger["data"].is_array());
}

TEST_F(ExportTest, RangeAndSearchLimitWhatIsExported) {
  const auto count = [&](Params params) { return Json::parse(Body(std::move(params)))["traces"].size(); };
  EXPECT_EQ(count({{"start", "-2h"}}), 5u);
  EXPECT_EQ(count({{"end", "-61m"}}), 2u) << "the hour before it";
  EXPECT_EQ(count({{"start", "-50m"}, {"end", "-30m"}}), 1u);
  EXPECT_EQ(count({{"start", "2001-01-01T00:00:00Z"}, {"end", "2001-01-02T00:00:00Z"}}), 0u);
  EXPECT_EQ(count({{"start", "-2h"}, {"limit", "2"}}), 2u);
  EXPECT_EQ(count({{"service", "bank"}, {"operation", "charge"}}), 3u);
  EXPECT_EQ(count({{"tag", "user.name:canary"}}), 3u);
  EXPECT_EQ(count({{"tag", "user.name:somebody"}}), 0u);
}

TEST_F(ExportTest, MistakesAreNamed) {
  const std::vector<std::pair<Params, std::string>> cases = {{{{"format", "xml"}}, "format"},
                                                             {{{"format", "otlp"}, {"format", "jaeger"}}, "format"},
                                                             {{{"form", "otlp"}}, "form"},
                                                             {{{"start", "soon"}}, "start"},
                                                             {{{"start", "2100-01-01T00:00:00Z"}}, "start"}};
  for (const auto& [params, field] : cases) {
    const Response response = Get(params);
    EXPECT_EQ(response.status, 400) << field;
    EXPECT_EQ(Json::parse(response.body)["field"], field);
    EXPECT_EQ(response.stream, nullptr);
  }
  EXPECT_NE(Get({{"form", "otlp"}}).body.find("offset and format are known"), std::string::npos);
}

TEST_F(ExportTest, IsAFileToSave) {
  for (const auto& [name, value] : Get({{"format", "otlp"}}).headers) {
    if (name == "Content-Disposition") {
      EXPECT_EQ(value, "attachment; filename=\"spanwatch-otlp-20231114T221320Z.json\"");
      return;
    }
  }
  FAIL() << "no Content-Disposition";
}

TEST_F(ExportTest, WhatIsRemovedMeanwhileIsLeftOut) {
  const TraceId gone{1, 2};
  ExportStream stream(&driver_.engine(), {gone, {0xabcdef, 1}, gone, {0xabcdef, 2}, gone},
                      {"[", ",", "]", [](const core::TraceCopy& trace, std::string* out) {
                         *out += std::to_string(trace.summary.trace_id.lo);
                       }});
  EXPECT_EQ(Drain(&stream), "[1,2]");
  ExportStream nothing(&driver_.engine(), {gone}, {"[", ",", "]", {}});
  EXPECT_EQ(Drain(&nothing), "[]");
}

TEST_F(ExportTest, ALargeTraceLeavesInPieces) {
  ExportStream stream(
      &driver_.engine(), {{0xabcdef, 1}, {0xabcdef, 2}},
      {"[", ",", "]", [](const core::TraceCopy&, std::string* out) { *out += std::string(1'000'000, 'x'); }});
  std::size_t total = 0, largest = 0;
  for (BodyStream::State state = BodyStream::State::kMore; state == BodyStream::State::kMore;) {
    std::string piece;
    state = stream.Next(&piece);
    total += piece.size();
    largest = std::max(largest, piece.size());
  }
  EXPECT_EQ(total, 2'000'003u);
  EXPECT_LE(largest, std::size_t{64} << 10);
}

TEST(AnonymiserTest, TheSameIdReadsTheSameWithOneKeyAndOtherwiseWithAnother) {
  const Anonymiser one({1, 2}), same({1, 2}), other({1, 3}), random, another_random;
  const TraceId trace{3, 4};
  EXPECT_EQ(one.Id(trace), same.Id(trace));
  EXPECT_EQ(one.Id(trace).size(), 32u);
  EXPECT_EQ(one.Id(SpanId{4}).size(), 16u);
  EXPECT_NE(one.Id(trace), one.Id(TraceId{3, 5}));
  EXPECT_NE(one.Id(trace), other.Id(trace));
  EXPECT_NE(one.Id(SpanId{4}), other.Id(SpanId{4}));
  EXPECT_NE(random.Id(trace), another_random.Id(trace));
}

TEST(AnonymiserTest, OperationsKeepWhatIsCode) {
  EXPECT_EQ(Anonymiser::Operation("ConversationService.handle"), "ConversationService.handle");
  EXPECT_EQ(Anonymiser::Operation("GET /v1/users/{id}"), "GET /v1/users/{id}");
  EXPECT_EQ(Anonymiser::Operation("GET /users/4711/orders/9f8e7d6c"), "GET /users/{id}/orders/{id}");
  EXPECT_EQ(Anonymiser::Operation("mail to jane.doe@example.com now"), "mail to {address} now");
  EXPECT_EQ(Anonymiser::Operation("@decorated"), "@decorated");
  EXPECT_EQ(Anonymiser::Operation(""), "");
}

TEST(AnonymiserTest, IdsInsideOfAnswers) {
  const Anonymiser names({1, 2});
  const TraceId trace{3, 4};
  const std::string out = names.Json("{\"worst\":[\"" + trace.ToHex() + "\"],\"operation\":\"/u/12345\",\"n\":12345}");
  EXPECT_EQ(Json::parse(out)["worst"][0], names.Id(trace));
  EXPECT_EQ(Json::parse(out)["operation"], "/u/{id}");
  EXPECT_EQ(Json::parse(out)["n"], 12345);
  EXPECT_NE(names.Id(trace), trace.ToHex());
  EXPECT_EQ(names.Json("{"), "null");
}

}  // namespace
}  // namespace spanwatch::http
