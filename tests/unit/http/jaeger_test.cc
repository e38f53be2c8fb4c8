// Jaeger's API over a real engine, without a socket.
#include "sidecar/http/jaeger.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "tests/support/engine_driver.h"

namespace spanwatch::http {
namespace {

using core::kMs;
using core::kSecond;
using core::kStart;
using core::SpanKind;
using Json = nlohmann::json;

std::string Id(std::uint64_t trace) { return TraceId{0xabcdef, trace}.ToHex(); }

class Jaeger : public testing::Test {
 protected:
  Jaeger() {
    driver_.Spans(
        {{.trace = 1, .id = 1, .service = "web", .name = "GET /", .kind = SpanKind::kServer, .tags = {{"user", "ann"}}},
         {.trace = 1,
          .id = 2,
          .parent = 1,
          .service = "db/main",
          .name = "query",
          .failed = true,
          .kind = SpanKind::kClient},
         {.trace = 2,
          .id = 3,
          .service = "web",
          .name = "GET /",
          .start_ns = kStart + kSecond,
          .duration_ns = 50 * kMs,
          .kind = SpanKind::kServer},
         {.trace = 3,
          .id = 4,
          .service = "web",
          .name = "tick",
          .start_ns = kStart + 2 * kSecond,
          .kind = SpanKind::kUnspecified}});
  }

  Response Ask(const std::string& path, const Params& params = {}) {
    Hooks hooks;
    hooks.engine = &driver_.engine();
    hooks.now_ns = [this] { return driver_.now_ns() + 10 * kSecond; };
    Request request;
    request.method = "GET";
    request.path = path;
    request.params = params;
    request.host = "localhost";
    return Router(Options{}, hooks).Handle(request);
  }
  std::string Body(const Response& response) {
    return response.stream != nullptr ? Drain(response.stream.get()) : response.body;
  }
  Json Get(const std::string& path, const Params& params = {}) {
    const Response response = Ask(path, params);
    const std::string body = Body(response);
    EXPECT_EQ(response.status, 200) << path << " " << body;
    return Json::parse(body, nullptr, false);
  }
  // The ids of a search, in order.
  std::string Found(Params params) {
    if (params.count("service") == 0) params.emplace("service", "web");
    std::string ids;
    const Json answer = Get("/api/traces", params);
    for (const Json& trace : answer["data"]) {
      EXPECT_FALSE(trace["spans"].empty());
      ids += trace["traceID"].get<std::string>().back();
    }
    return ids;
  }
  Params Window(Params params) {
    params.emplace("query.startTimeMin", "2023-11-14T22:13:20Z");  // kStart
    params.emplace("query.startTimeMax", "2023-11-14T22:13:30Z");
    return params;
  }

