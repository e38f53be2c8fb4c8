// The compact form in which a stored span keeps what only readers need: name (if statistics folded it), status message,
// attributes, events, links, trace state, dropped counts. Internal to the process: nothing of it is written anywhere.
#ifndef SPANWATCH_SIDECAR_CORE_SPAN_DETAIL_H_
#define SPANWATCH_SIDECAR_CORE_SPAN_DETAIL_H_

#include <string>
#include <string_view>
#include <vector>

#include "sidecar/core/flat_buffer.h"
#include "sidecar/core/snapshot.h"
#include "sidecar/core/span_batch.h"

namespace spanwatch::core {

// Appends to *out. `with_name`: the span's name is kept here because the catalog folded it into "(other)".
void AppendDetail(const SpanBatch& batch, const SpanView& span, bool with_name, FlatBuffer<char>* out);

// Reads what AppendDetail wrote into the fields it holds; leaves `copy->name` alone if no name was kept.
void ReadDetail(std::string_view detail, SpanCopy* copy);

// Attributes alone, in the same form, as the catalog keeps those of resources. Attributes that would make it longer
// than `max_bytes` are left out; nothing at all: "".
void EncodeAttributes(const SpanBatch& batch, AttributeRange range, std::size_t max_bytes, std::string* out);
std::vector<AttributeCopy> DecodeAttributes(std::string_view encoded);

// True if the span has the string attribute `key` with value `value`.
bool HasAttribute(std::string_view detail, std::string_view key, std::string_view value);

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_SPAN_DETAIL_H_
