// The text of config/prices.yaml, put into the binary by the build.
#ifndef SPANWATCH_SIDECAR_CONFIG_DEFAULT_PRICES_H_
#define SPANWATCH_SIDECAR_CONFIG_DEFAULT_PRICES_H_

#include <string_view>

namespace spanwatch::config {

extern const std::string_view kDefaultPrices;

}  // namespace spanwatch::config

#endif  // SPANWATCH_SIDECAR_CONFIG_DEFAULT_PRICES_H_
