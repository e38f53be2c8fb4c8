// The trace id in spdlog's lines (docs/sdk.md). Exit status 1 if it is not there.
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <cstdio>
#include <memory>
#include <sstream>
#include <string>
#include <utility>

#include "spanwatch/spanwatch.h"
#include "spanwatch/testing.h"

namespace {

class TraceIdFlag final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg&, const std::tm&, spdlog::memory_buf_t& out) override {
    const std::string id = spanwatch::Context::Current().trace_id().ToHex();  // zeros outside of traces
    out.append(id.data(), id.data() + id.size());
  }
  std::unique_ptr<spdlog::custom_flag_formatter> clone() const override { return std::make_unique<TraceIdFlag>(); }
};

void PutTraceIdsIntoLogLines() {
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<TraceIdFlag>('*').set_pattern("%H:%M:%S.%e %l [trace %*] %v");
  spdlog::set_formatter(std::move(formatter));
}

}  // namespace

int main() {
  std::ostringstream lines;
  spdlog::set_default_logger(
      std::make_shared<spdlog::logger>("snippet", std::make_shared<spdlog::sinks::ostream_sink_st>(lines)));
  PutTraceIdsIntoLogLines();
  spanwatch::testing::Capture capture;
  std::string id;
  {
    const spanwatch::Span span("op");
    id = span.context().trace_id().ToHex();
    spdlog::info("in a trace");
  }
  std::printf("%s", lines.str().c_str());
  return lines.str().find("[trace " + id + "] in a trace") != std::string::npos ? 0 : 1;
}
