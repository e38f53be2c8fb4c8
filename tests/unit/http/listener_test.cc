#include "sidecar/http/listener.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <stdexcept>
#include <vector>

#include "tests/unit/http/raw_client.h"

namespace spanwatch::http {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

Reply Ok(const std::string& body) {
  return {"HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body, false};
}

std::string FirstLine(const std::string& request) { return request.substr(0, request.find("\r\n")); }

class ListenerTest : public ::testing::Test {
 protected:
  void Start(
      ListenerOptions options = {},
      Listener::Handler handler = [](std::string request) { return Ok(FirstLine(request)); }) {
    listener_ = std::make_unique<Listener>(std::move(options), std::move(handler));
    const auto started = listener_->Start();
    ASSERT_TRUE(started) << started.error();
    ASSERT_GT(listener_->port(), 0);
  }
  int port() const { return listener_->port(); }
  std::unique_ptr<Listener> listener_;
};

TEST_F(ListenerTest, ManyRequestsOnOneConnectionAlsoAtOnce) {
  Start();
  RawClient client(port());
  ASSERT_TRUE(client.Send("GET /1 HTTP/1.1\r\n\r\n"));
  EXPECT_THAT(client.ReadAnswer(), HasSubstr("GET /1 HTTP/1.1"));
  ASSERT_TRUE(
      client.Send("GET /2 HTTP/1.1\r\n\r\n\r\nGET /3 HTTP/1.1\r\n\r\nPOST /4 HTTP/1.1\r\nContent-Length: 2\r\n\r\nab"));
  EXPECT_THAT(client.ReadAnswer(), HasSubstr("GET /2"));
  EXPECT_THAT(client.ReadAnswer(), HasSubstr("GET /3"));
  EXPECT_THAT(client.ReadAnswer(), HasSubstr("POST /4"));
  EXPECT_EQ(listener_->Counts().accepted, 1u);
}

TEST_F(ListenerTest, APortInUseIsAnErrorWithARemedy) {
  Start();
  ListenerOptions options;
  options.port = port();
  Listener second(options, [](std::string) { return Ok(""); });
  const auto started = second.Start();
  ASSERT_FALSE(started);
  EXPECT_THAT(started.error(),
              HasSubstr("cannot listen on 127.0.0.1:" + std::to_string(port()) + ": Address already in use"));
  EXPECT_THAT(started.error(), HasSubstr("set http.listen to another port"));
}

TEST_F(ListenerTest, BadAddressesAreErrors) {
  ListenerOptions options;
  options.host = "192.0.2.1";  // a documentation address: never ours
  EXPECT_THAT(Listener(options, nullptr).Start().error(), HasSubstr("No interface of this machine has this address"));
  options.host = "not an address";
  EXPECT_THAT(Listener(options, nullptr).Start().error(), HasSubstr("http.listen"));
}

TEST_F(ListenerTest, ASlowClientIsEndedAndHoldsNobody) {
  ListenerOptions options;
  options.head_timeout_ms = 50;
  options.workers = 1;
  Start(options);
  std::vector<std::unique_ptr<RawClient>> slow;
  for (int i = 0; i < 50; ++i) {
    slow.push_back(std::make_unique<RawClient>(port()));
    ASSERT_TRUE(slow.back()->Send("GET / HT"));
  }
  RawClient quick(port());
  ASSERT_TRUE(quick.Send("GET /quick HTTP/1.1\r\n\r\n"));
  EXPECT_THAT(quick.ReadAnswer(), HasSubstr("/quick"));
  for (auto& client : slow) EXPECT_THAT(client->ReadAll(), StartsWith("HTTP/1.1 408 "));
  EXPECT_EQ(listener_->Counts().timed_out, 50u);
}

TEST_F(ListenerTest, AnIdleConnectionIsClosedSilently) {
  ListenerOptions options;
  options.head_timeout_ms = 200;
  options.idle_timeout_ms = 20;
  Start(options);
  RawClient once(port());
  ASSERT_TRUE(once.Send("GET / HTTP/1.1\r\n\r\n"));
  const std::string answer = once.ReadAll();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 "));
  EXPECT_EQ(answer.find("408"), std::string::npos);
  EXPECT_EQ(RawClient(port()).ReadAll(), "");
}

TEST_F(ListenerTest, LimitsAreAnsweredAndCounted) {
  ListenerOptions options;
  options.max_body_bytes = 10;
  Start(options);
  const auto ask = [&](const std::string& request) {
    RawClient client(port());
    EXPECT_TRUE(client.Send(request));
    return client.ReadAll();
  };
  EXPECT_THAT(ask("GET /" + std::string(9000, 'x')), StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(ask("POST / HTTP/1.1\r\nContent-Length: 11\r\n\r\n"), StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(ask("POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(ask("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"), StartsWith("HTTP/1.1 411 "));
  const ListenerCounts counts = listener_->Counts();
  EXPECT_EQ(counts.head_too_large, 1u);
  EXPECT_EQ(counts.body_too_large, 1u);
  EXPECT_EQ(counts.bad_request, 2u);
}

TEST_F(ListenerTest, WhenFullTheOldestIncompleteGoes) {
  ListenerOptions options;
  options.max_connections = 2;
  Start(options);
  RawClient first(port()), second(port());
  ASSERT_TRUE(first.Send("GET /1 HTTP/1.1\r\n\r\n"));
  first.ReadAnswer();
  ASSERT_TRUE(second.Send("GET /2 HTTP/1.1\r\n\r\n"));
  second.ReadAnswer();
  ASSERT_TRUE(first.Send("GET /1 HTTP/1.1\r\n\r\n"));
  first.ReadAnswer();  // now the second is the one idle for longest
  RawClient third(port());
  ASSERT_TRUE(third.Send("GET /3 HTTP/1.1\r\n\r\n"));
  EXPECT_THAT(third.ReadAnswer(), HasSubstr("/3"));
  EXPECT_EQ(second.ReadAll(), "");
  EXPECT_EQ(listener_->Counts().full, 1u);
  EXPECT_EQ(listener_->Counts().connections, 2u);
}

TEST_F(ListenerTest, UrgentRequestsPassBusyWorkers) {
  ListenerOptions options;
  options.workers = 1;
  options.urgent_workers = 1;
  options.urgent = [](std::string_view target) { return target == "/metrics"; };
  std::promise<void> gate;
  Start(options, [open = gate.get_future().share()](std::string request) {
    if (request.find("/slow") != std::string::npos) open.wait();
    return Ok(FirstLine(request));
  });
  RawClient slow(port()), urgent(port());
  ASSERT_TRUE(slow.Send("GET /slow HTTP/1.1\r\n\r\n"));
  ASSERT_TRUE(urgent.Send("GET /metrics HTTP/1.1\r\n\r\n"));
  EXPECT_THAT(urgent.ReadAnswer(), HasSubstr("/metrics"));
  gate.set_value();
  EXPECT_THAT(slow.ReadAnswer(), HasSubstr("/slow"));
}

TEST_F(ListenerTest, AThrowingHandlerIsA500) {
  Start({}, [](std::string) -> Reply { throw std::runtime_error("secret"); });
  RawClient client(port());
  ASSERT_TRUE(client.Send("GET / HTTP/1.1\r\n\r\n"));
  const std::string answer = client.ReadAll();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 500 "));
  EXPECT_EQ(answer.find("secret"), std::string::npos);
}

TEST_F(ListenerTest, LargeAnswersReachASlowReaderAndBuffersAreBounded) {
  ListenerOptions options;
  options.max_buffered_bytes = 1 << 20;
  const std::string body(20 << 20, 'x');
  Start(options, [&](std::string) { return Ok(body); });
  RawClient reader(port());
  ASSERT_TRUE(reader.Send("GET / HTTP/1.1\r\n\r\n"));
  char first;
  ASSERT_EQ(recv(reader.fd(), &first, 1, 0), 1);  // the answer is on its way, most of it still buffered
  RawClient other(port());
  ASSERT_TRUE(other.Send("GET / HTTP/1.1\r\n\r\n"));
  EXPECT_THAT(other.ReadAll(), StartsWith("HTTP/1.1 503 "));
  EXPECT_EQ(listener_->Counts().buffers_full, 1u);
  EXPECT_GT(reader.ReadAnswer().size(), body.size());
}

TEST_F(ListenerTest, StopLetsARunningRequestEnd) {
  std::promise<void> gate, running;
  Start({}, [&, open = gate.get_future().share()](std::string) {
    running.set_value();
    open.wait();
    return Ok("done");
  });
  RawClient client(port()), idle(port());
  ASSERT_TRUE(client.Send("GET / HTTP/1.1\r\n\r\n"));
  running.get_future().wait();
  auto stopped = std::async(std::launch::async, [&] { listener_->Stop(); });
  EXPECT_EQ(idle.ReadAll(), "");  // idle connections are closed at once: the stop has begun
  gate.set_value();
  EXPECT_THAT(client.ReadAll(), HasSubstr("done"));
  stopped.wait();
  EXPECT_FALSE(RawClient(port()).connected());
}

}  // namespace
}  // namespace spanwatch::http
