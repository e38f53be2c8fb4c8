// Alertmanager's text of matchers: `severity="critical"`, `service=~"bot|gemini"`, or several: `{a="b",c!="d"}`. Pure.
#ifndef SPANWATCH_SIDECAR_CONFIG_MATCHER_TEXT_H_
#define SPANWATCH_SIDECAR_CONFIG_MATCHER_TEXT_H_

#include <string_view>
#include <vector>

#include "sidecar/config/units.h"
#include "sidecar/core/routing.h"

namespace spanwatch::config {

// Names: letters, digits and _ : . - / (others in quotes). Values: in double quotes, with \" \\ \n; without quotes
// anything without space, quote, comma and brace. Patterns are compiled. Errors say at which character, from 1.
Parsed<std::vector<core::Matcher>> ParseMatchers(std::string_view text);

}  // namespace spanwatch::config

#endif  // SPANWATCH_SIDECAR_CONFIG_MATCHER_TEXT_H_
