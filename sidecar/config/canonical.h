// The canonical text of rules and limits: JSON with fixed keys and exact numbers. It is what a kReload record holds,
// what tells whether a rule changed on reload, and part of the journal's format.
#ifndef SPANWATCH_SIDECAR_CONFIG_CANONICAL_H_
#define SPANWATCH_SIDECAR_CONFIG_CANONICAL_H_

#include <string>

#include "sidecar/core/rule.h"

namespace spanwatch::config {

// REQUIRES: the rule's matchers were made by MakeMatcher. Ignores rule.text.
std::string CanonicalText(const core::Rule& rule);

}  // namespace spanwatch::config

#endif  // SPANWATCH_SIDECAR_CONFIG_CANONICAL_H_
