// testing::Capture: the rings' reader is whichever thread holds the mutex.
#include "sdk/cpp/src/capture.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <new>
#include <utility>

#include "sdk/cpp/src/clock.h"
#include "sdk/cpp/src/mutex.h"
#include "sdk/cpp/src/redactor.h"
#include "sdk/cpp/src/thread_block.h"
#include "spanwatch/testing.h"

namespace spanwatch {
namespace testing {

using internal::EntryType;
using internal::EntryView;
using internal::RecordView;

namespace {

char* NoEnvironment(const char*) { return nullptr; }

struct Raw {
  CapturedSpan span;
  std::uint64_t start = 0;  // ticks
  std::uint64_t end = 0;
};

CapturedValue MakeValue(const EntryView& entry, internal::KeyVerdict verdict, internal::Redactor* redactor) {
  if (entry.head.type() == EntryType::kText || verdict == internal::KeyVerdict::kSecret)
    return CapturedValue(std::string(redactor->Value(verdict, entry.text)));
  const auto type = static_cast<Value::Type>(static_cast<std::uint8_t>(entry.head.type()) - 1);
  return CapturedValue(type, entry.bits);
}

void AddTag(const EntryView& entry, internal::Redactor* redactor, CapturedTags* tags) {
  const auto [key, verdict] = redactor->Key(entry.key);
  (*tags)[std::string(key)] = MakeValue(entry, verdict, redactor);
}

std::string TextOf(const CapturedTags& fields, const char* key) {
  const auto found = fields.find(key);
  return found == fields.end() ? std::string() : found->second.ToString();
}

void AddEvent(const EntryView& event, const std::uint64_t* fields, internal::Redactor* redactor, CapturedSpan* span) {
  CapturedTags tags;
  for (std::uint32_t i = 0; i < event.head.fields(); ++i) {
    EntryView field;
    fields = internal::ReadEntry(fields, &field);
    AddTag(field, redactor, &tags);
  }
  if (event.head.type() == EntryType::kException) {
    span->errors.push_back({TextOf(tags, "exception.type"), TextOf(tags, "exception.message"),
                            TextOf(tags, "spanwatch.exception.causes")});
    return;
  }
  span->logs.push_back({static_cast<LogLevel>(event.head.level()),
                        std::string(redactor->Value(redactor->log_verdict(), event.text)), std::move(tags)});
}

Raw Decode(const RecordView& record, internal::Redactor* redactor) {
  Raw raw;
  CapturedSpan& span = raw.span;
  raw.start = record.Word(internal::kStartWord);
  raw.end = record.Word(internal::kEndWord);
  span.name = redactor->Text(record.Name(), internal::kMaxNameBytes);
  span.kind = static_cast<SpanKind>(record.Kind());
  span.trace_id = {record.Word(internal::kTraceHiWord), record.Word(internal::kTraceLoWord)};
  span.span_id = {record.Word(internal::kSpanWord)};
  span.parent_id = {record.Word(internal::kParentWord)};
  span.failed = record.Failed();
  if (record.HasAllocations()) {
    span.tags["spanwatch.alloc.bytes"] = CapturedValue(Value::Type::kInt, record.Word(internal::kAllocatedBytesWord));
    span.tags["spanwatch.alloc.count"] = CapturedValue(Value::Type::kInt, record.Word(internal::kAllocationsWord));
  }
  const std::uint64_t* at = record.Entries();
  while (at < record.End()) {
    EntryView entry;
    const std::uint64_t* next = internal::ReadEntry(at, &entry);
    if (entry.head.type() == EntryType::kFailure) {
      span.error_message = redactor->Value(redactor->message_verdict(), entry.text);
    } else if (entry.head.is_link()) {
      span.links.push_back({{at[1], at[2]}, {at[3]}});
    } else if (entry.head.is_event()) {
      AddEvent(entry, next, redactor, &span);
      next = internal::SkipEntry(at);
    } else if (entry.head.type() != EntryType::kGone) {
      AddTag(entry, redactor, &span.tags);
    }
    at = next;
  }
  if (span.failed) span.error_type = TextOf(span.tags, "error.type");
  return raw;
}

// One for the process: its rate gets better with its age.
internal::ClockConverter& Clock() {
  static internal::ClockConverter clock;
  return clock;
}

}  // namespace

struct Capture::State {
  explicit State(const internal::Config& config) : redactor(config.redaction) {}

  // REQUIRES: the capture's mutex.
  void Drain() noexcept {
    const std::uint32_t count = internal::BlockCount();
    for (std::uint32_t i = 0; i < count; ++i) {
      internal::ThreadBlock* const block = internal::BlockAt(i);
      const std::uint64_t head = block->head.load(std::memory_order_acquire);
      std::uint64_t tail = block->tail.load(std::memory_order_relaxed);
      while (tail != head) {
        const RecordView record(block->ring + (tail & (block->capacity - 1)) / 8);
        tail += std::uint64_t{record.Words()} * 8;
        if (record.Padding()) continue;
        Add(record);
        internal::Unref(record.State());
      }
      block->tail.store(tail, std::memory_order_release);
    }
  }
  void Add(const RecordView& record) noexcept {
    try {
      spans.push_back(Decode(record, &redactor));
    } catch (const std::bad_alloc&) {
      ++lost;
    }
  }

