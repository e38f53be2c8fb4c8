#include "sidecar/metrics/self.h"

#include <dirent.h>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <sstream>
#include <utility>
#include <vector>

#include "sidecar/core/mutex.h"

namespace spanwatch::metrics {
namespace {

#if defined(__clang__)
constexpr const char kCompiler[] = "clang " __clang_version__;
#else
constexpr const char kCompiler[] = "gcc " __VERSION__;
#endif

std::optional<std::string> ReadFile(const char* path) {
  std::FILE* file = std::fopen(path, "re");
  if (file == nullptr) return std::nullopt;
  char buffer[8192];
  const std::size_t size = std::fread(buffer, 1, sizeof buffer, file);
  std::fclose(file);
  return std::string(buffer, size);
}

struct ProcessFigures {
  double cpu_seconds = 0, virtual_bytes = 0, resident_bytes = 0, start_time = 0;
};

// Fields of /proc/self/stat after the command's name, which may hold anything; the first is field 3.
std::optional<ProcessFigures> ReadStat() {
  const auto stat = ReadFile("/proc/self/stat");
  if (!stat) return std::nullopt;
  const auto after_name = stat->rfind(')');
  if (after_name == std::string::npos) return std::nullopt;
  std::istringstream in(stat->substr(after_name + 1));
  std::vector<std::string> fields{"", "", ""};
  for (std::string field; in >> field;) fields.push_back(field);
  if (fields.size() < 25) return std::nullopt;
  const auto number = [&](std::size_t i) { return std::strtod(fields[i].c_str(), nullptr); };
  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  ProcessFigures figures;
  figures.cpu_seconds = (number(14) + number(15)) / ticks;
  figures.virtual_bytes = number(23);
  figures.resident_bytes = number(24) * static_cast<double>(sysconf(_SC_PAGESIZE));
  // Field 22 counts from the boot: the wall clock less the boot clock is when that was.
  timespec wall{}, boot{};
  clock_gettime(CLOCK_REALTIME, &wall);
  clock_gettime(CLOCK_BOOTTIME, &boot);
  const double boot_time =
      static_cast<double>(wall.tv_sec - boot.tv_sec) + static_cast<double>(wall.tv_nsec - boot.tv_nsec) / 1e9;
  figures.start_time = boot_time + number(22) / ticks;
  return figures;
}

std::optional<double> CountOpenFiles() {
  DIR* directory = opendir("/proc/self/fd");
  if (directory == nullptr) return std::nullopt;
  double count = -3;  // ".", ".." and the directory itself
  while (readdir(directory) != nullptr) ++count;
  closedir(directory);
  return std::max(count, 0.0);
}

}  // namespace

class Self::Impl {
 public:
  explicit Impl(const std::string& version) {
    Gauge("spanwatch_build", "Version of the sidecar; the value is always 1.",
          {{"version", version}, {"compiler", kCompiler}})
        .Set(1);
    if (const auto figures = ReadStat()) {
      Gauge("process_start_time_seconds", "Start time of the sidecar since unix epoch in seconds.")
          .Set(figures->start_time);
    }
  }

  void Write(Writer* writer) {
    MutexLock lock(&mutex_);
    Update();
    for (const prometheus::MetricFamily& family : registry_.Collect()) {
      const bool build = family.name == "spanwatch_build";
      const bool counter = family.type == prometheus::MetricType::Counter;
      std::string_view name = family.name;
      if (counter && name.ends_with("_total")) name.remove_suffix(6);
      writer->Family(name, build ? Type::kInfo : counter ? Type::kCounter : Type::kGauge, family.help);
      for (const prometheus::ClientMetric& metric : family.metric) {
        Labels labels;
        for (const auto& label : metric.label) labels.Add(label.name, label.value);
        writer->Sample(labels.text(), counter ? metric.counter.value : metric.gauge.value);
      }
    }
  }

 private:
  prometheus::Gauge& Gauge(const char* name, const char* help, const prometheus::Labels& labels = {}) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(registry_).Add(labels);
  }

  void Update() REQUIRES(mutex_) {
    if (const auto figures = ReadStat()) {
      auto& cpu = prometheus::BuildCounter()
                      .Name("process_cpu_seconds_total")
                      .Help("Total user and system CPU time spent by the sidecar in seconds.")
                      .Register(registry_)
                      .Add({});
      cpu.Increment(std::max(0.0, figures->cpu_seconds - cpu.Value()));
      Gauge("process_virtual_memory_bytes", "Virtual memory size of the sidecar in bytes.").Set(figures->virtual_bytes);
      Gauge("process_resident_memory_bytes", "Resident memory size of the sidecar in bytes.")
          .Set(figures->resident_bytes);
    }
    if (const auto files = CountOpenFiles()) Gauge("process_open_fds", "Number of open file descriptors.").Set(*files);
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
      Gauge("process_max_fds", "Maximum number of open file descriptors.").Set(static_cast<double>(limit.rlim_cur));
    }
  }

  Mutex mutex_;
  prometheus::Registry registry_;
};

Self::Self(const std::string& version) : impl_(std::make_unique<Impl>(version)) {}
Self::~Self() = default;

void Self::Write(Writer* writer) const { impl_->Write(writer); }

}  // namespace spanwatch::metrics
