// Text for Discord: user text made harmless, lengths counted as UTF-16 units (never less than Discord counts).
// Pure functions, any thread. Every result is valid UTF-8 whatever the input is.
#ifndef SPANWATCH_SIDECAR_NOTIFY_DISCORD_TEXT_H_
#define SPANWATCH_SIDECAR_NOTIFY_DISCORD_TEXT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace spanwatch::notify {

// Discord's limits, inclusive: https://discord.com/developers/docs/resources/message#embed-object-embed-limits
inline constexpr std::size_t kMaxTitle = 256;
inline constexpr std::size_t kMaxDescription = 4096;
inline constexpr std::size_t kMaxFieldName = 256;
inline constexpr std::size_t kMaxFieldValue = 1024;
inline constexpr std::size_t kMaxFields = 25;
inline constexpr std::size_t kMaxFooter = 2048;
inline constexpr std::size_t kMaxEmbedTotal = 6000;  // over all embeds of a message
inline constexpr std::size_t kMaxContent = 2000;

// UTF-16 units of valid UTF-8.
std::size_t Utf16Units(std::string_view text);

// One line of text that shows `text` as it is written: no markup, mention, link, emoji or time of it comes alive;
// control, zero-width and direction characters are removed, line ends become spaces, invalid bytes U+FFFD. At most
// `max_units` UTF-16 units; what is longer ends in "…", never inside an escape or a surrogate pair. Empty if nothing
// visible is left.
std::string EscapeUserText(std::string_view text, std::size_t max_units);

// The same cleaning and cutting without backslashes, for places that render no markup (footer) and for logs.
std::string CleanText(std::string_view text, std::size_t max_units);

// A URL that is safe inside [text](url): everything that could end the link or the line is percent-encoded.
// Empty if it is not http(s) or longer than 512 bytes.
std::string LinkUrl(std::string_view url);

// "2026-01-02T03:04:05.000Z"; empty outside the years 1970 to 9999.
std::string IsoTime(std::int64_t ns_since_epoch);

// "850 ms", "42 s", "2 min 5 s", "3 h 20 min", "2 d 4 h". Negative counts as 0.
std::string FormatLength(std::int64_t ns);

}  // namespace spanwatch::notify

#endif  // SPANWATCH_SIDECAR_NOTIFY_DISCORD_TEXT_H_
