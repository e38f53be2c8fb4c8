#include "sidecar/http/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/support/engine_driver.h"
#include "tests/unit/http/raw_client.h"

namespace spanwatch::http {
namespace {

using core::kMs;
using core::kSecond;
using core::kStart;
using Json = nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kTraceOne[] = "0000000000abcdef0000000000000001";

class ServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    driver_.Spans(
        {{.trace = 1, .id = 1, .name = "messageCreate", .duration_ns = 3000 * kMs, .tags = {{"correlation.id", "c-1"}}},
         {.trace = 1,
          .id = 2,
          .parent = 1,
          .service = "gemini",
          .name = "<script>alert(1)</script>",
          .start_ns = kStart + kSecond,
          .duration_ns = kSecond,
          .failed = true,
          .error_type = "TimeoutError"}});
    driver_.Spans({{.trace = 2, .id = 1, .name = "quick", .start_ns = kStart + 5 * kSecond}});
    driver_.At(10 * kSecond);
    hooks_.engine = &driver_.engine();
    hooks_.metrics = [](const std::string& accept, std::string* type) {
      *type = "text/plain; version=0.0.4; charset=utf-8";
      return "accept: " + accept + "\n";
    };
    hooks_.ready = [this] { return ready_; };
    hooks_.reload = [this]() -> tl::expected<void, std::string> {
      if (reload_error_.empty()) return {};
      return tl::unexpected(reload_error_);
    };
    hooks_.status_json = [] { return std::string("{\"version\":\"1\"}"); };
    hooks_.now_ns = [this] { return driver_.now_ns(); };
    options_.port = 0;
    options_.external_url = "https://trace.example.org";
    server_ = std::make_unique<Server>(options_, hooks_);
    const auto started = server_->Start();
    ASSERT_TRUE(started) << started.error();
    client_ = std::make_unique<httplib::Client>("127.0.0.1", server_->port());
    client_->set_keep_alive(true);
  }

  httplib::Result Get(const std::string& path, const httplib::Headers& headers = {}) {
    return client_->Get(path.c_str(), headers);
  }
  Json GetJson(const std::string& path) {
    const auto result = Get(path);
    EXPECT_EQ(result->status, 200) << path << " " << result->body;
    EXPECT_EQ(result->get_header_value("Content-Type"), "application/json");
    return Json::parse(result->body);
  }
  void ExpectError(const std::string& path, int status, const std::string& field) {
    const auto result = Get(path);
    ASSERT_TRUE(result);
    EXPECT_EQ(result->status, status) << path;
    const Json json = Json::parse(result->body);
    EXPECT_TRUE(json["error"].is_string()) << path;
    EXPECT_EQ(json.value("field", ""), field) << path;
  }

  core::EngineDriver driver_;
  Options options_;
  Hooks hooks_;
  bool ready_ = true;
  std::string reload_error_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<httplib::Client> client_;
};

TEST_F(ServerTest, HealthAndReadiness) {
  for (const char* path : {"/healthz", "/-/healthy", "/readyz", "/-/ready"}) EXPECT_EQ(Get(path)->status, 200) << path;
  ready_ = false;
  EXPECT_EQ(Get("/healthz")->status, 200);
  EXPECT_EQ(Get("/readyz")->status, 503);
  EXPECT_EQ(Get("/-/ready")->status, 503);
}

