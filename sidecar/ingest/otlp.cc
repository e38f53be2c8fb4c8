// OTLP TracesData -> core::SpanBatch. Field numbers: opentelemetry/proto/trace/v1/trace.proto. Nothing is assumed about
// the order of fields, so what depends on a later field (a resource's name, a scope's name) is set by index or
// afterwards.
#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "sidecar/ingest/ingest.h"
#include "sidecar/ingest/otlp_value.h"
#include "sidecar/ingest/pbf.h"
#include "sidecar/ingest/tracestate.h"

namespace spanwatch::ingest {
namespace {

using core::AttributeType;
using core::AttributeView;
using core::SpanBatch;
using core::SpanView;

// Limits of one record.
constexpr std::size_t kMaxSpans = 100'000;
constexpr std::size_t kMaxResources = 4096;
constexpr std::size_t kMaxRecordAttributes = 512'000;
constexpr std::size_t kMaxRecordEvents = 128'000;
constexpr std::size_t kMaxRecordLinks = 128'000;
// Limits of one span (attributes: also of one event or resource).
constexpr std::uint32_t kMaxAttributes = 128;
constexpr std::size_t kMaxEvents = 64;
constexpr std::size_t kMaxLinks = 64;
// An exception costs a microsecond: a record that is garbage from end to end must not hold up the others.
constexpr int kMaxFaults = 64;
// Times end here (year 2116), so that sums of a time and a duration cannot overflow.
constexpr std::uint64_t kMaxTimeNs = std::uint64_t{1} << 62;

std::uint64_t LoadBigEndian(const char* bytes) {
  std::uint64_t value;
  std::memcpy(&value, bytes, 8);
  return std::endian::native == std::endian::little ? __builtin_bswap64(value) : value;
}

std::int64_t Time(std::uint64_t ns) { return static_cast<std::int64_t>(std::min(ns, kMaxTimeNs)); }

std::uint32_t Size(std::size_t n) { return static_cast<std::uint32_t>(n); }

void AddDropped(std::uint32_t* counter, std::uint64_t n) {
  *counter = static_cast<std::uint32_t>(std::min<std::uint64_t>(*counter + n, UINT32_MAX));
}

class OtlpDecoder {
 public:
  explicit OtlpDecoder(SpanBatch* out) : out_(out), keeper_(&out->owned) {}

  bool Run(std::string_view bytes) {
    try {
      FieldReader reader(bytes);
      for (std::uint32_t tag; faults_ < kMaxFaults && (tag = reader.Next()) != 0;) {
        if (tag == Bytes(1)) {
          ResourceSpans(reader.View());
        } else {
          reader.Skip();
        }
      }
    } catch (const protozero::exception&) {
      return false;
    }
    return faults_ < kMaxFaults;
  }

 private:
  // What a broken span has added so far goes away with it.
  struct Mark {
    std::size_t spans, attributes, events, links;
  };
  Mark Here() const { return {out_->spans.size(), out_->attributes.size(), out_->events.size(), out_->links.size()}; }
  void Rewind(const Mark& mark) {
    out_->spans.resize(mark.spans);
    out_->attributes.resize(mark.attributes);
    out_->events.resize(mark.events);
    out_->links.resize(mark.links);
  }
  void Fault() {
    ++faults_;
    ++out_->rejected.malformed;
  }

  void ResourceSpans(std::string_view bytes) {
    if (out_->resources.size() >= kMaxResources) {
      ++out_->rejected.limit;
      return;
    }
    resource_ = Size(out_->resources.size());
    out_->resources.emplace_back().service_name = "unknown_service";
    try {
      FieldReader reader(bytes);
      for (std::uint32_t tag; faults_ < kMaxFaults && (tag = reader.Next()) != 0;) {
        switch (tag) {
          case Bytes(1):
            Resource(reader.View());
            break;
          case Bytes(2):
            ScopeSpans(reader.View());
            break;
          default:
            reader.Skip();
        }
      }
    } catch (const protozero::exception&) {
      Fault();
    }
  }

  void Resource(std::string_view bytes) {
    core::ResourceView view;
    view.service_name = "unknown_service";
    std::uint32_t dropped = 0;
    view.attributes.first = Size(out_->attributes.size());
    FieldReader reader(bytes);
    while (const std::uint32_t tag = reader.Next()) {
      if (tag != Bytes(1)) {
        reader.Skip();
        continue;
      }
      const AttributeView* a = Attribute(reader.View(), &view.attributes, &dropped);
      if (a == nullptr || a->type != AttributeType::kString || a->text.empty()) continue;
      if (a->key == "service.name") view.service_name = a->text;
      if (a->key == "service.instance.id") view.instance_id = a->text;
    }
    out_->resources[resource_] = view;
  }

