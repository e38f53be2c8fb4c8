#include "sidecar/config/reader.h"

#include <algorithm>

namespace spanwatch::config {
namespace {

template <typename T>
struct ValueKind {
  const char* what;  // "a duration such as 30s"
  Parsed<T> (*parse)(std::string_view);
  std::string (*show)(T);
};

template <typename T>
void TakeRanged(const Node& node, const std::string& path, const ValueKind<T>& kind, T min, T max, T* out,
                Problems* problems) {
  const std::string* text = ScalarText(node, path, kind.what, problems);
  if (text == nullptr) return;
  const Parsed<T> value = kind.parse(*text);
  if (!value) {
    problems->Add(node.at, path + ": " + value.error());
  } else if (*value < min || *value > max) {
    problems->Add(
        node.at, path + ": " + Quote(*text) + " is out of range; allowed: " + kind.show(min) + " to " + kind.show(max));
  } else {
    *out = *value;
  }
}

std::string SizeText(std::uint64_t bytes) {
  if (bytes >= (1u << 30) && bytes % (1u << 30) == 0) return std::to_string(bytes >> 30) + "GB";
  if (bytes >= (1u << 20) && bytes % (1u << 20) == 0) return std::to_string(bytes >> 20) + "MB";
  if (bytes >= (1u << 10) && bytes % (1u << 10) == 0) return std::to_string(bytes >> 10) + "KB";
  return std::to_string(bytes) + "B";
}

bool Contains(const std::vector<std::string>& list, std::string_view text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

}  // namespace

const char* KindName(Node::Kind kind) {
  switch (kind) {
    case Node::Kind::kNull:
      return "nothing";
    case Node::Kind::kScalar:
      return "a single value";
    case Node::Kind::kList:
      return "a list";
    case Node::Kind::kMap:
      return "a map of keys";
  }
  return "nothing";
}

const std::string* ScalarText(const Node& node, const std::string& path, const char* what, Problems* problems) {
  if (node.kind == Node::Kind::kScalar) return &node.text;
  problems->Add(node.at, path + ": expected " + what + ", found " + KindName(node.kind));
  return nullptr;
}

std::vector<TextItem> TextList(const Node& node, const std::string& path, Problems* problems, const char* what) {
  std::vector<TextItem> result;
  const auto add = [&](const Node& item) {
    const std::string* text = ScalarText(item, path, what, problems);
    if (text == nullptr) return;
    if (text->empty()) {
      problems->Add(item.at, path + ": an empty text in the list");
    } else {
      result.push_back({*text, item.at});
    }
  };
  if (node.kind == Node::Kind::kList) {
    for (const Node& item : node.items) add(item);
  } else {
    add(node);
  }
  return result;
}

MapReader::MapReader(const Node& node, std::string path, Problems* problems)
    : node_(node), path_(std::move(path)), problems_(problems) {
  if (node.kind == Node::Kind::kMap || node.kind == Node::Kind::kNull) return;
  problems_->Add(node.at, (path_.empty() ? "" : path_ + ": ") + std::string("expected a map of keys, found ") +
                              KindName(node.kind));
}

MapReader::~MapReader() {
  std::sort(known_.begin(), known_.end());
  for (const Field& field : node_.fields) {
    if (Contains(known_, field.key) || Contains(answered_, field.key)) continue;
    const std::string shown = (path_.empty() ? "" : path_ + ": ") + std::string("unknown key ") + Quote(field.key);
    problems_->Add(field.at, shown + DidYouMean(field.key, known_) + "; allowed: " + Join(known_));
  }
}

const Node* MapReader::Find(std::string_view key) {
  if (!Contains(known_, key)) known_.emplace_back(key);
  return node_.Find(key);
}

void MapReader::Add(const Position& at, std::string_view key, const std::string& message) {
  const std::string path = key.empty() ? path_ : PathOf(key);
  problems_->Add(at, path.empty() ? message : path + ": " + message);
}

void MapReader::NotSupported(std::string_view key, const std::string& advice) {
  Hint(key, "not supported by this version; " + advice);
}

void MapReader::Hint(std::string_view key, const std::string& text) {
  for (const Field& field : node_.fields) {
    if (field.key != key) continue;
    answered_.push_back(field.key);
    Add(field.at, key, text);
  }
}

std::string MapReader::PathOf(std::string_view key) const {
  return path_ + (path_.empty() ? "" : ".") + std::string(key);
}

void MapReader::Duration(std::string_view key, std::int64_t* out, std::int64_t min_ns, std::int64_t max_ns) {
  const Node* node = Find(key);
  if (node == nullptr) return;
  TakeRanged<std::int64_t>(*node, PathOf(key), {"a duration such as 30s", ParseDuration, DurationText}, min_ns, max_ns,
                           out, problems_);
}

void MapReader::Size(std::string_view key, std::uint64_t* out, std::uint64_t min_bytes, std::uint64_t max_bytes) {
  const Node* node = Find(key);
  if (node == nullptr) return;
  TakeRanged<std::uint64_t>(*node, PathOf(key), {"a size such as 50MB", ParseSize, SizeText}, min_bytes, max_bytes, out,
                            problems_);
}

void MapReader::Whole(std::string_view key, std::uint64_t* out, std::uint64_t min, std::uint64_t max) {
  const Node* node = Find(key);
  if (node == nullptr) return;
  const auto show = [](std::uint64_t value) { return std::to_string(value); };
  TakeRanged<std::uint64_t>(*node, PathOf(key), {"a whole number", ParseWhole, show}, min, max, out, problems_);
}

void MapReader::Bool(std::string_view key, bool* out) {
  const Node* node = Find(key);
  if (node == nullptr) return;
  const std::string path = PathOf(key);
  const std::string* text = ScalarText(*node, path, "true or false", problems_);
  if (text == nullptr) return;
  const Parsed<bool> value = ParseBool(*text);
  if (value) {
    *out = *value;
  } else {
    problems_->Add(node->at, path + ": " + value.error());
  }
}

void MapReader::String(std::string_view key, std::string* out) {
  const Node* node = Find(key);
  if (node == nullptr) return;
  const std::string path = PathOf(key);
  const std::string* text = ScalarText(*node, path, "a text", problems_);
  if (text == nullptr) return;
  if (text->empty()) {
    problems_->Add(node->at, path + ": must not be empty");
  } else {
    *out = *text;
  }
}

void MapReader::Choice(std::string_view key, const std::vector<std::string>& allowed, std::size_t* out) {
  const Node* node = Find(key);
  if (node == nullptr) return;
  const std::string path = PathOf(key);
  const std::string* text = ScalarText(*node, path, "a word", problems_);
  if (text == nullptr) return;
  const auto found = std::find(allowed.begin(), allowed.end(), *text);
  if (found == allowed.end()) {
    problems_->Add(node->at, path + ": unknown value " + Quote(*text) + DidYouMean(*text, allowed) +
                                 "; allowed: " + Join(allowed));
  } else {
    *out = static_cast<std::size_t>(found - allowed.begin());
  }
}

}  // namespace spanwatch::config
