// JSON written piece by piece, for answers that are too large to be built as a tree first. Pure; any thread.
#ifndef SPANWATCH_SIDECAR_HTTP_JSON_TEXT_H_
#define SPANWATCH_SIDECAR_HTTP_JSON_TEXT_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace spanwatch::http {

// With quotes. Bytes that are not UTF-8 become U+FFFD.
void AppendJsonString(std::string_view text, std::string* out);

// The shortest text that reads back to the same value, and as a floating-point number. NaN and infinities as ProtoJSON
// has them: "NaN", "Infinity",
// "-Infinity", in quotes.
void AppendJsonNumber(double value, std::string* out);
void AppendJsonNumber(std::int64_t value, std::string* out);

// ns as ms, with all their digits: a double does not hold ns since the epoch.
void AppendMs(std::int64_t ns, std::string* out);

}  // namespace spanwatch::http

#endif  // SPANWATCH_SIDECAR_HTTP_JSON_TEXT_H_
