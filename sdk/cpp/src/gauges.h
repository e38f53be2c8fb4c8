// The gauges set by the program, for the heartbeat.
#ifndef SPANWATCH_SDK_CPP_SRC_GAUGES_H_
#define SPANWATCH_SDK_CPP_SRC_GAUGES_H_

#include <vector>

#include "sdk/cpp/src/envelope.h"
#include "sdk/cpp/src/redactor.h"

namespace spanwatch::internal {

// Threads: any. May throw std::bad_alloc.
std::vector<Gauge> CopyGauges();
// Adds what the circuit breakers report, their names redacted: all states, then their counts, as far as there is room
// for 64. False if there was none for all states. May throw std::bad_alloc. Threads: the sender.
bool AddBreakers(Redactor* redactor, std::vector<Gauge>* gauges);
// Texts of the program are bytes; those of a heartbeat must be UTF-8, or the sidecar refuses all of it.
void MakeUtf8(std::vector<Gauge>* gauges) noexcept;
// At Start and after a fork.
void ClearGauges() noexcept;
void ResetGaugesAfterFork() noexcept;

}  // namespace spanwatch::internal

#endif  // SPANWATCH_SDK_CPP_SRC_GAUGES_H_
