// Many traced processes in one program, each with a connection, an id, a service name and a gauge of its own: hello,
// paced batches, a heartbeat each second. When everything is acknowledged it prints "open TRACE" (whose root
// the first process reports as open), "ready", and goes on with heartbeats until SIGTERM; then goodbye, and one line of
// JSON.
//   spanwatch-e2e-crowd --endpoint ENDPOINT [--processes N] [--batches N] [--spans N] [--interval-ms N] [--seed N]
//   spanwatch-e2e-crowd --endpoint ENDPOINT --flood-ms N [--spans N] [--seed N]
// The second sends what the socket takes, never waits for an acknowledgement, and says at the end what became of it.
// Seeds make the process ids: tests/support/crowd_ids.h.
#include <zmq.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/bench/ingest_template.h"
#include "tests/support/crowd_ids.h"
#include "tests/support/wire_process.h"

namespace {

using spanwatch::bench::Random;
using spanwatch::bench::Template;
using spanwatch::testing::SteadyNs;
using spanwatch::testing::WallNs;
using spanwatch::testing::WireProcess;

constexpr std::uint64_t kSecondNs = 1'000'000'000;
constexpr std::uint64_t kDeadlineNs = 120 * kSecondNs;  // of the whole story up to "ready"

std::atomic<bool> g_stop{false};

struct Flags {
  std::string endpoint;
  std::map<std::string, std::uint64_t> numbers = {{"--processes", 500},   {"--batches", 20}, {"--spans", 8},
                                                  {"--interval-ms", 200}, {"--seed", 1},     {"--flood-ms", 0}};

  bool Parse(int argc, char** argv) {
    for (int i = 1; i + 1 < argc; i += 2) {
      if (std::strcmp(argv[i], "--endpoint") == 0) {
        endpoint = argv[i + 1];
      } else if (numbers.count(argv[i]) != 0) {
        numbers[argv[i]] = std::strtoull(argv[i + 1], nullptr, 10);
      } else {
        return false;
      }
    }
    return argc % 2 == 1 && !endpoint.empty() && numbers["--processes"] > 0 && numbers["--spans"] > 0;
  }
};

spanwatch::core::ProcessId ProcessId(std::uint64_t seed, std::uint64_t number) {
  const std::string bytes = spanwatch::testing::CrowdProcessId(seed, number);
  spanwatch::core::ProcessId id;
  std::copy(bytes.begin(), bytes.end(), id.begin());
  return id;
}

spanwatch::bench::Shape Shape(const Flags& flags, const char* prefix) {
  spanwatch::bench::Shape shape;
  shape.spans = static_cast<std::uint32_t>(flags.numbers.at("--spans"));
  shape.attributes = 2;
  shape.services = 1'000'000;
  shape.operations = 2;
  shape.error_rate = 0;
  shape.service_prefix = prefix;
  return shape;
}

// TracesData with one span of a resource; a parent or an end if not empty or 0.
std::string OneSpan(const std::string& resource, const std::string& trace, const std::string& id,
                    const std::string& parent, const char* name, std::uint64_t end_ns) {
  std::string span, scope_spans, resource_spans = resource, data;
  protozero::pbf_writer writer(span);
  writer.add_bytes(1, trace);
  writer.add_bytes(2, id);
  if (!parent.empty()) writer.add_bytes(4, parent);
  writer.add_bytes(5, name);
  writer.add_fixed64(7, WallNs() - 2 * kSecondNs);
  if (end_ns != 0) writer.add_fixed64(8, end_ns);
  protozero::pbf_writer(scope_spans).add_message(2, span);
  protozero::pbf_writer(resource_spans).add_message(2, scope_spans);
  protozero::pbf_writer(data).add_message(1, resource_spans);
  return data;
}

class Crowd {
 public:
  explicit Crowd(const Flags& flags)
      : seed_(flags.numbers.at("--seed")),
        batches_(flags.numbers.at("--batches")),
        interval_ns_(flags.numbers.at("--interval-ms") * 1'000'000),
        random_(seed_ ^ WallNs()) {
    zmq_ctx_set(context_, ZMQ_MAX_SOCKETS, 4096);
    const spanwatch::bench::Shape shape = Shape(flags, "crowd-");
    for (std::uint64_t i = 0; i < flags.numbers.at("--processes"); ++i) {
      templates_.push_back(std::make_unique<Template>(shape, static_cast<std::uint32_t>(i)));
      std::string hello;
      protozero::pbf_writer(hello).add_message(1, Resource(*templates_.back()));
      members_.push_back({std::make_unique<WireProcess>(context_, flags.endpoint, ProcessId(seed_, i), hello)});
    }
  }
  ~Crowd() {
    members_.clear();
    zmq_ctx_term(context_);
  }
  Crowd(const Crowd&) = delete;
  Crowd& operator=(const Crowd&) = delete;

