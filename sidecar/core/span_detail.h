// The compact form in which a stored span keeps what only readers need: name (if statistics folded it), status message,
// attributes, events, links, dropped counts. Internal to the process: nothing of it is written anywhere.
#ifndef SPANWATCH_SIDECAR_CORE_SPAN_DETAIL_H_
#define SPANWATCH_SIDECAR_CORE_SPAN_DETAIL_H_

#include <string>
#include <string_view>

#include "sidecar/core/snapshot.h"
#include "sidecar/core/span_batch.h"

namespace spanwatch::core {

// Appends to *out. `with_name`: the span's name is kept here because the catalog folded it into "(other)".
void AppendDetail(const SpanBatch& batch, const SpanView& span, bool with_name, std::string* out);

// Reads what AppendDetail wrote into the fields it holds; leaves `copy->name` alone if no name was kept.
void ReadDetail(std::string_view detail, SpanCopy* copy);

// True if the span has the string attribute `key` with value `value`.
bool HasAttribute(std::string_view detail, std::string_view key, std::string_view value);

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_SPAN_DETAIL_H_
