// Sends what no well-behaved client sends: wrong frames, truncated and random envelopes, lying and jumping sequences.
// hostile ENDPOINT ROUNDS SEED [CROWD_SEED CROWD_SIZE]: prints one line `kind count` for each kind sent, ends when all
// was handed to the socket. With a crowd (crowd.cc) it knows what no other program can, the ids of its processes, and
// speaks in their names.
#include <zmq.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/crowd_ids.h"

namespace {

namespace crowd = spanwatch::testing;

// --- The envelope of docs/wire.proto, by hand: also where it must not be so ------------------------------------------

enum Kind : std::uint64_t { kHello = 1, kSpans = 2, kOpenSpans = 3, kHeartbeat = 4, kGoodbye = 5 };

std::string Varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(0x80 | (value & 0x7f));
  return bytes += static_cast<char>(value);
}
std::string Number(int field, std::uint64_t value) {
  return Varint(static_cast<std::uint64_t>(field) << 3) + Varint(value);
}
std::string Bytes(int field, const std::string& value) {
  return Varint(static_cast<std::uint64_t>(field) << 3 | 2) + Varint(value.size()) + value;
}
std::string Head(Kind kind, const std::string& process_id, std::uint64_t version = 1) {
  return Number(1, version) + Number(2, kind) + Bytes(3, process_id);
}
std::string Drop(const std::string& reason, std::uint64_t spans) {
  return Bytes(9, Bytes(1, reason) + Number(2, spans));
}

// One OTLP span with the given name, in TracesData.
std::string Payload(const std::string& name) {
  const std::string span = Bytes(1, std::string(16, 'T')) + Bytes(2, std::string(8, 'S')) + Bytes(5, name);
  return Bytes(1, Bytes(2, Bytes(2, span)));
}

class Attacker {
 public:
  Attacker(const char* endpoint, std::uint64_t seed) : context_(zmq_ctx_new()), endpoint_(endpoint), random_(seed) {
    Reopen();
  }
  ~Attacker() {
    zmq_close(socket_);
    zmq_ctx_term(context_);
  }
  Attacker(const Attacker&) = delete;
  Attacker& operator=(const Attacker&) = delete;

