// The ingest thread with the real engine, over real sockets.
#include "sidecar/ingest/ingest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/ingest/otlp_builder.h"
#include "tests/unit/ingest/temp_dir.h"
#include "tests/unit/ingest/wire_client.h"

namespace spanwatch::ingest {
namespace {

using core::AnswerKind;
using core::EnvelopeKind;
using ::testing::HasSubstr;
using testing::WireClient;
using testing::WireProcess;

constexpr std::int64_t kSecond = 1'000'000'000;

bool ParseReload(std::string_view bytes, core::Decoded* out) {
  if (bytes.substr(0, 4) != "slow") return false;
  auto limits = std::make_shared<core::Limits>();
  limits->slow_warning_ns = std::stoll(std::string(bytes.substr(4)));
  out->limits = limits;
  out->rules = std::make_shared<core::RuleSet>();
  return true;
}

class IngestTest : public ::testing::Test {
 protected:
  Options BaseOptions() const {
    Options options;
    options.endpoints = {endpoint_};
    options.parse_reload = ParseReload;
    return options;
  }
  void Start(Options options) {
    ingest_ = std::make_unique<Ingest>(std::move(options), &engine_);
    const auto result = ingest_->Start();
    ASSERT_TRUE(result) << result.error();
  }
  void Start() { Start(BaseOptions()); }

  static std::string Payload(std::size_t spans) {
    std::vector<std::string> encoded;
    for (std::size_t i = 0; i < spans; ++i) {
      testing::SpanSpec spec;
      spec.span_id = "span" + std::to_string(1000 + i);
      encoded.push_back(spec.Encode());
    }
    return testing::TracesData("bot", encoded);
  }
  std::uint64_t Malformed(const std::string& reason) const {
    for (const core::ReasonCount& entry : engine_.Stats().malformed_messages) {
      if (entry.name == reason) return entry.count;
    }
    return 0;
  }

