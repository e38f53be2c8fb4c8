// Messages of errors with what varies folded into placeholders, so that one cause gives one text. docs/errors.md has
// the rules. Pure; any thread; linear in what is read.
#ifndef SPANWATCH_SIDECAR_CORE_ERROR_TEXT_H_
#define SPANWATCH_SIDECAR_CORE_ERROR_TEXT_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace spanwatch::core {

inline constexpr std::size_t kMaxErrorRead = 512;   // bytes of a message beyond are not looked at
inline constexpr std::size_t kMaxNormalised = 200;  // bytes; longer ones end in "..."

// *out is replaced. UTF-8 stays UTF-8.
void NormaliseError(std::string_view message, std::string* out);
std::string NormaliseError(std::string_view message);

// "TimeoutError: no answer after 5 s", either part cut; one alone, or "", if that is all there is. *out is replaced.
void DescribeError(std::string_view type, std::string_view message, std::string* out);

// At most `max_bytes`, cut at a character's border.
std::string_view CutText(std::string_view text, std::size_t max_bytes);

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_ERROR_TEXT_H_
