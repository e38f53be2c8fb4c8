#include <spanwatch/spanwatch.h>

int main() {
  spanwatch::Start();
  const int answer = spanwatch::Traced("consumer.work", [](spanwatch::Span& span) {
    span.SetTag("answer", 42);
    return 42;
  });
  spanwatch::Shutdown(0);
  return answer == 42 && spanwatch::GetStats().emitted == 1 ? 0 : 1;
}
