#include "sidecar/http/errors_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "sidecar/http/router.h"
#include "tests/support/engine_driver.h"

namespace spanwatch::http {
namespace {

using core::kMinute;
using core::kSecond;
using Json = nlohmann::json;
using ::testing::HasSubstr;

class ErrorsTest : public ::testing::Test {
 protected:
  ErrorsTest() {
    hooks_.engine = &driver_.engine();
    hooks_.now_ns = [this] { return driver_.now_ns(); };
  }
  void Fail(std::uint64_t trace) {
    driver_.Spans({{.trace = trace, .id = 1, .name = "reply", .failed = true, .error_message = "no answer"},
                   {.trace = trace,
                    .id = 2,
                    .parent = 1,
                    .service = "gemini",
                    .name = "generate",
                    .failed = true,
                    .error_type = "TimeoutError",
                    .error_message = "no answer after " + std::to_string(trace) + " ms"}});
  }
  Response Get(Params params) {
    Request request;
    request.method = "GET";
    request.path = "/api/v1/errors";
    request.host = "localhost";
    request.params = std::move(params);
    return Router({}, hooks_).Handle(request);
  }
  Json GetJson(Params params) {
    const Response response = Get(std::move(params));
    EXPECT_EQ(response.status, 200) << response.body;
    return Json::parse(response.body);
  }

  core::EngineDriver driver_;
  Hooks hooks_;
};

TEST_F(ErrorsTest, NothingFailed) {
  const Json json = GetJson({});
  EXPECT_EQ(json["errors"], Json::array());
  EXPECT_EQ(json["total"], 0);
  EXPECT_EQ(json["groups"], 0);
  EXPECT_EQ(json["since"], "2023-11-14T22:13:20.000Z");
}

TEST_F(ErrorsTest, EverythingOfAGroup) {
  Fail(1);
  driver_.At(kMinute);
  Fail(2);
  driver_.At(2 * kMinute);
  const Json json = GetJson({{"service", "gemini"}, {"operation", ""}});
  EXPECT_EQ(json["total"], 4);
  EXPECT_EQ(json["groups"], 2);
  EXPECT_EQ(json["matched"], 1);
  ASSERT_EQ(json["errors"].size(), 1u);
  const Json& group = json["errors"][0];
  EXPECT_EQ(group["type"], "TimeoutError");
  EXPECT_EQ(group["operation"], "generate");
  EXPECT_EQ(group["message"], "no answer after <n> ms");
  EXPECT_EQ(group["example"], "no answer after 2 ms");
  EXPECT_EQ(group["count"], 2);
  EXPECT_EQ(group["judgedCount"], 2);
  EXPECT_EQ(group["rootCauseCount"], 2);
  EXPECT_EQ(group["trend"], "new");
  ASSERT_EQ(group["perMinute"].size(), 60u);
  EXPECT_EQ(group["perMinute"][57], 1) << "the running minute is last";
  EXPECT_EQ(group["perMinute"][58], 1);
  EXPECT_EQ(group["firstSeen"], "2023-11-14T22:13:20.000Z");
  EXPECT_EQ(group["lastSeen"], "2023-11-14T22:14:20.000Z");
  EXPECT_EQ(group["traces"], Json({"0000000000abcdef0000000000000002", "0000000000abcdef0000000000000001"}));
  EXPECT_EQ(group["traceCount"], 2);
  EXPECT_EQ(group["together"], Json::array({{{"type", ""},
                                             {"service", "bot"},
                                             {"operation", "reply"},
                                             {"message", "no answer"},
                                             {"count", 2},
                                             {"share", 1.0}}}));
  EXPECT_EQ(GetJson({{"service", "bot"}})["errors"][0]["rootCauseCount"], 0);
}

TEST_F(ErrorsTest, FiltersAndLimit) {
  Fail(1);
  driver_.At(10 * kMinute);
  driver_.Spans({{.trace = 5, .id = 1, .name = "late", .failed = true, .error_type = "Late"}});
  EXPECT_EQ(GetJson({{"type", "Late"}})["matched"], 1);
  EXPECT_EQ(GetJson({{"operation", "nothing"}})["matched"], 0);
  EXPECT_EQ(GetJson({{"since", "-5m"}})["errors"][0]["operation"], "late");
  EXPECT_EQ(GetJson({{"since", "-5m"}})["matched"], 1);
  EXPECT_EQ(GetJson({{"since", "-11m"}})["matched"], 3);
  const Json limited = GetJson({{"limit", "2"}});
  EXPECT_EQ(limited["errors"].size(), 2u);
  EXPECT_EQ(limited["matched"], 3);
}

TEST_F(ErrorsTest, MistakesAreNamed) {
  const Params mistakes[] = {
      {{"services", "x"}}, {{"limit", "0"}},       {{"limit", "501"}}, {{"limit", "1.5"}},
      {{"limit", "2x"}},   {{"since", "tuesday"}}, {{"since", "-5"}},  {{"type", "a"}, {"type", "b"}}};
  for (const Params& params : mistakes) {
    const Response response = Get(params);
    EXPECT_EQ(response.status, 400) << params.begin()->second;
    EXPECT_EQ(Json::parse(response.body)["field"], params.begin()->first);
  }
  EXPECT_THAT(Get({{"x", "1"}}).body, HasSubstr("service, operation, type, since and limit are known"));
}

TEST_F(ErrorsTest, BytesThatAreNotUtf8AreRepaired) {
  core::ErrorsView view;
  view.groups.emplace_back();
  view.groups[0].message = "a\xff";
  EXPECT_EQ(Json::parse(ErrorsJson(view, {}))["errors"][0]["message"], "a\uFFFD");
}

}  // namespace
}  // namespace spanwatch::http
