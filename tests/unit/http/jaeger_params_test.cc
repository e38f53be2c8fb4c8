#include "sidecar/http/jaeger_params.h"

#include <gtest/gtest.h>

#include <random>

namespace spanwatch::http::jaeger {
namespace {

constexpr std::int64_t kNow = 1'700'000'000'000'000'000;
constexpr std::int64_t kSecond = 1'000'000'000, kHour = 3600 * kSecond;

std::string LegacyError(Params params) {
  params.emplace("service", "bot");
  const auto search = ParseLegacySearch(params, kNow);
  return search ? "" : search.error();
}

Params V3(Params params) {
  params.emplace("query.startTimeMin", "2024-05-01T10:00:00Z");
  params.emplace("query.startTimeMax", "2024-05-01T11:00:00.5Z");
  return params;
}

std::string V3Error(Params params) {
  const auto query = ParseV3Search(V3(std::move(params)));
  return query ? "" : query.error();
}

std::string MetricsError(Params params, bool quantile = false) {
  params.emplace("service", "bot");
  const auto query = ParseMetrics(params, quantile, kNow);
  return query ? "" : query.error();
}

TEST(JaegerParams, DurationsAreThoseOfGo) {
  const std::pair<const char*, std::int64_t> good[] = {{"1.2s", 1'200'000'000},
                                                       {"100ms", 100'000'000},
                                                       {"500us", 500'000},
                                                       {"500\xC2\xB5s", 500'000},
                                                       {"7ns", 7},
                                                       {"1h30m", kHour + kHour / 2},
                                                       {"0", 0},
                                                       {"-5s", -5 * kSecond},
                                                       {"+.5s", kSecond / 2},
                                                       {"3.s", 3 * kSecond},
                                                       {"0.000000000000000000001s", 0},
                                                       {"2562047h", 2562047 * kHour}};
  for (const auto& [text, ns] : good) EXPECT_EQ(ParseGoDuration(text).value_or(-1), ns) << text;
  for (const char* text : {"", "1", "s", ".s", "1x", "1s 2s", "1,5s", "1e3s", "-", "--1s", "99999999999999999999s",
                           "2562048h", "2562047h2562047h", "0x1s", "\xFF"}) {
    EXPECT_FALSE(ParseGoDuration(text)) << text;
  }
}

TEST(JaegerParams, TraceIdsMayLackLeadingZeros) {
  EXPECT_EQ(*ParseTraceId("5b8efff798038103d269b633813fc60c"), (TraceId{0x5b8efff798038103, 0xd269b633813fc60c}));
  EXPECT_EQ(*ParseTraceId("AB"), (TraceId{0, 0xab}));
  for (const char* text :
       {"", "0", "00000000000000000000000000000000", "xyz", "1 ", "-1", "05b8efff798038103d269b633813fc60c"}) {
    EXPECT_FALSE(ParseTraceId(text)) << text;
  }
  EXPECT_EQ(*ParseTraceIdV3("W47/95gDgQPSabYzgT/GDA=="), (TraceId{0x5b8efff798038103, 0xd269b633813fc60c}));
  EXPECT_EQ(*ParseTraceIdV3("W47_95gDgQPSabYzgT_GDA"), (TraceId{0x5b8efff798038103, 0xd269b633813fc60c}));
  EXPECT_EQ(*ParseTraceIdV3("1234567890123456789012"), (TraceId{0x123456, 0x7890123456789012})) << "hexadecimal too";
  EXPECT_FALSE(ParseTraceIdV3("AAAAAAAAAAAAAAAAAAAAAA=="));
  EXPECT_FALSE(ParseTraceIdV3("W47=95gDgQPSabYzgT/GDA=="));
}

TEST(JaegerParams, ASearchWithEverything) {
  const auto search = ParseLegacySearch({{"service", "bot"},
                                         {"operation", "GET /"},
                                         {"start", "1700000000000000"},
                                         {"end", "1700000001000001"},
                                         {"limit", "20"},
                                         {"minDuration", "1.5ms"},
                                         {"maxDuration", "2s"},
                                         {"lookback", "1h"},
                                         {"tag", "http.url:http://x/y"},
                                         {"tag", "k:old"},
                                         {"tags", R"({"error":"true","k":"new","ü":""})"},
                                         {"_", "1"}},
                                        kNow);
  ASSERT_TRUE(search) << search.error();
  const core::TraceQuery& query = search->query;
  EXPECT_TRUE(query.by_span);
  EXPECT_EQ(query.service, "bot");
  EXPECT_EQ(query.operation, "GET /");
  EXPECT_EQ(query.start_ns, 1'700'000'000'000'000'000);
  EXPECT_EQ(query.end_ns, 1'700'000'001'000'001'000);
  EXPECT_EQ(query.limit, 20u);
  EXPECT_EQ(query.min_duration_ns, 1'500'000);
  EXPECT_EQ(query.max_duration_ns, 2 * kSecond);
  std::string tags;
  for (const auto& tag : query.tags) tags += tag.name + "=" + tag.value + ";";
  EXPECT_EQ(tags, "error=true;http.url=http://x/y;k=new;ü=;");
}

TEST(JaegerParams, Defaults) {
  const auto query = ParseLegacySearch({{"service", "bot"}, {"minDuration", ""}, {"tags", ""}}, kNow)->query;
  EXPECT_EQ(query.limit, 100u);
  EXPECT_EQ(query.start_ns, kNow - 48 * kHour);
  EXPECT_EQ(query.end_ns, kNow);
  EXPECT_EQ(query.min_duration_ns, 0);
  EXPECT_EQ(query.max_duration_ns, INT64_MAX);
  const auto back = ParseLegacySearch({{"service", "bot"}, {"lookback", "2h"}, {"end", "1000000"}}, kNow)->query;
  EXPECT_EQ(back.start_ns, kSecond - 2 * kHour);
  EXPECT_EQ(ParseLegacySearch({{"service", "bot"}, {"lookback", "custom"}}, kNow)->query.start_ns, kNow - 48 * kHour);
}

TEST(JaegerParams, EachErrorNamesItsParameter) {
  EXPECT_EQ(ParseLegacySearch({}, kNow).error(), "parameter 'service' is required");
  const std::pair<Params, const char*> bad[] = {
      {{{"start", "1.5"}}, "param 'start'"},
      {{{"end", "99999999999999999999"}}, "param 'end'"},
      {{{"end", "now"}}, "param 'end'"},
      {{{"end", "+-5"}}, "param 'end'"},
      {{{"limit", "0"}}, "param 'limit'"},
      {{{"limit", "-1"}}, "param 'limit'"},
      {{{"limit", "1501"}}, "param 'limit'"},
      {{{"limit", "10x"}}, "param 'limit'"},
      {{{"minDuration", "5"}}, "param 'minDuration'"},
      {{{"maxDuration", "-5s"}}, "param 'maxDuration'"},
      {{{"minDuration", "2s"}, {"maxDuration", "1s"}}, "'maxDuration' should be greater than 'minDuration'"},
      {{{"tag", "no-colon"}}, "malformed 'tag' parameter"},
      {{{"tags", "{"}}, "malformed 'tags' parameter"},
      {{{"tags", "[]"}}, "malformed 'tags' parameter"},
      {{{"tags", R"({"a":1})"}}, "malformed 'tags' parameter"},
      {{{"tags", R"({"a":{"b":"c"}})"}}, "malformed 'tags' parameter"},
      {{{"tags", "{\"a\":\"\xFF\"}"}}, "malformed 'tags' parameter"},
      {{{"traceID", "zz"}}, "traceID"},
      {{{"raw", "maybe"}}, "param 'raw'"}};
  for (const auto& [params, text] : bad) EXPECT_NE(LegacyError(params).find(text), std::string::npos) << text;
  EXPECT_EQ(LegacyError({{"limit", "1500"}, {"raw", "T"}, {"minDuration", "1s"}, {"maxDuration", "1s"}}), "");
}

TEST(JaegerParams, IdsCountAlone) {
  const auto search = ParseLegacySearch({{"traceID", "a"}, {"traceID", "b"}, {"traceID", "0a"}, {"limit", "x"}}, kNow);
  ASSERT_TRUE(search) << search.error();
  EXPECT_EQ(search->trace_ids, (std::vector<TraceId>{{0, 10}, {0, 11}}));
}

TEST(JaegerParams, HostileValuesEndInWords) {
  EXPECT_NE(LegacyError({{"tags", std::string(200'000, '[')}}), "");
  EXPECT_NE(LegacyError({{"tags",
                          [] {
                            std::string bomb;
                            for (int i = 0; i < 50'000; ++i) bomb += "{\"a\":";
                            return bomb;
                          }()}}),
            "");
  std::string many = "{";
  for (int i = 0; i < 65; ++i) many += (i == 0 ? "\"k" : ",\"k") + std::to_string(i) + "\":\"v\"";
  EXPECT_NE(LegacyError({{"tags", many + "}"}}).find("too many tags"), std::string::npos);
  Params ids;
  for (int i = 1; i < 1600; ++i) ids.emplace("traceID", std::to_string(i));
  EXPECT_NE(LegacyError(ids).find("too many traceID"), std::string::npos);
  const auto far =
      ParseLegacySearch({{"service", "a"}, {"start", "-9223372036854775808"}, {"end", "9223372036854775807"}}, kNow);
  ASSERT_TRUE(far);
  EXPECT_EQ(far->query.start_ns, INT64_MIN);
  EXPECT_EQ(far->query.end_ns, INT64_MAX);
  std::mt19937_64 random(3);
  for (int i = 0; i < 20'000; ++i) {  // must end, nothing else
    std::string bytes;
    constexpr std::string_view kBytes = "0123456789.-+smhun{}[]\":,aZ \xC2\xB5\xFF";
    for (std::uint64_t n = random() % 24; n > 0; --n) bytes += kBytes[random() % kBytes.size()];
    static_cast<void>(ParseGoDuration(bytes));
    static_cast<void>(ParseTraceIdV3(bytes));
    static_cast<void>(LegacyError({{"tags", bytes}, {"tag", bytes}, {"start", bytes}, {"limit", bytes}}));
    static_cast<void>(V3Error({{"query.attributes", bytes}, {"query.durationMin", bytes}}));
    static_cast<void>(MetricsError({{"quantile", bytes}, {"step", bytes}, {"lookback", bytes}, {"endTs", bytes}}));
  }
}

TEST(JaegerParams, V3SearchByBothKindsOfNames) {
  for (const bool snake : {false, true}) {
    const auto name = [&](const char* camel, const char* other) { return std::string(snake ? other : camel); };
    const auto query =
        ParseV3Search({{name("query.serviceName", "query.service_name"), "bot"},
                       {name("query.operationName", "query.operation_name"), "op"},
                       {name("query.startTimeMin", "query.start_time_min"), "2024-05-01T10:00:00Z"},
                       {name("query.startTimeMax", "query.start_time_max"), "2024-05-01T12:00:00.25+02:00"},
                       {name("query.durationMin", "query.duration_min"), "1ms"},
                       {name("query.durationMax", "query.duration_max"), "1h"},
                       {name("query.searchDepth", "query.num_traces"), "7"},
                       {name("query.rawTraces", "query.raw_traces"), "true"},
                       {"query.attributes", R"({"error":"true"})"}});
    ASSERT_TRUE(query) << query.error();
    EXPECT_TRUE(query->by_span);
    EXPECT_EQ(query->service, "bot");
    EXPECT_EQ(query->operation, "op");
    EXPECT_EQ(query->start_ns, 1'714'557'600 * kSecond);
    EXPECT_EQ(query->end_ns, 1'714'557'600 * kSecond + kSecond / 4);
    EXPECT_EQ(query->min_duration_ns, 1'000'000);
    EXPECT_EQ(query->max_duration_ns, kHour);
    EXPECT_EQ(query->limit, 7u);
    ASSERT_EQ(query->tags.size(), 1u);
  }
}

TEST(JaegerParams, V3ErrorsNameTheParameter) {
  EXPECT_EQ(ParseV3Search({{"query.startTimeMin", "2024-05-01T10:00:00Z"}}).error(),
            "query.startTimeMin and query.startTimeMax are required");
  const std::pair<Params, const char*> bad[] = {
      {{{"query.searchDepth", "0"}}, "malformed parameter query.searchDepth: "},
      {{{"query.num_traces", "-1"}}, "malformed parameter query.num_traces: "},
      {{{"query.search_depth", "1501"}}, "malformed parameter query.search_depth: "},
      {{{"query.durationMin", "5"}}, "malformed parameter query.durationMin: "},
      {{{"query.duration_max", "x"}}, "malformed parameter query.duration_max: "},
      {{{"query.durationMin", "2s"}, {"query.durationMax", "1s"}}, "malformed parameter query.durationMax: "},
      {{{"query.attributes", "a=b"}}, "malformed parameter query.attributes: "},
      {{{"query.rawTraces", "x"}}, "malformed parameter query.rawTraces: "},
      {{{"query.filter", "{}"}}, "malformed parameter query.filter: "},
      {{{"query.pagination.pageToken", "x"}}, "malformed parameter query.pagination.pageToken: "}};
  for (const auto& [params, text] : bad) EXPECT_EQ(V3Error(params).substr(0, std::string(text).size()), text);
  for (const char* time : {"1700000000000", "-15m", "2024-05-01", "2024-13-01T10:00:00Z", "\xFF"}) {
    EXPECT_FALSE(ParseV3Search({{"query.startTimeMin", time}, {"query.startTimeMax", "2024-05-01T11:00:00Z"}})) << time;
  }
  EXPECT_FALSE(
      ParseV3Search({{"query.startTimeMin", "2024-05-01T11:00:00Z"}, {"query.startTimeMax", "2024-05-01T10:00:00Z"}}));
}

TEST(JaegerParams, Metrics) {
  const auto query = ParseMetrics({{"service", "a"},
                                   {"service", "b"},
                                   {"service", "a"},
                                   {"quantile", "0.5"},
                                   {"endTs", "1700000000123"},
                                   {"lookback", "3600000"},
                                   {"step", "60000"},
                                   {"ratePer", "600000"},
                                   {"spanKind", "server"},
                                   {"spanKind", "SPAN_KIND_CLIENT"},
                                   {"groupByOperation", "true"}},
                                  true, kNow);
  ASSERT_TRUE(query) << query.error();
  EXPECT_EQ(query->services, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(query->kinds, (std::vector<core::SpanKind>{core::SpanKind::kServer, core::SpanKind::kClient}));
  EXPECT_TRUE(query->by_operation);
  EXPECT_EQ(query->quantile, 0.5);
  EXPECT_EQ(query->end_ns, 1'700'000'000'123'000'000);
  EXPECT_EQ(query->lookback_ns, kHour);
  EXPECT_EQ(query->step_ns, 60 * kSecond);
  EXPECT_EQ(query->per_ns, 600 * kSecond);
  const auto plain = ParseMetrics({{"service", "a"}}, false, kNow);
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->end_ns, kNow);
  EXPECT_EQ(plain->lookback_ns, kHour);
  EXPECT_EQ(plain->step_ns, 5 * kSecond);
  EXPECT_EQ(plain->kinds, std::vector<core::SpanKind>{core::SpanKind::kServer});
}

TEST(JaegerParams, MetricsErrors) {
  EXPECT_EQ(ParseMetrics({}, false, kNow).error(),
            "unable to parse param 'service': please provide at least one service name");
  const std::pair<Params, const char*> bad[] = {
      {{{"quantile", "1.1"}}, "'quantile'"},
      {{{"quantile", "nan"}}, "'quantile'"},
      {{{"quantile", ""}}, "'quantile'"},
      {{{"quantile", "0.5"}, {"step", "0"}}, "'step'"},
      {{{"quantile", "0.5"}, {"step", "1"}}, "too many points"},
      {{{"quantile", "0.5"}, {"lookback", "-1"}}, "'lookback'"},
      {{{"quantile", "0.5"}, {"ratePer", "1s"}}, "'ratePer'"},
      {{{"quantile", "0.5"}, {"endTs", "x"}}, "'endTs'"},
      {{{"quantile", "0.5"}, {"spanKind", "SERVER"}}, "'spanKind'"},
      {{{"quantile", "0.5"}, {"groupByOperation", "2"}}, "'groupByOperation'"}};
  for (const auto& [params, text] : bad) EXPECT_NE(MetricsError(params, true).find(text), std::string::npos) << text;
}

}  // namespace
}  // namespace spanwatch::http::jaeger