  const TempDir dir_;
  const std::string endpoint_ = "ipc://" + dir_.path("s");
  core::Engine engine_{core::Limits{}, std::make_shared<core::RuleSet>()};
  std::unique_ptr<Ingest> ingest_;
};

TEST_F(IngestTest, AnswersHelloSpansHeartbeatAndGoodbye) {
  Options options = BaseOptions();
  options.limits.sample_rate = 0.5;
  Start(options);
  EXPECT_THAT(ingest_->BoundEndpoints(), ::testing::ElementsAre(endpoint_));
  WireProcess process(endpoint_, 1);
  const auto welcome = process.Hello();
  ASSERT_TRUE(welcome);
  EXPECT_TRUE(welcome->has_settings);
  EXPECT_EQ(welcome->settings.sample_rate, 0.5);
  EXPECT_EQ(welcome->settings.slow_threshold_ns, 1'000'000'000u);

  const auto ack = process.Spans(3, Payload(3));
  ASSERT_TRUE(ack);
  EXPECT_EQ(ack->applied, 1u);
  EXPECT_FALSE(ack->has_settings);
  EXPECT_EQ(engine_.Stats().spans_applied, 3u) << "acknowledged means applied";

  process.client().Send(process.Envelope(EnvelopeKind::kHeartbeat));
  EXPECT_TRUE(process.client().ReceiveUntil(AnswerKind::kAck));
  process.client().Send(process.Envelope(EnvelopeKind::kGoodbye));
  EXPECT_TRUE(process.client().ReceiveUntil(AnswerKind::kAck));
  process.client().Send(process.Envelope(EnvelopeKind::kHeartbeat));
  EXPECT_TRUE(process.client().ReceiveUntil(AnswerKind::kClosed));
  ingest_->Stop(kSecond);
  EXPECT_EQ(ingest_->GetStatus().messages, 5u);
  EXPECT_EQ(ingest_->GetStatus().answers_dropped, 0u);
}

TEST_F(IngestTest, AcknowledgesManyBatchesInFewAnswers) {
  Start();
  WireProcess process(endpoint_, 1);
  ASSERT_TRUE(process.Hello());
  constexpr std::uint64_t kBatches = 2000;
  core::EnvelopeView envelope = process.Envelope(EnvelopeKind::kSpans);
  const std::string payload = Payload(1);
  for (envelope.sequence = 1; envelope.sequence <= kBatches; ++envelope.sequence) {
    envelope.span_count = 1;
    envelope.batched_before = envelope.sequence - 1;
    envelope.oldest_held = 1;
    ASSERT_TRUE(process.client().Send(envelope, payload));
  }
  const auto last = process.client().ReceiveUntil(AnswerKind::kAck, kBatches);
  ASSERT_TRUE(last);
  EXPECT_EQ(last->applied, kBatches);
  ingest_->Stop(kSecond);
  EXPECT_LT(ingest_->GetStatus().answers_sent, kBatches / 2);
  EXPECT_EQ(engine_.Stats().processes.at(0).applied, kBatches);
}

TEST_F(IngestTest, HostileFramesAreCountedAndHarmNobodyElse) {
  Options options = BaseOptions();
  options.max_message_bytes = 100'000;
  Start(options);
  WireProcess good(endpoint_, 1);
  ASSERT_TRUE(good.Hello());
  const auto still_served = [&] { return good.Spans(2, Payload(2)).has_value(); };

  WireClient hostile(endpoint_);
  std::mt19937 random(7);
  const auto garbage = [&](std::size_t size) {
    std::string bytes(size, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    return bytes;
  };
  core::EnvelopeView hello;
  hello.process_id.fill(9);
  const std::string envelope = EncodeEnvelope(hello);
  hostile.SendFrames({envelope});
  hostile.SendFrames({envelope, "", ""});
  hostile.SendFrames(std::vector<std::string>(50, "x"));
  hostile.SendFrames({envelope, std::string(150'000, 'x')});
  hostile.SendFrames({"", ""});
  hostile.SendFrames({"\xFF", ""});
  hostile.SendFrames({EncodeEnvelope(good.Envelope(EnvelopeKind::kHeartbeat)), ""});  // another's process id
  for (int i = 0; i < 500; ++i) hostile.SendFrames({garbage(random() % 100), garbage(random() % 2000)});
  hello.kind = EnvelopeKind::kSpans;
  hello.sequence = 1;
  hello.span_count = 3;
  hostile.Send(hello, "\xFF");
  // Answered in order: when this one has its answer, those before were judged.
  hello.kind = EnvelopeKind::kHello;
  hostile.Send(hello);
  ASSERT_TRUE(hostile.ReceiveUntil(AnswerKind::kWelcome));
  EXPECT_TRUE(still_served());

  EXPECT_EQ(Malformed("bad_frames"), 3u);
  EXPECT_EQ(Malformed("too_large"), 1u);
  EXPECT_GE(Malformed("bad_version"), 1u);
  EXPECT_GE(Malformed("bad_envelope"), 1u);

  // Beyond twice the limit libzmq itself cuts the connection; it comes back by itself.
  hostile.SendFrames({envelope, std::string(1'000'000, 'x')});
  EXPECT_TRUE(still_served());
  EXPECT_EQ(engine_.Stats().processes.at(0).applied, 4u);
}

TEST_F(IngestTest, ARoutingIdCannotBeTakenOver) {
  Start();
  WireClient owner(endpoint_, "same-id");
  core::EnvelopeView hello;
  hello.process_id.fill(1);
  owner.Send(hello);
  ASSERT_TRUE(owner.ReceiveUntil(AnswerKind::kWelcome));
  WireClient thief(endpoint_, "same-id");
  hello.process_id.fill(2);
  thief.Send(hello);
  WireProcess other(endpoint_, 3);  // by the time this is served, the thief was refused
  ASSERT_TRUE(other.Hello());
  hello.process_id.fill(1);
  owner.Send(hello);
  EXPECT_TRUE(owner.ReceiveUntil(AnswerKind::kWelcome));
  EXPECT_FALSE(thief.Receive(50));
}

TEST_F(IngestTest, SecondSidecarOnTheSameSocketIsRefused) {
  Start();
  core::Engine other_engine{core::Limits{}, std::make_shared<core::RuleSet>()};
  Ingest other(BaseOptions(), &other_engine);
  const auto result = other.Start();
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error(), HasSubstr("another sidecar is running on this socket"));
  EXPECT_THAT(result.error(), HasSubstr(endpoint_));
  WireProcess process(endpoint_, 1);
  EXPECT_TRUE(process.Hello()) << "the first still has its socket";
  ingest_->Stop(kSecond);
  EXPECT_FALSE(std::filesystem::exists(dir_.path("s"))) << "clients look for the file";
}

TEST_F(IngestTest, SocketModeAndStaleFiles) {
  // What a killed sidecar leaves behind: a socket nobody listens on and a lock nobody holds.
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  dir_.path("s").copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ::close(fd);
  std::ofstream(dir_.path("s.lock")) << "";
  Start();
  struct stat info {};
  ASSERT_EQ(::stat(dir_.path("s").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0660u);
  ingest_ = nullptr;
  Start();
  WireProcess process(endpoint_, 1);
  EXPECT_TRUE(process.Hello());
}

TEST_F(IngestTest, PathsThatCannotBeUsed) {
  std::ofstream(dir_.path("file")) << "data";
  const struct {
    std::string endpoint;
    const char* says;
  } cases[] = {
      {"ipc://" + dir_.path("missing/s"), "No such file or directory; make its directory writable"},
      {"ipc://" + dir_.path("file/s"), "Not a directory"},
      {"ipc://" + dir_.path("file"), "is not a socket"},
      {"ipc://" + dir_.path(std::string(120, 'x')), "107"},
      {"tcp://0.0.0.0:0", "loopback only"},
  };
  for (const auto& test_case : cases) {
    Options options = BaseOptions();
    options.endpoints = {test_case.endpoint};
    const auto result = Ingest(options, &engine_).Start();
    ASSERT_FALSE(result) << test_case.endpoint;
    EXPECT_THAT(result.error(), HasSubstr(test_case.says));
  }
}

TEST_F(IngestTest, SeveralEndpointsAndTcp) {
  Options options = BaseOptions();
  options.endpoints.push_back("tcp://127.0.0.1:*");
  Start(options);
  const auto bound = ingest_->BoundEndpoints();
  ASSERT_EQ(bound.size(), 2u);
  WireProcess over_ipc(bound[0], 1), over_tcp(bound[1], 2);
  EXPECT_TRUE(over_ipc.Hello());
  EXPECT_TRUE(over_tcp.Hello());

  core::Engine other_engine{core::Limits{}, std::make_shared<core::RuleSet>()};
  options.endpoints = {bound[1]};
  const auto result = Ingest(options, &other_engine).Start();
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error(), HasSubstr("Address already in use"));
}

TEST_F(IngestTest, ReloadsAndOtlpBodiesAreAppliedWhenSubmitReturns) {
  Options options = BaseOptions();
  options.first_reload = "slow2000";
  Start(options);
  WireProcess process(endpoint_, 1);
  EXPECT_EQ(process.Hello()->settings.slow_threshold_ns, 2000u);
  EXPECT_TRUE(ingest_->Submit(core::RecordKind::kOtlp, Payload(5)));
  EXPECT_EQ(engine_.Stats().spans_applied, 5u);
  EXPECT_TRUE(ingest_->Submit(core::RecordKind::kReload, "slow3000"));
  const auto ack = process.Spans(1, Payload(1));
  ASSERT_TRUE(ack);
  EXPECT_TRUE(ack->has_settings) << "settings go out with the first ACK after a change";
  EXPECT_EQ(ack->settings.slow_threshold_ns, 3000u);
  EXPECT_FALSE(process.Spans(1, Payload(1))->has_settings);

  EXPECT_FALSE(ingest_->Submit(core::RecordKind::kReload, "nonsense"));
  EXPECT_FALSE(ingest_->Submit(core::RecordKind::kMessage, "x"));
  EXPECT_FALSE(ingest_->Submit(core::RecordKind::kOtlp, std::string(5u << 20, 'x')));
  EXPECT_EQ(ingest_->GetStatus().submits_refused, 1u);
  ingest_->Stop(kSecond);
  EXPECT_FALSE(ingest_->Submit(core::RecordKind::kOtlp, Payload(1)));
}

TEST_F(IngestTest, ARecordingFoldsToTheSameState) {
  Options options = BaseOptions();
  options.first_reload = "slow2000";
  options.record_path = dir_.path("recording");
  Start(options);
  WireProcess a(endpoint_, 1), b(endpoint_, 2);
  ASSERT_TRUE(a.Hello());
  ASSERT_TRUE(b.Hello());
  WireClient hostile(endpoint_);
  hostile.SendFrames({"one frame"});
  hostile.SendFrames({"bad", "envelope"});
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(a.Spans(10, Payload(10)));
    ASSERT_TRUE(b.Spans(3, Payload(3)));
  }
  ASSERT_TRUE(ingest_->Submit(core::RecordKind::kReload, "slow100"));
  ASSERT_TRUE(ingest_->Submit(core::RecordKind::kOtlp, Payload(4)));
  ingest_->Stop(kSecond);
  EXPECT_GT(ingest_->GetStatus().recorded_bytes, 0u);

  core::Engine folded{core::Limits{}, std::make_shared<core::RuleSet>()};
  Decoder decoder(ParseReload);
  auto reader = RecordReader::Open(options.record_path);
  ASSERT_TRUE(reader) << reader.error();
  core::RecordHeader header;
  std::string bytes;
  std::uint64_t count = 0;
  while (reader->Next(&header, &bytes)) {
    EXPECT_EQ(header.index, ++count);
    folded.Apply(header, decoder.Decode(header, bytes));
    folded.TakeAnswers();
  }
  EXPECT_FALSE(reader->torn());
  EXPECT_EQ(header.kind, core::RecordKind::kTime) << "the last engine time ends the file";
  EXPECT_EQ(count, ingest_->GetStatus().records);
  EXPECT_EQ(folded.Stats().now_ns, engine_.Stats().now_ns);
  EXPECT_EQ(folded.Stats().spans_applied, engine_.Stats().spans_applied);
  EXPECT_EQ(folded.Digest(), engine_.Digest());
}

TEST_F(IngestTest, AnIdleEngineTicks) {
  Start();
  WireProcess process(endpoint_, 1);
  ASSERT_TRUE(process.Hello());
  const std::int64_t began = engine_.Stats().now_ns;
  // Nobody sends anything more; the engine's time must pass the next two grid steps.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (engine_.Stats().now_ns < began + 2 * core::kTickNs && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
  }
  EXPECT_GE(engine_.Stats().now_ns, began + 2 * core::kTickNs);
}

TEST_F(IngestTest, StopKeepsItsBudgetAndAppliesWhatArrived) {
  Start();
  WireProcess process(endpoint_, 1);
  ASSERT_TRUE(process.Hello());
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(process.Spans(2, Payload(2)));
  const auto began = std::chrono::steady_clock::now();
  ingest_->Stop(kSecond);
  ingest_->Stop(kSecond);
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(20));
  EXPECT_EQ(engine_.Stats().spans_applied, 20u);
  EXPECT_FALSE(ingest_->Start()) << "one receiver, one life";
}

TEST_F(IngestTest, ARecordingThatCannotBeMadeStopsTheStart) {
  Options options = BaseOptions();
  options.record_path = dir_.path("no/such/dir/recording");
  EXPECT_THAT(Ingest(options, &engine_).Start().error(), HasSubstr("cannot record to"));
  options.record_path.clear();
  options.first_reload = "nonsense";
  EXPECT_THAT(Ingest(options, &engine_).Start().error(), HasSubstr("cannot be read"));
}

}  // namespace
}  // namespace spanwatch::ingest
