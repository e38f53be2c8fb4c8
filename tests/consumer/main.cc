#include <spanwatch/spanwatch.h>

#include <cstring>

int UseAllHeaders();

namespace {

// Made before main, ended after it: the SDK does not mind.
struct Static {
  Static() { spanwatch::Span("before main").End(); }
  ~Static() { spanwatch::Span("after main").End(); }
};
const Static early;
const spanwatch::Span left_open("open at exit");

}  // namespace

int main(int argc, char** argv) {
  spanwatch::Start();
  const int answer = spanwatch::Traced("consumer.work", [](spanwatch::Span& span) {
    span.SetTag("answer", 42);
    return 42;
  });
  const bool clock = argc < 2 || std::strcmp(spanwatch::GetStats().clock, argv[1]) == 0;
  spanwatch::Shutdown(0);
  const bool counted = spanwatch::GetStats().emitted == 1;
  return answer == 42 && counted && clock ? UseAllHeaders() : 1;
}
