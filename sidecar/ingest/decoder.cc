#include <memory>
#include <utility>

#include "sidecar/ingest/envelope.h"
#include "sidecar/ingest/frames.h"
#include "sidecar/ingest/ingest.h"

namespace spanwatch::ingest {
namespace {

// Buffers that one huge record has blown up are given back before the next one.
constexpr std::size_t kKeepSpans = 8192;
constexpr std::size_t kKeepAttributes = 65'536;

}  // namespace

FramePrefix MakeFramePrefix(std::uint32_t n) {
  return {static_cast<char>(n), static_cast<char>(n >> 8), static_cast<char>(n >> 16), static_cast<char>(n >> 24)};
}

std::string JoinFrames(std::string_view envelope, std::string_view payload) {
  const FramePrefix prefix = MakeFramePrefix(static_cast<std::uint32_t>(envelope.size()));
  std::string bytes;
  bytes.reserve(prefix.size() + envelope.size() + payload.size());
  bytes.append(prefix.data(), prefix.size()).append(envelope).append(payload);
  return bytes;
}

std::string MarkFrames(const char* reason) {
  const FramePrefix prefix = MakeFramePrefix(kNoFrames);
  return std::string(prefix.data(), prefix.size()) + reason;
}

const char* SplitFrames(std::string_view bytes, std::string_view* envelope, std::string_view* payload) {
  if (bytes.size() < sizeof(FramePrefix)) return "bad_frames";
  std::uint32_t size = 0;
  for (int i = 3; i >= 0; --i) size = size << 8 | static_cast<unsigned char>(bytes[static_cast<std::size_t>(i)]);
  bytes.remove_prefix(sizeof(FramePrefix));
  if (size == kNoFrames && bytes == "too_large") return "too_large";
  if (size > bytes.size()) return "bad_frames";
  *envelope = bytes.substr(0, size);
  *payload = bytes.substr(size);
  return nullptr;
}

class Decoder::Impl {
 public:
  explicit Impl(std::function<bool(std::string_view, core::Decoded*)> parse_reload)
      : parse_reload_(std::move(parse_reload)) {}

  core::Decoded Message(std::string_view envelope, std::string_view payload) {
    core::Decoded decoded;
    decoded.error = DecodeEnvelope(envelope, &envelope_);
    if (decoded.error != nullptr) return decoded;
    decoded.envelope = &envelope_;
    decoded.spans = &batch_;
    if (envelope_.kind == core::EnvelopeKind::kHeartbeat || envelope_.kind == core::EnvelopeKind::kGoodbye) {
      payload = {};
    }
    decoded.payload_malformed = !Spans(payload);
    return decoded;
  }

  core::Decoded Otlp(std::string_view bytes) {
    core::Decoded decoded;
    decoded.payload_malformed = !Spans(bytes);
    decoded.spans = &batch_;
    return decoded;
  }

  core::Decoded Reload(std::string_view bytes) {
    core::Decoded decoded;
    if (!parse_reload_ || !parse_reload_(bytes, &decoded)) {
      decoded = {};
      decoded.error = "bad_reload";
    }
    return decoded;
  }

 private:
  bool Spans(std::string_view bytes) {
    if (batch_.spans.capacity() > kKeepSpans || batch_.attributes.capacity() > kKeepAttributes) batch_ = {};
    return DecodeOtlp(bytes, &batch_);
  }

  const std::function<bool(std::string_view, core::Decoded*)> parse_reload_;
  core::EnvelopeView envelope_;
  core::SpanBatch batch_;
};

Decoder::Decoder(std::function<bool(std::string_view, core::Decoded*)> parse_reload)
    : impl_(std::make_unique<Impl>(std::move(parse_reload))) {}
Decoder::~Decoder() = default;

core::Decoded Decoder::DecodeMessage(std::string_view envelope, std::string_view payload) {
  return impl_->Message(envelope, payload);
}

core::Decoded Decoder::Decode(const core::RecordHeader& header, std::string_view bytes) {
  switch (header.kind) {
    case core::RecordKind::kTime:
    case core::RecordKind::kRestart:
    case core::RecordKind::kCheckpoint:
      return {};
    case core::RecordKind::kOtlp:
      return impl_->Otlp(bytes);
    case core::RecordKind::kReload:
      return impl_->Reload(bytes);
    case core::RecordKind::kMessage:
      break;
  }
  std::string_view envelope, payload;
  if (const char* error = SplitFrames(bytes, &envelope, &payload)) {
    core::Decoded decoded;
    decoded.error = error;
    return decoded;
  }
  return impl_->Message(envelope, payload);
}

}  // namespace spanwatch::ingest
