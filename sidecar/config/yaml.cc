#include "sidecar/config/yaml.h"

#include <sys/stat.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>
#include <tuple>

#include "sidecar/config/units.h"

namespace spanwatch::config {
namespace {

constexpr std::size_t kMaxFileBytes = 1u << 20;

class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(std::shared_ptr<const Source> source, Problems* problems)
      : source_(std::move(source)), problems_(problems) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    CheckAnchor(mark, anchor);
    Close(Make(Node::Kind::kNull, mark));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    problems_->Add(At(mark), "aliases (*name) are not supported; write the value out");
    Close(Make(Node::Kind::kNull, mark));
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    CheckAnchor(mark, anchor);
    CheckTag(mark, tag);
    Node node = Make(Node::Kind::kScalar, mark);
    node.text = value;
    Close(std::move(node));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(Node::Kind::kList, mark, tag, anchor);
  }
  void OnSequenceEnd() override { CloseOpen(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(Node::Kind::kMap, mark, tag, anchor);
  }
  void OnMapEnd() override { CloseOpen(); }

  Node TakeRoot() { return std::move(root_); }

 private:
  struct OpenNode {
    Node node;
    bool has_key = false;
    bool key_usable = false;
    Field field;                      // key and its position; the value follows
    std::map<std::string, int> seen;  // key -> line
  };

  Position At(const YAML::Mark& mark) const { return {source_, mark.line + 1, mark.column + 1}; }

  Node Make(Node::Kind kind, const YAML::Mark& mark) const {
    Node node;
    node.kind = kind;
    node.at = At(mark);
    return node;
  }

  void CheckAnchor(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor != 0) problems_->Add(At(mark), "anchors (&name) are not supported; write the value out");
  }

  void CheckTag(const YAML::Mark& mark, const std::string& tag) {
    if (tag.empty() || tag == "?" || tag == "!") return;
    problems_->Add(At(mark), "tags (!name) are not supported; write the plain value");
  }

  void Open(Node::Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    CheckAnchor(mark, anchor);
    CheckTag(mark, tag);
    open_.emplace_back();
    open_.back().node = Make(kind, mark);
  }

  void CloseOpen() {
    Node node = std::move(open_.back().node);
    open_.pop_back();
    Close(std::move(node));
  }

  void Close(Node node) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    OpenNode& parent = open_.back();
    if (parent.node.kind == Node::Kind::kList) {
      parent.node.items.push_back(std::move(node));
    } else if (!parent.has_key) {
      TakeKey(&parent, node);
    } else {
      parent.has_key = false;
      if (!parent.key_usable) return;
      parent.field.value = std::move(node);
      parent.node.fields.push_back(std::move(parent.field));
    }
  }

  void TakeKey(OpenNode* parent, const Node& node) {
    parent->has_key = true;
    parent->key_usable = false;
    if (node.kind != Node::Kind::kScalar) {
      problems_->Add(node.at, "a key must be plain text");
      return;
    }
    const auto [first, is_new] = parent->seen.emplace(node.text, node.at.line);
    if (!is_new) {
      const std::string where = source_->has_lines ? " (first in line " + std::to_string(first->second) + ")" : "";
      problems_->Add(node.at, "key " + Quote(node.text) + " is given twice" + where + "; keep one of them");
      return;
    }
    parent->key_usable = true;
    parent->field = {node.text, node.at, {}};
  }

  const std::shared_ptr<const Source> source_;
  Problems* const problems_;
  std::vector<OpenNode> open_;
  Node root_;
};

}  // namespace

std::string Problem::ToString() const {
  std::string text = file;
  if (line > 0) text += ":" + std::to_string(line) + ":" + std::to_string(column);
  return text.empty() ? message : text + ": " + message;
}

const Node* Node::Find(std::string_view key) const {
  for (const Field& field : fields) {
    if (field.key == key) return &field.value;
  }
  return nullptr;
}

