#include "sidecar/http/anonymise.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>
#include <utility>

namespace spanwatch::http {
namespace {

constexpr std::size_t kIdDigits = 3;

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

Anonymiser::Anonymiser() {
  std::random_device random;
  for (std::uint64_t* word : {&key_.k0, &key_.k1}) *word = std::uint64_t{random()} << 32 | random();
}

std::string Anonymiser::Id(const TraceId& id) const {
  const redact::Hash128 hash = redact::SipHash(key_, "t" + id.ToHex());
  return TraceId{hash.hi, hash.lo}.ToHex();
}

std::string Anonymiser::Id(const SpanId& id) const {
  return SpanId{redact::SipHash(key_, "s" + id.ToHex()).lo}.ToHex();
}

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
