// ingest-floor: receives and decodes only. The same socket, envelope and OTLP decoding as the sidecar's, and the
// answers that keep a generator flowing; nothing is applied. Ends on SIGINT or SIGTERM and prints what it did.
#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "sidecar/ingest/answerer.h"
#include "sidecar/ingest/clock.h"
#include "sidecar/ingest/connections.h"
#include "sidecar/ingest/endpoint.h"
#include "sidecar/ingest/envelope.h"
#include "sidecar/ingest/ingest.h"
#include "sidecar/ingest/socket.h"

namespace {

namespace core = spanwatch::core;
namespace ingest = spanwatch::ingest;

std::atomic<bool> g_stop{false};

double CpuSeconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

int Fail(const std::string& text) {
  std::fprintf(stderr, "ingest-floor: %s\n", text.c_str());
  return 1;
}

core::AnswerKind AnswerTo(core::EnvelopeKind kind) {
  return kind == core::EnvelopeKind::kHello ? core::AnswerKind::kWelcome : core::AnswerKind::kAck;
}

}  // namespace

int main(int argc, char** argv) {
  std::string uri;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--endpoint") == 0) uri = argv[i + 1];
  }
  if (uri.empty()) return Fail("usage: ingest-floor --endpoint ipc:///path");
  std::signal(SIGINT, [](int) { g_stop.store(true); });
  std::signal(SIGTERM, [](int) { g_stop.store(true); });

  const auto endpoint = ingest::CheckEndpoint(uri);
  if (!endpoint) return Fail(endpoint.error());
  auto socket = ingest::RouterSocket::Open(4u << 20);
  if (!socket) return Fail(socket.error());
  if (const auto bound = socket->Bind(*endpoint); !bound) return Fail(bound.error());

  ingest::Connections connections;
  ingest::Answerer answerer(&*socket, &connections);
  ingest::EngineClock clock;
  core::EnvelopeView envelope;
  core::SpanBatch batch;
  std::uint64_t spans = 0, bytes = 0, bad = 0;
  while (!g_stop.load(std::memory_order_relaxed)) {
    ingest::RouterSocket::Message message;
    bool busy = false;
    for (int i = 0; i < 64 && socket->Receive(&message); ++i) {
      busy = true;
      const auto* connection = connections.See(message.routing_id, clock.Now());
      if (connection == nullptr || message.error != nullptr ||
          ingest::DecodeEnvelope(message.envelope, &envelope) != nullptr ||
          !ingest::DecodeOtlp(message.payload, &batch)) {
        ++bad;
        continue;
      }
      spans += batch.spans.size();
      bytes += message.bytes;
      answerer.CountReceived(message.bytes);
      answerer.Take({connection->number, AnswerTo(envelope.kind), envelope.process_id, envelope.sequence, ""}, 0);
    }
    const std::int64_t now_ns = clock.Now();
    if (answerer.IsDue(now_ns)) answerer.Flush(now_ns);
    if (answerer.HoldsBack()) answerer.Release(0);
    if (!busy) socket->Wait(answerer.DueNs() == INT64_MAX ? 100 : 5);
  }
  socket->Close(100);
  const double cpu = CpuSeconds();
  std::printf("floor_spans %llu spans\nfloor_bytes %llu bytes\nfloor_bad_messages %llu messages\nfloor_cpu %.3f s\n",
              static_cast<unsigned long long>(spans), static_cast<unsigned long long>(bytes),
              static_cast<unsigned long long>(bad), cpu);
  std::printf("floor_spans_per_cpu_s %.0f spans/s\n", static_cast<double>(spans) / cpu);
  return 0;
}