void Problems::Add(const Position& at, std::string message) {
  Problem problem;
  if (at.source != nullptr) {
    problem.file = at.source->name;
    problem.line = at.source->has_lines ? at.line : 0;
    problem.column = at.source->has_lines ? at.column : 0;
  }
  problem.message = std::move(message);
  list_.push_back(std::move(problem));
}

void Problems::Append(std::vector<Problem> more) {
  for (Problem& problem : more) list_.push_back(std::move(problem));
}

std::vector<Problem> Problems::Take() {
  std::map<std::string, std::size_t> order;
  for (const Problem& problem : list_) order.emplace(problem.file, order.size());
  std::stable_sort(list_.begin(), list_.end(), [&](const Problem& a, const Problem& b) {
    return std::tuple(order[a.file], a.line, a.column) < std::tuple(order[b.file], b.line, b.column);
  });
  const auto same = [](const Problem& a, const Problem& b) { return a.ToString() == b.ToString(); };
  list_.erase(std::unique(list_.begin(), list_.end(), same), list_.end());
  return std::exchange(list_, {});
}

std::optional<Node> ParseYaml(std::string_view text, std::shared_ptr<const Source> source, Problems* problems) {
  TreeBuilder builder(source, problems);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    if (parser.HandleNextDocument(builder)) {
      TreeBuilder rest(source, problems);
      if (parser.HandleNextDocument(rest)) {
        problems->Add(rest.TakeRoot().at, "a second YAML document (---); one document a file is allowed");
      }
    }
  } catch (const YAML::Exception& error) {
    problems->Add(
        {source, error.mark.line + 1, error.mark.column + 1},
        "not valid YAML: " + error.msg + "; look at indentation (spaces only), quotes and brackets here and above");
    return std::nullopt;
  } catch (const std::exception&) {
    problems->Add({source, 0, 0}, "not valid YAML");
    return std::nullopt;
  }
  return builder.TakeRoot();
}

std::optional<std::string> ReadFile(const std::string& path, std::size_t limit, std::string* error) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    *error = std::strerror(errno);
    return std::nullopt;
  }
  if (S_ISDIR(status.st_mode)) {
    *error = "it is a directory";
    return std::nullopt;
  }
  errno = 0;
  std::ifstream stream(path, std::ios::binary);
  std::string text(limit + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!stream.is_open() || stream.bad()) {
    *error = errno != 0 ? std::strerror(errno) : "it cannot be opened";
    return std::nullopt;
  }
  text.resize(static_cast<std::size_t>(stream.gcount()));
  if (text.size() > limit) {
    *error = "it is larger than " + std::to_string(limit) + " bytes";
    return std::nullopt;
  }
  return text;
}

std::optional<Node> ParseYamlFile(const std::string& path, const Position& at, Problems* problems) {
  std::string error;
  const std::optional<std::string> text = ReadFile(path, kMaxFileBytes, &error);
  if (!text) {
    problems->Add(at, "file \"" + path + "\" cannot be read: " + error);
    return std::nullopt;
  }
  auto source = std::make_shared<Source>();
  source->name = path;
  source->directory = std::filesystem::path(path).parent_path();
  return ParseYaml(*text, std::move(source), problems);
}

void Merge(Node* base, Node overlay) {
  if (base->kind == Node::Kind::kMap && overlay.kind == Node::Kind::kNull) return;  // "store:" with nothing below it
  if (base->kind != Node::Kind::kMap || overlay.kind != Node::Kind::kMap) {
    *base = std::move(overlay);
    return;
  }
  for (Field& field : overlay.fields) {
    const auto same_key = [&](const Field& other) { return other.key == field.key; };
    const auto found = std::find_if(base->fields.begin(), base->fields.end(), same_key);
    if (found == base->fields.end()) {
      base->fields.push_back(std::move(field));
    } else {
      found->at = field.at;
      Merge(&found->value, std::move(field.value));
    }
  }
}

}  // namespace spanwatch::config