TEST_F(ServerTest, MetricsGetTheAcceptHeaderAndKeepTheType) {
  const auto result = Get("/metrics", {{"Accept", "application/openmetrics-text"}});
  EXPECT_EQ(result->body, "accept: application/openmetrics-text\n");
  EXPECT_EQ(result->get_header_value("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_EQ(result->get_header_value("X-Content-Type-Options"), "nosniff");
}

TEST_F(ServerTest, Stats) {
  const Json stats = GetJson("/api/v1/stats");
  EXPECT_EQ(stats["totalTraces"], 2);
  EXPECT_EQ(stats["avgSpansPerTrace"], 1.5);
  EXPECT_GT(stats["memoryUsageMB"].get<double>(), 0);
  EXPECT_EQ(stats["losses"]["total"], 0);
}

TEST_F(ServerTest, TracesAndFilters) {
  const auto count = [&](const std::string& query) { return GetJson("/api/v1/traces" + query)["traces"].size(); };
  EXPECT_EQ(count(""), 2u);
  EXPECT_EQ(GetJson("/api/v1/traces")["traces"][0]["rootOperation"], "quick");  // newest first
  EXPECT_EQ(count("?limit=1"), 1u);
  EXPECT_EQ(count("?service=gemini"), 1u);
  EXPECT_EQ(count("?service=gemini&operation=messageCreate"), 0u);
  EXPECT_EQ(count("?operation=messageCreate"), 1u);
  EXPECT_EQ(count("?correlation_id=c-1"), 1u);
  EXPECT_EQ(count("?min_duration=3s"), 1u);
  EXPECT_EQ(count("?min_duration=3000.5"), 0u);
  EXPECT_EQ(count("?status=error"), 1u);
  EXPECT_EQ(count("?status=success"), 1u);
  EXPECT_EQ(count("?start=" + std::to_string((kStart + kSecond) / kMs)), 1u);
  EXPECT_EQ(count("?start=-7s"), 1u);  // before now, which is 10 s
  EXPECT_EQ(count("?end=2023-11-14T22:13:20.000Z"), 1u);
  const Json trace = GetJson(std::string("/api/v1/traces/") + kTraceOne);
  EXPECT_EQ(trace["spans"].size(), 2u);
  EXPECT_EQ(trace["spans"][1]["parentSpanId"], "0000000000000001");
  EXPECT_EQ(trace["spans"][1]["status"], "error");
  EXPECT_EQ(trace["duration"], 3000.0);
  EXPECT_EQ(trace["spans"][0]["tags"]["correlation.id"], "c-1");
}

TEST_F(ServerTest, Analysis) {
  const std::string path = std::string("/api/v1/traces/") + kTraceOne + "/analysis";
  const Json analysis = GetJson(path);
  EXPECT_EQ(analysis["traceId"], kTraceOne);
  EXPECT_EQ(analysis["performance"]["slowestOperation"]["selfTime"], 2000.0);
  EXPECT_EQ(analysis["timeline"][1]["start"], 1000.0);
  EXPECT_EQ(analysis["errors"]["chains"][0]["handledBySpanId"], "0000000000000001");
  ExpectError("/api/v1/traces/xyz/analysis", 400, "id");
  ExpectError("/api/v1/traces/000000000000000000000000000000ff/analysis", 404, "id");
  ExpectError("/api/v1/traces//analysis", 404, "");
  ExpectError(path + "/more", 404, "");
  ExpectError(std::string("/api/v1/traces/") + kTraceOne + "/other", 404, "");
}

TEST_F(ServerTest, MistakesAreNamed) {
  ExpectError("/api/v1/traces?limit=0", 400, "limit");
  ExpectError("/api/v1/traces?min_duration=1parsec", 400, "min_duration");
  ExpectError("/api/v1/traces?nonsense=1", 400, "nonsense");
  ExpectError("/api/v1/traces/xyz", 400, "id");
  ExpectError("/api/v1/traces/00000000000000000000000000000000", 400, "id");
  ExpectError("/api/v1/traces/000000000000000000000000000000ff", 404, "id");
  ExpectError("/api/v1/alerts?state=odd", 400, "state");
  for (const char* path : {"alerts?state=firing&state=pending", "silences?state=active&state=expired",
                           "services?status=healthy&status=warning"}) {
    ExpectError(std::string("/api/v1/") + path, 400, std::string(path).starts_with("services") ? "status" : "state");
  }
  ExpectError("/api/v1/nothing", 404, "");
  ExpectError("/api/v1/traces/a/b", 404, "");
  ExpectError("/" + std::string(5000, 'a'), 404, "");
  EXPECT_EQ(Json::parse(client_->Post("/metrics", "", "text/plain")->body)["error"], "this path takes GET");
  EXPECT_EQ(client_->Post("/metrics", "", "text/plain")->status, 405);
  EXPECT_EQ(Get("/-/reload")->status, 405);
  EXPECT_EQ(Get("/-/reload")->get_header_value("Allow"), "POST");
  EXPECT_EQ(client_->Delete("/api/v1/stats")->status, 405);
}

TEST_F(ServerTest, EmptyParametersAreAsGoodAsNone) {
  for (const char* call : {"traces", "alerts", "silences", "services", "dependencies", "errors", "overview", "rules"}) {
    const std::string path = std::string("/api/v1/") + call;
    EXPECT_EQ(Get(path + "?state=&status=&service=&odd=")->status, 200) << call;
    ExpectError(path + "?odd=1&state=", 400, "odd");
  }
  EXPECT_EQ(Get("/api/v1/traces?limit=&limit=1")->status, 200);
}

TEST_F(ServerTest, AlertsRulesAndStatus) {
  EXPECT_EQ(GetJson("/api/v1/alerts"), Json::parse(R"({"status":"success","data":{"alerts":[]}})"));
  EXPECT_EQ(GetJson("/api/v1/rules"), Json::parse(R"({"status":"success","data":{"groups":[]}})"));
  EXPECT_EQ(GetJson("/api/v1/status"), Json::parse(R"({"version":"1"})"));
}

TEST_F(ServerTest, Reload) {
  EXPECT_EQ(client_->Post("/-/reload")->status, 200);
  reload_error_ = "rules.yaml:3:5: unknown key \"rulez\"";
  const auto failed = client_->Post("/-/reload");
  EXPECT_EQ(failed->status, 500);
  EXPECT_EQ(Json::parse(failed->body)["error"], reload_error_);
  const auto body = client_->Post("/-/reload", "x=1", "application/x-www-form-urlencoded");
  EXPECT_EQ(body->status, 400);
  EXPECT_EQ(Json::parse(body->body)["field"], "body");
}

TEST_F(ServerTest, ForeignHostsAndOriginsAreRefused) {
  EXPECT_EQ(Get("/api/v1/stats", {{"Host", "evil.example"}})->status, 403);
  EXPECT_EQ(Get("/metrics", {{"Host", "localhost.evil.example:9464"}})->status, 403);
  EXPECT_EQ(Get("/api/v1/stats", {{"Host", "trace.example.org"}})->status, 200);
  EXPECT_EQ(Get("/api/v1/stats", {{"Host", "localhost:" + std::to_string(server_->port())}})->status, 200);
  EXPECT_EQ(Get("/api/v1/stats", {{"Origin", "http://localhost:3000"}})->status, 403);
  EXPECT_EQ(Get("/api/v1/stats", {{"Origin", "https://trace.example.org"}})->status, 200);
  EXPECT_EQ(client_->Post("/-/reload", {{"Origin", "https://evil.example"}}, "", "text/plain")->status, 403);
  EXPECT_EQ(client_->Post("/-/reload", {{"Host", "evil.example"}}, "", "text/plain")->status, 403);
}

TEST_F(ServerTest, PagesAreSafe) {
  const auto page = Get(std::string("/trace/") + kTraceOne);
  EXPECT_EQ(page->status, 200);
  EXPECT_EQ(page->get_header_value("Content-Type"), "text/html; charset=utf-8");
  EXPECT_THAT(page->body, HasSubstr("&lt;script&gt;alert(1)&lt;/script&gt;"));
  EXPECT_THAT(page->body, Not(HasSubstr("<script")));
  const std::string policy = page->get_header_value("Content-Security-Policy");
  EXPECT_THAT(policy, StartsWith("default-src 'none'; style-src 'nonce-"));
  EXPECT_THAT(policy, HasSubstr("frame-ancestors 'none'"));
  const std::string nonce = policy.substr(policy.find("nonce-") + 6, 32);
  EXPECT_THAT(page->body, HasSubstr("<style nonce=\"" + nonce + "\">"));
  EXPECT_NE(Get(std::string("/trace/") + kTraceOne)->get_header_value("Content-Security-Policy"), policy);
  EXPECT_EQ(page->get_header_value("X-Frame-Options"), "DENY");

  const auto missing = Get("/trace/000000000000000000000000000000ff");
  EXPECT_EQ(missing->status, 404);
  EXPECT_THAT(missing->body, HasSubstr("at most 2000 traces"));
  const auto index = Get("/");
  EXPECT_EQ(index->status, 200);
  EXPECT_THAT(index->body, HasSubstr(std::string("href=\"trace/") + kTraceOne));
}

TEST_F(ServerTest, HeadHasNoBody) {
  RawClient raw(server_->port());
  ASSERT_TRUE(raw.Send("HEAD /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
  const std::string answer = raw.ReadAll();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_TRUE(answer.ends_with("\r\n\r\n"));
}

TEST_F(ServerTest, CompressionIsGzipOnlyAndRangesAreIgnored) {
  const auto gzip = Get("/metrics", {{"Accept-Encoding", "br, gzip"}});
  EXPECT_EQ(gzip->get_header_value("Content-Encoding"), "gzip");
  EXPECT_EQ(Get("/metrics", {{"Accept-Encoding", "br"}})->get_header_value("Content-Encoding"), "");
  const auto range = Get("/metrics", {{"Range", "bytes=0-1,0-1,0-1"}});
  EXPECT_EQ(range->status, 200);
  EXPECT_EQ(range->body, "accept: */*\n");
}

TEST_F(ServerTest, GarbageIsA400AndHarmsNobody) {
  for (const std::string& garbage :
       {std::string("\x16\x03\x01\x02\r\n\r\n"), std::string("GET\r\n\r\n"), std::string("FOO / HTTP/1.1\r\n\r\n"),
        std::string("GET / HTTP/9.9\r\n\r\n"), std::string("GET /\0x HTTP/1.1\r\n\r\n", 20),
        std::string("GET /%zz%00%ff?%=&&=&a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")}) {
    RawClient raw(server_->port());
    ASSERT_TRUE(raw.Send(garbage));
    EXPECT_THAT(raw.ReadAnswer(), StartsWith("HTTP/1.1 4")) << garbage;
  }
  EXPECT_EQ(Get("/healthz")->status, 200);
}

TEST_F(ServerTest, AThrowingHookIsA500) {
  hooks_.status_json = []() -> std::string { throw std::runtime_error("secret"); };
  Server server(options_, hooks_);
  ASSERT_TRUE(server.Start());
  httplib::Client client("127.0.0.1", server.port());
  const auto result = client.Get("/api/v1/status");
  EXPECT_EQ(result->status, 500);
  EXPECT_THAT(result->body, Not(HasSubstr("secret")));
}

TEST_F(ServerTest, ASecondServerOnThePortIsRefused) {
  options_.port = server_->port();
  Server second(options_, hooks_);
  const auto started = second.Start();
  ASSERT_FALSE(started);
  EXPECT_THAT(started.error(), HasSubstr("Address already in use"));
  EXPECT_EQ(Get("/healthz")->status, 200);
}

TEST_F(ServerTest, RequestsAreCountedByHandler) {
  Get("/metrics");
  Get("/metrics");
  Get("/api/v1/traces/xyz");
  Get("/nothing/a");
  Get("/nothing/b");
  std::map<std::string, std::uint64_t> counts;
  for (const auto& r : server_->GetCounts().requests) counts[r.handler + " " + std::to_string(r.code)] = r.count;
  EXPECT_EQ(counts, (std::map<std::string, std::uint64_t>{
                        {"/metrics 200", 2}, {"/api/v1/traces/{id} 400", 1}, {"other 404", 2}}));
}

TEST_F(ServerTest, StopIsFastAndFinal) {
  Get("/healthz");  // a kept-alive connection stays behind
  server_->Stop();
  EXPECT_FALSE(RawClient(server_->port()).connected());
  server_->Stop();
}

TEST_F(ServerTest, ReadersWhileTheEngineWorks) {
  std::vector<std::thread> readers;
  for (const char* path : {"/api/v1/stats", "/api/v1/traces", "/", "/api/v1/alerts"}) {
    readers.emplace_back([this, path] {
      httplib::Client client("127.0.0.1", server_->port());
      for (int i = 0; i < 20; ++i) {
        const auto result = client.Get(path);
        ASSERT_TRUE(result);
        EXPECT_EQ(result->status, 200);
      }
    });
  }
  for (std::uint64_t i = 0; i < 300; ++i)
    driver_.Spans({{.trace = 10 + i, .id = 1}, {.trace = 10 + i, .id = 2, .parent = 1, .failed = true}});
  for (auto& reader : readers) reader.join();
}

}  // namespace
}  // namespace spanwatch::http
