#include "sidecar/core/analysis.h"

#include <algorithm>
#include <cmath>

#include "sidecar/core/analysis_tree.h"
#include "sidecar/core/incident.h"

namespace spanwatch::core {

const char* ToString(InsightSeverity severity) {
  constexpr const char* kNames[] = {"info", "warning", "critical"};
  return kNames[static_cast<int>(severity)];
}

TraceAnalysis Analyse(const TraceCopy& trace, const AnalysisOptions& options) {
  TraceAnalysis out;
  const analysis::Tree tree = analysis::BuildTree(trace, &out);
  analysis::SelfTimes(tree, &out);
  analysis::CriticalPath(tree, &out);
  analysis::Rankings(tree, &out);
  analysis::Calls(tree, options, &out);
  analysis::Errors(tree, &out);
  analysis::Memory(tree, options, &out);
  analysis::Llm(tree, options, &out);
  analysis::Insights(tree, options, &out);
  analysis::Recommendations(tree, options, &out);
  return out;
}

namespace analysis {

bool Failed(const SpanCopy& span) { return span.status == StatusCode::kError; }

const AttributeCopy* FindAttribute(const std::vector<AttributeCopy>& attributes, std::string_view key) {
  const auto at = std::find_if(attributes.begin(), attributes.end(),
                               [&](const AttributeCopy& attribute) { return attribute.key == key; });
  return at == attributes.end() ? nullptr : &*at;
}

std::optional<double> Number(const SpanCopy& span, std::string_view key) {
  const AttributeCopy* found = FindAttribute(span.attributes, key);
  if (found == nullptr) return std::nullopt;
  if (found->type == AttributeType::kInt) return static_cast<double>(found->integer);
  if (found->type == AttributeType::kDouble && std::isfinite(found->number)) return found->number;
  return std::nullopt;
}

std::optional<std::int64_t> Integer(const SpanCopy& span, std::string_view key) {
  constexpr std::int64_t kLimit = std::int64_t{1} << 62;
  const AttributeCopy* found = FindAttribute(span.attributes, key);
  if (found == nullptr) return std::nullopt;
  if (found->type == AttributeType::kInt) return std::clamp(found->integer, -kLimit, kLimit);
  if (found->type != AttributeType::kDouble || !(std::fabs(found->number) <= 0x1p62)) return std::nullopt;
  return static_cast<std::int64_t>(found->number);
}

std::string_view Text(const SpanCopy& span, std::string_view key) {
  const AttributeCopy* found = FindAttribute(span.attributes, key);
  return found != nullptr && found->type == AttributeType::kString ? std::string_view(found->text) : "";
}

std::string Short(std::string_view text) {
  constexpr std::size_t kMost = 80;
  if (text.empty()) return "?";
  if (text.size() <= kMost) return std::string(text);
  constexpr std::string_view kMark = "…";
  std::size_t size = kMost - kMark.size();
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) --size;
  return std::string(text.substr(0, size)) + std::string(kMark);
}

std::string Ns(std::int64_t ns) { return FormatValue(static_cast<double>(ns), Unit::kNanoseconds); }
std::string Bytes(std::int64_t bytes) { return FormatValue(static_cast<double>(bytes), Unit::kBytes); }

std::string Share(std::int64_t part, std::int64_t whole) {
  return FormatValue(whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0, Unit::kRatio);
}

std::string Count(std::uint64_t count, std::string_view noun) {
  return std::to_string(count) + " " + std::string(noun) + (count == 1 ? "" : "s");
}

void Rank(std::vector<Insight>* insights) {
  std::stable_sort(insights->begin(), insights->end(), [](const Insight& a, const Insight& b) {
    return a.severity != b.severity ? a.severity > b.severity : a.cost_ns > b.cost_ns;
  });
  if (insights->size() > kMaxInsights) insights->resize(kMaxInsights);
}

}  // namespace analysis
}  // namespace spanwatch::core
