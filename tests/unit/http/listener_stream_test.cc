// Answers that are streams: framing, the client's pace, waking, limits, the end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <stdexcept>
#include <vector>

#include "sidecar/core/mutex.h"
#include "sidecar/http/listener.h"
#include "sidecar/http/message.h"
#include "tests/unit/http/raw_client.h"

namespace spanwatch::http {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using State = BodyStream::State;

class Pieces : public BodyStream {
 public:
  using Make = std::function<State(int call, std::string* out)>;
  explicit Pieces(Make make) : make_(std::move(make)) {}
  State Next(std::string* out) override { return make_(calls_++, out); }
  void SetWaker(std::function<void()> wake) override { wake_ = std::move(wake); }
  void Wake() { wake_(); }
  int calls() const { return calls_; }

 private:
  const Make make_;
  std::function<void()> wake_;
  std::atomic<int> calls_{0};
};

Reply Stream(std::shared_ptr<BodyStream> stream, bool chunked = true) {
  AnswerParts parts;
  parts.streamed = true;
  parts.chunked = chunked;
  return {AnswerBytes(parts), !chunked, std::move(stream), chunked};
}

class ListenerStreamTest : public ::testing::Test {
 protected:
  void Start(Listener::Handler handler, ListenerOptions options = {}) {
    listener_ = std::make_unique<Listener>(std::move(options), std::move(handler));
    const auto started = listener_->Start();
    ASSERT_TRUE(started) << started.error();
  }
  void StartWith(Pieces::Make make, bool chunked = true, const ListenerOptions& options = {}) {
    Start([make, chunked](std::string) { return Stream(std::make_shared<Pieces>(make), chunked); }, options);
  }
  std::string Ask(const std::string& request = "GET / HTTP/1.1\r\n\r\n") {
    RawClient client(listener_->port());
    EXPECT_TRUE(client.Send(request));
    shutdown(client.fd(), SHUT_WR);
    return client.ReadAll();
  }
  std::unique_ptr<Listener> listener_;
};

// Reads until `text` came; all that came.
std::string ReadUntil(const RawClient& client, const std::string& text) {
  std::string all;
  char buffer[65536];
  for (std::size_t from = 0; all.find(text, from) == std::string::npos;) {
    from = all.size() < text.size() ? 0 : all.size() - text.size();
    const auto size = recv(client.fd(), buffer, sizeof buffer, 0);
    if (size <= 0) return all + "<end>";
    all.append(buffer, static_cast<std::size_t>(size));
  }
  return all;
}

State ThreePieces(int call, std::string* out) {
  if (call == 1) return State::kMore;  // nothing: no chunk, which would be the end
  *out += "piece" + std::to_string(call);
  return call == 2 ? State::kEnd : State::kMore;
}

TEST_F(ListenerStreamTest, PiecesAreChunksAndTheConnectionGoesOn) {
  Start([](std::string request) {
    Reply reply = Stream(std::make_shared<Pieces>(ThreePieces));
    reply.close = request.starts_with("GET /2");
    return reply;
  });
  RawClient client(listener_->port());
  ASSERT_TRUE(client.Send("GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n"));  // two at once
  const std::string answer =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\npiece0\r\n6\r\npiece2\r\n0\r\n\r\n";
  EXPECT_EQ(client.ReadAll(), answer + answer);
}

TEST_F(ListenerStreamTest, WithoutChunksTheConnectionsEndIsTheEnd) {
  StartWith(ThreePieces, false);
  EXPECT_THAT(Ask(), EndsWith("\r\n\r\npiece0piece2"));
}

TEST_F(ListenerStreamTest, AnExceptionCutsTheBody) {
  StartWith([](int call, std::string* out) {
    if (call == 1) throw std::runtime_error("secret");
    *out += "begin";
    return State::kMore;
  });
  EXPECT_THAT(Ask(), EndsWith("5\r\nbegin\r\n"));
}

TEST_F(ListenerStreamTest, AnExceptionResetsWhereNothingElseTellsTheCut) {
  StartWith(
      [](int call, std::string*) -> State {
        if (call == 0) return State::kMore;
        throw std::runtime_error("secret");
      },
      false);
  RawClient client(listener_->port());
  ASSERT_TRUE(client.Send("GET / HTTP/1.0\r\n\r\n"));
  client.ReadAll();
  EXPECT_EQ(errno, ECONNRESET);
}

TEST_F(ListenerStreamTest, ASlowClientHoldsOnePieceAndNoWorker) {
  std::atomic<int> pieces{0};
  ListenerOptions options;
  options.workers = 1;
  constexpr int kPieces = 400;  // 25 MiB: far more than the sockets hold
  Start(
      [&](std::string request) -> Reply {
        if (request.starts_with("GET /quick"))
          return {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, {}, false};
        return Stream(std::make_shared<Pieces>([&](int call, std::string* out) {
          ++pieces;
          out->append(65536, 'x');
          return call + 1 == kPieces ? State::kEnd : State::kMore;
        }));
      },
      options);
  RawClient slow(listener_->port());
  ASSERT_TRUE(slow.Send("GET /slow HTTP/1.1\r\nConnection: close\r\n\r\n"));
  ASSERT_THAT(ReadUntil(slow, "xx"), StartsWith("HTTP/1.1 200"));
  for (int i = 0; i < 20; ++i) {
    RawClient quick(listener_->port());
    ASSERT_TRUE(quick.Send("GET /quick HTTP/1.1\r\n\r\n"));
    ASSERT_THAT(quick.ReadAnswer(), StartsWith("HTTP/1.1 200"));
  }
  EXPECT_EQ(listener_->Counts().streams, 1u);
  EXPECT_LT(pieces, kPieces / 2);
  EXPECT_THAT(ReadUntil(slow, "\r\n0\r\n\r\n"), EndsWith("\r\n0\r\n\r\n"));
  EXPECT_EQ(pieces, kPieces);
}

TEST_F(ListenerStreamTest, OneThatTakesNothingIsClosed) {
  ListenerOptions options;
  options.write_timeout_ms = 50;
  std::promise<void> gone;
  struct Endless : BodyStream {
    explicit Endless(std::promise<void>* gone) : gone_(gone) {}
    ~Endless() override { gone_->set_value(); }
    State Next(std::string* out) override {
      out->append(65536, 'x');
      return State::kMore;
    }
    std::promise<void>* gone_;
  };
  Start([&](std::string) { return Stream(std::make_shared<Endless>(&gone)); }, options);
  RawClient stuck(listener_->port());
  ASSERT_TRUE(stuck.Send("GET / HTTP/1.1\r\n\r\n"));
  EXPECT_EQ(gone.get_future().wait_for(std::chrono::seconds(30)), std::future_status::ready);
  listener_->Stop();
  EXPECT_EQ(listener_->Counts().timed_out, 1u);
  EXPECT_EQ(listener_->Counts().streams, 0u);
}

// A stream that says what it is told to say.
struct Told : BodyStream {
  void Say(const std::string& text) {
    std::function<void()> wake;
    {
      MutexLock lock(&mutex);
      next += text;
      wake = waker;
    }
    if (wake) wake();
  }
  void SetWaker(std::function<void()> wake) override {
    MutexLock lock(&mutex);
    waker = std::move(wake);
  }
  State Next(std::string* out) override {
    MutexLock lock(&mutex);
    *out += std::exchange(next, {});
    return State::kWait;
  }
  Mutex mutex;
  std::string next GUARDED_BY(mutex);
  std::function<void()> waker GUARDED_BY(mutex);
};

TEST_F(ListenerStreamTest, AWaitingStreamIsWokenAndEndsWithItsClientOrWithUs) {
  const auto told = std::make_shared<Told>();
  std::promise<void> second_came;
  int asked = 0;
  ListenerOptions options;
  options.workers = 1;
  Start(
      [&](std::string) {
        if (++asked == 2) second_came.set_value();
        return Stream(asked == 1 ? told : std::make_shared<Told>());
      },
      options);
  auto first = std::make_unique<RawClient>(listener_->port());
  ASSERT_TRUE(first->Send("GET / HTTP/1.1\r\n\r\n"));
  for (int i = 0; i < 50; ++i) {
    const std::string text = "event" + std::to_string(i) + ";";
    told->Say(text);
    ASSERT_THAT(ReadUntil(*first, text), HasSubstr(text));
  }
  const std::weak_ptr<Told> watched = told;
  RawClient second(listener_->port());
  ASSERT_TRUE(second.Send("GET / HTTP/1.1\r\n\r\n"));
  second_came.get_future().wait();
  first.reset();
  listener_->Stop();  // at once, though the second waits
  EXPECT_THAT(second.ReadAll(), Not(EndsWith("0\r\n\r\n")));
  EXPECT_EQ(listener_->Counts().connections, 0u);
  told->Say("to nobody");
}

TEST_F(ListenerStreamTest, AClientThatLeavesAWaitingStreamIsNoticed) {
  std::promise<void> gone;
  struct Waiting : BodyStream {
    explicit Waiting(std::promise<void>* gone) : gone_(gone) {}
    ~Waiting() override { gone_->set_value(); }
    State Next(std::string*) override { return State::kWait; }
    std::promise<void>* gone_;
  };
  Start([&](std::string) { return Stream(std::make_shared<Waiting>(&gone)); });
  auto client = std::make_unique<RawClient>(listener_->port());
  ASSERT_TRUE(client->Send("GET / HTTP/1.1\r\n\r\n"));
  ASSERT_THAT(ReadUntil(*client, "\r\n\r\n"), StartsWith("HTTP/1.1 200"));
  client.reset();
  EXPECT_EQ(gone.get_future().wait_for(std::chrono::seconds(30)), std::future_status::ready);
}

TEST_F(ListenerStreamTest, TooManyAreRefusedAndAllOthersServed) {
  ListenerOptions options;
  options.max_streams = 2;
  options.max_connections = 4;
  Start(
      [](std::string request) -> Reply {
        if (request.starts_with("GET /plain"))
          return {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, {}, false};
        return Stream(std::make_shared<Pieces>([](int call, std::string* out) {
          if (call == 0) *out += "hello";
          return State::kWait;
        }));
      },
      options);
  RawClient first(listener_->port()), second(listener_->port());
  for (RawClient* client : {&first, &second}) {
    ASSERT_TRUE(client->Send("GET / HTTP/1.1\r\n\r\n"));
    ASSERT_THAT(ReadUntil(*client, "hello"), HasSubstr("hello"));
  }
  EXPECT_THAT(Ask(), StartsWith("HTTP/1.1 503 "));
  EXPECT_EQ(listener_->Counts().streams_full, 1u);
  std::vector<std::unique_ptr<RawClient>> others;
  for (int i = 0; i < 6; ++i) {  // more than there is room for: the streams are not what has to go
    others.push_back(std::make_unique<RawClient>(listener_->port()));
    ASSERT_TRUE(others.back()->Send("GET /plain HTTP/1.1\r\n\r\n"));
    ASSERT_THAT(others.back()->ReadAnswer(), StartsWith("HTTP/1.1 200"));
  }
  EXPECT_EQ(listener_->Counts().streams, 2u);
}

}  // namespace
}  // namespace spanwatch::http
