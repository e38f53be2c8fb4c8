#include <spanwatch/spanwatch.h>

extern "C" int TraceInPlugin() {
  spanwatch::Start();
  {
    spanwatch::Span span("plugin.work");
    span.SetTag("key", "a constant of a library that may be unloaded");
  }
  spanwatch::Shutdown(0);
  return spanwatch::GetStats().emitted == 1 ? 0 : 1;
}
