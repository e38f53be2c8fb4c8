// Small conversions that the API and the page share. Pure; any thread.
#ifndef SPANWATCH_SIDECAR_HTTP_TEXT_H_
#define SPANWATCH_SIDECAR_HTTP_TEXT_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "sidecar/core/span_batch.h"

namespace spanwatch::http {

// "2024-05-01T10:00:00.123Z" of ns since the epoch, any value.
std::string TimeText(std::int64_t ns);

// "6.21 s", "13 ms", "250 us", "2 h 5 min".
std::string DurationText(std::int64_t ns);

// "1 span", "2 spans".
std::string Plural(std::uint64_t count, std::string_view noun);

// Text for an element or a quoted attribute of HTML: & < > " ' as references, control characters as U+FFFD.
std::string EscapeHtml(std::string_view text);

std::string Base64(std::string_view bytes);

const char* KindText(core::SpanKind kind);  // "internal", "server", ..., "unspecified"

}  // namespace spanwatch::http

#endif  // SPANWATCH_SIDECAR_HTTP_TEXT_H_
