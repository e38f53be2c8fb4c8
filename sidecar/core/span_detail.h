// The compact form in which a stored span keeps what only readers need: name (if statistics folded it), status message,
// attributes, events, links, trace state, dropped counts. Internal to the process: nothing of it is written anywhere.
#ifndef SPANWATCH_SIDECAR_CORE_SPAN_DETAIL_H_
#define SPANWATCH_SIDECAR_CORE_SPAN_DETAIL_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sidecar/core/flat_buffer.h"
#include "sidecar/core/snapshot.h"
#include "sidecar/core/span_batch.h"

namespace spanwatch::core {

// Appends to *out. `with_name`: the span's name is kept here because the catalog folded it into "(other)". True: as
// TellsModel(), or its events do; found on the way, at no cost for spans with short keys.
bool AppendDetail(const SpanBatch& batch, const SpanView& span, bool with_name, FlatBuffer<char>* out);

// It may be a call of a language model: it has a gen_ai.* attribute with a key as long as all of them that matter.
bool TellsModel(const SpanBatch& batch, AttributeRange range);

// Reads what AppendDetail wrote into the fields it holds; leaves `copy->name` alone if no name was kept.
void ReadDetail(std::string_view detail, SpanCopy* copy);

// Attributes alone, in the same form, as the catalog keeps those of resources. Attributes that would make it longer
// than `max_bytes` are left out; nothing at all: "".
void EncodeAttributes(const SpanBatch& batch, AttributeRange range, std::size_t max_bytes, std::string* out);
std::vector<AttributeCopy> DecodeAttributes(std::string_view encoded);

// The first attribute with that key, of a span's detail or of a resource. False: there is none. Views on `encoded`.
bool FindAttribute(std::string_view encoded, std::string_view key, AttributeView* out);

// A tag that is looked for: a key, and a value as text. Strings, arrays and maps (as JSON) are compared as they are,
// bools with "true" and "false", integers by their digits, floating-point numbers by value; bytes match nothing. Views
// on the caller's text.
class TagMatch {
 public:
  TagMatch(std::string_view key, std::string_view value);
  bool Matches(const AttributeView& attribute) const;
  std::string_view key() const { return key_; }

 private:
  std::string_view key_, value_;
  std::optional<std::int64_t> integer_;
  std::optional<double> number_;
};

// Bit i: tags[i] is among the span's attributes, or those of its events. Looks for those in `wanted` alone. REQUIRES:
// at most 64 tags.
std::uint64_t FindTags(std::string_view detail, const std::vector<TagMatch>& tags, std::uint64_t wanted);
// The same for attributes alone: those of a resource.
std::uint64_t FindTagsEncoded(std::string_view encoded, const std::vector<TagMatch>& tags, std::uint64_t wanted);

// True if an error's type or message has `needle` in it: those of exceptions, those that attributes name, and the
// status message if the span `failed`. Letters of ASCII in any case. REQUIRES: `needle` is in lower case.
bool HasErrorText(std::string_view detail, bool failed, std::string_view needle);

// The name that was kept with the span; empty if it is its operation's.
std::string_view DetailName(std::string_view detail);

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_SPAN_DETAIL_H_
