// What a computation took of this thread's processor: a bound on it holds on a busy machine too.
#ifndef SPANWATCH_TESTS_SUPPORT_CPU_TIME_H_
#define SPANWATCH_TESTS_SUPPORT_CPU_TIME_H_

#include <time.h>

namespace spanwatch::test {

class CpuTime {
 public:
  CpuTime() : begin_(Now()) {}
  // Seconds of the calling thread's CPU since this was made, on the same thread.
  double Seconds() const { return Now() - begin_; }

 private:
  static double Now() {
    timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
  }
  const double begin_;
};

}  // namespace spanwatch::test

#endif  // SPANWATCH_TESTS_SUPPORT_CPU_TIME_H_
