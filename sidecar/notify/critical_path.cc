#include "sidecar/notify/critical_path.h"

#include <algorithm>
#include <cmath>

#include "sidecar/core/rule.h"
#include "sidecar/notify/discord_text.h"

namespace spanwatch::notify {
namespace {

constexpr std::size_t kNameBytes = 256;
constexpr double kWorthALine = 0.01;
constexpr std::size_t kOperationUnits = 160, kServiceUnits = 60, kTimeUnits = 40;

// Not inside a character.
std::string Cut(const std::string& text) {
  std::size_t size = std::min(text.size(), kNameBytes);
  while (size > 0 && size < text.size() && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) --size;
  return text.substr(0, size);
}

std::string ShareText(double share) {
  const double percent = std::round(share * 100);
  if (!(percent >= 1)) return "under 1 %";
  return std::to_string(static_cast<int>(std::min(percent, 100.0))) + " %";
}

// Shares of hostile bytes and of hostile times stay numbers from 0 to 1.
double Share(double value) { return value >= 0 ? std::min(value, 1.0) : 0; }

}  // namespace

CriticalPath TopOfPath(const core::TraceCopy& trace, const core::TraceAnalysis& analysis) {
  CriticalPath path;
  path.open = !trace.summary.complete && (analysis.root == core::kNoSpan || trace.summary.orphans > 0);
  const bool one_service = trace.summary.services.size() <= 1;
  for (const core::Bottleneck& each : analysis.bottlenecks) {
    if (each.critical_ns <= 0) continue;
    if (path.top.empty() || (path.top.size() < kPathLines && each.share >= kWorthALine)) {
      path.top.push_back(
          {Cut(each.operation), one_service ? "" : Cut(each.service), each.critical_ns, Share(each.share), each.spans});
    } else {
      ++path.more;
      path.more_share = Share(path.more_share + each.share);
    }
  }
  return path;
}

std::string PathText(const CriticalPath& path) {
  std::string text;
  for (const CriticalPath::Line& line : path.top) {
    const std::string operation = EscapeUserText(line.operation, kOperationUnits);
    const std::string service = EscapeUserText(line.service, kServiceUnits);
    if (!text.empty()) text += '\n';
    text += operation.empty() ? "(no name)" : operation;
    if (!service.empty()) text += " in " + service;
    text += " **" + ShareText(line.share) + "** (";
    text +=
        EscapeUserText(core::FormatValue(static_cast<double>(line.critical_ns), core::Unit::kNanoseconds), kTimeUnits);
    if (line.spans > 1) text += ", " + std::to_string(line.spans) + " spans";
    text += ")";
  }
  if (text.empty()) return text;
  if (path.more > 0 && path.more_share >= kWorthALine) {
    text += "\n" + std::to_string(path.more) + (path.more == 1 ? " other operation " : " other operations ") +
            ShareText(path.more_share);
  }
  if (path.open) text += "\nso far: the trace is not complete";
  return text;
}

void Save(const CriticalPath& path, core::CodecWriter* out) {
  out->U64(path.top.size());
  for (const CriticalPath::Line& line : path.top) {
    out->Text(line.operation).Text(line.service).I64(line.critical_ns).F64(line.share).U64(line.spans);
  }
  out->U64(path.more).F64(path.more_share).Bool(path.open);
}

bool Load(core::CodecReader* in, CriticalPath* out) {
  out->top.clear();
  for (std::uint64_t n = in->Below(kPathLines + 1); n > 0 && in->ok(); --n) {
    CriticalPath::Line line;
    line.operation = in->Text();
    line.service = in->Text();
    line.critical_ns = in->I64();
    line.share = Share(in->F64());
    line.spans = in->U32();
    out->top.push_back(std::move(line));
  }
  out->more = in->U32();
  out->more_share = Share(in->F64());
  out->open = in->Bool();
  return in->ok();
}

}  // namespace spanwatch::notify
