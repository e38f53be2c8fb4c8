// Writes one good input for each fuzzer: `fuzz-seeds DIRECTORY` fills
// DIRECTORY/{otlp,otlp_json,message,recording,journal}.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "sidecar/ingest/envelope.h"
#include "sidecar/ingest/ingest.h"
#include "sidecar/ingest/journal_segment.h"
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

// Documents in the shape that OpenTelemetry's exporters write: plain, with all kinds of values, with names and numbers
// as protobuf's JSON mapping also allows them.
constexpr const char* kJsonSeeds[] = {
    R"({"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"bot"}}]},
"scopeSpans":[{"scope":{"name":"lib","version":"1"},"spans":[{"traceId":"5b8efff798038103d269b633813fc60c",
"spanId":"eee19b7ec3c1b174","parentSpanId":"eee19b7ec3c1b173","name":"ask","startTimeUnixNano":"1544712660000000000",
"endTimeUnixNano":"1544712661000000000","kind":2,"status":{"code":2,"message":"it broke"}}]}]}]})",
    R"({"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"W47/95gDgQPSabYzgT/GDA==","spanId":"7uGbfsPBsXQ=",
"name":"values","traceState":"ot=th:c","flags":257,"attributes":[{"key":"i","value":{"intValue":"-9007199254740993"}},
{"key":"d","value":{"doubleValue":1.5e3}},{"key":"b","value":{"boolValue":true}},{"key":"y","value":{"bytesValue":
"aGk="}},{"key":"a","value":{"arrayValue":{"values":[{"stringValue":"x"},{"kvlistValue":{"values":[{"key":"k",
"value":{"intValue":3}}]}}]}}}],"events":[{"timeUnixNano":1544712660300000000,"name":"exception","attributes":[{"key":
"exception.type","value":{"stringValue":"E"}}]}],"links":[{"traceId":"5b8efff798038103d269b633813fc60c","spanId":
"eee19b7ec3c1b174"}],"droppedAttributesCount":1}]}]}]})",
    R"({"resource_spans":[{"scope_spans":[{"spans":[{"trace_id":"5B8EFFF798038103D269B633813FC60C","span_id":
"EEE19B7EC3C1B174","name":"mail anna@example.org \u00e9\ud83d\ude00","kind":"SPAN_KIND_CLIENT","status":{"code":
"STATUS_CODE_ERROR","message":"password=hunter2hunter2"},"attributes":[{"key":"authorization","value":{"stringValue":
"Bearer abcdefghijklmnop"}},{"key":"gen_ai.input.messages","value":{"stringValue":"hello"}}],"unknown":[{},null]}]}]}]})",
};

void Write(const std::filesystem::path& path, const std::string& bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

// One segment as fuzz_journal reads it: flags, length, then the file.
std::string Segment(char flags, std::uint64_t number, std::uint64_t first, const std::string& tail) {
  std::string file = ingest::EncodeSegmentHeader({number, number});
  const auto append = [&](std::uint64_t index, core::RecordKind kind, const std::string& bytes) {
    ingest::AppendRecord({index, static_cast<std::int64_t>(index), kind, 0}, {bytes}, number, &file);
  };
  append(first, core::RecordKind::kCheckpoint, "checkpoint");
  append(first + 1, core::RecordKind::kReload, "rules");
  append(first + 2, core::RecordKind::kOtlp, Payload());
  file += tail;
  const std::string head = {flags, static_cast<char>(file.size() & 0xFF), static_cast<char>(file.size() >> 8)};
  return head + file;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const std::filesystem::path directory = argv[1];
  Write(directory / "otlp/good", Payload());
  Write(directory / "otlp_json/protobuf", Payload());
  for (std::size_t i = 0; i < std::size(kJsonSeeds); ++i) {
    Write(directory / "otlp_json" / std::to_string(i), kJsonSeeds[i]);
  }
  const std::string spans = ingest::JoinFrames(Envelope(core::EnvelopeKind::kSpans), Payload());
  Write(directory / "message/spans", spans);
  Write(directory / "message/heartbeat", ingest::JoinFrames(Envelope(core::EnvelopeKind::kHeartbeat), ""));
  Write(directory / "journal/two", Segment(1, 1, 0, "") + Segment(1, 2, 2, std::string(40, '\0')));
  Write(directory / "journal/gap", Segment(0, 1, 0, "torn") + Segment(3, 3, 8, "tail"));
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
