#include "sidecar/http/params.h"

#include <gtest/gtest.h>

#include "sidecar/http/text.h"

namespace spanwatch::http {
namespace {

constexpr std::int64_t kNow = 1'714'557'600'000'000'000;  // 2024-05-01T10:00:00Z

std::int64_t Time(std::string_view text) {
  std::int64_t ns = -1;
  return ParseTimeNs(text, kNow, &ns) ? ns : -1;
}

TEST(ParamsTest, Durations) {
  EXPECT_EQ(ParseDurationNs("250"), 250'000'000);
  EXPECT_EQ(ParseDurationNs("0"), 0);
  EXPECT_EQ(ParseDurationNs("1.5s"), 1'500'000'000);
  EXPECT_EQ(ParseDurationNs("250ms"), 250'000'000);
  EXPECT_EQ(ParseDurationNs("10us"), 10'000);
  EXPECT_EQ(ParseDurationNs("10ns"), 10);
  EXPECT_EQ(ParseDurationNs("3m"), 180'000'000'000);
  EXPECT_EQ(ParseDurationNs("2h"), 7'200'000'000'000);
  EXPECT_EQ(ParseDurationNs("1d"), 86'400'000'000'000);
  for (const char* bad :
       {"", "s", "-1s", "1 s", "1x", "1S", "1.2.3s", "1e3", "0x10", "inf", "nan", "99999999999h", "1ss", ".5s", "+1"}) {
    EXPECT_EQ(ParseDurationNs(bad), -1) << bad;
  }
}

TEST(ParamsTest, Times) {
  EXPECT_EQ(Time("1714557600000"), kNow);
  EXPECT_EQ(Time("1714557600000.5"), kNow + 500'000);
  EXPECT_EQ(Time("2024-05-01T10:00:00Z"), kNow);
  EXPECT_EQ(Time("2024-05-01t10:00:00.25z"), kNow + 250'000'000);
  EXPECT_EQ(Time("2024-05-01T12:00:00+02:00"), kNow);
  EXPECT_EQ(Time("2024-05-01T12:00:00 02:00"), kNow);  // a '+' that was not escaped
  EXPECT_EQ(Time("2024-05-01T04:30:00-05:30"), kNow);
  EXPECT_EQ(Time("2024-02-29T00:00:00Z"), kNow - (62LL * 86400 + 36000) * 1'000'000'000);
  EXPECT_EQ(Time("-15m"), kNow - 900'000'000'000);
  for (const char* bad :
       {"", "x", "-", "-15", "2024-05-01", "2024-13-01T10:00:00Z", "2023-02-29T10:00:00Z", "2024-05-01T24:00:00Z",
        "2024-05-01T10:60:00Z", "2024-05-01T10:00:00", "2024-05-01T10:00:00.Z", "2024-05-01T10:00:00+2",
        "2024-05-01T10:00:00Zx", "9999-05-01T10:00:00Z", "99999999999999999999"}) {
    EXPECT_EQ(Time(bad), -1) << bad;
  }
  EXPECT_EQ(TimeText(kNow + 7'000'000), "2024-05-01T10:00:00.007Z");
  EXPECT_EQ(TimeText(-1), "1969-12-31T23:59:59.999Z");
}

TEST(ParamsTest, TraceQuery) {
  const auto query = ParseTraceQuery({{"service", "bot"},
                                      {"operation", "a b"},
                                      {"correlation_id", "c"},
                                      {"min_duration", "1s"},
                                      {"status", "error"},
                                      {"start", "-1h"},
                                      {"end", "2024-05-01T10:00:00Z"},
                                      {"limit", "7"}},
                                     kNow);
  ASSERT_TRUE(query);
  EXPECT_EQ(query->service, "bot");
  EXPECT_EQ(query->operation, "a b");
  EXPECT_EQ(query->correlation_id, "c");
  EXPECT_EQ(query->min_duration_ns, 1'000'000'000);
  EXPECT_EQ(query->status, core::TraceQuery::Status::kError);
  EXPECT_EQ(query->start_ns, kNow - 3'600'000'000'000);
  EXPECT_EQ(query->end_ns, kNow);
  EXPECT_EQ(query->limit, 7u);
}

TEST(ParamsTest, TagsOrderAndPage) {
  const auto query = ParseTraceQuery({{"tag", "http.url:http://x/?a=b"},
                                      {"tag", "empty:"},
                                      {"max_duration", "2s"},
                                      {"error", "Timeout"},
                                      {"sort", "longest"},
                                      {"offset", "40"}},
                                     kNow);
  ASSERT_TRUE(query);
  ASSERT_EQ(query->tags.size(), 2u);
  EXPECT_EQ(query->tags[0].name, "http.url");
  EXPECT_EQ(query->tags[0].value, "http://x/?a=b");
  EXPECT_EQ(query->tags[1].value, "");
  EXPECT_EQ(query->max_duration_ns, 2'000'000'000);
  EXPECT_EQ(query->error_text, "Timeout");
  EXPECT_EQ(query->sort, core::TraceQuery::Sort::kLongest);
  EXPECT_EQ(query->offset, 40u);
  Params many;
  for (int i = 0; i < 17; ++i) many.emplace("tag", "k:v");
  EXPECT_EQ(ParseTraceQuery(many, kNow).error().field, "tag");
  many.erase(many.begin());
  EXPECT_TRUE(ParseTraceQuery(many, kNow));
}

TEST(ParamsTest, OneMoreParameterMayBeTheCallers) {
  EXPECT_TRUE(ParseTraceQuery({{"format", "otlp"}}, kNow, "format"));
  EXPECT_EQ(ParseTraceQuery({{"format", "otlp"}}, kNow).error().field, "format");
}

TEST(ParamsTest, EmptyFieldsOfAFormAreNone) {
  const auto query = ParseTraceQuery({{"service", ""}, {"min_duration", ""}, {"status", ""}, {"limit", ""}}, kNow);
  ASSERT_TRUE(query);
  EXPECT_EQ(query->limit, 20u);
  EXPECT_EQ(query->status, core::TraceQuery::Status::kAny);
}

TEST(ParamsTest, MistakesNameTheField) {
  const std::vector<std::pair<Params, std::string>> cases = {
      {{{"min_duration", "fast"}}, "min_duration"},
      {{{"status", "bad"}}, "status"},
      {{{"start", "yesterday"}}, "start"},
      {{{"end", "1x"}}, "end"},
      {{{"limit", "0"}}, "limit"},
      {{{"limit", "1001"}}, "limit"},
      {{{"limit", "1.5"}}, "limit"},
      {{{"limit", "-1"}}, "limit"},
      {{{"min_durration", "1s"}}, "min_durration"},
      {{{"limit", "1"}, {"limit", "2"}}, "limit"},
      {{{"start", "2"}, {"end", "1"}}, "start"},
      {{{"tag", "key"}}, "tag"},
      {{{"tag", ":value"}}, "tag"},
      {{{"sort", "oldest"}}, "sort"},
      {{{"offset", "-1"}}, "offset"},
      {{{"max_duration", "x"}}, "max_duration"},
      {{{"min_duration", "2"}, {"max_duration", "1"}}, "min_duration"}};
  for (const auto& [params, field] : cases) {
    const auto query = ParseTraceQuery(params, kNow);
    ASSERT_FALSE(query) << field;
    EXPECT_EQ(query.error().field, field);
    EXPECT_FALSE(query.error().error.empty());
  }
}

}  // namespace
}  // namespace spanwatch::http
