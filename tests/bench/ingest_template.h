// Batches of spans encoded once, whose ids and times are written anew for each sending: every trace is new, and the
// generator costs a fraction of the receiver. Header only.
#ifndef SPANWATCH_TESTS_BENCH_INGEST_TEMPLATE_H_
#define SPANWATCH_TESTS_BENCH_INGEST_TEMPLATE_H_

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "sidecar/ingest/pbf.h"

namespace spanwatch::bench {

struct Shape {
  std::uint32_t spans = 320;
  std::uint32_t attributes = 4;
  std::uint32_t services = 4;
  std::uint32_t operations = 50;
  double error_rate = 0.01;
  const char* service_prefix = "service-";
};

// A trace of eight spans, four levels deep: the parent of each, by its place.
inline constexpr std::array<int, 8> kParents = {-1, 0, 1, 2, 1, 0, 5, 5};

class Random {  // splitmix64
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t Next() {
    std::uint64_t z = state_ += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }

 private:
  std::uint64_t state_;
};

class Template {
 public:
  // `number` tells the templates of a run apart: it chooses the service and shifts the operations.
  Template(const Shape& shape, std::uint32_t number) : spans_(shape.spans) {
    namespace pz = protozero;
    using ingest::Bytes;
    Random random(number + 1);
    std::string resource, scope_spans;
    AppendAttribute(resource, 1, "service.name", Numbered(shape.service_prefix, number % shape.services));
    for (std::uint32_t i = 0; i < shape.spans; ++i) {
      const std::string span = MakeSpan(shape, number * shape.spans + i, i % kParents.size(), &random);
      pz::pbf_writer(scope_spans).add_message(2, span);
    }
    std::string resource_spans;
    pz::pbf_writer writer(resource_spans);
    writer.add_message(1, resource);
    writer.add_message(2, scope_spans);
    pz::pbf_writer(bytes_).add_message(1, resource_spans);
    FindSlots();
  }

  std::uint32_t spans() const { return spans_; }
  const std::string& bytes() const { return bytes_; }

  // Copies the batch to `out` (bytes().size() of them) with new ids, and times that end at about `now_ns`.
  void Write(char* out, std::uint64_t now_ns, Random* random) const {
    std::memcpy(out, bytes_.data(), bytes_.size());
    std::array<std::uint64_t, kParents.size()> ids{};
    std::uint64_t trace[2] = {};
    std::size_t place = 0;
    for (const Slot& slot : slots_) {
      if (place == 0) trace[0] = random->Next() | 1, trace[1] = random->Next();
      ids[place] = random->Next() | 1;
      std::memcpy(out + slot.trace_id, trace, 16);
      std::memcpy(out + slot.span_id, &ids[place], 8);
      if (kParents[place] >= 0) std::memcpy(out + slot.parent_id, &ids[static_cast<std::size_t>(kParents[place])], 8);
      const std::uint64_t start = now_ns - slot.before_end_ns, end = start + slot.duration_ns;
      std::memcpy(out + slot.start, &start, 8);
      std::memcpy(out + slot.end, &end, 8);
      place = (place + 1) % kParents.size();
    }
  }

 private:
  // Where the fixed-width fields of one span lie.
  struct Slot {
    std::uint32_t trace_id = 0, span_id = 0, parent_id = 0, start = 0, end = 0;
    std::uint64_t before_end_ns = 0, duration_ns = 0;
  };

  static std::string Numbered(const char* prefix, std::uint32_t number) {
    char text[64];
    std::snprintf(text, sizeof text, "%s%03u", prefix, number);
    return text;
  }

  static void AppendAttribute(std::string& out, std::uint32_t field, std::string_view key, std::string_view text) {
    std::string value, pair;
    protozero::pbf_writer(value).add_bytes(1, text);
    protozero::pbf_writer pair_writer(pair);
    pair_writer.add_bytes(1, key);
    pair_writer.add_message(2, value);
    protozero::pbf_writer(out).add_message(field, pair);
  }
  static void AppendAttribute(std::string& out, std::uint32_t field, std::string_view key, std::int64_t number) {
    std::string value, pair;
    protozero::pbf_writer(value).add_int64(3, number);
    protozero::pbf_writer pair_writer(pair);
    pair_writer.add_bytes(1, key);
    pair_writer.add_message(2, value);
    protozero::pbf_writer(out).add_message(field, pair);
  }

  static std::string MakeSpan(const Shape& shape, std::uint32_t index, std::size_t place, Random* random) {
    std::string span;
    protozero::pbf_writer writer(span);
    writer.add_bytes(1, std::string(16, 't'));
    writer.add_bytes(2, std::string(8, 's'));
    if (kParents[place] >= 0) writer.add_bytes(4, std::string(8, 'p'));
    writer.add_bytes(5, Numbered("Service.operation_", index % shape.operations));
    writer.add_enum(6, place == 0 ? 2 : 1);
    writer.add_fixed64(7, 1);
    writer.add_fixed64(8, 1);
    for (std::uint32_t i = 0; i < shape.attributes; ++i) {
      if (i % 2 == 0) {
        AppendAttribute(span, 9, Numbered("attribute.text.", i), Numbered("value-", index % 17));
      } else {
        AppendAttribute(span, 9, Numbered("attribute.number.", i), std::int64_t{index} * 7);
      }
    }
    if (static_cast<double>(random->Next() >> 11) * 0x1p-53 < shape.error_rate) {
      std::string status;
      protozero::pbf_writer status_writer(status);
      status_writer.add_bytes(2, "the model did not answer");
      status_writer.add_enum(3, 2);
      writer.add_message(15, status);
    }
    return span;
  }

  void FindSlots() {
    protozero::pbf_reader data(bytes_);
    data.next(1);
    protozero::pbf_reader resource_spans(data.get_view());
    resource_spans.next(2);
    protozero::pbf_reader scope_spans(resource_spans.get_view());
    Random random(bytes_.size());
    while (scope_spans.next(2)) {
      protozero::pbf_reader span(scope_spans.get_view());
      const std::size_t place = slots_.size() % kParents.size();
      Slot slot;
      while (span.next()) {
        const std::uint32_t tag = span.tag();
        if (tag == 1 || tag == 2 || tag == 4) {
          (tag == 1 ? slot.trace_id : tag == 2 ? slot.span_id : slot.parent_id) = Offset(span.get_view().data());
        } else if (tag == 7 || tag == 8) {
          (tag == 7 ? slot.start : slot.end) = Offset(span.data().data());
          span.skip();
        } else {
          span.skip();
        }
      }
      // 40 to 80 ms for the root, less the deeper a span lies; none is slow by the default rules.
      slot.duration_ns = (40'000'000 + random.Next() % 40'000'000) / (place + 1);
      slot.before_end_ns = 80'000'000 - 2'000'000 * place;
      slots_.push_back(slot);
    }
  }

  std::uint32_t Offset(const char* at) const { return static_cast<std::uint32_t>(at - bytes_.data()); }

  const std::uint32_t spans_;
  std::string bytes_;
  std::vector<Slot> slots_;
};

}  // namespace spanwatch::bench

#endif  // SPANWATCH_TESTS_BENCH_INGEST_TEMPLATE_H_
