#include "sidecar/http/anonymise.h"

#include <algorithm>
#include <bit>
#include <nlohmann/json.hpp>
#include <random>
#include <utility>

namespace spanwatch::http {
namespace {

constexpr std::size_t kIdDigits = 3;

struct SipState {
  std::uint64_t v0, v1, v2, v3;
  void Round() {
    v0 += v1;
    v2 += v3;
    v1 = std::rotl(v1, 13) ^ v0;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 = std::rotl(v0, 32);
    v2 += v1;
    v0 += v3;
    v1 = std::rotl(v1, 17) ^ v2;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 = std::rotl(v2, 32);
  }
  void Take(std::uint64_t word) {
    v3 ^= word;
    Round();
    Round();
    v0 ^= word;
  }
};

// Up to eight bytes, the first one lowest.
std::uint64_t Word(std::string_view bytes) {
  std::uint64_t word = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) word = word << 8 | static_cast<unsigned char>(bytes[i]);
  return word;
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
// Letters of other alphabets belong to words.
bool IsWord(char c) { return IsDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c < 0; }
bool IsAddress(char c) { return IsWord(c) || c == '.' || c == '_' || c == '-' || c == '+' || c == '%' || c == '@'; }

std::size_t EndOf(std::string_view text, std::size_t at, bool (*belongs)(char)) {
  while (at < text.size() && belongs(text[at])) ++at;
  return at;
}

class Walker {
 public:
  using Json = nlohmann::ordered_json;

  explicit Walker(const Anonymiser* names) : names_(names) {}
  // REQUIRES: an answer of ours, which is not deep.
  void Walk(Json* json, bool name) const {
    if (json->is_string()) {
      *json = Replace(json->get_ref<const std::string&>(), name);
    } else if (json->is_array()) {
      for (Json& each : *json) Walk(&each, name);
    } else if (json->is_object()) {
      for (auto& [key, value] : json->items()) Walk(&value, key == "operation" || key == "operationName");
    }
  }

 private:
  std::string Replace(const std::string& text, bool name) const {
    TraceId trace;
    SpanId span;
    if (text.size() == 32 && TraceId::FromHex(text, &trace)) return names_->Id(trace);
    if (text.size() == 16 && SpanId::FromHex(text, &span)) return names_->Id(span);
    return name ? Anonymiser::Operation(text) : text;
  }

  const Anonymiser* names_;
};

}  // namespace

std::uint64_t SipHash(const HashKey& key, std::string_view bytes) {
  SipState state{key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d, key[0] ^ 0x6c7967656e657261,
                 key[1] ^ 0x7465646279746573};
  std::size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) state.Take(Word(bytes.substr(at, 8)));
  state.Take(Word(bytes.substr(at)) | std::uint64_t{bytes.size() & 0xff} << 56);
  state.v2 ^= 0xff;
  for (int i = 0; i < 4; ++i) state.Round();
  return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

Anonymiser::Anonymiser() {
  std::random_device random;
  for (std::uint64_t& word : key_) word = std::uint64_t{random()} << 32 | random();
}

std::string Anonymiser::Id(const TraceId& id) const {
  const std::string hex = id.ToHex();
  return TraceId{SipHash(key_, "t1" + hex), SipHash(key_, "t2" + hex)}.ToHex();
}

std::string Anonymiser::Id(const SpanId& id) const { return SpanId{SipHash(key_, "s" + id.ToHex())}.ToHex(); }

std::string Anonymiser::Operation(std::string_view name) {
  std::string out;
  for (std::size_t at = 0; at < name.size();) {
    const std::size_t address = EndOf(name, at, IsAddress), word = EndOf(name, at, IsWord);
    const std::string_view text = name.substr(at, word - at);
    if (const std::size_t sign = name.substr(at, address - at).find('@'); sign != std::string_view::npos && sign > 0) {
      out += "{address}";
      at = address;
    } else if (static_cast<std::size_t>(std::count_if(text.begin(), text.end(), IsDigit)) >= kIdDigits) {
      out += "{id}";
      at = word;
    } else if (!text.empty()) {
      out += text;
      at = word;
    } else {
      out += name[at++];
    }
  }
  return out;
}

std::string Anonymiser::Json(std::string_view json) const {
  Walker::Json tree = Walker::Json::parse(json, nullptr, false);
  if (tree.is_discarded()) return "null";
  Walker(this).Walk(&tree, false);
  return tree.dump(-1, ' ', false, Walker::Json::error_handler_t::replace);
}

}  // namespace spanwatch::http
