// The inputs of a rule test: `spans`, `processes`, `lost`.
#include <algorithm>

#include "sidecar/config/reader.h"
#include "sidecar/config/units.h"
#include "sidecar/rule_test_file.h"

namespace spanwatch::app {
namespace {

using config::MapReader;
using config::Node;

constexpr std::uint64_t kMaxLevels = 1000;
constexpr std::size_t kMaxNesting = 64;
constexpr std::int64_t kMaxSpanNs = 86'400'000'000'000;

const std::vector<std::string> kKinds = {"internal", "server", "client", "producer", "consumer", "unspecified"};
const std::vector<std::string> kStatuses = {"unset", "ok", "error"};

// Spans of one entry, all counted.
double CountSpans(const SpanSpec& spec) {
  double below = 0;
  for (const SpanSpec& child : spec.children) below += CountSpans(child);
  return static_cast<double>(spec.count) * (static_cast<double>(spec.levels) + below);
}

// "TimeoutError: model did not answer" -> type and message.
void ReadError(MapReader* reader, SpanSpec* spec) {
  std::string text;
  reader->String("error", &text);
  if (text.empty()) return;
  const std::size_t colon = text.find(": ");
  spec->error_type = text.substr(0, colon);
  if (colon != std::string::npos) spec->error_message = text.substr(colon + 2);
  if (spec->status.empty()) spec->status = "error";
}

void ReadMemory(MapReader* reader, const char* key, std::optional<std::int64_t>* out) {
  if (reader->Find(key) == nullptr) return;
  std::uint64_t bytes = 0;
  reader->Size(key, &bytes, 0, std::uint64_t{1} << 50);
  *out = static_cast<std::int64_t>(bytes);
}

void ReadSpec(MapReader* reader, const std::string& path, bool is_child, std::size_t nesting,
              const RuleTestReading& reading, SpanSpec* spec);

SpanSpec ReadChild(const Node& node, const std::string& path, const SpanSpec& parent, std::size_t nesting,
                   const RuleTestReading& reading) {
  SpanSpec child;
  child.service = parent.service;
  child.resource = parent.resource;
  MapReader reader(node, path, reading.problems);
  if (node.kind != Node::Kind::kMap) return child;
  reader.Hint("at", "children have `after`: how long after their parent's begin they start");
  reader.Hint("open", "the top one is told to be open, not its children");
  if (reader.Find("after") != nullptr) {
    child.after_ns = 0;
    reader.Duration("after", &*child.after_ns, 0, kMaxSpanNs);
  }
  ReadSpec(&reader, path, true, nesting, reading, &child);
  return child;
}

void ReadSpec(MapReader* reader, const std::string& path, bool is_child, std::size_t nesting,
              const RuleTestReading& reading, SpanSpec* spec) {
  reader->String("service", &spec->service);
  if (spec->service.empty()) reader->Add(reader->node().at, "", "service is missing");
  reader->String("operation", &spec->operation);
  if (spec->operation.empty()) reader->Add(reader->node().at, "", "operation is missing");
  std::size_t choice = 0;
  reader->Choice("kind", kKinds, &choice);
  spec->kind = kKinds[choice];
  if (reader->Find("status") != nullptr) {
    choice = 0;
    reader->Choice("status", kStatuses, &choice);
    spec->status = kStatuses[choice];
  }
  ReadError(reader, spec);
  reader->Duration("duration", &spec->duration_ns, 0, kMaxSpanNs);
  reader->Whole("count", &spec->count, 1, kMaxTestSpans);
  reader->Duration("every", &spec->every_ns, 1'000'000, kMaxTestNs);
  reader->Whole("levels", &spec->levels, 1, kMaxLevels);
  ReadMemory(reader, "memory", &spec->memory_delta);
  ReadMemory(reader, "memory_peak", &spec->memory_peak);
  if (const Node* tags = reader->Find("tags")) spec->tags = TextMap(*tags, path + ".tags", reading.problems);
  if (const Node* node = reader->Find("resource"))
    spec->resource = TextMap(*node, path + ".resource", reading.problems);
  const Node* children = reader->Find("children");
  if (children == nullptr) return;
  if (nesting >= kMaxNesting) {
    reader->Add(children->at, "children", "nested more than 64 deep; `levels: 100` makes a chain of so many");
    return;
  }
  if (is_child && spec->levels > 1) reader->Add(children->at, "children", "not together with levels");
  const auto& items = ListOf(*children, path + ".children", "a list of spans", reading.problems);
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::string where = path + ".children[" + std::to_string(i) + "]";
    spec->children.push_back(ReadChild(items[i], where, *spec, nesting + 1, reading));
  }
}

}  // namespace

