#include "sidecar/ingest/redact.h"

#include "sdk/cpp/redact/keys.h"
#include "sidecar/core/utf8.h"
#include "sidecar/ingest/otlp_schema.h"
#include "sidecar/ingest/otlp_wire.h"

namespace spanwatch::ingest {
namespace {

using redact::JudgeKey;
using redact::KeyVerdict;
using redact::RedactedMark;
using redact::RedactText;

constexpr int kMaxDepth = 64;  // messages inside each other; the decoder shows 16 levels of arrays, two messages each

// Copies a message but for what has changed: nothing at all, as long as nothing has.
class Copy {
 public:
  Copy(std::string_view in, std::string* out) : in_(in), out_(out) {}

  // in[begin, end) is left out; what is appended to out() then stands in its place.
  std::string* Replace(std::size_t begin, std::size_t end) {
    out_->append(in_.substr(kept_, begin - kept_));
    kept_ = end;
    changed_ = true;
    return out_;
  }
  bool Finish() {
    if (changed_) out_->append(in_.substr(kept_));
    return changed_;
  }

 private:
  const std::string_view in_;
  std::string* const out_;
  std::size_t kept_ = 0;  // input before this is dealt with
  bool changed_ = false;
};

class Walker {
 public:
  Walker(const RedactOptions& options, RedactResult* result) : options_(options), result_(result) {}

  // Appends the rewritten message and says true, or says false and appends nothing: it may stay.
  bool Message(std::string_view in, const OtlpMessage& type, int depth, std::string* out) {
    Copy copy(in, out);
    WireReader reader(in);
    WireField wire;
    while (reader.Next(&wire)) {
      const OtlpField* field = type.ByNumber(wire.number);
      if (field == nullptr || OtlpWireType(field->type) != wire.wire_type) {
        copy.Replace(wire.begin, wire.end);
        continue;
      }
      std::string content;
      if (Field(*field, wire.value, depth, &content))
        AppendField(wire.number, content, copy.Replace(wire.begin, wire.end));
    }
    if (reader.broken()) {
      copy.Replace(reader.at(), in.size())->push_back(kBrokenField);
      ++result_->malformed;
      if (depth == 0) result_->readable = false;
    }
    return copy.Finish();
  }

 private:
  bool Field(const OtlpField& field, std::string_view value, int depth, std::string* out) {
    switch (field.type) {
      case OtlpType::kMessage:
        if (field.message == &kOtlpKeyValue) return KeyValue(value, depth + 1, out);
        if (depth < kMaxDepth) return Message(value, *field.message, depth + 1, out);
        return TooDeep(field, value, out);
      case OtlpType::kString:
        return Text(value, out);
      case OtlpType::kBytes:
        return RedactText(value, out, &result_->counts);
      default:
        return false;
    }
  }

  bool Text(std::string_view text, std::string* out) {
    if (core::IsAscii(text) || core::IsUtf8(text)) return RedactText(text, out, &result_->counts);
    const std::string repaired = core::RepairUtf8(text);
    if (!RedactText(repaired, out, &result_->counts)) *out = repaired;
    return true;
  }

  // Nobody looks that deep: what is there goes, unless it is nothing.
  bool TooDeep(const OtlpField& field, std::string_view value, std::string* out) {
    if (value.empty()) return false;
    if (field.message == &kOtlpAnyValue) return Mark(Redacted::kDepth, value, out);
    ++result_->counts[static_cast<std::size_t>(Redacted::kDepth)];
    return true;  // empty
  }

  // An AnyValue that holds a mark instead of `value`.
  bool Mark(Redacted kind, std::string_view value, std::string* out) {
    AppendField(1, RedactedMark(kind), out);
    if (*out == value) {
      out->clear();
      return false;
    }
    ++result_->counts[static_cast<std::size_t>(kind)];
    return true;
  }

  bool KeyValue(std::string_view in, int depth, std::string* out) {
    // A hostile client may send several keys: one that is secret is enough.
    KeyVerdict verdict = KeyVerdict::kKeep;
    WireField wire;
    for (WireReader reader(in); reader.Next(&wire);) {
      if (wire.number != 1 || wire.wire_type != 2) continue;
      const KeyVerdict here = JudgeKey(wire.value);
      if (here == KeyVerdict::kSecret || verdict == KeyVerdict::kKeep) verdict = here;
    }
    if (verdict == KeyVerdict::kContent && options_.keep_content) verdict = KeyVerdict::kKeep;
    if (verdict == KeyVerdict::kKeep) return Message(in, kOtlpKeyValue, depth, out);

    Copy copy(in, out);
    WireReader reader(in);
    while (reader.Next(&wire)) {
      std::string content;
      if ((wire.number != 1 && wire.number != 2) || wire.wire_type != 2) {
        copy.Replace(wire.begin, wire.end);
      } else if (wire.number == 1 ? Text(wire.value, &content) : Value(verdict, wire.value, &content)) {
        AppendField(wire.number, content, copy.Replace(wire.begin, wire.end));
      }
    }
    if (reader.broken()) {
      copy.Replace(reader.at(), in.size())->push_back(kBrokenField);
      ++result_->malformed;
    }
    return copy.Finish();
  }

  // Of an attribute whose name says what it is. Numbers and booleans are no content.
  bool Value(KeyVerdict verdict, std::string_view value, std::string* out) {
    if (value.empty()) return false;
    if (verdict == KeyVerdict::kContent) {
      bool harmless = true;
      WireReader reader(value);
      for (WireField wire; reader.Next(&wire);) harmless &= wire.number >= 2 && wire.number <= 4 && wire.wire_type != 2;
      if (harmless && !reader.broken()) return false;
    }
    return Mark(verdict == KeyVerdict::kSecret ? Redacted::kKey : Redacted::kContent, value, out);
  }

  const RedactOptions& options_;
  RedactResult* const result_;
};

}  // namespace

RedactResult Redactor::Redact(std::string_view bytes, std::string* out) const {
  RedactResult result;
  std::string rewritten;
  result.changed = Walker(options_, &result).Message(bytes, kOtlpTracesData, 0, &rewritten);
  if (result.changed) *out = std::move(rewritten);
  return result;
}

}  // namespace spanwatch::ingest
