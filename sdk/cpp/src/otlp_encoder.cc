#include "sdk/cpp/src/otlp_encoder.h"

#include <new>

#include "sdk/cpp/src/trace_state.h"
#include "spanwatch/span.h"

namespace spanwatch::internal {
namespace {

// Field numbers of opentelemetry/proto/trace/v1/trace.proto and its imports.
enum SpanField : std::uint32_t {
  kTraceId = 1,
  kSpanId = 2,
  kTraceStateField = 3,
  kParentSpanId = 4,
  kName = 5,
  kKind = 6,
  kStartTime = 7,
  kEndTime = 8,
  kAttributes = 9,
  kDroppedAttributes = 10,
  kEvents = 11,
  kDroppedEvents = 12,
  kLinks = 13,
  kStatus = 15,
};
enum EventField : std::uint32_t { kEventTime = 1, kEventName = 2, kEventAttributes = 3, kEventDropped = 4 };
constexpr std::uint32_t kHasIsRemote = 0x100;
constexpr std::uint32_t kIsRemote = 0x200;
// More than any entry's encoding takes beside its texts: heads, lengths, numbers, names of events.
constexpr std::size_t kEntryOverhead = 96;
constexpr std::size_t kSpanOverhead = 512 + TraceState::kMaxText + kMaxNameBytes;

std::uint8_t* PutKeyText(std::uint8_t* out, std::uint32_t field, std::string_view key, std::string_view text) noexcept {
  const std::size_t any = 1 + VarintSize(text.size()) + text.size();
  out = PutHead(out, field, 1 + VarintSize(key.size()) + key.size() + 1 + VarintSize(any) + any);
  out = PutBytes(out, 1, key);
  return PutBytes(PutHead(out, 2, any), 1, text);
}

std::uint8_t* PutKeyInt(std::uint8_t* out, std::uint32_t field, std::string_view key, std::int64_t number) noexcept {
  const auto bits = static_cast<std::uint64_t>(number);
  const std::size_t any = 1 + VarintSize(bits);
  out = PutHead(out, field, 1 + VarintSize(key.size()) + key.size() + 2 + any);
  out = PutHead(PutBytes(out, 1, key), 2, any);
  return PutVarint(PutTag(out, 3, kVarint), bits);  // an explicit 0 stays: the oneof is set
}

std::uint8_t* PutAttribute(std::uint8_t* out, std::uint32_t field, const EntryView& entry,
                           Redactor* redactor) noexcept {
  const auto [key, verdict] = redactor->Key(entry.key);
  const EntryType type = entry.head.type();
  // What a secret is made of does not matter; numbers are no content.
  if (type == EntryType::kText || verdict == KeyVerdict::kSecret)
    return PutKeyText(out, field, key, redactor->Value(verdict, entry.text));
  if (type == EntryType::kInt) return PutKeyInt(out, field, key, static_cast<std::int64_t>(entry.bits));
  const bool is_bool = type == EntryType::kBool;
  const std::size_t any = is_bool ? 2 : 9;
  out = PutHead(out, field, 1 + VarintSize(key.size()) + key.size() + 2 + any);
  out = PutHead(PutBytes(out, 1, key), 2, any);
  if (is_bool) return PutVarint(PutTag(out, 2, kVarint), entry.bits);
  return PutFixed64(out, 4, entry.bits);
}

constexpr std::string_view kSeverity[] = {"debug", "info", "warn", "error"};

std::uint8_t* PutEvent(std::uint8_t* out, const EntryView& event, const std::uint64_t* fields,
                       const ClockConverter& clock, Redactor* redactor) noexcept {
  std::uint8_t* const body = PutTag(out, kEvents, kBytes) + 2;
  out = PutFixed64(body, kEventTime, static_cast<std::uint64_t>(clock.ToWallNs(event.bits)));
  if (event.head.type() == EntryType::kException) {
    out = PutBytes(out, kEventName, "exception");
  } else {
    out = PutBytes(out, kEventName, "log");
    out = PutKeyText(out, kEventAttributes, "log.severity", kSeverity[event.head.level()]);
    out = PutKeyText(out, kEventAttributes, "log.message", redactor->Value(redactor->log_verdict(), event.text));
  }
  for (std::uint32_t i = 0; i < event.head.fields(); ++i) {
    EntryView field;
    fields = ReadEntry(fields, &field);
    out = PutAttribute(out, kEventAttributes, field, redactor);
  }
  out = PutNumber(out, kEventDropped, event.head.dropped_fields());
  return CloseMessage(body, out);
}

std::uint8_t* PutLink(std::uint8_t* out, const std::uint64_t* entry) noexcept {
  constexpr std::size_t kSize = 2 + 16 + 2 + 8;
  out = PutHead(PutHead(out, kLinks, kSize), kTraceId, 16);
  out = PutBigEndian(PutBigEndian(out, entry[1]), entry[2]);
  return PutBigEndian(PutHead(out, kSpanId, 8), entry[3]);
}

// Where a tag lies; without constructor, so that a table of them costs nothing.
struct TagPlace {
  const std::uint64_t* at;
  const char* key;
  std::size_t key_bytes;
};

// Whether a later tag has the same key.
bool Replaced(const TagPlace* tags, std::uint32_t i, std::uint32_t count) noexcept {
  for (std::uint32_t j = i + 1; j < count; ++j) {
    if (tags[j].key_bytes != tags[i].key_bytes) continue;
    if (tags[j].key == tags[i].key || std::memcmp(tags[j].key, tags[i].key, tags[i].key_bytes) == 0) return true;
  }
  return false;
}

// W3C tracestate. A span that sampling did not choose but that is kept because it failed counts once: so does every
// failed one, which is why its threshold is 0.
std::uint8_t* PutTraceState(std::uint8_t* out, std::uint64_t sampling, const TraceState* state, bool failed) noexcept {
  if (state == nullptr) {
    const std::uint64_t threshold = sampling & kThresholdMask;
    if (threshold == 0 || failed) return out;
    char text[6 + 14] = {'o', 't', '=', 't', 'h', ':'};
    return PutBytes(out, kTraceStateField, {text, 6 + FormatThreshold(threshold, text + 6)});
  }
  const std::string_view text = state->view();
  if (!failed || state->threshold_size == 0) return PutBytes(out, kTraceStateField, text);
  out = PutHead(out, kTraceStateField, text.size() - state->threshold_size + 1);
  out = PutRaw(out, text.data(), state->threshold_at);
  *out++ = '0';
  const std::string_view rest = text.substr(state->threshold_at + state->threshold_size);
  return PutRaw(out, rest.data(), rest.size());
}

struct SpanHead {
  std::uint64_t trace_hi, trace_lo, span_id, parent_id;
  std::uint64_t sampling = kSampled;
  const TraceState* state = nullptr;
  bool failed = false;
  std::string_view name;
  std::uint32_t kind;
  std::int64_t start_ns;
  std::int64_t end_ns;
};

// A tracestate with something to hide loses all but our own entry.
std::uint8_t* PutRedactedTraceState(std::uint8_t* out, const SpanHead& span, Redactor* redactor) noexcept {
  if (span.state == nullptr) return PutTraceState(out, span.sampling, nullptr, span.failed);
  const std::string_view text = span.state->view();
  if (redactor->Text(text, TraceState::kMaxText + 4).data() == text.data())
    return PutTraceState(out, span.sampling, span.state, span.failed);
  return PutTraceState(out, span.state->threshold_size == 0 ? 0 : span.state->threshold, nullptr, span.failed);
}

std::uint8_t* PutSpanHead(std::uint8_t* out, const SpanHead& span, Redactor* redactor) noexcept {
  out = PutHead(out, kTraceId, 16);
  out = PutBigEndian(PutBigEndian(out, span.trace_hi), span.trace_lo);
  out = PutBigEndian(PutHead(out, kSpanId, 8), span.span_id);
  if (span.state != nullptr || (span.sampling & kThresholdMask) != 0) {
    out = PutRedactedTraceState(out, span, redactor);
  }
  if (span.parent_id != 0) out = PutBigEndian(PutHead(out, kParentSpanId, 8), span.parent_id);
  out = PutBytes(out, kName, redactor->Text(span.name, kMaxNameBytes));
  out = PutNumber(out, kKind, span.kind);
  out = PutFixed64(out, kStartTime, static_cast<std::uint64_t>(span.start_ns));
  if (span.end_ns != 0) out = PutFixed64(out, kEndTime, static_cast<std::uint64_t>(span.end_ns));
  // Field 16, fixed32.
  *out++ = 0x85;
  *out++ = 0x01;
  const std::uint32_t flags = ((span.sampling & kSampled) != 0 ? 1u : 0u) |
                              ((span.sampling & kRandomTraceId) != 0 ? 2u : 0u) | kHasIsRemote |
                              ((span.sampling & kRemoteParent) != 0 ? kIsRemote : 0u);
  return PutRaw(out, &flags, 4);
}

// What failed, as it stands in the record: the last message and type.
struct Failure {
  std::string_view message, type;
};

// Tags and events.
std::uint8_t* PutEntries(std::uint8_t* out, const RecordView& record, const ClockConverter& clock, Redactor* redactor,
                         Failure* failure) noexcept {
  TagPlace tags[2 * kMaxTags];
  std::uint32_t tag_count = 0;
  const std::uint64_t* at = record.Entries();
  const std::uint64_t* const end = record.End();
  while (at < end) {
    EntryView entry;
    const std::uint64_t* next = ReadEntry(at, &entry);
    if (entry.head.type() == EntryType::kFailure) {
      failure->message = entry.text;
    } else if (entry.head.is_link()) {
      out = PutLink(out, at);
    } else if (entry.head.is_event()) {
      out = PutEvent(out, entry, next, clock, redactor);
      next = SkipEntry(at);
    } else if (entry.head.type() != EntryType::kGone) {
      if (tag_count == 2 * kMaxTags) --tag_count;  // only by failing over and over: the last type stays
      tags[tag_count++] = {at, entry.key.data(), entry.key.size()};
    }
    at = next;
  }
  for (std::uint32_t i = 0; i < tag_count; ++i) {
    if (Replaced(tags, i, tag_count)) continue;
    EntryView entry;
    ReadEntry(tags[i].at, &entry);
    if (record.Failed() && entry.key == "error.type") failure->type = entry.text;
    out = PutAttribute(out, kAttributes, entry, redactor);
  }
  return out;
}

// The status of a span that failed: its message, or in strict mode the type.
std::uint8_t* PutFailedStatus(std::uint8_t* out, const Failure& failure, Redactor* redactor) noexcept {
  std::string_view text;
  const KeyVerdict verdict = redactor->message_verdict();
  if (verdict == KeyVerdict::kKeep || failure.type.empty())
    text = failure.message.empty() ? failure.message : redactor->Value(verdict, failure.message);
  else
    text = redactor->Text(failure.type.substr(0, CutUtf8(failure.type.data(), failure.type.size(), kMaxNameBytes)),
                          kMaxNameBytes);
  const std::size_t message = text.empty() ? 0 : 1 + VarintSize(text.size()) + text.size();
  out = PutHead(out, kStatus, message + 2);
  if (message > 0) out = PutBytes(out, 2, text);
  return PutNumber(out, 3, 2);  // STATUS_CODE_ERROR
}

}  // namespace

Payload* Payload::Make(std::size_t size) noexcept {
  void* const memory = std::malloc(sizeof(Payload) + size);
  return memory == nullptr ? nullptr : new (memory) Payload{{1}, static_cast<std::uint32_t>(size)};
}

void Payload::Unref(Payload* payload) noexcept {
  if (payload != nullptr && payload->refs.fetch_sub(1, std::memory_order_acq_rel) == 1) std::free(payload);
}

OtlpEncoder::OtlpEncoder(const std::vector<std::pair<std::string, std::string>>& resource, Redactor* redactor)
    : redactor_(redactor) {
  for (const auto& pair : resource) {
    const auto [key, verdict] = redactor->Key(pair.first);
    const std::string_view value = redactor->Value(verdict, pair.second);
    std::string attribute(32 + key.size() + value.size(), '\0');
    auto* const begin = reinterpret_cast<std::uint8_t*>(attribute.data());
    attribute.resize(static_cast<std::size_t>(PutKeyText(begin, 1, key, value) - begin));
    resource_ += attribute;
  }
  std::uint8_t scope[64];
  std::uint8_t* const end = PutBytes(PutBytes(scope, 1, "spanwatch"), 2, SPANWATCH_SDK_VERSION);
  scope_.assign(reinterpret_cast<const char*>(scope), static_cast<std::size_t>(end - scope));
}

OtlpEncoder::Result OtlpEncoder::Add(const RecordView& record, const ClockConverter& clock,
                                     const MemorySampler& memory) noexcept {
  const std::size_t bound = kSpanOverhead + kRedactedGrowth * record.TextBytes() + record.Words() / 2 * kEntryOverhead;
  if (count_ > 0 && spans_.size() + kSpanOverhead + record.TextBytes() + record.Words() * 8 > kBatchBytes)
    return Result::kFull;
  std::uint8_t* const out = spans_.Room(bound);
  if (out == nullptr) return Result::kFailed;
  SpanHead head;
  head.trace_hi = record.Word(kTraceHiWord);
  head.trace_lo = record.Word(kTraceLoWord);
  head.span_id = record.Word(kSpanWord);
  head.parent_id = record.Word(kParentWord);
  head.sampling = record.Sampling();
  head.state = record.State();
  head.failed = record.Failed();
  head.name = record.Name();
  head.kind = record.Kind();
  const std::uint64_t start = record.Word(kStartWord);
  std::uint64_t end = record.Word(kEndWord);
  if (static_cast<std::int64_t>(end - start) < 0) end = start;  // two processors' counters apart
  head.start_ns = clock.ToWallNs(start);
  head.end_ns = clock.ToWallNs(end);
  std::uint8_t* const body = PutTag(out, 2, kBytes) + 2;
  std::uint8_t* at = PutSpanHead(body, head, redactor_);
  Failure failure;
  if (record.Entries() != record.End()) at = PutEntries(at, record, clock, redactor_, &failure);
  std::int64_t delta = 0, peak = 0;
  if (memory.During(start, end, &delta, &peak)) {
    at = PutKeyInt(at, kAttributes, "spanwatch.mem.delta", delta);
    at = PutKeyInt(at, kAttributes, "spanwatch.mem.peak", peak);
  }
  if (record.HasAllocations()) {
    at = PutKeyInt(at, kAttributes, "spanwatch.alloc.bytes",
                   static_cast<std::int64_t>(record.Word(kAllocatedBytesWord)));
    at = PutKeyInt(at, kAttributes, "spanwatch.alloc.count", static_cast<std::int64_t>(record.Word(kAllocationsWord)));
  }
  at = PutNumber(at, kDroppedAttributes, record.DroppedTags());
  at = PutNumber(at, kDroppedEvents, record.DroppedLogs());
  if (head.failed) at = PutFailedStatus(at, failure, redactor_);
  spans_.SetEnd(CloseMessage(body, at));
  ++count_;
  return Result::kAdded;
}

OtlpEncoder::Result OtlpEncoder::AddOpen(const OpenSpan& span, const ClockConverter& clock) noexcept {
  if (spans_.size() + kSpanOverhead > kBatchBytes) return Result::kFull;
  std::uint8_t* const out = spans_.Room(kSpanOverhead);
  if (out == nullptr) return Result::kFailed;
  SpanHead head;
  head.trace_hi = span.trace_hi;
  head.trace_lo = span.trace_lo;
  head.span_id = span.span_id;
  head.parent_id = span.parent_id;
  head.name = span.name;
  head.kind = span.kind;
  head.start_ns = clock.ToWallNs(span.start);
  head.end_ns = 0;
  std::uint8_t* const body = PutTag(out, 2, kBytes) + 2;
  spans_.SetEnd(CloseMessage(body, PutSpanHead(body, head, redactor_)));
  ++count_;
  return Result::kAdded;
}

Payload* OtlpEncoder::Finish() noexcept {
  const std::size_t scope_spans = 1 + VarintSize(scope_.size()) + scope_.size() + spans_.size();
  const std::size_t resource_spans =
      1 + VarintSize(resource_.size()) + resource_.size() + 1 + VarintSize(scope_spans) + scope_spans;
  Payload* const payload = Payload::Make(1 + VarintSize(resource_spans) + resource_spans);
  if (payload != nullptr) {
    std::uint8_t* out = PutHead(payload->data(), 1, resource_spans);
    out = PutBytes(out, 1, resource_);
    out = PutBytes(PutHead(out, 2, scope_spans), 1, scope_);
    PutRaw(out, spans_.data(), spans_.size());
  }
  spans_.Clear();
  count_ = 0;
  return payload;
}

}  // namespace spanwatch::internal
