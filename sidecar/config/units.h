// Values with units, as people write them in YAML, flags and the environment. Pure functions; errors say what is
// allowed.
#ifndef SPANWATCH_SIDECAR_CONFIG_UNITS_H_
#define SPANWATCH_SIDECAR_CONFIG_UNITS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

namespace spanwatch::config {

template <typename T>
using Parsed = tl::expected<T, std::string>;

// "500ms", "2h", "1h30m", "1.5s" -> ns. Units ms s m h d, each once, large to small. At most 3650 days.
Parsed<std::int64_t> ParseDuration(std::string_view text);
// "50MB" -> bytes. Units B, KB, MB, GB; KB is 2^10 bytes.
Parsed<std::uint64_t> ParseSize(std::string_view text);
// "10%" -> 0.1. From 0 % to 100 %.
Parsed<double> ParsePercent(std::string_view text);
// The same, or "0.1". From 0 to 1.
Parsed<double> ParseShare(std::string_view text);
// "5/s", "300/m" -> per second.
Parsed<double> ParseRate(std::string_view text);
// A number without unit, not negative.
Parsed<double> ParseNumber(std::string_view text);
// "15", "1.5M": a number, not negative. Of 1000: k, M, G.
Parsed<double> ParseCount(std::string_view text);
// The same or its negative: what a tag may hold.
Parsed<double> ParseSigned(std::string_view text);
// "$5", "$ 0.50", "5 USD", "$2k" -> US dollars.
Parsed<double> ParseDollars(std::string_view text);
// "14.4" or "14.4x".
Parsed<double> ParseFactor(std::string_view text);
// A whole number without unit, not negative.
Parsed<std::uint64_t> ParseWhole(std::string_view text);
// true or false.
Parsed<bool> ParseBool(std::string_view text);

// `text` in quotes for a message: cut to 60 bytes, control characters replaced. What may hold a secret (a URL with a
// user, a webhook, any http URL) is shown as <hidden>.
std::string Quote(std::string_view text);

// "2h", "1h30m", "250ms": the shortest text that ParseDuration takes back.
std::string DurationText(std::int64_t ns);

// " (did you mean \"listen\"?)" or "" if nothing is near.
std::string DidYouMean(std::string_view text, const std::vector<std::string>& allowed);
// "a, b, c".
std::string Join(const std::vector<std::string>& parts);

}  // namespace spanwatch::config

#endif  // SPANWATCH_SIDECAR_CONFIG_UNITS_H_
