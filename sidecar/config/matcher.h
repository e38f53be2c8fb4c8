// Patterns from users: RE2 behind core::StringMatcher. RE2 lives in matcher.cc alone.
#ifndef SPANWATCH_SIDECAR_CONFIG_MATCHER_H_
#define SPANWATCH_SIDECAR_CONFIG_MATCHER_H_

#include <memory>
#include <string>

#include "sidecar/config/units.h"
#include "sidecar/core/rule.h"

namespace spanwatch::config {

// A matcher that remembers its text, which the canonical form of a rule needs.
class PatternMatcher : public core::StringMatcher {
 public:
  virtual const std::string& Pattern() const = 0;
};

// Compiles an anchored RE2 pattern of at most 1 KiB. Linear time in the text, at most 1 MiB of memory.
Parsed<std::shared_ptr<const PatternMatcher>> MakeMatcher(const std::string& pattern);

}  // namespace spanwatch::config

#endif  // SPANWATCH_SIDECAR_CONFIG_MATCHER_H_