  void ScopeSpans(std::string_view bytes) {
    const std::size_t first = out_->spans.size();
    std::string_view scope;
    try {
      FieldReader reader(bytes);
      for (std::uint32_t tag; faults_ < kMaxFaults && (tag = reader.Next()) != 0;) {
        switch (tag) {
          case Bytes(1):
            scope = ScopeName(reader.View());
            break;
          case Bytes(2):
            Span(reader.View());
            break;
          default:
            reader.Skip();
        }
      }
    } catch (const protozero::exception&) {
      Fault();
    }
    for (std::size_t i = first; i < out_->spans.size(); ++i) out_->spans[i].scope_name = scope;
  }

  std::string_view ScopeName(std::string_view bytes) {
    FieldReader reader(bytes);
    std::string_view name;
    bool cut = false;
    while (const std::uint32_t tag = reader.Next()) {
      tag == Bytes(1) ? static_cast<void>(name = keeper_.Text(reader.View(), &cut)) : reader.Skip();
    }
    return name;
  }

  void Span(std::string_view bytes) {
    if (out_->spans.size() >= kMaxSpans) {
      ++out_->rejected.limit;
      return;
    }
    const Mark mark = Here();
    try {
      if (!Fields(bytes)) {
        Rewind(mark);
        ++out_->rejected.invalid_id;
      }
    } catch (const protozero::exception&) {
      Rewind(mark);
      Fault();
    }
  }

  // False: an id is invalid.
  bool Fields(std::string_view bytes) {
    SpanView& span = out_->spans.emplace_back();
    span.resource = resource_;
    span.attributes.first = Size(out_->attributes.size());
    span.first_link = Size(out_->links.size());
    // Events come after the loop: their attributes must not lie between those of the span.
    event_bytes_.clear();
    exception_type_ = exception_message_ = {};
    bool ids_good = true;
    bool cut = false;
    FieldReader reader(bytes);
    while (const std::uint32_t tag = reader.Next()) {
      switch (tag) {
        case Bytes(1):
          ids_good &= Id(reader.View(), &span.trace_id);
          break;
        case Bytes(2):
          ids_good &= Id(reader.View(), &span.span_id);
          break;
        case Bytes(3):
          TraceState(reader.View(), &span);
          break;
        case Bytes(4):
          ids_good &= ParentId(reader.View(), &span.parent_id);
          break;
        case Bytes(5):
          span.name = keeper_.Text(reader.View(), &cut);
          break;
        case Varint(6):
          span.kind = Kind(reader.Number());
          break;
        case Fixed64(7):
          span.start_ns = Time(reader.Word64());
          break;
        case Fixed64(8):
          span.end_ns = Time(reader.Word64());
          break;
        case Bytes(9):
          SpanAttribute(reader.View(), &span);
          break;
        default:
          OtherField(tag, &reader, &span);
      }
    }
    if (!ids_good || !span.trace_id.IsValid() || !span.span_id.IsValid()) return false;
    if (cut) AddDropped(&span.dropped_attributes, 1);
    span.first_event = Size(out_->events.size());
    for (const std::string_view event : event_bytes_) Event(event, &span);
    if (!exception_type_.empty()) span.error_type = exception_type_;
    span.error_message = exception_message_.empty() ? span.status_message : exception_message_;
    return true;
  }

  // The fields that most spans have not.
  void OtherField(std::uint32_t tag, FieldReader* reader, SpanView* span) {
    switch (tag) {
      case Varint(10):
        AddDropped(&span->dropped_attributes, static_cast<std::uint32_t>(reader->Number()));
        break;
      case Bytes(11):
        event_bytes_.size() < kMaxEvents ? event_bytes_.push_back(reader->View()) : DropEvent(reader, span);
        break;
      case Varint(12):
        AddDropped(&span->dropped_events, static_cast<std::uint32_t>(reader->Number()));
        break;
      case Bytes(13):
        Link(reader->View(), span);
        break;
      case Varint(14):
        AddDropped(&span->dropped_links, static_cast<std::uint32_t>(reader->Number()));
        break;
      case Bytes(15):
        Status(reader->View(), span);
        break;
      case Fixed32(16):
        span->parent_is_remote = (reader->Word32() & 0x300u) == 0x300u;
        break;
      default:
        reader->Skip();
    }
  }

  void TraceState(std::string_view text, SpanView* span) {
    span->weight = AdjustedCount(text);
    bool cut = false;
    span->trace_state = text.size() <= core::kMaxTraceStateBytes ? keeper_.Text(text, &cut) : std::string_view();
  }

  static bool Id(std::string_view bytes, TraceId* id) {
    if (bytes.size() != 16) return false;
    id->hi = LoadBigEndian(bytes.data());
    id->lo = LoadBigEndian(bytes.data() + 8);
    return true;
  }
  static bool Id(std::string_view bytes, SpanId* id) {
    if (bytes.size() != 8) return false;
    id->value = LoadBigEndian(bytes.data());
    return true;
  }
  static bool ParentId(std::string_view bytes, SpanId* id) { return bytes.empty() || Id(bytes, id); }

