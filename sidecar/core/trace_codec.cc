#include "sidecar/core/trace_codec.h"

#include <algorithm>
#include <array>
#include <utility>

#include "sidecar/core/codec.h"

namespace spanwatch::core {
namespace {

constexpr std::uint64_t kVersion = 1;
constexpr std::uint64_t kAttributeTypes = 7, kSpanKinds = 6, kStatusCodes = 3;
// MissingSpan::reason points to a literal; the last one stands for all that are not known.
constexpr std::array<const char*, 5> kReasons = {"still_open", "late", "other_host", "lost", "not_received"};

template <typename Enum>
std::uint64_t Number(Enum value) {
  return static_cast<std::uint64_t>(value);
}

std::uint64_t NumberOfReason(std::string_view reason) {
  const auto it = std::find(kReasons.begin(), kReasons.end() - 1, reason);
  return static_cast<std::uint64_t>(it - kReasons.begin());
}

class Writer {
 public:
  explicit Writer(std::string* out) : out_(out) {}

  void Trace(const TraceCopy& trace) {
    out_.U64(kVersion);
    Summary(trace.summary);
    out_.U64(trace.missing.size());
    for (const MissingSpan& each : trace.missing) {
      out_.Id(each.id).U64(NumberOfReason(each.reason)).U64(each.children);
      out_.Text(each.service).Text(each.operation).I64(each.start_ns);
    }
    out_.U64(trace.losses.size());
    for (const TraceLoss& each : trace.losses) {
      out_.Text(each.process).Text(each.service).Text(each.reason).U64(each.spans);
    }
    out_.U64(trace.resources.size());
    for (const auto& resource : trace.resources) Attributes(resource);
    out_.U64(trace.spans.size());
    for (const SpanCopy& span : trace.spans) Span(span, trace.summary.start_ns);
  }

 private:
  void Summary(const TraceSummary& summary) {
    out_.Id(summary.trace_id).Text(summary.root_service).Text(summary.root_operation);
    out_.I64(summary.start_ns).I64(summary.duration_ns).U64(summary.span_count).U64(summary.error_count);
    out_.U64(summary.depth).U64(summary.truncated).U64(summary.orphans);
    out_.Bool(summary.complete).Bool(summary.alerted).U64(summary.services.size());
    for (const auto& service : summary.services) out_.Text(service.name).U64(service.spans).U64(service.errors);
  }

  void Attributes(const std::vector<AttributeCopy>& attributes) {
    out_.U64(attributes.size());
    for (const AttributeCopy& attribute : attributes) {
      out_.Text(attribute.key).U64(Number(attribute.type));
      switch (attribute.type) {
        case AttributeType::kBool:
        case AttributeType::kInt:
          out_.I64(attribute.integer);
          break;
        case AttributeType::kDouble:
          out_.F64(attribute.number);
          break;
        case AttributeType::kString:
        case AttributeType::kBytes:
        case AttributeType::kJson:
          out_.Text(attribute.text);
          break;
        case AttributeType::kEmpty:
          break;
      }
    }
  }

  // Differences of times wrap around as unsigned numbers do: hostile times come back as they were.
  static std::int64_t Less(std::int64_t a, std::int64_t b) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
  }

  void Span(const SpanCopy& span, std::int64_t trace_start_ns) {
    out_.Id(span.span_id).Id(span.parent_id);
    out_.I64(Less(span.start_ns, trace_start_ns)).I64(Less(span.end_ns, span.start_ns));
    out_.Text(span.service).Text(span.name).Text(span.scope);
    out_.U64(Number(span.kind)).U64(Number(span.status)).Text(span.status_message);
    out_.Bool(span.orphan).U64(span.depth).U64(span.resource).Text(span.trace_state).Bool(span.parent_is_remote);
    Attributes(span.attributes);
    out_.U64(span.events.size());
    for (const SpanCopy::Event& event : span.events) {
      out_.I64(Less(event.time_ns, span.start_ns)).Text(event.name);
      Attributes(event.attributes);
    }
    out_.U64(span.links.size());
    for (const LinkView& link : span.links) out_.Id(link.trace_id).Id(link.span_id);
    out_.U64(span.dropped_attributes).U64(span.dropped_events).U64(span.dropped_links);
  }

  CodecWriter out_;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : in_(bytes) {}