  void Send(const std::string& kind, const std::vector<std::string>& frames) {
    for (std::size_t i = 0; i < frames.size(); ++i) {
      zmq_send(socket_, frames[i].data(), frames[i].size(), i + 1 < frames.size() ? ZMQ_SNDMORE : 0);
    }
    ++sent_[kind];
  }
  // A new connection.
  void Reopen() {
    if (socket_ != nullptr) zmq_close(socket_);
    socket_ = zmq_socket(context_, ZMQ_DEALER);
    const int linger_ms = 10'000, high_water = 0;
    zmq_setsockopt(socket_, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
    zmq_setsockopt(socket_, ZMQ_SNDHWM, &high_water, sizeof high_water);
    if (zmq_connect(socket_, endpoint_) != 0) std::exit(1);
  }
  // Until everything sent so far was read: closing a connection loses what the receiver had no room for.
  void Settle() {
    const int timeout_ms = 10'000;
    zmq_setsockopt(socket_, ZMQ_RCVTIMEO, &timeout_ms, sizeof timeout_ms);
    Send("hello", {Head(kHello, own_id_), ""});
    char answer[1024];
    for (int size = 0; size >= 0;) {
      size = zmq_recv(socket_, answer, sizeof answer, 0);
      if (size < 0) std::exit(1);
      const std::string_view text(answer, std::min(static_cast<std::size_t>(size), sizeof answer));
      if (text.find(own_id_) != std::string_view::npos) return;
    }
  }
  std::string Random(std::size_t size) {
    std::string bytes(size, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random_());
    return bytes;
  }
  std::uint64_t Next() { return random_(); }
  const std::map<std::string, std::uint64_t>& sent() const { return sent_; }

 private:
  void* const context_;
  const char* const endpoint_;
  void* socket_ = nullptr;
  std::mt19937_64 random_;
  const std::string own_id_ = Random(16);
  std::map<std::string, std::uint64_t> sent_;
};

void SendWrongFrames(Attacker& a) {
  const std::string good = Head(kHello, a.Random(16));
  a.Send("one_frame", {good});
  a.Send("three_frames", {good, "", ""});
  a.Send("empty_frames", {"", ""});
  a.Send("random", {a.Random(1 + a.Next() % 200), a.Random(a.Next() % 2000)});
  for (std::size_t size = 1; size < good.size(); ++size) a.Send("truncated", {good.substr(0, size), ""});
  a.Send("version", {Head(kHello, a.Random(16), 99), ""});
  a.Send("process_id", {Head(kHello, a.Random(15)), ""});
  a.Send("kind", {Head(static_cast<Kind>(77), a.Random(16)), ""});
}

void SendWrongPayloads(Attacker& a) {
  const std::string id = a.Random(16);
  const std::string head = Head(kSpans, id);
  a.Send("hello", {Head(kHello, id), ""});
  const std::string payload = Payload("victim");
  a.Send("payload_truncated", {head + Number(4, 1) + Number(12, 1), payload.substr(0, payload.size() / 2)});
  a.Send("payload_random", {head + Number(4, 2) + Number(12, 3), a.Random(500)});
  a.Send("span_count_lies", {head + Number(4, 3) + Number(7, 4) + Number(12, 4'000'000'000u), payload});
  a.Send("drop_reason", {head + Number(4, 4) + Drop("Not A Reason!", 7), payload});
  a.Send("drop_reason", {head + Number(4, 5) + Drop(std::string(100, 'x'), 7), payload});
}

void SendWrongSequences(Attacker& a) {
  const std::string id = a.Random(16);
  const std::string head = Head(kSpans, id);
  const std::string payload = Payload("victim");
  const auto send = [&](std::uint64_t sequence, std::uint64_t oldest, std::uint64_t batched) {
    a.Send("sequence", {head + Number(4, sequence) + Number(5, oldest) + Number(7, batched) + Number(12, 1), payload});
  };
  a.Send("sequence", {head + Number(4, 1) + Number(12, 1), payload});  // without hello
  a.Send("hello", {Head(kHello, id), ""});
  send(1, 1, 0);
  send(1, 1, 0);
  send(0, 0, 0);
  send(500, 400, 20);
  send(3, 900, 5);
  send(UINT64_MAX, UINT64_MAX, UINT64_MAX);
  send(UINT64_MAX, 0, 0);
  send(2, 1, UINT64_MAX);
  a.Send(
      "sequence",
      {head + Number(4, 4) + Drop("ring_full", UINT64_MAX) + Drop("ring_full", 1) + Number(10, UINT64_MAX), payload});
  const std::string totals = Number(1, UINT64_MAX) + Number(2, UINT64_MAX) + Number(3, UINT64_MAX);
  a.Send("sequence", {head + Number(4, 5) + Bytes(6, totals) + Number(12, 1), payload});
  a.Send("goodbye", {Head(kGoodbye, id), ""});
  send(6, 6, 6);  // after goodbye
  for (int i = 0; i < 8; ++i) send(a.Next(), a.Next(), a.Next());
}

void SendWrongHeartbeats(Attacker& a) {
  const std::string id = a.Random(16);
  a.Send("hello", {Head(kHello, id), ""});
  std::string beat;
  for (int i = 0; i < 500; ++i) beat += Bytes(4, Bytes(1, "g" + std::to_string(i)) + a.Random(9));
  a.Send("heartbeat", {Head(kHeartbeat, id) + Bytes(13, beat), ""});
  a.Send("heartbeat", {Head(kHeartbeat, id) + Bytes(13, a.Random(300)), a.Random(300)});
  a.Send("open_spans", {Head(kOpenSpans, id), a.Random(100)});
  a.Send("open_spans", {Head(kOpenSpans, id), Payload(std::string(200'000, 'n'))});
  a.Reopen();
}

// A heartbeat's gauge; `kind` is a label that the crowd's own gauges have.
std::string Gauge(const std::string& name, double value, const std::string& label, const std::string& text) {
  std::string number(8, '\0');
  std::memcpy(number.data(), &value, 8);
  const std::string bytes = Bytes(1, name) + Bytes(2, Bytes(1, label) + Bytes(2, text)) + Varint(3 << 3 | 1) + number;
  return Bytes(4, bytes);
}

// Everything in the name of others, from a connection that is not theirs: it is refused.
void SpeakAsOthers(Attacker& a, std::uint64_t seed, std::uint64_t size) {
  for (std::uint64_t i = 0; i < size; ++i) {
    const std::string id = crowd::CrowdProcessId(seed, i);
    for (std::uint64_t sequence = 1; sequence <= 3; ++sequence) {
      a.Send("others_spans",
             {Head(kSpans, id) + Number(4, sequence) + Number(5, 1) + Number(12, 1), Payload("stolen")});
    }
    a.Send("others_spans", {Head(kSpans, id) + Number(4, 1'000'000) + Number(5, 1'000'000) + Number(7, 1'000'000) +
                                Number(12, 1) + Drop("ring_full", 1'000'000),
                            Payload("stolen")});
    const std::string beat = Gauge(crowd::kCrowdGauge, -1, "kind", "crowd");
    a.Send("others_heartbeat", {Head(kHeartbeat, id) + Number(7, 1u << 30) + Bytes(13, beat), ""});
    a.Send("others_open_spans", {Head(kOpenSpans, id), ""});
    a.Send("others_goodbye", {Head(kGoodbye, id), ""});
    a.Settle();
  }
}

// A HELLO is how a process comes back on a new connection: its owner finds itself refused, and comes back too.
void TakeOver(Attacker& a, std::uint64_t seed, std::uint64_t size) {
  for (std::uint64_t i = 0; i < size; i += 10) {
    a.Send("others_hello", {Head(kHello, crowd::CrowdProcessId(seed, i)), ""});
    a.Settle();
    a.Reopen();
  }
}

// On an id of its own: spans that another process reports as open, gauges that look like another's, counters that jump.
void LookLikeOthers(Attacker& a, std::uint64_t seed) {
  const std::string id = a.Random(16);
  a.Send("hello", {Head(kHello, id), ""});
  const std::string open = Bytes(1, crowd::CrowdOpenTrace(seed)) + Bytes(2, crowd::CrowdOpenSpan(seed)) +
                           Bytes(5, "stolen") + Varint(7 << 3 | 1) + std::string(8, '\x11');
  a.Send("open_spans", {Head(kOpenSpans, id) + Number(12, 1), Bytes(1, Bytes(2, Bytes(2, open)))});
  std::string beat;
  for (const double value : {1e308, -1e308, 5e-324, std::numeric_limits<double>::infinity(),
                             -std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    for (const char* label : {"kind", "process", "service_name", "le", "\n\"}"}) {
      beat += Gauge(crowd::kCrowdGauge, value, label, "crowd-000");
    }
  }
  a.Send("heartbeat", {Head(kHeartbeat, id) + Bytes(13, beat), ""});
  const std::string spans = Head(kSpans, id) + Number(12, 1);
  a.Send("counters", {spans + Number(4, 1) + Number(5, 1), Payload("mine")});
  a.Send("counters", {spans + Number(4, 1ull << 40) + Number(5, 1ull << 40) + Number(7, 1ull << 30) +
                          Drop("ring_full", 1ull << 30) + Number(10, 1ull << 30),
                      Payload("mine")});
  a.Send("counters", {spans + Number(4, 2) + Number(5, 2) + Number(7, 3), Payload("mine")});
  a.Send("counters", {Head(kHeartbeat, id) + Number(7, 5) + Drop("ring_full", 1), ""});
  a.Send("goodbye", {Head(kGoodbye, id) + Number(5, 1) + Number(7, (1ull << 47)), ""});
  a.Settle();
}

// A thousand processes at once, all on one connection.
void SpeakAsMany(Attacker& a) {
  for (int i = 0; i < 1000; ++i) {
    const std::string id = a.Random(16);
    a.Send("hello", {Head(kHello, id), ""});
    a.Send("many_heartbeats", {Head(kHeartbeat, id) + Bytes(13, Gauge("g" + std::to_string(i), i, "l", "v")), ""});
    if (i % 20 == 0) a.Settle();
  }
  a.Settle();
  a.Reopen();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4 && argc != 6) {
    std::fprintf(stderr, "hostile ENDPOINT ROUNDS SEED [CROWD_SEED CROWD_SIZE]\n");
    return 2;
  }
  const int rounds = std::atoi(argv[2]);
  std::map<std::string, std::uint64_t> sent;
  {
    Attacker a(argv[1], static_cast<std::uint64_t>(std::atoll(argv[3])));
    if (argc == 6) {
      const std::uint64_t seed = std::strtoull(argv[4], nullptr, 10), size = std::strtoull(argv[5], nullptr, 10);
      SpeakAsOthers(a, seed, size);
      LookLikeOthers(a, seed);
      TakeOver(a, seed, size);
      SpeakAsMany(a);
    }
    for (int i = 0; i < rounds; ++i) {
      SendWrongFrames(a);
      SendWrongPayloads(a);
      SendWrongSequences(a);
      SendWrongHeartbeats(a);
      if (i % 10 == 0) a.Send("oversized", {Head(kSpans, a.Random(16)) + Number(4, 1), std::string(8u << 20, 'x')});
      a.Reopen();
    }
    for (int i = 0; i < rounds * 20; ++i) a.Send("hello_flood", {Head(kHello, a.Random(16)), ""});
    sent = a.sent();
  }
  for (const auto& [kind, count] : sent) std::printf("%s %llu\n", kind.c_str(), static_cast<unsigned long long>(count));
}
