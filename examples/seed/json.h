// A small reader of JSON, so that the examples need no library: values by key and index, missing ones are null.
#ifndef EXAMPLES_SEED_JSON_H_
#define EXAMPLES_SEED_JSON_H_

#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace seed {

class Json {
 public:
  // What the sidecar answers. Anything else is null.
  static Json Parse(std::string_view text) {
    Json value;
    value.Read(&text, 0);
    return value;
  }

  const Json& operator[](const std::string& key) const {
    const auto found = members_.find(key);
    return found == members_.end() ? Null() : found->second;
  }
  const Json& operator[](std::size_t index) const { return index < items_.size() ? items_[index] : Null(); }
  std::vector<Json>::const_iterator begin() const { return items_.begin(); }
  std::vector<Json>::const_iterator end() const { return items_.end(); }
  std::size_t size() const { return items_.size(); }

  const std::string& text() const { return text_; }  // also "true", "null", and a number as it stands
  const char* c_str() const { return text_.c_str(); }
  double number() const { return std::strtod(text_.c_str(), nullptr); }
  bool is_null() const { return text_ == "null"; }
  bool operator==(std::string_view other) const { return text_ == other; }

 private:
  static constexpr int kMaxDepth = 64;

  static const Json& Null() {
    static const Json null;
    return null;
  }
  static void SkipSpace(std::string_view* text) {
    while (!text->empty() && std::string_view(" \t\r\n").find(text->front()) != std::string_view::npos)
      text->remove_prefix(1);
  }
  static bool Take(std::string_view* text, char c) {
    SkipSpace(text);
    if (text->empty() || text->front() != c) return false;
    text->remove_prefix(1);
    return true;
  }
  static std::string ReadText(std::string_view* text) {  // after the quote; \u escapes become '?'
    std::string out;
    while (!text->empty() && text->front() != '"') {
      char c = text->front();
      text->remove_prefix(1);
      if (c == '\\' && !text->empty()) {
        c = text->front();
        text->remove_prefix(c == 'u' && text->size() > 4 ? 5 : 1);
        c = c == 'n' ? '\n' : c == 't' ? '\t' : c == 'u' ? '?' : c;
      }
      out += c;
    }
    if (!text->empty()) text->remove_prefix(1);
    return out;
  }
  void Read(std::string_view* text, int depth) {
    if (depth > kMaxDepth) return;
    if (Take(text, '{')) {
      text_.clear();
      for (bool more = !Take(text, '}'); more && Take(text, '"'); more = Take(text, ',')) {
        Json& member = members_[ReadText(text)];
        if (Take(text, ':')) member.Read(text, depth + 1);
      }
      Take(text, '}');
    } else if (Take(text, '[')) {
      text_.clear();
      if (Take(text, ']')) return;
      do items_.emplace_back().Read(text, depth + 1);
      while (Take(text, ','));
      Take(text, ']');
    } else if (Take(text, '"')) {
      text_ = ReadText(text);
    } else {
      const std::size_t size = text->find_first_of(",]} \t\r\n");
      text_ = std::string(text->substr(0, size));
      text->remove_prefix(text_.size());
    }
  }

  std::string text_ = "null";
  std::map<std::string, Json> members_;
  std::vector<Json> items_;
};

}  // namespace seed

#endif  // EXAMPLES_SEED_JSON_H_
