#include "sidecar/http/otlp_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <new>

#include "tests/unit/http/raw_client.h"

namespace spanwatch::http {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kHead[] = "POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";

class OtlpServerTest : public ::testing::Test {
 protected:
  void SetUp() override { Start({}); }

  void Start(OtlpOptions options) {
    options.port = 0;
    server_ = std::make_unique<OtlpServer>(
        options, OtlpHandler{[](OtlpRequest request) {
                               if (request.path == "/throw") throw std::bad_alloc();
                               return OtlpAnswer{200,
                                                 "text/plain",
                                                 request.method + "|" + request.content_type + "|" +
                                                     request.content_encoding + "|" + request.body,
                                                 {{"X-Path", request.path}}};
                             },
                             [](std::string_view type, int status, const std::string& message) {
                               return OtlpAnswer{status, std::string(type), message, {}};
                             }});
    const auto started = server_->Start();
    ASSERT_TRUE(started) << started.error();
  }

  std::string Ask(std::string_view request) {
    RawClient client(server_->port());
    EXPECT_TRUE(client.Send(request));
    return client.ReadAnswer();
  }

  std::unique_ptr<OtlpServer> server_;
};

TEST_F(OtlpServerTest, ContentLength) {
  const std::string answer = Ask(std::string(kHead) + "Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("X-Path: /v1/traces\r\n"));
  EXPECT_THAT(answer, HasSubstr("POST|application/json|gzip|hello"));
}

TEST_F(OtlpServerTest, ChunkedAndTheNextRequestBehindIt) {
  RawClient client(server_->port());
  const std::string chunked = std::string(kHead) + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
  ASSERT_TRUE(client.Send(chunked + chunked + kHead + "Content-Length: 1\r\n\r\nx"));
  EXPECT_THAT(client.ReadAnswer(), HasSubstr("|abcde"));
  EXPECT_THAT(client.ReadAnswer(), HasSubstr("|abcde"));
  EXPECT_THAT(client.ReadAnswer(), HasSubstr("|x"));
  for (const char c : chunked) ASSERT_TRUE(client.Send({&c, 1}));
  EXPECT_THAT(client.ReadAnswer(), HasSubstr("|abcde"));
}

TEST_F(OtlpServerTest, LargeBodies) {
  std::string body;
  while (body.size() < 8u << 20) body += "0123456789abcdef\r\n";
  EXPECT_THAT(Ask(std::string(kHead) + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body),
              ::testing::EndsWith("|" + body));
  std::string chunked;
  for (std::size_t at = 0; at < body.size(); at += 1000) {
    const std::string chunk = body.substr(at, 1000);
    char size[20];
    std::snprintf(size, sizeof size, "%zX\r\n", chunk.size());
    chunked += size + chunk + "\r\n";
  }
  EXPECT_THAT(Ask(std::string(kHead) + "Transfer-Encoding: chunked\r\n\r\n" + chunked + "0\r\n\r\n"),
              ::testing::EndsWith("|" + body));
}

TEST_F(OtlpServerTest, ExpectContinue) {
  RawClient client(server_->port());
  ASSERT_TRUE(client.Send(std::string(kHead) + "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"));
  std::string line(25, '\0');
  ASSERT_EQ(recv(client.fd(), line.data(), line.size(), MSG_WAITALL), 25);
  EXPECT_EQ(line, "HTTP/1.1 100 Continue\r\n\r\n");
  ASSERT_TRUE(client.Send("hi"));
  EXPECT_THAT(client.ReadAnswer(), StartsWith("HTTP/1.1 200"));
}

TEST_F(OtlpServerTest, RefusalsSpeakTheEncodingOfTheRequest) {
  OtlpOptions options;
  options.max_body_bytes = 100;
  Start(options);
  for (const std::string body : {"Content-Length: 101\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n65\r\n"}) {
    const std::string answer = Ask(kHead + body);
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 413 Payload Too Large\r\n"));
    EXPECT_THAT(answer, HasSubstr("Content-Type: application/json\r\n"));
    EXPECT_THAT(answer, HasSubstr("Connection: close"));
  }
  EXPECT_THAT(Ask(std::string(kHead) + "Content-Length: x\r\n\r\n"), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(Ask(std::string(kHead) + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
              StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(Ask(std::string(kHead) + "Transfer-Encoding: gzip, chunked\r\n\r\n"), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(Ask(std::string(kHead) + "Transfer-Encoding: chunked\r\n\r\nzz\r\n"), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(Ask("nonsense\r\n\r\n"), StartsWith("HTTP/1.1 400"));
}

TEST_F(OtlpServerTest, HostAndOrigin) {
  EXPECT_THAT(Ask("POST /v1/traces HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 0\r\n\r\n"),
              StartsWith("HTTP/1.1 403"));
  EXPECT_THAT(
      Ask("POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\nContent-Length: 0\r\n\r\n"),
      StartsWith("HTTP/1.1 403"));
  OtlpOptions options;
  options.allowed_hosts = {"spanwatch"};
  Start(options);
  EXPECT_THAT(Ask("POST /v1/traces HTTP/1.1\r\nHost: spanwatch:4318\r\nContent-Length: 0\r\n\r\n"),
              StartsWith("HTTP/1.1 200"));
}

TEST_F(OtlpServerTest, NoMemoryIs503AndHeadHasNoBody) {
  EXPECT_THAT(Ask("POST /throw HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"), StartsWith("HTTP/1.1 503"));
  RawClient client(server_->port());
  ASSERT_TRUE(client.Send("HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
  EXPECT_THAT(client.ReadAll(), ::testing::EndsWith("\r\n\r\n"));
}

TEST_F(OtlpServerTest, BytesHeldForSlowClientsAreBounded) {
  OtlpOptions options;
  options.max_body_bytes = 1u << 20;
  Start(options);
  const std::string half(512u << 10, 'x');
  std::vector<std::unique_ptr<RawClient>> slow;
  for (int i = 0; i < 12; ++i) {
    slow.push_back(std::make_unique<RawClient>(server_->port()));
    slow.back()->Send(std::string(kHead) + "Content-Length: 1048576\r\n\r\n");
    slow.back()->Send(half);  // the server may have closed it meanwhile
  }
  // All but about two have been sent away, whoever asks after them is answered.
  int refused = 0;
  for (auto& client : slow) {
    shutdown(client->fd(), SHUT_WR);
    refused += client->ReadAll().starts_with("HTTP/1.1 503") ? 1 : 0;
  }
  EXPECT_GE(refused, 6);
  EXPECT_GE(server_->Counts().buffers_full, 6u);
  EXPECT_THAT(Ask(std::string(kHead) + "Content-Length: 2\r\n\r\nhi"), StartsWith("HTTP/1.1 200"));
}

TEST_F(OtlpServerTest, APortInUseIsAnErrorWithARemedy) {
  OtlpOptions options;
  options.port = server_->port();
  const auto started = OtlpServer(options, {}).Start();
  ASSERT_FALSE(started);
  EXPECT_THAT(started.error(), HasSubstr("set otlp.listen to another port"));
}

}  // namespace
}  // namespace spanwatch::http
