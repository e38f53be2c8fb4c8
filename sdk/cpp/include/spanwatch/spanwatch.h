// Spanwatch, everything: Start and Shutdown, Span and Traced, Context, GetStats and SetGauge.
#ifndef SPANWATCH_SPANWATCH_H_
#define SPANWATCH_SPANWATCH_H_

#include "spanwatch/context.h"
#include "spanwatch/ids.h"
#include "spanwatch/options.h"
#include "spanwatch/span.h"
#include "spanwatch/stats.h"
#include "spanwatch/value.h"

#endif  // SPANWATCH_SPANWATCH_H_
