#include "sidecar/ingest/otlp_value.h"

#include <bit>
#include <charconv>
#include <cmath>
#include <utility>

#include "sidecar/core/utf8.h"
#include "sidecar/ingest/pbf.h"

namespace spanwatch::ingest {
namespace {

using core::AttributeType;
using core::AttributeView;

void AppendBase64(std::string_view bytes, std::string* out) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const auto byte = [&](std::size_t i) {
    return i < bytes.size() ? static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i])) : 0u;
  };
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::uint32_t word = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
    out->push_back(kDigits[word >> 18]);
    out->push_back(kDigits[word >> 12 & 63]);
    out->push_back(i + 1 < bytes.size() ? kDigits[word >> 6 & 63] : '=');
    out->push_back(i + 2 < bytes.size() ? kDigits[word & 63] : '=');
  }
}

void ReadPair(std::string_view bytes, std::string_view* key, std::string_view* value) {
  *key = *value = {};
  FieldReader reader(bytes);
  while (const std::uint32_t tag = reader.Next()) {
    switch (tag) {
      case Bytes(1):
        *key = reader.View();
        break;
      case Bytes(2):
        *value = reader.View();
        break;
      default:
        reader.Skip();
    }
  }
}

// Arrays and maps as JSON text of bounded depth and length. What does not fit becomes the string "...".
class JsonWriter {
 public:
  explicit JsonWriter(std::string* out) : out_(out) {}
  bool cut() const { return cut_; }

  void Value(std::string_view bytes, int depth) {
    FieldReader reader(bytes);
    const std::size_t begin = out_->size();
    while (const std::uint32_t tag = reader.Next()) {
      // The last member of the oneof wins.
      if (tag >> 3 <= 7) out_->resize(begin);
      switch (tag) {
        case Bytes(1):
          String(reader.View());
          break;
        case Varint(2):
          *out_ += reader.Number() != 0 ? "true" : "false";
          break;
        case Varint(3):
          Number(static_cast<std::int64_t>(reader.Number()));
          break;
        case Fixed64(4):
          Double(std::bit_cast<double>(reader.Word64()));
          break;
        case Bytes(5):
          Container(reader.View(), depth, '[', ']');
          break;
        case Bytes(6):
          Container(reader.View(), depth, '{', '}');
          break;
        case Bytes(7):
          Base64(reader.View());
          break;
        default:
          reader.Skip();
      }
    }
    if (out_->size() == begin) *out_ += "null";
  }

  void Container(std::string_view bytes, int depth, char open, char close) {
    if (depth >= kMaxValueDepth) return Mark();
    out_->push_back(open);
    bool first = true;
    FieldReader reader(bytes);
    while (const std::uint32_t tag = reader.Next()) {
      if (tag != Bytes(1)) {
        reader.Skip();
        continue;
      }
      const std::string_view item = reader.View();
      if (!first) out_->push_back(',');
      first = false;
      if (Full()) {
        if (open == '{') *out_ += "\"...\":";
        Mark();
        break;
      }
      open == '[' ? Value(item, depth + 1) : Member(item, depth + 1);
    }
    out_->push_back(close);
  }

 private:
  bool Full() const { return out_->size() >= kMaxStringBytes; }

  void Mark() {
    *out_ += "\"...\"";
    cut_ = true;
  }

  void Member(std::string_view bytes, int depth) {
    std::string_view key, value;
    ReadPair(bytes, &key, &value);
    String(key);
    out_->push_back(':');
    Value(value, depth);
  }

  void String(std::string_view text) {
    const std::size_t room = Full() ? 0 : kMaxStringBytes - out_->size();
    if (text.size() > room) {
      text = core::CutUtf8(text, room);
      cut_ = true;
    }
    std::string repaired;
    if (!core::IsAscii(text) && !core::IsUtf8(text)) {
      repaired = core::RepairUtf8(text);
      text = repaired;
    }
    constexpr char kDigits[] = "0123456789abcdef";
    out_->push_back('"');
    for (const char c : text) {
      if (c == '"' || c == '\\') {
        out_->push_back('\\');
        out_->push_back(c);
      } else if (static_cast<unsigned char>(c) < 0x20) {
        *out_ += "\\u00";
        out_->push_back(kDigits[c >> 4 & 15]);
        out_->push_back(kDigits[c & 15]);
      } else {
        out_->push_back(c);
      }
    }
    out_->push_back('"');
  }

  void Base64(std::string_view bytes) {
    const std::size_t room = Full() ? 0 : kMaxStringBytes - out_->size();
    if (bytes.size() > room) {
      bytes = bytes.substr(0, room);
      cut_ = true;
    }
    out_->push_back('"');
    AppendBase64(bytes, out_);
    out_->push_back('"');
  }