  internal::Redactor redactor;
  std::vector<Raw> spans;
  std::uint64_t lost = 0;
};

namespace {

internal::Mutex g_mutex;
// The one capture that is on. A template parameter would hide that it is Capture's own.
void* g_state GUARDED_BY(g_mutex) = nullptr;
void (*g_drain_state)(void*) GUARDED_BY(g_mutex) = nullptr;

void DrainForAll() noexcept {
  internal::MutexLock lock(&g_mutex);
  if (g_state != nullptr) g_drain_state(g_state);
}

}  // namespace

Capture::Capture(const Options& options) {
  const internal::Config config = internal::MakeConfig(options, NoEnvironment);
  auto state = std::make_unique<State>(config);
  if (!internal::BeginCapture(config, DrainForAll)) return;
  state_ = std::move(state);
  Clock();
  internal::MutexLock lock(&g_mutex);
  g_state = state_.get();
  g_drain_state = [](void* on) { static_cast<State*>(on)->Drain(); };
}

Capture::~Capture() {
  if (state_ == nullptr) return;
  internal::EndCapture();
  internal::MutexLock lock(&g_mutex);
  g_state = nullptr;
}

std::vector<CapturedSpan> Capture::Spans() {
  if (state_ == nullptr) return {};
  internal::MutexLock lock(&g_mutex);
  state_->Drain();
  internal::ClockConverter& clock = Clock();
  while (clock.AgeNs() < 5000000) sched_yield();  // once in a process, at most
  clock.Update();
  std::stable_sort(state_->spans.begin(), state_->spans.end(),
                   [](const Raw& a, const Raw& b) { return static_cast<std::int64_t>(a.end - b.end) < 0; });
  std::vector<CapturedSpan> spans;
  spans.reserve(state_->spans.size());
  for (const Raw& raw : state_->spans) {
    spans.push_back(raw.span);
    spans.back().start_ns = clock.ToWallNs(raw.start);
    spans.back().duration_ns = std::max<std::int64_t>(0, clock.ToWallNs(raw.end) - clock.ToWallNs(raw.start));
  }
  return spans;
}

std::vector<CapturedSpan> Capture::Named(std::string_view name) {
  std::vector<CapturedSpan> found;
  for (CapturedSpan& span : Spans()) {
    if (span.name == name) found.push_back(std::move(span));
  }
  return found;
}

CapturedSpan Capture::One(std::string_view name) {
  std::vector<CapturedSpan> found = Named(name);
  if (found.size() == 1) return std::move(found[0]);
  CapturedSpan none;
  none.name = "(" + (found.empty() ? std::string("no") : std::to_string(found.size())) + " span" +
              (found.empty() ? "" : "s") + " named \"" + std::string(name) + "\")";
  return none;
}

namespace {

void AppendTree(const std::vector<const CapturedSpan*>& spans, const CapturedSpan& span, std::size_t depth,
                std::string* out) {
  out->append(2 * depth, ' ');
  *out += span.name + (span.failed ? "!\n" : "\n");
  for (const CapturedSpan* child : spans) {
    if (child->parent_id == span.span_id && child->trace_id == span.trace_id) AppendTree(spans, *child, depth + 1, out);
  }
}

}  // namespace

std::string Capture::Tree() {
  const std::vector<CapturedSpan> spans = Spans();
  std::vector<const CapturedSpan*> ordered;
  std::map<std::uint64_t, const CapturedSpan*> by_id;
  for (const CapturedSpan& span : spans) {
    ordered.push_back(&span);
    by_id[span.span_id.value] = &span;
  }
  std::stable_sort(ordered.begin(), ordered.end(),
                   [](const CapturedSpan* a, const CapturedSpan* b) { return a->start_ns < b->start_ns; });
  std::string text;
  for (const CapturedSpan* span : ordered) {
    if (by_id.count(span->parent_id.value) == 0) AppendTree(ordered, *span, 0, &text);
  }
  return text;
}

void Capture::Clear() {
  if (state_ == nullptr) return;
  internal::MutexLock lock(&g_mutex);
  state_->Drain();
  state_->spans.clear();
}

std::uint64_t Capture::dropped() {
  if (state_ == nullptr) return 0;
  const internal::BlockCounts counts = internal::SumCounts();
  internal::MutexLock lock(&g_mutex);
  return counts.ring_full + counts.no_ring + counts.no_slot + state_->lost;
}

std::string CapturedValue::ToString() const {
  if (type_ == kNone) return "(none)";
  if (type_ == Value::Type::kText) return text_;
  const Value value = Value::OfBits(bits_, type_);
  if (type_ == Value::Type::kBool) return value.integer() != 0 ? "true" : "false";
  if (type_ == Value::Type::kInt) return std::to_string(value.integer());
  char text[32];  // the shortest that is the same number
  return std::string(text, std::to_chars(text, text + sizeof(text), value.number()).ptr);
}

}  // namespace testing
}  // namespace spanwatch
