// The first span: the ten lines of README, compiled.
#include <cstdio>

#include "spanwatch/spanwatch.h"

int main() {
  spanwatch::Options options;
  options.service_name = "first-span";
  spanwatch::Start(options);
  spanwatch::Traced("hello", [](spanwatch::Span& span) {
    span.SetTag("answer", 42);
    spanwatch::Span child("hello.child");
  });
  std::printf("%llu spans not delivered\n", static_cast<unsigned long long>(spanwatch::Shutdown()));
}
