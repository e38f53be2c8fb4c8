// YAML with positions: a plain tree that remembers where every key and value stood. yaml-cpp lives in yaml.cc alone.
// Anchors, aliases, tags, further documents and repeated keys are refused, so a tree is never larger than its text.
#ifndef SPANWATCH_SIDECAR_CONFIG_YAML_H_
#define SPANWATCH_SIDECAR_CONFIG_YAML_H_

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sidecar/config/config.h"

namespace spanwatch::config {

// Where text came from. `directory` is what relative paths inside it start from.
struct Source {
  std::string name;  // "config/spanwatch.yaml", "--set http.listen", "environment variable LOG_LEVEL"
  std::filesystem::path directory;
  bool has_lines = true;  // false: positions inside it would tell nobody anything
};

struct Position {
  std::shared_ptr<const Source> source;
  int line = 0;  // from 1
  int column = 0;
};

struct Field;

struct Node {
  enum class Kind { kNull, kScalar, kList, kMap };
  Kind kind = Kind::kNull;
  Position at;
  std::string text;           // kScalar
  std::vector<Node> items;    // kList
  std::vector<Field> fields;  // kMap, in the order of the text

  const Node* Find(std::string_view key) const;
};

struct Field {
  std::string key;
  Position at;  // of the key
  Node value;
};

// Collects every mistake, so that all are shown at once.
class Problems {
 public:
  void Add(const Position& at, std::string message);
  void Append(std::vector<Problem> more);
  bool empty() const { return list_.empty(); }
  // Sorted by file (in order of first appearance), line and column, without repeats. Leaves this empty.
  std::vector<Problem> Take();

 private:
  std::vector<Problem> list_;
};

// Nothing: the text is not YAML. What is refused is left out of the tree. Both stand in `problems`. Empty text gives a
// null node.
std::optional<Node> ParseYaml(std::string_view text, std::shared_ptr<const Source> source, Problems* problems);

// Reads and parses a file of at most 1 MiB. `at` is where the file was asked for, for "cannot be read".
std::optional<Node> ParseYamlFile(const std::string& path, const Position& at, Problems* problems);

// Lays `overlay` over `base`: maps are merged key by key, all else is replaced.
void Merge(Node* base, Node overlay);

// The whole file as text, at most `limit` bytes. Nothing: not readable, `error` says why.
std::optional<std::string> ReadFile(const std::string& path, std::size_t limit, std::string* error);

}  // namespace spanwatch::config

#endif  // SPANWATCH_SIDECAR_CONFIG_YAML_H_