  static core::SpanKind Kind(std::uint64_t number) {
    return number <= 5 ? static_cast<core::SpanKind>(number) : core::SpanKind::kUnspecified;
  }

  // Adds one attribute at the end of `range`. Null: left out and counted. The pointer is valid until the next one.
  const AttributeView* Attribute(std::string_view bytes, core::AttributeRange* range, std::uint32_t* dropped) {
    if (range->count >= kMaxAttributes || out_->attributes.size() >= kMaxRecordAttributes) {
      AddDropped(dropped, 1);
      return nullptr;
    }
    AttributeView& attribute = out_->attributes.emplace_back();
    bool cut = false;
    if (!DecodeKeyValue(bytes, &keeper_, &attribute, &cut)) {
      out_->attributes.pop_back();
      AddDropped(dropped, 1);
      return nullptr;
    }
    ++range->count;
    if (cut) AddDropped(dropped, 1);
    return &attribute;
  }

  void SpanAttribute(std::string_view bytes, SpanView* span) {
    const AttributeView* a = Attribute(bytes, &span->attributes, &span->dropped_attributes);
    if (a == nullptr) return;
    // The length tells most keys apart from the few that mean something here. A repeated key: the last wins.
    if (a->key.size() == 19 && a->key == "spanwatch.mem.delta" && a->type == AttributeType::kInt) {
      span->memory_delta = a->integer;
    } else if (a->key.size() == 18 && a->key == "spanwatch.mem.peak" && a->type == AttributeType::kInt) {
      span->memory_peak = a->integer;
    } else if (a->key.size() == 10 && a->key == "error.type" && a->type == AttributeType::kString) {
      span->error_type = a->text;
    }
  }

  void DropEvent(FieldReader* reader, SpanView* span) {
    reader->Skip();
    AddDropped(&span->dropped_events, 1);
  }

  void Event(std::string_view bytes, SpanView* span) {
    if (out_->events.size() >= kMaxRecordEvents) return AddDropped(&span->dropped_events, 1);
    core::EventView event;
    event.attributes.first = Size(out_->attributes.size());
    bool cut = false;
    std::string_view type, message;
    FieldReader reader(bytes);
    while (const std::uint32_t tag = reader.Next()) {
      switch (tag) {
        case Fixed64(1):
          event.time_ns = Time(reader.Word64());
          break;
        case Bytes(2):
          event.name = keeper_.Text(reader.View(), &cut);
          break;
        case Bytes(3): {
          const AttributeView* a = Attribute(reader.View(), &event.attributes, &span->dropped_attributes);
          if (a == nullptr || a->type != AttributeType::kString) break;
          if (a->key == "exception.type") type = a->text;
          if (a->key == "exception.message") message = a->text;
          break;
        }
        default:
          reader.Skip();
      }
    }
    if (event.name == "exception") {
      exception_type_ = type;
      exception_message_ = message;
    }
    if (cut) AddDropped(&span->dropped_events, 1);
    out_->events.push_back(event);
    ++span->event_count;
  }

  void Link(std::string_view bytes, SpanView* span) {
    core::LinkView link;
    bool good = true;
    FieldReader reader(bytes);
    while (const std::uint32_t tag = reader.Next()) {
      switch (tag) {
        case Bytes(1):
          good &= Id(reader.View(), &link.trace_id);
          break;
        case Bytes(2):
          good &= Id(reader.View(), &link.span_id);
          break;
        default:
          reader.Skip();
      }
    }
    good &= link.trace_id.IsValid() && link.span_id.IsValid();
    if (!good || span->link_count >= kMaxLinks || out_->links.size() >= kMaxRecordLinks) {
      return AddDropped(&span->dropped_links, 1);
    }
    out_->links.push_back(link);
    ++span->link_count;
  }

  void Status(std::string_view bytes, SpanView* span) {
    bool cut = false;
    FieldReader reader(bytes);
    while (const std::uint32_t tag = reader.Next()) {
      switch (tag) {
        case Bytes(2):
          span->status_message = keeper_.Text(reader.View(), &cut);
          break;
        case Varint(3): {
          const std::uint64_t code = reader.Number();
          span->status = code <= 2 ? static_cast<core::StatusCode>(code) : core::StatusCode::kUnset;
          break;
        }
        default:
          reader.Skip();
      }
    }
    if (cut) AddDropped(&span->dropped_attributes, 1);
  }

  SpanBatch* const out_;
  TextKeeper keeper_;
  std::vector<std::string_view> event_bytes_;            // of the span at hand
  std::string_view exception_type_, exception_message_;  // of its last exception event
  std::uint32_t resource_ = 0;
  int faults_ = 0;
};

}  // namespace

bool DecodeOtlp(std::string_view bytes, SpanBatch* out) {
  out->Clear();
  return OtlpDecoder(out).Run(bytes);
}

}  // namespace spanwatch::ingest
