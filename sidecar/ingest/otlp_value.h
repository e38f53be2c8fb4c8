// OTLP KeyValue and AnyValue -> core::AttributeView. Internal to ingest/. Pure; throws protozero::exception on bytes
// that are not such a message (the caller in otlp.cc catches it at the span).
#ifndef SPANWATCH_SIDECAR_INGEST_OTLP_VALUE_H_
#define SPANWATCH_SIDECAR_INGEST_OTLP_VALUE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "sidecar/core/span_batch.h"
#include "sidecar/core/utf8.h"

namespace spanwatch::ingest {

inline constexpr std::size_t kMaxStringBytes = 64u << 10;  // a longer string is cut
inline constexpr std::size_t kMaxOwnedBytes = 8u << 20;  // text made by the decoder, a record; then values are left out
inline constexpr int kMaxValueDepth = 16;                // arrays and maps inside each other; deeper ones become "..."

// Makes text valid and short enough, and keeps what had to be made in `owned` (bounded over the record).
class TextKeeper {
 public:
  explicit TextKeeper(std::deque<std::string>* owned) : owned_(owned) {}

  // `text` itself if it is good. Sets *cut if something was left out.
  std::string_view Text(std::string_view text, bool* cut) {
    return text.size() <= kMaxStringBytes && core::IsAscii(text) ? text : Mend(text, cut);
  }
  std::string_view Keep(std::string text, bool* cut);

 private:
  std::string_view Mend(std::string_view text, bool* cut);

  std::deque<std::string>* const owned_;
  std::size_t owned_bytes_ = 0;
};

// Decodes one KeyValue. Sets *cut if the key or the value was shortened. False: no key, nothing to keep.
bool DecodeKeyValue(std::string_view bytes, TextKeeper* keeper, core::AttributeView* out, bool* cut);

}  // namespace spanwatch::ingest

#endif  // SPANWATCH_SIDECAR_INGEST_OTLP_VALUE_H_
