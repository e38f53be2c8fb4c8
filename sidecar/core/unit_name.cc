#include "sidecar/core/unit_name.h"

namespace spanwatch::core {

const char* UnitName(Unit unit) {
  switch (unit) {
    case Unit::kNanoseconds:
      return "ms";
    case Unit::kBytes:
      return "bytes";
    case Unit::kRatio:
      return "ratio";
    case Unit::kPerSecond:
      return "per_second";
    case Unit::kHealth:
      return "health";
    case Unit::kDollars:
      return "dollars";
    case Unit::kFactor:
      return "factor";
    case Unit::kCount:
      break;
  }
  return "count";
}

}  // namespace spanwatch::core
