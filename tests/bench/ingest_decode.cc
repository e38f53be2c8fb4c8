// ingest-decode: nanoseconds DecodeOtlp takes for a span, by attributes. `ingest-decode [ATTRIBUTES...]`
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <vector>

#include "sidecar/ingest/ingest.h"
#include "tests/bench/ingest_template.h"

namespace {

// CPU time, not wall time: other programs on the machine do not count.
double ThreadCpuNs() {
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::uint32_t> counts;
  for (int i = 1; i < argc; ++i) counts.push_back(static_cast<std::uint32_t>(std::atoi(argv[i])));
  if (counts.empty()) counts = {0, 3, 4, 8};
  for (const std::uint32_t attributes : counts) {
    spanwatch::bench::Shape shape;
    shape.attributes = attributes;
    std::vector<spanwatch::bench::Template> templates;
    for (std::uint32_t i = 0; i < 16; ++i) templates.emplace_back(shape, i);
    spanwatch::core::SpanBatch batch;
    std::vector<double> runs;
    std::size_t spans = 0;
    for (int run = 0; run < 30; ++run) {
      const double begin = ThreadCpuNs();
      spans = 0;
      for (int round = 0; round < 10; ++round) {
        for (const auto& t : templates) {
          spanwatch::ingest::DecodeOtlp(t.bytes(), &batch);
          spans += batch.spans.size();
        }
      }
      runs.push_back((ThreadCpuNs() - begin) / static_cast<double>(spans));
    }
    std::sort(runs.begin(), runs.end());
    std::printf("decode_ns_per_span_%uattrs %.1f ns  # median of %zu, best %.1f; %zu bytes a span\n", attributes,
                runs[runs.size() / 2], runs.size(), runs[0], templates[0].bytes().size() / shape.spans);
  }
  return 0;
}
