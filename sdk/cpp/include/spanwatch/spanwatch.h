// Spanwatch, what every program needs: Start and Shutdown, Span and Traced, Context, GetStats and SetGauge. Besides,
// each to be included by itself: instrument.h (services), discord.h (messages), coroutine.h, propagation.h (headers),
// testing.h (spans in memory), circuit_breaker.h, count_allocations.h (in one source file).
#ifndef SPANWATCH_SPANWATCH_H_
#define SPANWATCH_SPANWATCH_H_

#include "spanwatch/context.h"
#include "spanwatch/ids.h"
#include "spanwatch/options.h"
#include "spanwatch/span.h"
#include "spanwatch/stats.h"
#include "spanwatch/value.h"

#endif  // SPANWATCH_SPANWATCH_H_