std::int64_t LastArrival(const SpanEntry& entry) {
  const auto repeats = static_cast<std::int64_t>(entry.span.count - 1);
  const std::int64_t last = entry.at_ns + repeats * entry.span.every_ns;
  return entry.open && entry.has_duration ? last + entry.span.duration_ns : last;
}

void ReadSpans(const Node& node, const std::string& path, RuleTestReading reading, RuleTest* test) {
  const auto& items = ListOf(node, path, "a list of spans", reading.problems);
  double total = 0;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::string where = path + "[" + std::to_string(i) + "]";
    MapReader reader(items[i], where, reading.problems);
    if (items[i].kind != Node::Kind::kMap) continue;
    SpanEntry entry;
    reader.Hint("after", "of children only; the time of a span is `at`: when it ends and arrives");
    reader.Duration("at", &entry.at_ns, 0, kMaxTestNs);
    reader.Bool("open", &entry.open);
    entry.has_duration = reader.Find("duration") != nullptr;
    ReadSpec(&reader, where, false, 0, reading, &entry.span);
    if (entry.span.count > 1 && entry.open) reader.Add(items[i].at, "count", "not together with open: true");
    if (entry.open && (entry.span.levels > 1 || !entry.span.children.empty())) {
      reader.Add(items[i].at, "open", "a span that is told to be open has no children here");
    }
    if (static_cast<double>(entry.span.count - 1) * static_cast<double>(entry.span.every_ns) >
        static_cast<double>(kMaxTestNs)) {
      reader.Add(items[i].at, "every", "the last of them would come after more than seven days");
      continue;
    }
    total += CountSpans(entry.span);
    test->spans.push_back(std::move(entry));
  }
  if (total > static_cast<double>(kMaxTestSpans)) {
    reading.problems->Add(node.at, path + ": more than " + std::to_string(kMaxTestSpans) + " spans in one test");
  }
}

void ReadProcesses(const Node& node, const std::string& path, RuleTestReading reading, RuleTest* test) {
  const auto& items = ListOf(node, path, "a list of processes", reading.problems);
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::string where = path + "[" + std::to_string(i) + "]";
    MapReader reader(items[i], where, reading.problems);
    if (items[i].kind != Node::Kind::kMap) continue;
    ProcessEntry process;
    reader.String("service", &process.service);
    if (process.service.empty()) reader.Add(items[i].at, "", "service is missing");
    reader.Duration("at", &process.at_ns, 0, kMaxTestNs);
    reader.Duration("until", &process.until_ns, 0, kMaxTestNs);
    reader.Bool("goodbye", &process.goodbye);
    reader.Size("memory", &process.memory, 0, std::uint64_t{1} << 50);
    process.memory_to = process.memory;
    reader.Size("memory_to", &process.memory_to, 0, std::uint64_t{1} << 50);
    if (process.until_ns >= 0 && process.until_ns < process.at_ns) {
      reader.Add(items[i].at, "until", "is before `at`");
    }
    test->processes.push_back(std::move(process));
  }
  if (items.size() > 256) reading.problems->Add(node.at, path + ": more than 256 processes in one test");
}

void ReadLosses(const Node& node, const std::string& path, RuleTestReading reading, RuleTest* test) {
  const auto& items = ListOf(node, path, "a list of losses", reading.problems);
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::string where = path + "[" + std::to_string(i) + "]";
    MapReader reader(items[i], where, reading.problems);
    if (items[i].kind != Node::Kind::kMap) continue;
    LossEntry loss;
    loss.reason = "ring_full";
    reader.String("service", &loss.service);
    if (loss.service.empty()) reader.Add(items[i].at, "", "service is missing");
    reader.Duration("at", &loss.at_ns, 0, kMaxTestNs);
    reader.Whole("spans", &loss.spans, 1, std::uint64_t{1} << 40);
    if (loss.spans == 0) reader.Add(items[i].at, "", "spans is missing: how many were lost");
    reader.String("reason", &loss.reason);
    if (loss.reason.size() > 32 || loss.reason.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") != std::string::npos) {
      reader.Add(items[i].at, "reason", "allowed: 1 to 32 of a-z and _");
    }
    test->losses.push_back(std::move(loss));
  }
  if (items.size() > 256) reading.problems->Add(node.at, path + ": more than 256 losses in one test");
}

}  // namespace spanwatch::app
