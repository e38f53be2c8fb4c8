// How long the engine's mutex is held, measured where it is taken, at pthread_mutex_lock(), in the CPU time of the
// thread: what the machine does meanwhile with other programs is no hold of ours. For programs of one thread.
#ifndef SPANWATCH_TESTS_BENCH_MUTEX_HOLDS_H_
#define SPANWATCH_TESTS_BENCH_MUTEX_HOLDS_H_

#include <vector>

namespace spanwatch::bench {

double ThreadCpuNs();
void MeasureHolds(bool on);
// In ns, the shortest first: those since the last call.
std::vector<double> TakeHolds();

}  // namespace spanwatch::bench

#endif  // SPANWATCH_TESTS_BENCH_MUTEX_HOLDS_H_
