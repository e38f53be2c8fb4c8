// Reads the settings of one YAML map: typed values with ranges, unknown keys refused. Every mistake goes to Problems as
// "path.key: what, what is allowed"; the output keeps its default then, so that reading goes on.
#ifndef SPANWATCH_SIDECAR_CONFIG_READER_H_
#define SPANWATCH_SIDECAR_CONFIG_READER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sidecar/config/units.h"
#include "sidecar/config/yaml.h"

namespace spanwatch::config {

class MapReader {
 public:
  // `path` stands before keys in messages: "http", or empty at the top. A null node is an empty map; anything but a map
  // is a mistake. REQUIRES: node and problems outlive the reader.
  MapReader(const Node& node, std::string path, Problems* problems);
  // Reports the keys that nobody asked for.
  ~MapReader();
  MapReader(const MapReader&) = delete;
  MapReader& operator=(const MapReader&) = delete;

  // The value of `key`, or null if the key is absent. Makes the key a known one.
  const Node* Find(std::string_view key);
  // A key of a feature that this version lacks: a mistake with `advice` if it is present.
  void NotSupported(std::string_view key, const std::string& advice);
  // What to say about a key that users of other programs would try, instead of "unknown key".
  void Hint(std::string_view key, const std::string& text);

  void Duration(std::string_view key, std::int64_t* out, std::int64_t min_ns, std::int64_t max_ns);
  void Size(std::string_view key, std::uint64_t* out, std::uint64_t min_bytes, std::uint64_t max_bytes);
  void Whole(std::string_view key, std::uint64_t* out, std::uint64_t min, std::uint64_t max);
  void Bool(std::string_view key, bool* out);
  // A text that is not empty.
  void String(std::string_view key, std::string* out);
  // One of `allowed`; its index goes to `out`.
  void Choice(std::string_view key, const std::vector<std::string>& allowed, std::size_t* out);

  void Add(const Position& at, std::string_view key, const std::string& message);
  const Node& node() const { return node_; }

 private:
  std::string PathOf(std::string_view key) const;

  const Node& node_;
  const std::string path_;
  Problems* const problems_;
  std::vector<std::string> known_;
  std::vector<std::string> answered_;  // keys reported otherwise
};

// The text of a scalar. Nothing: not a scalar; reported with `what` ("a duration") as the thing expected.
const std::string* ScalarText(const Node& node, const std::string& path, const char* what, Problems* problems);

// The items of a list of texts, each not empty. A single text counts as a list of one.
struct TextItem {
  std::string text;
  Position at;
};
std::vector<TextItem> TextList(const Node& node, const std::string& path, Problems* problems,
                               const char* what = "a list of texts");

const char* KindName(Node::Kind kind);

}  // namespace spanwatch::config

#endif  // SPANWATCH_SIDECAR_CONFIG_READER_H_
