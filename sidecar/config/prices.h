// Files of prices: YAML -> checked core::Prices. Every mistake of a file is reported at once. docs/llm.md is the
// language.
#ifndef SPANWATCH_SIDECAR_CONFIG_PRICES_H_
#define SPANWATCH_SIDECAR_CONFIG_PRICES_H_

#include <memory>

#include "sidecar/config/reader.h"
#include "sidecar/config/yaml.h"
#include "sidecar/core/prices.h"

namespace spanwatch::config {

// The prices of one file; `root` is its whole tree.
std::shared_ptr<const core::Prices> ReadPriceFile(const Node& root, Problems* problems);

// The setting "prices" of a configuration: the file that it names. Absent: the built-in prices; empty: null.
std::shared_ptr<const core::Prices> ReadPrices(MapReader* top, Problems* problems);

}  // namespace spanwatch::config

#endif  // SPANWATCH_SIDECAR_CONFIG_PRICES_H_
