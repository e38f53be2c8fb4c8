#include "sidecar/metrics/writer.h"

#include <charconv>
#include <cmath>
#include <utility>

#include "sidecar/core/utf8.h"

namespace spanwatch::metrics {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

void AppendEscaped(std::string_view value, std::string* out) {
  std::string repaired;
  if (!core::IsAscii(value) && !core::IsUtf8(value)) value = repaired = core::RepairUtf8(value);
  for (const char c : value) {
    if (c == '\\' || c == '"') {
      out->push_back('\\');
      out->push_back(c);
    } else if (c == '\n') {
      out->append("\\n");
    } else if (c == '\0') {  // Prometheus' lexer takes it as the end of input
      out->append(kReplacement);
    } else {
      out->push_back(c);
    }
  }
}

void AppendCount(double value, std::string* out) {
  if (!(value < 9e18)) {  // a sender may claim any weight
    AppendNumber(std::round(value), out);
    return;
  }
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, std::llround(value)).ptr;
  out->append(buffer, end);
}

std::string_view TypeName(Type type, Format format) {
  switch (type) {
    case Type::kCounter:
      return "counter";
    case Type::kHistogram:
      return "histogram";
    case Type::kInfo:
      return format == Format::kOpenMetrics ? "info" : "gauge";
    case Type::kGauge:
      break;
  }
  return "gauge";
}

std::string_view UnitOf(std::string_view name) {
  for (const std::string_view unit : {"seconds", "milliseconds", "bytes"}) {
    if (name.size() > unit.size() && name.ends_with(unit) && name[name.size() - unit.size() - 1] == '_') return unit;
  }
  return {};
}

}  // namespace

Labels& Labels::Add(std::string_view name, std::string_view value) {
  if (!text_.empty()) text_.push_back(',');
  text_.append(name).append("=\"");
  AppendEscaped(value, &text_);
  text_.push_back('"');
  return *this;
}

std::string LegalLabelName(std::string_view name) {
  std::string legal;
  legal.reserve(name.size() + 1);
  for (const char c : name) {
    const bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    legal.push_back(ok ? c : '_');
  }
  // A leading underscore is reserved (OpenMetrics), a leading digit illegal.
  if (legal.empty() || legal[0] == '_' || (legal[0] >= '0' && legal[0] <= '9')) legal.insert(0, "label_");
  return legal;
}

void AppendNumber(double value, std::string* out) {
  if (std::isnan(value)) {
    out->append("NaN");
    return;
  }
  if (std::isinf(value)) {
    out->append(value > 0 ? "+Inf" : "-Inf");
    return;
  }
  char buffer[64];
  const bool whole = std::fabs(value) < 1e15 && value == std::trunc(value);
  const auto end = whole ? std::to_chars(buffer, buffer + sizeof buffer, static_cast<std::int64_t>(value)).ptr
                         : std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  out->append(buffer, end);
}

std::string CanonicalBound(double value) {
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  char buffer[400];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed).ptr;
  std::string text(buffer, end);
  if (text.find('.') == std::string::npos) text += ".0";
  return text;
}

void Writer::Family(std::string_view name, Type type, std::string_view help) {
  name_ = name;
  type_ = type;
  help_ = help;
  pending_ = true;
}

void Writer::BeginFamily() {
  pending_ = false;
  sample_name_.assign(name_);
  if (type_ == Type::kCounter) sample_name_ += "_total";
  if (type_ == Type::kInfo) sample_name_ += "_info";
  const bool open_metrics = format_ == Format::kOpenMetrics;
  const std::string_view family = open_metrics ? name_ : std::string_view(sample_name_);
  out_.append("# TYPE ").append(family).append(" ").append(TypeName(type_, format_)).append("\n");
  if (const auto unit = UnitOf(name_); open_metrics && !unit.empty()) {
    out_.append("# UNIT ").append(family).append(" ").append(unit).append("\n");
  }
  out_.append("# HELP ").append(family).append(" ");
  for (const char c : help_) {
    if (c == '\\') {
      out_.append("\\\\");
    } else if (c == '\n') {
      out_.append("\\n");
    } else if (c == '"' && open_metrics) {
      out_.append("\\\"");
    } else {
      out_.push_back(c);
    }
  }
  out_.push_back('\n');
}

void Writer::Sample(std::string_view labels, double value) {
  if (pending_) BeginFamily();
  ++samples_;
  out_.append(sample_name_);
  if (!labels.empty()) out_.append("{").append(labels).append("}");
  out_.push_back(' ');
  AppendNumber(value, &out_);
  out_.push_back('\n');
}

void Writer::WriteCount(std::string_view labels, double count) {
  if (pending_) BeginFamily();
  ++samples_;
  out_.append(sample_name_).append("{").append(labels).append("} ");
  AppendCount(count, &out_);
  out_.push_back('\n');
}

void Writer::WriteHistogram(std::string_view labels, const std::string* bounds, const double* counts,
                            std::size_t bound_count, double sum) {
  if (pending_) BeginFamily();
  samples_ += bound_count + 3;
  // The part that all bucket lines share is made once.
  line_.assign(sample_name_).append("_bucket{").append(labels).append(labels.empty() ? "le=\"" : ",le=\"");
  double total = 0;
  for (std::size_t i = 0; i <= bound_count; ++i) {
    total += counts[i];
    out_.append(line_).append(i < bound_count ? std::string_view(bounds[i]) : std::string_view("+Inf")).append("\"} ");
    AppendCount(total, &out_);
    out_.push_back('\n');
  }
  const auto tail = [&](std::string_view suffix) {
    out_.append(sample_name_).append(suffix);
    if (!labels.empty()) out_.append("{").append(labels).append("}");
    out_.push_back(' ');
  };
  tail("_sum");
  AppendNumber(sum, &out_);
  out_.push_back('\n');
  tail("_count");
  AppendCount(total, &out_);
  out_.push_back('\n');
}

std::string Writer::Finish() {
  if (format_ == Format::kOpenMetrics) out_.append("# EOF\n");
  pending_ = false;
  samples_ = 0;
  return std::exchange(out_, {});
}

}  // namespace spanwatch::metrics
