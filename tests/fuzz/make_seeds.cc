// Writes one good input for each fuzzer: `fuzz-seeds DIRECTORY` fills DIRECTORY/{otlp,message,recording}.
#include <filesystem>
#include <fstream>
#include <string>

#include "sidecar/ingest/envelope.h"
#include "sidecar/ingest/ingest.h"
#include "sidecar/ingest/recorder.h"
#include "tests/unit/ingest/otlp_builder.h"

namespace {

using namespace spanwatch;                   // NOLINT
using namespace spanwatch::ingest::testing;  // NOLINT

std::string Payload() {
  SpanSpec spec;
  spec.parent_id = "parent-1";
  spec.attributes = {KeyValue("text", StringValue("v\xC3\xA9")), KeyValue("yes", BoolValue(true)),
                     KeyValue("spanwatch.mem.delta", IntValue(-7)), KeyValue("double", DoubleValue(1.5)),
                     KeyValue("json", ArrayValue({MapValue({KeyValue("k", BytesValue("b"))}), ""}))};
  protozero::pbf_writer(spec.more).add_bytes(3, "vendor=1,ot=rv:1;th:c");
  spec.more += Event("exception", {KeyValue("exception.type", StringValue("T"))}) +
               Link("fedcba9876543210", "link-id1") + StatusField(2, "it broke");
  return TracesData("bot", {spec.Encode(), SpanSpec{}.Encode()});
}

std::string Envelope(core::EnvelopeKind kind) {
  core::EnvelopeView envelope;
  envelope.kind = kind;
  envelope.process_id.fill(7);
  envelope.sequence = 3;
  envelope.oldest_held = 2;
  envelope.has_acknowledged = true;
  envelope.acknowledged = {1, 10, 2, {{"ring_full", 1}}};
  envelope.drops = {{"ring_full", 4}, {"no_ring", 1}};
  envelope.gauges = {{"circuit.state", {{"name", "gemini"}}, 1}};
  return ingest::EncodeEnvelope(envelope);
}

void Write(const std::filesystem::path& path, const std::string& bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const std::filesystem::path directory = argv[1];
  Write(directory / "otlp/good", Payload());
  const std::string spans = ingest::JoinFrames(Envelope(core::EnvelopeKind::kSpans), Payload());
  Write(directory / "message/spans", spans);
  Write(directory / "message/heartbeat", ingest::JoinFrames(Envelope(core::EnvelopeKind::kHeartbeat), ""));
  const std::filesystem::path recording = directory / "recording/good";
  std::filesystem::create_directories(recording.parent_path());
  std::filesystem::remove(recording);
  auto recorder = ingest::Recorder::Open(recording);
  if (!recorder) return 1;
  recorder->Append({1, 1000, core::RecordKind::kReload, 0}, {"rules"});
  recorder->Append({2, 2000, core::RecordKind::kMessage, 1}, {spans});
  recorder->Append({3, 3000, core::RecordKind::kOtlp, 0}, {Payload()});
  recorder->Append({4, 4000, core::RecordKind::kTime, 0}, {});
  return 0;
}