  std::optional<TraceCopy> Trace() {
    TraceCopy trace;
    if (in_.U64() != kVersion) return std::nullopt;
    Summary(&trace.summary);
    List(&trace.missing, [this](MissingSpan* each) {
      each->id = in_.SpanIdValue();
      each->reason = kReasons[in_.Below(kReasons.size())];
      each->children = in_.U32();
      each->service = in_.Text();
      each->operation = in_.Text();
      each->start_ns = in_.I64();
    });
    List(&trace.losses, [this](TraceLoss* each) {
      each->process = in_.Text();
      each->service = in_.Text();
      each->reason = in_.Text();
      each->spans = in_.U64();
    });
    List(&trace.resources, [this](auto* resource) { Attributes(resource); });
    if (trace.resources.empty()) trace.resources.emplace_back();
    List(&trace.spans, [&](SpanCopy* span) { Span(span, trace); });
    if (!good_ || !in_.AtEnd()) return std::nullopt;
    return trace;
  }

 private:
  // Grows as elements come: a count alone asks for no memory.
  template <typename Element, typename Read>
  void List(std::vector<Element>* list, const Read& read) {
    for (std::size_t n = in_.Count(); n > 0 && in_.ok() && good_; --n) {
      good_ = ++elements_ <= kMaxDecodedElements;
      Element element{};
      read(&element);
      list->push_back(std::move(element));
    }
  }

  void Summary(TraceSummary* summary) {
    summary->trace_id = in_.TraceIdValue();
    summary->root_service = in_.Text();
    summary->root_operation = in_.Text();
    summary->start_ns = in_.I64();
    summary->duration_ns = in_.I64();
    summary->span_count = in_.U32();
    summary->error_count = in_.U32();
    summary->depth = in_.U32();
    summary->truncated = in_.U32();
    summary->orphans = in_.U32();
    summary->complete = in_.Bool();
    summary->alerted = in_.Bool();
    List(&summary->services, [this](TraceSummary::Service* each) {
      each->name = in_.Text();
      each->spans = in_.U32();
      each->errors = in_.U32();
    });
  }

  void Attributes(std::vector<AttributeCopy>* attributes) {
    List(attributes, [this](AttributeCopy* attribute) {
      attribute->key = in_.Text();
      attribute->type = static_cast<AttributeType>(in_.Below(kAttributeTypes));
      switch (attribute->type) {
        case AttributeType::kBool:
        case AttributeType::kInt:
          attribute->integer = in_.I64();
          break;
        case AttributeType::kDouble:
          attribute->number = in_.F64();
          break;
        case AttributeType::kString:
        case AttributeType::kBytes:
        case AttributeType::kJson:
          attribute->text = in_.Text();
          break;
        case AttributeType::kEmpty:
          break;
      }
    });
  }

  std::int64_t After(std::int64_t base) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(base) + static_cast<std::uint64_t>(in_.I64()));
  }

  void Span(SpanCopy* span, const TraceCopy& trace) {
    span->span_id = in_.SpanIdValue();
    span->parent_id = in_.SpanIdValue();
    span->start_ns = After(trace.summary.start_ns);
    span->end_ns = After(span->start_ns);
    span->service = in_.Text();
    span->name = in_.Text();
    span->scope = in_.Text();
    span->kind = static_cast<SpanKind>(in_.Below(kSpanKinds));
    span->status = static_cast<StatusCode>(in_.Below(kStatusCodes));
    span->status_message = in_.Text();
    span->orphan = in_.Bool();
    span->depth = in_.U32();
    span->resource = static_cast<std::uint32_t>(in_.Below(trace.resources.size()));
    span->trace_state = in_.Text();
    span->parent_is_remote = in_.Bool();
    Attributes(&span->attributes);
    List(&span->events, [&](SpanCopy::Event* event) {
      event->time_ns = After(span->start_ns);
      event->name = in_.Text();
      Attributes(&event->attributes);
    });
    List(&span->links, [this](LinkView* link) {
      link->trace_id = in_.TraceIdValue();
      link->span_id = in_.SpanIdValue();
    });
    span->dropped_attributes = in_.U32();
    span->dropped_events = in_.U32();
    span->dropped_links = in_.U32();
  }

  CodecReader in_;
  std::size_t elements_ = 0;
  bool good_ = true;
};

}  // namespace

std::string EncodeTrace(const TraceCopy& trace) {
  std::string bytes;
  Writer(&bytes).Trace(trace);
  return bytes;
}

std::optional<TraceCopy> DecodeTrace(std::string_view bytes) { return Reader(bytes).Trace(); }

}  // namespace spanwatch::core
