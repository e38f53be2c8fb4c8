#include "sidecar/replay.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>

#include "sidecar/app.h"
#include "sidecar/ingest/otlp_http.h"
#include "sidecar/ingest/restore.h"

namespace spanwatch::app {
namespace {

constexpr std::size_t kMaxFileBytes = 1u << 30;
constexpr std::int64_t kAfterNs = 35'000'000'000;  // above the longest quiet gap of a trace

Replayed Summary(const char* source, const ingest::Folded& folded, bool torn, const std::string& damage) {
  Replayed result{source, folded.records, folded.first_ns, folded.last_ns, torn, folded.problems};
  if (!damage.empty()) result.problems.push_back(damage);
  return result;
}

template <typename Reader, typename Folder>
void FoldAll(Reader* reader, Folder* folder) {
  core::RecordHeader header;
  std::string bytes;
  while (reader->Next(&header, &bytes)) folder->Fold(header, bytes);
}

// --- OTLP ------------------------------------------------------------------------------------------------------------

tl::expected<std::string, std::string> ReadWhole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return tl::make_unexpected(path + ": " + std::strerror(errno));
  std::string bytes;
  std::string piece(1u << 20, '\0');
  while (file.read(piece.data(), static_cast<std::streamsize>(piece.size())) || file.gcount() > 0) {
    bytes.append(piece, 0, static_cast<std::size_t>(file.gcount()));
    if (bytes.size() > kMaxFileBytes) return tl::make_unexpected(path + " is larger than 1 GiB; split it");
  }
  return bytes;
}

// The documents of a file: one protobuf message, one JSON document, or one JSON document a line.
std::vector<std::string> SplitDocuments(std::string bytes, bool json) {
  const std::size_t end = json ? bytes.find('\n') : std::string::npos;
  const std::string_view first = std::string_view(bytes).substr(0, end);
  const std::size_t last = first.find_last_not_of(" \t\r");
  const bool lines =
      end != std::string::npos && last != std::string_view::npos && first[last] == '}' && first[0] == '{';
  std::vector<std::string> documents;
  if (!lines) {
    documents.push_back(std::move(bytes));
    return documents;
  }
  std::istringstream in(std::move(bytes));
  for (std::string line; std::getline(in, line);) {
    if (line.find_first_not_of(" \t\r") != std::string::npos) documents.push_back(std::move(line));
  }
  return documents;
}

// Whether it is nothing but fields of number 1, as TracesData is: they begin as "\n{" does if the first has 123 bytes.
bool LooksLikeTracesData(std::string_view bytes) {
  if (bytes.empty()) return false;
  while (!bytes.empty()) {
    std::uint64_t size = 0;
    std::size_t at = 1;
    for (int shift = 0; at < bytes.size() && shift < 35; shift += 7) {
      const auto byte = static_cast<unsigned char>(bytes[at++]);
      size |= std::uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) break;
    }
    if (bytes[0] != '\n' || at == 1 || size > bytes.size() - at) return false;
    bytes.remove_prefix(at + size);
  }
  return true;
}

// As the OTLP receiver takes it: turned into protobuf, redacted, cut into records.
std::vector<std::string> ToRecords(std::string bytes, std::vector<std::string>* problems) {
  const std::size_t first = bytes.find_first_not_of(" \t\r\n");
  const bool json = first != std::string::npos && bytes[first] == '{' && !LooksLikeTracesData(bytes);
  std::vector<std::string> records;
  ingest::OtlpHttpOptions options;
  options.max_body_bytes = kMaxFileBytes;
  options.max_working_bytes = 4 * kMaxFileBytes;  // redacting and cutting copy it
  ingest::OtlpHttp otlp(options, [&](std::string record) {
    records.push_back(std::move(record));
    return true;
  });
  std::size_t number = 0;
  for (std::string& document : SplitDocuments(std::move(bytes), json)) {
    ++number;
    const char* const type = json ? "application/json" : "application/x-protobuf";
    const ingest::OtlpHttpResponse answer = otlp.Handle({"POST", "/v1/traces", type, "", std::move(document)});
    if (answer.status != 200 && problems->size() < 10) {
      problems->push_back("document " + std::to_string(number) + ": " +
                          (json ? answer.body : "is neither OTLP protobuf nor JSON"));
    }
  }
  return records;
}

struct Arrival {
  std::int64_t at_ns = 0;
  std::uint32_t batch = 0;
  core::SpanView span;
};

