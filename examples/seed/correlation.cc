// spanwatch-seed-correlation: one trace and one correlation id over two services (here in one program).
#include <cstdio>
#include <map>
#include <string>

#include "spanwatch/propagation.h"
#include "spanwatch/spanwatch.h"

namespace {

std::string Serve(const std::map<std::string, std::string>& headers) {
  spanwatch::Span span("GET /weather", spanwatch::SpanKind::kServer, spanwatch::ExtractFrom(headers));
  return spanwatch::Context::Current().CorrelationId();
}

std::string Ask() {
  spanwatch::Span root("command.weather");
  const spanwatch::CorrelationScope correlation("order-17");  // a tag on the root, and in the baggage from here on
  spanwatch::Span call("GET /weather", spanwatch::SpanKind::kClient);  // one for each call out
  std::map<std::string, std::string> headers;
  spanwatch::InjectInto(headers);
  return Serve(headers);
}

}  // namespace

int main() {
  spanwatch::Start();
  std::printf("served as %s\n", Ask().c_str());
  spanwatch::Shutdown();
}
