#include "sidecar/config/prices.h"

#include <charconv>
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sidecar/config/default_prices.h"
#include "sidecar/config/settings.h"
#include "sidecar/config/units.h"

namespace spanwatch::config {
namespace {

constexpr const char* kPriceHelp = "US dollars per million tokens, 0 to 10000, as in 0.30";

// "2025-01-31" -> where that day begins, UTC, ns since the epoch.
std::optional<std::int64_t> ParseDay(const std::string& text) {
  constexpr int kFirstYear = 2000, kLastYear = 2100;
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
  const auto number = [&](std::size_t at, std::size_t size) {
    unsigned value = 0;
    const auto read = std::from_chars(text.data() + at, text.data() + at + size, value);
    return read.ec == std::errc() && read.ptr == text.data() + at + size ? value : 0;  // 0 is none of them
  };
  const int year = static_cast<int>(number(0, 4));
  const std::chrono::year_month_day day(std::chrono::year(year), std::chrono::month(number(5, 2)),
                                        std::chrono::day(number(8, 2)));
  if (!day.ok() || year < kFirstYear || year > kLastYear) return std::nullopt;
  return std::chrono::nanoseconds(std::chrono::sys_days(day).time_since_epoch()).count();
}

class PriceReader {
 public:
  explicit PriceReader(Problems* problems) : problems_(problems) {}

  void ReadFile(const Node& root) {
    MapReader file(root, "", problems_);
    const Node* models = file.Find("models");
    if (root.kind != Node::Kind::kMap && root.kind != Node::Kind::kNull) return;
    if (models == nullptr || models->kind == Node::Kind::kNull) {
      problems_->Add(models == nullptr ? root.at : models->at, "no prices; a file of prices starts with \"models:\"");
    } else if (models->kind != Node::Kind::kList) {
      problems_->Add(models->at, std::string("models: expected a list of prices, found ") + KindName(models->kind));
    } else {
      for (std::size_t i = 0; i < models->items.size(); ++i) ReadEntry(models->items[i], i);
    }
  }

  std::shared_ptr<const core::Prices> Take() {
    if (prices_.size() > core::kMaxPrices) {
      problems_->Add(last_,
                     std::to_string(prices_.size()) + " prices; allowed: at most " + std::to_string(core::kMaxPrices));
    }
    return std::make_shared<const core::Prices>(std::move(prices_));
  }

 private:
  void ReadEntry(const Node& node, std::size_t number) {
    const std::string path = "models[" + std::to_string(number) + "]";
    MapReader reader(node, path, problems_);
    if (node.kind != Node::Kind::kMap) return;
    core::Price price;
    const Node* names = reader.Find("model");
    if (names == nullptr) reader.Add(node.at, "model", "is missing; a name, or how it begins and then *");
    const bool dated = ReadFrom(&reader, &price);
    ReadAmount(&reader, "input", true, &price.input);
    ReadAmount(&reader, "output", true, &price.output);
    price.cached_input = price.cache_write = price.input;
    ReadAmount(&reader, "cached_input", false, &price.cached_input);
    ReadAmount(&reader, "cache_write", false, &price.cache_write);
    if (names == nullptr || !dated) return;
    for (const TextItem& name : TextList(*names, path + ".model", problems_, "a name, or a list of names")) {
      price.model = name.text;
      if (CheckName(name, path + ".model", price.from_ns)) prices_.push_back(price);
      last_ = name.at;
    }
  }

  bool ReadFrom(MapReader* reader, core::Price* price) {
    const Node* node = reader->Find("from");
    if (node == nullptr) return true;
    const std::optional<std::int64_t> day =
        node->kind == Node::Kind::kScalar ? ParseDay(node->text) : std::optional<std::int64_t>();
    if (!day) {
      const std::string found = node->kind == Node::Kind::kScalar ? Quote(node->text) : KindName(node->kind);
      reader->Add(node->at, "from", found + " is not a day; allowed: 2000-01-01 to 2100-12-31, as in 2025-01-31");
      return false;
    }
    price->from_ns = *day;
    return true;
  }

  void ReadAmount(MapReader* reader, const char* key, bool required, double* out) {
    const Node* node = reader->Find(key);
    if (node == nullptr) {
      if (required) reader->Add(reader->node().at, key, std::string("is missing; ") + kPriceHelp);
      return;
    }
    const bool is_text = node->kind == Node::Kind::kScalar;
    const Parsed<double> amount = is_text ? ParseNumber(node->text.starts_with('$') ? node->text.substr(1) : node->text)
                                          : tl::make_unexpected(std::string());
    if (!amount || *amount > core::kMaxPrice) {
      const std::string found = is_text ? Quote(node->text) : KindName(node->kind);
      reader->Add(node->at, key, found + " is not a price; allowed: " + kPriceHelp);
    } else {
      *out = *amount;
    }
  }

  bool CheckName(const TextItem& name, const std::string& path, std::int64_t from_ns) {
    const std::size_t star = name.text.find('*');
    if (name.text.size() > core::kMaxModelBytes) {
      problems_->Add(name.at, path + ": longer than 128 bytes");
      return false;
    }
    if (star != std::string::npos && star + 1 != name.text.size()) {
      problems_->Add(name.at, path + ": " + Quote(name.text) + ": * may stand at the end alone");
      return false;
    }
    const auto [first, is_new] = seen_.emplace(std::pair{name.text, from_ns}, name.at);
    if (!is_new) {
      problems_->Add(name.at, path + ": " + Quote(name.text) + " has a price of the same day already (line " +
                                  std::to_string(first->second.line) + "); give another day under from:");
    }
    return is_new;
  }

  Problems* const problems_;
  std::vector<core::Price> prices_;
  std::map<std::pair<std::string, std::int64_t>, Position> seen_;
  Position last_;
};

}  // namespace

std::shared_ptr<const core::Prices> ReadPriceFile(const Node& root, Problems* problems) {
  PriceReader reader(problems);
  reader.ReadFile(root);
  return reader.Take();
}

std::shared_ptr<const core::Prices> ReadPrices(MapReader* top, Problems* problems) {
  const Node* node = top->Find("prices");
  std::optional<Node> root;
  if (node == nullptr) {
    auto source = std::make_shared<Source>();
    source->name = "built-in prices";
    root = ParseYaml(kDefaultPrices, source, problems);
  } else if (node->kind != Node::Kind::kNull) {
    const std::string* path = ScalarText(*node, "prices", "a file, as in \"prices.yaml\"", problems);
    if (path != nullptr && !path->empty()) root = ParseYamlFile(ResolvePath(*path, node->at), node->at, problems);
  }
  return root ? ReadPriceFile(*root, problems) : nullptr;
}

}  // namespace spanwatch::config
