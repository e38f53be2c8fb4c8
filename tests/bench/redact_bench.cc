// What redaction costs the sender: the same records encoded with redaction off, as by default and strictly, in turns in
// one run, beside the encoding itself. Prints `name value unit [note]` lines; medians over rounds.
//
//   redact_bench          all figures
//   redact_bench MODE     (off, default, strict) 100,000 spans of three tags and nothing else, for callgrind
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sdk/cpp/src/clock.h"
#include "sdk/cpp/src/otlp_encoder.h"
#include "sdk/cpp/src/record.h"
#include "sdk/cpp/src/redactor.h"
#include "sdk/cpp/src/thread_block.h"

namespace {

using namespace spanwatch::internal;  // NOLINT(google-build-using-namespace): a benchmark of internals
using spanwatch::Redaction;
using spanwatch::RedactionMode;

// A record as a traced thread writes it.
class Record {
 public:
  explicit Record(std::string_view name) : words_(kHeaderWords) {
    words_[kSizeWord] = kRecordConstantName | std::uint64_t{name.size()} << 18 | std::uint64_t{1} << 27 |
                        (reinterpret_cast<std::uintptr_t>(name.data()) - g_constants_begin) << 32;
    for (std::uint64_t i = kTraceHiWord; i <= kParentWord; ++i) words_[i] = i * 0x9E3779B97F4A7C15u;
    words_[kStartWord] = Ticks();
    words_[kEndWord] = words_[kStartWord] + 1000;
  }
  Record& Text(std::string_view key, std::string_view text) {
    const EntryHead head = EntryHead::OfText(key.size(), text.size(), IsConstant(text.data()));
    Key(head, key);
    Put(text);
    return *this;
  }
  Record& Number(std::string_view key, std::uint64_t number) {
    Key(EntryHead::OfNumber(EntryType::kInt, key.size()), key);
    words_.push_back(number);
    return *this;
  }
  Record& Log(std::string_view text) {
    words_.push_back(EntryHead::OfEvent(EntryType::kLog, text.size(), IsConstant(text.data()), 1, 0, 0).bits());
    words_.push_back(words_[kEndWord]);
    Put(text);
    return *this;
  }
  RecordView view() {
    words_[kSizeWord] = (words_[kSizeWord] & ~std::uint64_t{0x3fff}) | words_.size();
    return RecordView(words_.data());
  }

 private:
  void Key(EntryHead head, std::string_view key) {
    words_.push_back((IsConstant(key.data()) ? head.WithConstantKey(key.data()) : head).bits());
    if (!IsConstant(key.data())) Put(key);
  }
  void Put(std::string_view text) {
    if (IsConstant(text.data())) return words_.push_back(reinterpret_cast<std::uintptr_t>(text.data()));
    std::vector<std::uint64_t> words((text.size() + 7) / 8);
    std::memcpy(words.data(), text.data(), text.size());
    words_.insert(words_.end(), words.begin(), words.end());
  }

  std::vector<std::uint64_t> words_;
};

class Bench {
 public:
  explicit Bench(RedactionMode mode) {
    Redaction policy;
    policy.mode = mode;
    redactor_ = std::make_unique<Redactor>(policy);
    encoder_ = std::make_unique<OtlpEncoder>(std::vector<std::pair<std::string, std::string>>(), redactor_.get());
  }
  double NsPerSpan(const RecordView& record, int spans) {
    const std::int64_t start = MonotonicNs();
    for (int i = 0; i < spans; ++i) {
      if (encoder_->Add(record, clock_, memory_) == OtlpEncoder::Result::kAdded) continue;
      Payload::Unref(encoder_->Finish());
      encoder_->Add(record, clock_, memory_);
    }
    return static_cast<double>(MonotonicNs() - start) / spans;
  }

 private:
  ClockConverter clock_;
  MemorySampler memory_;
  std::unique_ptr<Redactor> redactor_;
  std::unique_ptr<OtlpEncoder> encoder_;
};

double Median(std::vector<double>* values) {
  std::sort(values->begin(), values->end());
  return (*values)[values->size() / 2];
}

void Measure(const char* name, Record record) {
  constexpr int kRounds = 200;
  constexpr int kSpans = 2000;
  constexpr RedactionMode kModes[] = {RedactionMode::kOff, RedactionMode::kDefault, RedactionMode::kStrict};
  std::vector<Bench> benches(std::begin(kModes), std::end(kModes));
  std::vector<double> times[std::size(kModes)];
  for (int i = 0; i < kRounds; ++i) {
    for (std::size_t m = 0; m < std::size(kModes); ++m) times[m].push_back(benches[m].NsPerSpan(record.view(), kSpans));
  }
  const double off = Median(&times[0]);
  std::printf("redact_%s_ns %.1f ns over %.1f ns of encoding; strict %.1f ns\n", name, Median(&times[1]) - off, off,
              Median(&times[2]) - off);
}

}  // namespace

int main(int argc, char** argv) {
  DetectClock();
  FindConstants();
  const std::string user = "u-3f9c2e71ab", guild = "80351110224678912", route = "/api/v1/users";
  const std::string keys[] = {"llm.model", "user", "guild.id"};
  Record three("Bench.operation");
  three.Text("llm.model", "gemini-1.5-pro").Text("user", user).Number("tokens", 512);
  if (argc > 1) {
    const std::string_view mode = argv[1];
    Bench(mode == "off"      ? RedactionMode::kOff
          : mode == "strict" ? RedactionMode::kStrict
                             : RedactionMode::kDefault)
        .NsPerSpan(three.view(), 100000);
    return 0;
  }
  Record copied("Bench.operation"), foreign("Bench.operation"), logged("Bench.operation");
  copied.Text("route", route).Text("user", user).Text("guild.id", guild);
  foreign.Text(keys[0], route).Text(keys[1], user).Text(keys[2], guild);
  const std::string line =
      "connection to db.internal refused after 3 attempts (timeout 30000 ms), next attempt in 2.5 s; giving up";
  logged.Log(line);
  Measure("3tags", three);
  Measure("3texts", copied);
  Measure("3keys", foreign);
  Measure("log", logged);
  return 0;
}