  // Everything sent and acknowledged. False: not within the deadline.
  bool Tell() {
    const std::uint64_t begin_ns = SteadyNs();
    for (std::size_t i = 0; i < members_.size(); ++i) {
      members_[i].process->Connect();
      members_[i].next_ns = begin_ns + interval_ns_ * i / members_.size();
    }
    while (!g_stop && SteadyNs() - begin_ns < kDeadlineNs) {
      bool over = true;
      for (std::size_t i = 0; i < members_.size(); ++i) {
        Step(i);
        over = over && members_[i].sent == batches_ && members_[i].process->all_acknowledged() && members_[i].beats > 0;
      }
      if (over) return true;
      Poll();
    }
    return false;
  }

  void BeatUntilStopped() {
    while (!g_stop) {
      for (std::size_t i = 0; i < members_.size(); ++i) Step(i);
      Poll();
    }
  }

  std::string OpenTrace() const { return Hex(spanwatch::testing::CrowdOpenTrace(seed_)); }

  bool Goodbye() {
    std::vector<std::uint64_t> before;
    for (Member& member : members_) {
      member.process->Take();
      before.push_back(member.process->answers());
      member.process->Goodbye();
    }
    const std::uint64_t begin_ns = SteadyNs();
    for (bool over = false; !over;) {
      if (SteadyNs() - begin_ns > 10 * kSecondNs) return false;
      Poll();
      over = true;
      for (std::size_t i = 0; i < members_.size(); ++i) {
        over = over && members_[i].process->answers() > before[i];
      }
    }
    return true;
  }

  void Print(bool complete) {
    std::vector<std::uint64_t> ack_ns;
    std::map<std::string, std::uint64_t> refused;
    std::printf("{\"complete\": %s, \"processes\": [", complete ? "true" : "false");
    for (std::size_t i = 0; i < members_.size(); ++i) {
      const WireProcess& p = *members_[i].process;
      const std::uint64_t worst = p.ack_ns().empty() ? 0 : *std::max_element(p.ack_ns().begin(), p.ack_ns().end());
      std::printf(
          "%s{\"service\": \"crowd-%03zu\", \"sent\": %llu, \"acknowledged\": %llu, \"connects\": %llu, "
          "\"resends\": %llu, \"closed\": %s, \"worst_ack_ms\": %.3f}",
          i == 0 ? "" : ", ", i, Number(p.spans()), Number(p.spans_acknowledged()), Number(p.connects()),
          Number(p.resends()), p.closed() ? "true" : "false", static_cast<double>(worst) / 1e6);
      ack_ns.insert(ack_ns.end(), p.ack_ns().begin(), p.ack_ns().end());
      for (const auto& [reason, count] : p.refused()) refused[reason] += count;
    }
    std::sort(ack_ns.begin(), ack_ns.end());
    const auto ms = [&](double share) {
      const auto place = static_cast<std::size_t>(share * static_cast<double>(ack_ns.size()));
      return ack_ns.empty() ? 0 : static_cast<double>(ack_ns[std::min(place, ack_ns.size() - 1)]) / 1e6;
    };
    std::printf("], \"refused\": {");
    const char* separator = "";
    for (const auto& [reason, count] : refused) {
      std::printf("%s\"%s\": %llu", separator, reason.c_str(), Number(count));
      separator = ", ";
    }
    std::printf("}, \"ack_ms\": {\"p50\": %.3f, \"p99\": %.3f, \"worst\": %.3f}}\n", ms(0.5), ms(0.99), ms(1));
  }

