// /metrics with 20,000 samples: how long one answer takes to make, and how long ingest is held up meanwhile.
//
//   scrape_20k_ms      median time of Exposition::Render, OpenMetrics, uncompressed
//   scrape_stall_ms    by how much a concurrent Apply() of 16 spans took longer, at worst, than it does alone: the
//   median
//                      over rounds of 20 scrapes of each round's worst, as one preemption by the scheduler is not a
//                      stall of ours; the worst of all rounds stands behind it
//
// Both against a real engine. Exits 1 if the answer has fewer than 20,000 samples.
#include <time.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "sidecar/core/engine.h"
#include "sidecar/metrics/exposition.h"
#include "tests/support/engine_driver.h"

namespace spanwatch {
namespace {

using core::EngineDriver;
using core::TestSpan;

constexpr int kServices = 20, kOperations = 42;  // 840 series, 25 samples each
constexpr int kScrapes = 41;
constexpr int kRounds = 15;
constexpr std::uint64_t kScrapesPerRound = 20;

double NowMs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

void Fill(EngineDriver* driver) {
  std::uint64_t trace = 1;
  for (int s = 0; s < kServices; ++s) {
    for (int o = 0; o < kOperations; ++o) {
      std::vector<TestSpan> spans;
      for (std::uint64_t i = 0; i < 3; ++i) {
        spans.push_back({.trace = trace,
                         .id = i + 1,
                         .service = "service-" + std::to_string(s),
                         .name = "ConversationService.operation" + std::to_string(o),
                         .duration_ns = static_cast<std::int64_t>(i + 1) * 37 * core::kMs});
      }
      driver->Spans(std::move(spans));
      ++trace;
    }
  }
}

std::size_t CountSamples(const std::string& text) {
  std::size_t samples = 0;
  bool line_start = true;
  for (const char c : text) {
    samples += line_start && c != '#' ? 1 : 0;
    line_start = c == '\n';
  }
  return samples;
}

// Time of one Apply() of 16 spans of the next trace, in ms.
double TimeApply(EngineDriver* driver, std::uint64_t trace) {
  std::vector<TestSpan> spans;
  for (std::uint64_t k = 1; k <= 16; ++k) {
    spans.push_back(
        {.trace = trace, .id = k, .parent = k - 1, .service = "service-1", .name = "ConversationService.operation1"});
  }
  const core::TestBatch batch(std::move(spans));
  core::Decoded decoded;
  decoded.spans = &batch.batch();
  const core::RecordHeader header{0, driver->now_ns(), core::RecordKind::kOtlp, 0};
  const double start = NowMs();
  driver->engine().Apply(header, decoded);
  return NowMs() - start;
}

// The worst Apply() while another thread scrapes without pause.
double WorstBesideScrapes(EngineDriver* driver, const metrics::Exposition& exposition, std::uint64_t* trace) {
  std::atomic<std::uint64_t> scrapes{0};
  std::thread scraper([&] {
    std::string ignored;
    for (; scrapes < kScrapesPerRound; ++scrapes) exposition.Render("", &ignored);
  });
  double worst = 0;
  while (scrapes < kScrapesPerRound) worst = std::max(worst, TimeApply(driver, (*trace)++));
  scraper.join();
  return worst;
}

int Run() {
  EngineDriver driver;
  Fill(&driver);
  metrics::Sources sources;
  sources.engine = &driver.engine();
  sources.version = "bench";
  const metrics::Exposition exposition(sources);
  std::string type, text;
  std::vector<double> times;
  for (int i = 0; i < kScrapes; ++i) {
    const double start = NowMs();
    text = exposition.Render("application/openmetrics-text;version=1.0.0", &type);
    times.push_back(NowMs() - start);
  }
  std::sort(times.begin(), times.end());
  const std::size_t samples = CountSamples(text);

  std::uint64_t trace = 1'000'000;
  std::vector<double> alone, worst;
  for (int i = 0; i < 2000; ++i) alone.push_back(TimeApply(&driver, trace++));
  std::sort(alone.begin(), alone.end());
  const double usual = alone[alone.size() / 2];
  for (int i = 0; i < kRounds; ++i) worst.push_back(WorstBesideScrapes(&driver, exposition, &trace) - usual);
  std::sort(worst.begin(), worst.end());

  std::printf("scrape_20k_ms %.2f ms journal off, %zu samples, %.1f MB\n", times[times.size() / 2], samples,
              static_cast<double>(text.size()) / 1e6);
  std::printf("scrape_stall_ms %.3f ms journal off, worst of all rounds %.3f, one apply alone %.4f\n",
              worst[worst.size() / 2], worst.back(), usual);
  return samples >= 20'000 ? 0 : 1;
}

}  // namespace
}  // namespace spanwatch

int main() { return spanwatch::Run(); }
