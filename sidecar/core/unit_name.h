// Units and values of rules as the JSON of the API and of webhooks gives them. Pure.
#ifndef SPANWATCH_SIDECAR_CORE_UNIT_NAME_H_
#define SPANWATCH_SIDECAR_CORE_UNIT_NAME_H_

#include "sidecar/core/rule.h"

namespace spanwatch::core {

const char* UnitName(Unit unit);  // "ms", "bytes", "ratio", "per_second", "count", "health", "dollars", "factor"
// `value` in that unit: durations are ms there, ns inside.
inline double InNamedUnit(double value, Unit unit) { return unit == Unit::kNanoseconds ? value / 1e6 : value; }

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_UNIT_NAME_H_
