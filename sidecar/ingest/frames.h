// The bytes of a kMessage record: the length of the envelope (4 bytes, little-endian), the envelope, the payload. A
// message that has no two usable frames is kept as a mark and the reason, without the bytes that were sent. Pure, any
// thread.
#ifndef SPANWATCH_SIDECAR_INGEST_FRAMES_H_
#define SPANWATCH_SIDECAR_INGEST_FRAMES_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace spanwatch::ingest {

using FramePrefix = std::array<char, 4>;
inline constexpr std::uint32_t kNoFrames = UINT32_MAX;

FramePrefix MakeFramePrefix(std::uint32_t envelope_bytes);

// Null: the two frames. Else why there are none: bad_frames, too_large.
const char* SplitFrames(std::string_view bytes, std::string_view* envelope, std::string_view* payload);

// The bytes of a record that stands for an unusable message.
std::string MarkFrames(const char* reason);

}  // namespace spanwatch::ingest

#endif  // SPANWATCH_SIDECAR_INGEST_FRAMES_H_