  core::EngineDriver driver_;
};

TEST_F(Jaeger, Services) {
  EXPECT_EQ(Get("/api/services"),
            Json::parse(R"({"data":["db/main","web"],"total":2,"limit":0,"offset":0,"errors":null})"));
  EXPECT_EQ(Get("/api/v3/services"), Json::parse(R"({"services":["db/main","web"]})"));
}

TEST_F(Jaeger, AnEmptyEngineHasEmptyListsAndNoNull) {
  driver_.~EngineDriver();
  new (&driver_) core::EngineDriver();
  EXPECT_EQ(Get("/api/services")["data"], Json::array());
  EXPECT_EQ(Get("/api/services/web/operations")["data"], Json::array());
  EXPECT_EQ(Get("/api/operations", {{"service", "web"}})["data"], Json::array());
  EXPECT_EQ(Get("/api/traces", {{"service", "web"}}),
            Json::parse(R"({"data":[],"total":0,"limit":0,"offset":0,"errors":null})"));
  EXPECT_EQ(Get("/api/dependencies")["data"], Json::array());
  EXPECT_EQ(Get("/api/v3/services"), Json::parse(R"({"services":[]})"));
  EXPECT_EQ(Get("/api/v3/operations", {{"service", "web"}}), Json::parse(R"({"operations":[]})"));
  EXPECT_EQ(Get("/api/v3/trace-summaries", Window({})), Json::parse(R"({"summaries":[]})"));
  EXPECT_EQ(Get("/api/metrics/calls", {{"service", "web"}})["metrics"], Json::array());
}

TEST_F(Jaeger, OperationsOfAServiceWithASlash) {
  EXPECT_EQ(Get("/api/services/db/main/operations")["data"], Json::array({"query"}));
  EXPECT_EQ(Get("/api/services/web/operations"),
            Json::parse(R"({"data":["GET /","tick"],"total":2,"limit":0,"offset":0,"errors":null})"));
  EXPECT_EQ(Get("/api/services/nobody/operations")["data"], Json::array());
  EXPECT_EQ(Ask("/api/services/operations").status, 404);
}

TEST_F(Jaeger, OperationsWithKinds) {
  EXPECT_EQ(Get("/api/operations", {{"service", "web"}})["data"],
            Json::parse(R"([{"name":"GET /","spanKind":"server"},{"name":"tick","spanKind":""}])"));
  EXPECT_EQ(Get("/api/operations", {{"service", "web"}, {"spanKind", "server"}})["total"], 1);
  EXPECT_EQ(
      Get("/api/v3/operations", {{"service", "web"}}),
      Json::parse(R"({"operations":[{"name":"GET /","spanKind":"server"},{"name":"tick","spanKind":"internal"}]})"));
  EXPECT_EQ(Get("/api/v3/operations", {{"service", "web"}, {"span_kind", "client"}})["operations"], Json::array());
}

TEST_F(Jaeger, NamesStayForAnHourAfterTheirSpans) {
  driver_.At(59 * core::kMinute);
  EXPECT_EQ(Get("/api/services")["total"], 2);
  core::Limits limits;
  limits.ttl_ns = core::kMinute;
  driver_.Reload(std::make_shared<core::RuleSet>(), limits);
  driver_.At(59 * core::kMinute + 2 * kSecond);
  EXPECT_EQ(driver_.engine().Stats().store.traces, 0u);
  EXPECT_EQ(Get("/api/services")["total"], 2) << "seen within the hour";
  driver_.At(61 * core::kMinute);
  EXPECT_EQ(Get("/api/services")["total"], 0);
}

TEST_F(Jaeger, OneTraceByShortIdAndWithGrafanasTimes) {
  for (const char* id : {"abcdef0000000000000001", "0000000000abcdef0000000000000001", "ABCDEF0000000000000001"}) {
    const Json answer = Get(std::string("/api/traces/") + id, {{"start", "1700000000000"}, {"end", "1700000001000"}});
    ASSERT_EQ(answer["data"].size(), 1u);
    EXPECT_EQ(answer["data"][0]["traceID"], Id(1));
    EXPECT_EQ(answer["data"][0]["spans"].size(), 2u);
    EXPECT_EQ(answer["total"], 0);
    EXPECT_EQ(answer["errors"], nullptr);
  }
}

TEST_F(Jaeger, ErrorsAreThoseOfJaeger) {
  const auto check = [&](const std::string& path, const Params& params, int status) {
    const Response response = Ask(path, params);
    EXPECT_EQ(response.status, status) << path;
    EXPECT_EQ(response.content_type, "application/json");
    const Json body = Json::parse(response.body, nullptr, false);
    ASSERT_EQ(body["data"], nullptr) << response.body;
    ASSERT_EQ(body["errors"].size(), 1u);
    EXPECT_EQ(body["errors"][0]["code"], status);
    EXPECT_TRUE(body["errors"][0]["msg"].is_string());
    for (const char* key : {"total", "limit", "offset"}) EXPECT_EQ(body[key], 0);
  };
  check("/api/traces/77", {}, 404);
  check("/api/traces/xyz", {}, 400);
  check("/api/traces", {}, 400);
  check("/api/traces", {{"service", "web"}, {"limit", "0"}}, 400);
  check("/api/traces", {{"service", "web"}, {"tag", "\xFF\xFE"}}, 400);
  check("/api/operations", {}, 400);
  check("/api/operations", {{"service", "web"}, {"spanKind", "x"}}, 400);
  check("/api/dependencies", {{"endTs", "x"}}, 400);
  check("/api/metrics/latencies", {{"service", "web"}}, 400);
  check("/api/metrics/nothing", {{"service", "web"}}, 404);
  EXPECT_EQ(Json::parse(Ask("/api/traces/77").body)["errors"][0]["msg"], "trace not found");
}

TEST_F(Jaeger, V3ErrorsAreThoseOfItsGateway) {
  const auto check = [&](const std::string& path, const Params& params, int status, const std::string& message) {
    const Response response = Ask(path, params);
    EXPECT_EQ(response.status, status) << path;
    const Json body = Json::parse(response.body, nullptr, false);
    EXPECT_EQ(body.size(), 1u);
    EXPECT_EQ(body["error"]["httpCode"], status);
    EXPECT_EQ(body["error"]["message"].get<std::string>().substr(0, message.size()), message);
  };
  check("/api/v3/traces/77", {}, 404, "No traces found");
  check("/api/v3/traces/xyz", {}, 400, "malformed parameter trace_id: ");
  check("/api/v3/traces/1", {{"rawTraces", "x"}}, 400, "malformed parameter rawTraces: ");
  check("/api/v3/traces", {}, 400, "query.startTimeMin and query.startTimeMax are required");
  check("/api/v3/traces", Window({{"query.serviceName", "nobody"}}), 404, "No traces found");
  check("/api/v3/trace-summaries", Window({{"query.searchDepth", "x"}}), 400,
        "malformed parameter query.searchDepth: ");
  check("/api/v3/operations", {}, 400, "parameter service is required");
}

TEST_F(Jaeger, SearchNewestFirst) {
  EXPECT_EQ(Found({}), "321");
  EXPECT_EQ(Found({{"limit", "2"}}), "32");
  EXPECT_EQ(Found({{"operation", "GET /"}}), "21");
  EXPECT_EQ(Found({{"service", "db/main"}}), "1");
  EXPECT_EQ(Found({{"service", "nobody"}}), "");
  EXPECT_EQ(Found({{"end", std::to_string((kStart + kSecond) / 1000)}}), "21");
  EXPECT_EQ(Found({{"start", std::to_string((kStart + kSecond) / 1000)}}), "32");
}

TEST_F(Jaeger, OneSpanMustSatisfyAll) {
  EXPECT_EQ(Found({{"tags", R"({"user":"ann"})"}}), "1");
  EXPECT_EQ(Found({{"tag", "user:bob"}}), "");
  EXPECT_EQ(Found({{"tag", "error:true"}}), "") << "the failed span is of another service";
  EXPECT_EQ(Found({{"service", "db/main"}, {"tag", "error:true"}}), "1");
  EXPECT_EQ(Found({{"tag", "error:false"}}), "321");
  EXPECT_EQ(Found({{"tag", "span.kind:server"}}), "21");
  EXPECT_EQ(Found({{"minDuration", "20ms"}}), "2");
  EXPECT_EQ(Found({{"maxDuration", "20ms"}}), "31");
}

TEST_F(Jaeger, SeveralIdsTellWhichAreNotHere) {
  const Json answer = Get("/api/traces", {{"traceID", Id(3)}, {"traceID", "77"}, {"traceID", Id(1)}});
  ASSERT_EQ(answer["data"].size(), 2u);
  EXPECT_EQ(answer["data"][0]["traceID"], Id(3));
  EXPECT_EQ(answer["data"][1]["traceID"], Id(1));
  EXPECT_EQ(answer["errors"],
            Json::parse(R"([{"code":404,"msg":"trace not found","traceID":"00000000000000000000000000000077"}])"));
}

TEST_F(Jaeger, V3TracesAreOtlp) {
  for (const std::string& id :
       {std::string("abcdef0000000000000001"), Id(1), std::string("AAAAAACrze8AAAAAAAAAAQ==")}) {
    const Json answer = Get("/api/v3/traces/" + id);
    std::set<std::string> names;
    for (const Json& resource : answer["result"]["resourceSpans"]) {
      for (const Json& scope : resource["scopeSpans"]) {
        for (const Json& span : scope["spans"]) {
          EXPECT_EQ(span["traceId"], Id(1));
          names.insert(span["name"].get<std::string>());
        }
      }
    }
    EXPECT_EQ(names, (std::set<std::string>{"GET /", "query"}));
  }
  EXPECT_GE(Get("/api/v3/traces", Window({{"query.serviceName", "web"}}))["result"]["resourceSpans"].size(), 3u);
}

TEST_F(Jaeger, Summaries) {
  const Json answer = Get("/api/v3/trace-summaries", Window({{"query.service_name", "db/main"}}));
  ASSERT_EQ(answer["summaries"].size(), 1u);
  EXPECT_EQ(answer["summaries"][0], Json::parse(R"({"traceId":")" + Id(1) + R"(","rootServiceName":"web",
      "rootOperationName":"GET /","minStartTimeUnixNano":"1700000000000000000",
      "maxEndTimeUnixNano":"1700000000001000000","spanCount":2,"errorSpanCount":1,"orphanSpanCount":0,
      "services":[{"name":"web","spanCount":1,"errorSpanCount":0},{"name":"db/main","spanCount":1,"errorSpanCount":1}]})"));
}

TEST_F(Jaeger, ManyTracesAreStreamed) {
  std::vector<core::TestSpan> spans;
  for (std::uint64_t i = 0; i < 3000; ++i) {
    spans.push_back({.trace = 100 + i / 10,
                     .id = i + 1,
                     .parent = i % 10 == 0 ? 0 : i,
                     .service = "bulk",
                     .name = std::string(100, 'x'),
                     .start_ns = kStart + static_cast<std::int64_t>(i) * kMs});
  }
  driver_.Spans(spans);
  const Response response = Ask("/api/traces", {{"service", "bulk"}, {"limit", "1500"}});
  ASSERT_NE(response.stream, nullptr);
  EXPECT_TRUE(response.body.empty());
  std::string all, piece;
  std::size_t pieces = 0, longest = 0;
  for (bool more = true; more; ++pieces, piece.clear()) {
    more = response.stream->Next(&piece) == BodyStream::State::kMore;
    if (pieces > 0) longest = std::max(longest, piece.size());
    all += piece;
  }
  EXPECT_GT(pieces, 5u);
  EXPECT_LT(longest, 100'000u);
  const Json json = Json::parse(all, nullptr, false);
  ASSERT_EQ(json["data"].size(), 300u);
  EXPECT_EQ(json["data"][0]["traceID"], Id(399));
  EXPECT_EQ(json["data"][299]["spans"].size(), 10u);
  EXPECT_TRUE(Ask("/api/traces", {{"service", "bulk"}, {"limit", "3"}}).stream == nullptr);
}

TEST_F(Jaeger, ATraceThatGoesWhileItIsStreamedLeavesNoHole) {
  std::vector<core::TestSpan> spans;
  for (std::uint64_t i = 0; i < 2000; ++i)
    spans.push_back({.trace = 100 + i, .id = i + 1, .service = "bulk", .name = std::string(100, 'x')});
  driver_.Spans(spans);
  const Response response = Ask("/api/traces", {{"service", "bulk"}, {"limit", "1500"}});
  ASSERT_NE(response.stream, nullptr);
  core::Limits limits;
  limits.max_traces = 1;
  driver_.Reload(std::make_shared<core::RuleSet>(), limits);
  driver_.Spans({{.trace = 5000, .id = 1}});
  const Json json = Json::parse(Body(response), nullptr, false);
  ASSERT_FALSE(json.is_discarded());
  EXPECT_LT(json["data"].size(), 1500u);
  for (const Json& trace : json["data"]) EXPECT_FALSE(trace["spans"].empty());
}

TEST_F(Jaeger, PrettyPrintKeepsTheDocument) {
  const Response plain = Ask("/api/traces", {{"service", "web"}});
  const Response pretty = Ask("/api/traces", {{"service", "web"}, {"prettyPrint", "true"}});
  EXPECT_NE(pretty.body.find("\n    \"data\""), std::string::npos);
  EXPECT_EQ(Json::parse(plain.body), Json::parse(pretty.body));
}

TEST_F(Jaeger, MinimalStep) {
  const Json answer = Get("/api/metrics/minstep");
  EXPECT_TRUE(answer["data"].is_number_integer());
  EXPECT_EQ(answer["errors"], nullptr);
}

TEST_F(Jaeger, TooManyPointsAreRefused) {
  std::vector<core::TestSpan> spans;
  for (std::uint64_t i = 0; i < 200; ++i)
    spans.push_back({.trace = 100, .id = i + 1, .service = "wide", .name = "op-" + std::to_string(i)});
  driver_.Spans(spans);
  const Params params = {{"service", "wide"}, {"lookback", "10000000"}, {"step", "1000"}};
  EXPECT_EQ(Ask("/api/metrics/calls", params).status, 200) << "one series";
  Params grouped = params;
  grouped.emplace("groupByOperation", "true");
  EXPECT_EQ(Ask("/api/metrics/calls", grouped).status, 400);
}

}  // namespace
}  // namespace spanwatch::http