 private:
  struct Member {
    std::unique_ptr<WireProcess> process;
    std::uint64_t next_ns = 0;       // when the next batch is due
    std::uint64_t next_beat_ns = 0;  // and the next heartbeat
    std::uint64_t sent = 0, beats = 0;
  };

  static unsigned long long Number(std::uint64_t value) { return static_cast<unsigned long long>(value); }
  static std::string Hex(const std::string& bytes) {
    std::string text;
    for (const char byte : bytes) {
      char two[3];
      std::snprintf(two, sizeof two, "%02x", static_cast<unsigned char>(byte));
      text += two;
    }
    return text;
  }

  // ResourceSpans with the template's resource and no spans.
  static std::string Resource(const Template& batch) {
    protozero::pbf_reader data(batch.bytes());
    data.next(1);
    protozero::pbf_reader resource_spans(data.get_view());
    resource_spans.next(1);
    std::string resource;
    protozero::pbf_writer(resource).add_message(1, resource_spans.get_view());
    return resource;
  }

  void Step(std::size_t i) {
    Member& member = members_[i];
    const std::uint64_t now_ns = SteadyNs();
    member.process->Take();
    member.process->Maintain();
    if (member.sent < batches_ && now_ns >= member.next_ns) {
      const Template& batch = *templates_[i];
      member.process->Add(batch.spans(), batch.bytes().size(),
                          [&](char* out) { batch.Write(out, WallNs(), &random_); });
      member.next_ns += interval_ns_;
      if (++member.sent == batches_) member.next_beat_ns = now_ns;  // the last word is a heartbeat
    }
    if (!member.process->welcome() || now_ns < member.next_beat_ns) return;
    member.next_beat_ns = now_ns + kSecondNs;
    if (member.sent == batches_) ++member.beats;
    spanwatch::core::GaugeView gauge;
    gauge.name = spanwatch::testing::kCrowdGauge;
    gauge.labels = {{"kind", "crowd"}};
    gauge.value = static_cast<double>(i) + 0.5;
    member.process->Heartbeat({gauge});
    if (i == 0) ReportOpen(&member);
  }

  // A span that does not end, and once the child that it already has.
  void ReportOpen(Member* member) {
    const std::string resource = Resource(*templates_.front());
    const std::string trace = spanwatch::testing::CrowdOpenTrace(seed_),
                      open = spanwatch::testing::CrowdOpenSpan(seed_);
    member->process->OpenSpans(OneSpan(resource, trace, open, "", spanwatch::testing::kOpenOperation, 0), 1);
    if (child_sent_) return;
    child_sent_ = true;
    const std::string child = OneSpan(resource, trace, "child-01", open, "crowd.child", WallNs());
    member->process->Add(1, child.size(), [&](char* out) { std::memcpy(out, child.data(), child.size()); });
  }

  // Waits for answers, until the next thing is due.
  void Poll() {
    std::uint64_t due_ns = SteadyNs() + 50'000'000;
    std::vector<zmq_pollitem_t> items;
    for (const Member& member : members_) {
      items.push_back({member.process->socket(), 0, ZMQ_POLLIN, 0});
      if (member.process->welcome()) due_ns = std::min(due_ns, member.next_beat_ns);
      if (member.sent < batches_) due_ns = std::min(due_ns, member.next_ns);
    }
    const std::uint64_t now_ns = SteadyNs();
    const long wait_ms = due_ns > now_ns ? static_cast<long>((due_ns - now_ns) / 1'000'000 + 1) : 0;
    zmq_poll(items.data(), static_cast<int>(items.size()), wait_ms);
    for (const Member& member : members_) member.process->Take();
  }