  template <typename T>
  void Number(T value) {
    char text[40];
    const auto end = std::to_chars(text, text + sizeof text, value);
    out_->append(text, end.ptr);
  }

  void Double(double value) {
    if (std::isfinite(value)) {
      const std::size_t begin = out_->size();
      Number(value);
      // Still a double when somebody reads it.
      if (out_->find_first_of(".e", begin) == std::string::npos) *out_ += ".0";
      return;
    }
    *out_ += std::isnan(value) ? "\"NaN\"" : value > 0 ? "\"Infinity\"" : "\"-Infinity\"";
  }

  std::string* const out_;
  bool cut_ = false;
};

void SetText(AttributeView* out, AttributeType type, std::string_view text) {
  out->type = type;
  out->text = text;
}

void DecodeJson(std::string_view bytes, char open, char close, TextKeeper* keeper, AttributeView* out, bool* cut) {
  std::string text;
  JsonWriter writer(&text);
  writer.Container(bytes, 0, open, close);
  *cut |= writer.cut();
  SetText(out, AttributeType::kJson, keeper->Keep(std::move(text), cut));
}

void DecodeAnyValue(std::string_view bytes, TextKeeper* keeper, AttributeView* out, bool* cut) {
  FieldReader reader(bytes);
  while (const std::uint32_t tag = reader.Next()) {
    switch (tag) {
      case Bytes(1):
        SetText(out, AttributeType::kString, keeper->Text(reader.View(), cut));
        break;
      case Varint(2):
        out->type = AttributeType::kBool;
        out->integer = reader.Number() != 0 ? 1 : 0;
        break;
      case Varint(3):
        out->type = AttributeType::kInt;
        out->integer = static_cast<std::int64_t>(reader.Number());
        break;
      case Fixed64(4):
        out->type = AttributeType::kDouble;
        out->number = std::bit_cast<double>(reader.Word64());
        break;
      case Bytes(5):
        DecodeJson(reader.View(), '[', ']', keeper, out, cut);
        break;
      case Bytes(6):
        DecodeJson(reader.View(), '{', '}', keeper, out, cut);
        break;
      case Bytes(7): {
        const std::string_view raw = reader.View();
        *cut |= raw.size() > kMaxStringBytes;
        SetText(out, AttributeType::kBytes, raw.substr(0, kMaxStringBytes));
        break;
      }
      default:
        reader.Skip();
    }
  }
}

// Key and value in this order, nothing else, lengths below 128: how nearly every attribute is written. Halves the cost
// of an attribute against the general reader.
inline bool ShortPair(std::string_view bytes, std::string_view* key, std::string_view* value) {
  const auto* const at = reinterpret_cast<const unsigned char*>(bytes.data());
  if (bytes.size() < 4 || at[0] != Bytes(1) || at[1] >= 0x80) return false;
  const std::size_t key_size = at[1];
  if (key_size + 4 > bytes.size()) return false;
  const unsigned char* const second = at + 2 + key_size;
  if (second[0] != Bytes(2) || second[1] >= 0x80 || key_size + second[1] + 4 != bytes.size()) return false;
  *key = {bytes.data() + 2, key_size};
  *value = {bytes.data() + 4 + key_size, second[1]};
  return true;
}

}  // namespace

std::string_view TextKeeper::Mend(std::string_view text, bool* cut) {
  if (text.size() > kMaxStringBytes) {
    text = core::CutUtf8(text, kMaxStringBytes);
    *cut = true;
  }
  return core::IsUtf8(text) ? text : Keep(core::RepairUtf8(text), cut);
}

std::string_view TextKeeper::Keep(std::string text, bool* cut) {
  if (owned_bytes_ + text.size() > kMaxOwnedBytes) {
    *cut = true;
    return {};
  }
  owned_bytes_ += text.size();
  return owned_->emplace_back(std::move(text));
}

bool DecodeKeyValue(std::string_view bytes, TextKeeper* keeper, AttributeView* out, bool* cut) {
  std::string_view key, value;
  if (!ShortPair(bytes, &key, &value)) ReadPair(bytes, &key, &value);
  if (key.empty()) return false;
  out->key = keeper->Text(key, cut);
  const bool short_text = value.size() >= 2 && value.size() < 0x80 &&
                          static_cast<unsigned char>(value[0]) == Bytes(1) &&
                          static_cast<unsigned char>(value[1]) + std::size_t{2} == value.size();
  if (short_text) {
    SetText(out, AttributeType::kString, keeper->Text(value.substr(2), cut));
  } else {
    DecodeAnyValue(value, keeper, out, cut);
  }
  return true;
}

}  // namespace spanwatch::ingest
