// The HTTP client against real servers on loopback.
#include "sidecar/client/http_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <atomic>
#include <memory>
#include <thread>

namespace spanwatch::client {
namespace {

Options To(const std::string& origin) {
  Options options;
  options.origin = origin;
  return options;
}

Request Post(const std::string& body) {
  Request request;
  request.headers = {{"Content-Type", "application/json"}};
  request.body = body;
  return request;
}

// A server on loopback whose certificate nobody signed.
class SelfSigned {
 public:
  SelfSigned() {
    EVP_PKEY* key = EVP_RSA_gen(2048);
    X509* certificate = X509_new();
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>("localhost"), -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    X509_sign(certificate, key, EVP_sha256());
    server_ = std::make_unique<httplib::SSLServer>(certificate, key);
    X509_free(certificate);
    EVP_PKEY_free(key);
    server_->Post(".*", [this](const httplib::Request&, httplib::Response& response) {
      reached_ = true;
      response.status = 200;
    });
    port_ = server_->bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_->listen_after_bind(); });
    while (!server_->is_running()) std::this_thread::yield();
  }
  ~SelfSigned() {
    server_->stop();
    thread_.join();
  }
  int port() const { return port_; }
  bool reached() const { return reached_; }

 private:
  std::unique_ptr<httplib::SSLServer> server_;
  int port_ = 0;
  std::thread thread_;
  std::atomic<bool> reached_{false};
};

TEST(HttpClient, RefusesACertificateThatNobodySigned) {
  SelfSigned server;
  HttpClient client(To("https://localhost:" + std::to_string(server.port())));
  const Response reply = client.Send(Post("{}"));
  EXPECT_EQ(reply.status, 0);
  EXPECT_FALSE(reply.maybe_sent);
  EXPECT_THAT(reply.transport_error, testing::HasSubstr("certificate is not trusted"));
  EXPECT_FALSE(server.reached());
}

// A plain server on loopback that answers as `handler` says.
class Plain {
 public:
  explicit Plain(httplib::Server::Handler handler) {
    server_.Post(".*", handler);
    server_.Get(".*", handler);
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::yield();
  }
  ~Plain() {
    server_.stop();
    thread_.join();
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

 private:
  httplib::Server server_;
  int port_ = 0;
  std::thread thread_;
};

TEST(HttpClient, SendsMethodTargetHeadersAndBytes) {
  httplib::Request seen;
  Plain server([&](const httplib::Request& request, httplib::Response& response) {
    seen = request;
    response.status = 429;
    response.set_header("Retry-After", "7");
    response.set_content("busy", "text/plain");
  });
  HttpClient client(To(server.url()));
  Request request;
  request.target = "/v1/traces?x=1";
  request.headers = {{"Content-Type", "application/x-protobuf"}, {"Authorization", "Bearer a b"}};
  request.body = std::string("\0\1\xff", 3);
  const Response response = client.Send(request);
  EXPECT_EQ(response.status, 429);
  EXPECT_EQ(response.body, "busy");
  EXPECT_EQ(response.Header("retry-after"), "7");
  EXPECT_EQ(response.Header("Retry-Afte"), "");
  EXPECT_EQ(seen.method, "POST");
  EXPECT_EQ(seen.path, "/v1/traces");
  EXPECT_EQ(seen.get_param_value("x"), "1");
  EXPECT_EQ(seen.get_header_value("Content-Type"), "application/x-protobuf");
  EXPECT_EQ(seen.get_header_value("Authorization"), "Bearer a b");
  EXPECT_EQ(seen.body, request.body);
  request.method = "GET";
  request.body.clear();
  EXPECT_EQ(client.Send(request).status, 429);
  EXPECT_EQ(seen.method, "GET");
}

TEST(HttpClient, AnAnswerOverTheLimitIsAFailedExchange) {
  Plain server([](const httplib::Request&, httplib::Response& response) {
    response.set_content(std::string(5000, 'x'), "text/plain");
  });
  Options options = To(server.url());
  options.max_answer_bytes = 4000;
  HttpClient client(options);
  const Response response = client.Send(Post("{}"));
  EXPECT_EQ(response.status, 0);
  EXPECT_TRUE(response.maybe_sent);
  EXPECT_EQ(response.transport_error, "the exchange was ended by us");
}

TEST(HttpClient, AbortEndsALaterExchangeAtOnce) {
  HttpClient client(To("http://127.0.0.1:1"));
  EXPECT_THAT(client.Send(Post("{}")).transport_error, testing::HasSubstr("could not connect"));
  client.Abort();
  EXPECT_EQ(client.Send(Post("{}")).transport_error, "ended before sending");
}

}  // namespace
}  // namespace spanwatch::client
