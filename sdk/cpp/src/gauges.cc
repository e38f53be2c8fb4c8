#include "sdk/cpp/src/gauges.h"

#include <new>

#include "sdk/cpp/redact/utf8.h"
#include "sdk/cpp/src/breaker.h"
#include "sdk/cpp/src/mutex.h"
#include "spanwatch/span.h"
#include "spanwatch/stats.h"

namespace spanwatch {
namespace internal {
namespace {

constexpr std::size_t kMaxGauges = 64;
constexpr std::size_t kMaxLabels = 8;
constexpr std::size_t kMaxTextBytesOfGauge = 128;

Mutex g_mutex;

// Never destroyed: the sender may outlive static objects.
std::vector<Gauge>& Gauges() REQUIRES(g_mutex) {
  static auto* const gauges = new std::vector<Gauge>;
  return *gauges;
}

bool SameLabels(const Gauge& gauge, std::initializer_list<GaugeLabel> labels) {
  if (gauge.labels.size() != labels.size()) return false;
  std::size_t i = 0;
  for (const GaugeLabel& label : labels) {
    if (gauge.labels[i].first != label.name || gauge.labels[i].second != label.value) return false;
    ++i;
  }
  return true;
}

bool Fits(std::string_view name, std::initializer_list<GaugeLabel> labels) {
  if (name.empty() || name.size() > kMaxTextBytesOfGauge || labels.size() > kMaxLabels) return false;
  for (const GaugeLabel& label : labels) {
    if (label.name.empty() || label.name.size() > kMaxTextBytesOfGauge || label.value.size() > kMaxTextBytesOfGauge)
      return false;
  }
  return true;
}

}  // namespace

std::vector<Gauge> CopyGauges() {
  MutexLock lock(&g_mutex);
  return Gauges();
}

bool AddBreakers(Redactor* redactor, std::vector<Gauge>* gauges) {
  std::vector<BreakerReport> breakers = ReportBreakers();
  for (BreakerReport& breaker : breakers) breaker.name = redactor->Text(breaker.name, kMaxTextBytesOfGauge);
  const auto add = [&](const char* name, auto get) {
    for (const BreakerReport& breaker : breakers) {
      if (gauges->size() == kMaxGauges) return false;
      gauges->push_back({name, {{"name", breaker.name}}, static_cast<double>(get(breaker))});
    }
    return true;
  };
  if (!add("circuit_breaker.state", [](const BreakerReport& breaker) { return breaker.state; })) return false;
  // All of a kind or none: a sum over some would mislead.
  if (gauges->size() + 2 * breakers.size() > kMaxGauges) return true;
  add("circuit_breaker.opened", [](const BreakerReport& breaker) { return breaker.opened; });
  add("circuit_breaker.refused", [](const BreakerReport& breaker) { return breaker.refused; });
  return true;
}

void MakeUtf8(std::vector<Gauge>* gauges) noexcept {
  for (Gauge& gauge : *gauges) {
    redact::MakeUtf8(gauge.name.data(), gauge.name.size());
    for (auto& [name, value] : gauge.labels) {
      redact::MakeUtf8(name.data(), name.size());
      redact::MakeUtf8(value.data(), value.size());
    }
  }
}

void ClearGauges() noexcept {
  MutexLock lock(&g_mutex);
  Gauges().clear();
}

void ResetGaugesAfterFork() noexcept { g_mutex.ResetAfterFork(); }

}  // namespace internal

bool SetGauge(std::string_view name, std::initializer_list<GaugeLabel> labels, double value) noexcept {
  using internal::Gauge;
  if (!internal::TracingOn() || !internal::Fits(name, labels)) return false;
  try {
    internal::MutexLock lock(&internal::g_mutex);
    for (Gauge& gauge : internal::Gauges()) {
      if (gauge.name == name && internal::SameLabels(gauge, labels)) {
        gauge.value = value;
        return true;
      }
    }
    if (internal::Gauges().size() == internal::kMaxGauges) return false;
    Gauge gauge;
    gauge.name = name;
    gauge.value = value;
    for (const GaugeLabel& label : labels) gauge.labels.emplace_back(label.name, label.value);
    internal::Gauges().push_back(std::move(gauge));
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

}  // namespace spanwatch