// Spans in the order in which they ended. Their views point into `batches`, which keep everything but the spans.
std::vector<Arrival> Order(std::vector<core::SpanBatch>* batches) {
  std::vector<Arrival> arrivals;
  for (std::uint32_t i = 0; i < batches->size(); ++i) {
    for (const core::SpanView& span : (*batches)[i].spans) {
      arrivals.push_back({std::max(span.end_ns, span.start_ns), i, span});
    }
    (*batches)[i].spans.clear();
  }
  std::stable_sort(arrivals.begin(), arrivals.end(),
                   [](const Arrival& a, const Arrival& b) { return a.at_ns < b.at_ns; });
  return arrivals;
}

tl::expected<Replayed, std::string> ReplayOtlp(const std::string& path, const config::Config& config,
                                               const std::shared_ptr<const core::RuleSet>& rules, core::Engine* engine,
                                               const OnTransitions& on_transitions) {
  auto bytes = ReadWhole(path);
  if (!bytes) return tl::make_unexpected(bytes.error());
  Replayed result;
  result.source = "otlp";
  const std::vector<std::string> records = ToRecords(std::move(*bytes), &result.problems);
  std::vector<core::SpanBatch> batches(records.size());
  for (std::size_t i = 0; i < records.size(); ++i) ingest::DecodeOtlp(records[i], &batches[i]);
  const std::vector<Arrival> arrivals = Order(&batches);
  if (arrivals.empty()) {
    const std::string why = result.problems.empty() ? "holds no spans" : result.problems.front();
    return tl::make_unexpected(path + ": " + why +
                               "; allowed: a journal's directory, a file of serve --record, or OTLP spans");
  }
  result.first_ns = arrivals.front().at_ns;
  result.last_ns = arrivals.back().at_ns;
  core::Decoded reload;
  ParseReloadRecord(config::MakeReload(config), &reload);
  if (rules != nullptr) reload.rules = rules;
  std::uint64_t index = 1;
  engine->Apply({index, result.first_ns, core::RecordKind::kReload, 0}, reload);
  for (std::size_t begin = 0; begin < arrivals.size();) {
    core::SpanBatch& batch = batches[arrivals[begin].batch];
    batch.spans.clear();
    std::size_t end = begin;
    while (end < arrivals.size() && arrivals[end].batch == arrivals[begin].batch &&
           arrivals[end].at_ns / core::kTickNs == arrivals[begin].at_ns / core::kTickNs) {
      batch.spans.push_back(arrivals[end++].span);
    }
    core::Decoded decoded;
    decoded.spans = &batch;
    engine->Apply({++index, arrivals[end - 1].at_ns, core::RecordKind::kOtlp, 0}, decoded);
    batch.rejected = {};
    engine->TakeCompleted();
    on_transitions(engine->TakeTransitions());
    begin = end;
  }
  engine->Apply({0, result.last_ns + kAfterNs, core::RecordKind::kTime, 0}, {});
  on_transitions(engine->TakeTransitions());
  result.records = index;
  return result;
}

bool IsDirectory(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

// Journals and recordings: with the rules that they bring, or with others.
template <typename Reader>
ingest::Folded FoldRecords(Reader* reader, const std::shared_ptr<const core::RuleSet>& rules, core::Engine* engine,
                           const OnTransitions& on_transitions) {
  if (rules != nullptr) {
    RuleReplacer replacer(rules, engine, on_transitions);
    FoldAll(reader, &replacer);
    return replacer.result();
  }
  ingest::Decoder decoder(ParseReloadRecord);
  ingest::Folder folder(&decoder, engine, on_transitions);
  FoldAll(reader, &folder);
  return folder.result();
}

}  // namespace

tl::expected<Replayed, std::string> Replay(const std::string& path, const config::Config& config,
                                           std::shared_ptr<const core::RuleSet> rules, core::Engine* engine,
                                           const OnTransitions& on_transitions) {
  if (IsDirectory(path)) {
    auto reader = ingest::JournalReader::Open(path);
    if (!reader) return tl::make_unexpected(reader.error());
    const ingest::Folded folded = FoldRecords(&*reader, rules, engine, on_transitions);
    if (folded.last_ns == 0) {
      return tl::make_unexpected(path + ": no journal is in this directory; it is journal/ in the sidecar's state_dir");
    }
    return Summary("journal", folded, reader->torn(), reader->damage());
  }
  auto reader = ingest::RecordReader::Open(path);
  if (!reader) return ReplayOtlp(path, config, rules, engine, on_transitions);
  const ingest::Folded folded = FoldRecords(&*reader, rules, engine, on_transitions);
  return Summary("recording", folded, reader->torn(), "");
}

}  // namespace spanwatch::app
