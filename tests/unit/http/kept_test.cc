// A trace that the store has forgotten, answered from the copy that was kept for an alert.
#include "sidecar/http/kept.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "sidecar/http/router.h"
#include "tests/support/engine_driver.h"

namespace spanwatch::http {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kStored[] = "0000000000abcdef0000000000000001";
constexpr char kKept[] = "000000000000000000000000000000aa";

class KeptTraceTest : public ::testing::Test {
 protected:
  KeptTraceTest() {
    driver_.Spans({{.trace = 1, .id = 1, .name = "stored"}});
    hooks_.engine = &driver_.engine();
    hooks_.kept_trace = [this](const TraceId& id) -> std::optional<KeptTrace> {
      ++asked_;
      if (id.ToHex() != kKept) return std::nullopt;
      KeptTrace kept;
      kept.trace.summary.trace_id = id;
      kept.trace.summary.span_count = 900;
      kept.trace.resources.resize(1);
      core::SpanCopy span;
      span.span_id = {1};
      span.name = "kept";
      span.end_ns = 5'000'000;
      kept.trace.spans = {span};
      kept.note = note_;
      return kept;
    };
  }

  Response Get(const std::string& path) {
    Request request;
    request.method = "GET";
    request.path = path;
    request.host = "127.0.0.1";
    return Router(Options(), hooks_).Handle(request);
  }

  core::EngineDriver driver_;
  Hooks hooks_;
  KeptNote note_{true, false, {"SlowOperation"}};
  int asked_ = 0;
};

TEST_F(KeptTraceTest, JsonSaysThatItWasKept) {
  note_.cut = true;
  for (const std::string suffix : {"", "/analysis"}) {
    const Response response = Get(std::string("/api/v1/traces/") + kKept + suffix);
    ASSERT_EQ(response.status, 200) << response.body;
    const Json json = Json::parse(response.body);
    EXPECT_EQ(json["kept"], true);
    EXPECT_EQ(json["cut"], true);
    EXPECT_EQ(json["traceId"], kKept);
  }
}

TEST_F(KeptTraceTest, TheStoresOwnIsPreferredAndSaysNothing) {
  const Response response = Get(std::string("/api/v1/traces/") + kStored);
  ASSERT_EQ(response.status, 200);
  EXPECT_FALSE(Json::parse(response.body).contains("kept"));
  EXPECT_THAT(Get(std::string("/trace/") + kStored).body, Not(HasSubstr("This copy was kept")));
  EXPECT_EQ(asked_, 0);
}

TEST_F(KeptTraceTest, ThePageSaysForWhichAlerts) {
  EXPECT_THAT(Get(std::string("/trace/") + kKept).body,
              HasSubstr("This copy was kept because alert <bdi>SlowOperation</bdi> refers to it."));
  note_.alerts = {"<script>", "B", "C", "D", "E", "F"};
  note_.cut = true;
  const Response response = Get(std::string("/trace/") + kKept);
  EXPECT_EQ(response.status, 200);
  EXPECT_THAT(response.body, Not(HasSubstr("<script")));
  EXPECT_THAT(response.body, HasSubstr("<bdi>E</bdi> and others refer to it."));
  EXPECT_THAT(response.body, HasSubstr("the 1 span of its critical path, of 900."));
}

TEST_F(KeptTraceTest, WhatIsNowhereIsNotFound) {
  const std::string other(32, '7');
  EXPECT_EQ(Get("/api/v1/traces/" + other).status, 404);
  EXPECT_EQ(Get("/trace/" + other).status, 404);
  EXPECT_EQ(Get("/api/v1/traces/nonsense").status, 400);
  hooks_.kept_trace = nullptr;
  EXPECT_EQ(Get(std::string("/api/v1/traces/") + kKept).status, 404);
}

}  // namespace
}  // namespace spanwatch::http