  const std::uint64_t seed_, batches_, interval_ns_;
  Random random_;
  void* const context_ = zmq_ctx_new();
  std::vector<std::unique_ptr<Template>> templates_;
  std::vector<Member> members_;
  bool child_sent_ = false;
};

// One process that never waits. What the socket takes is sent; ZeroMQ's high-water mark holds it back.
int Flood(const Flags& flags) {
  namespace ingest = spanwatch::ingest;
  void* const context = zmq_ctx_new();
  void* const socket = zmq_socket(context, ZMQ_DEALER);
  const int timeout_ms = 30'000, linger_ms = 1000, high_water = 4;
  zmq_setsockopt(socket, ZMQ_RCVTIMEO, &timeout_ms, sizeof timeout_ms);
  zmq_setsockopt(socket, ZMQ_SNDTIMEO, &timeout_ms, sizeof timeout_ms);
  zmq_setsockopt(socket, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
  zmq_setsockopt(socket, ZMQ_SNDHWM, &high_water, sizeof high_water);
  if (zmq_connect(socket, flags.endpoint.c_str()) != 0) return 1;
  spanwatch::core::EnvelopeView envelope;
  envelope.process_id = ProcessId(flags.numbers.at("--seed"), 0);
  const auto send = [&](spanwatch::core::EnvelopeKind kind, zmq_msg_t* payload) {
    envelope.kind = kind;
    const std::string head = ingest::EncodeEnvelope(envelope);
    zmq_send(socket, head.data(), head.size(), ZMQ_SNDMORE);
    return zmq_msg_send(payload, socket, 0) >= 0;
  };
  zmq_msg_t payload;
  zmq_msg_init(&payload);
  send(spanwatch::core::EnvelopeKind::kHello, &payload);
  const Template batch(Shape(flags, "flood-"), 0);
  Random random(WallNs());
  bool sent = true;
  for (const std::uint64_t end_ns = SteadyNs() + flags.numbers.at("--flood-ms") * 1'000'000;
       sent && SteadyNs() < end_ns;) {
    zmq_msg_init_size(&payload, batch.bytes().size());
    batch.Write(static_cast<char*>(zmq_msg_data(&payload)), WallNs(), &random);
    envelope.oldest_held = 1;
    ++envelope.sequence;
    envelope.span_count = batch.spans();
    sent = send(spanwatch::core::EnvelopeKind::kSpans, &payload);
    envelope.batched_before += batch.spans();
  }
  char bytes[1024];
  ingest::DecodedAnswer answer;
  for (int size = 0; size >= 0 && answer.applied < envelope.sequence;) {
    size = zmq_recv(socket, bytes, sizeof bytes, 0);
    if (size >= 0) ingest::DecodeAnswer({bytes, std::min(static_cast<std::size_t>(size), sizeof bytes)}, &answer);
  }
  std::printf("{\"sent\": %llu, \"complete\": %s}\n", static_cast<unsigned long long>(envelope.batched_before),
              answer.applied == envelope.sequence ? "true" : "false");
  zmq_close(socket);
  zmq_ctx_term(context);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Flags flags;
  if (!flags.Parse(argc, argv)) {
    std::fprintf(stderr,
                 "spanwatch-e2e-crowd --endpoint ENDPOINT [--processes N] [--batches N] [--spans N]\n"
                 "                    [--interval-ms N] [--seed N] [--flood-ms N]\n");
    return 2;
  }
  std::signal(SIGTERM, [](int) { g_stop.store(true); });
  if (flags.numbers["--flood-ms"] > 0) return Flood(flags);
  Crowd crowd(flags);
  const bool told = crowd.Tell();
  std::printf("open %s\n%s\n", crowd.OpenTrace().c_str(), told ? "ready" : "not everything was acknowledged");
  std::fflush(stdout);
  if (told) crowd.BeatUntilStopped();
  const bool complete = crowd.Goodbye() && told;
  crowd.Print(complete);
  return complete ? 0 : 1;
}
