// What the ingest thread leaves to its journal, seen as a kill would leave it: copies of the directory, taken while it
// runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sidecar/ingest/ingest.h"
#include "tests/support/rule_builder.h"
#include "tests/unit/ingest/journal_util.h"
#include "tests/unit/ingest/otlp_builder.h"
#include "tests/unit/ingest/temp_dir.h"

namespace spanwatch::ingest {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

class IngestJournalTest : public ::testing::Test {
 protected:
  void Start(Options options = {}) {
    options.endpoints = {"ipc://" + dir_.path("s")};
    options.journal_directory = dir_.path("journal");
    ingest_ = std::make_unique<Ingest>(std::move(options), &engine_);
    const auto result = ingest_->Start();
    ASSERT_TRUE(result) << result.error();
  }
  // What a start would find if the process were killed now.
  std::vector<core::RecordHeader> Left() {
    const std::string copy = dir_.path("copy" + std::to_string(++copies_));
    std::filesystem::copy(dir_.path("journal"), copy);
    std::filesystem::remove(copy + "/lock");
    auto reader = JournalReader::Open(copy);
    std::vector<core::RecordHeader> records;
    if (!reader) return records;
    core::RecordHeader header;
    for (std::string bytes; reader->Next(&header, &bytes);) records.push_back(header);
    return records;
  }

  static std::shared_ptr<const core::RuleSet> SlowRule() {
    auto rules = std::make_shared<core::RuleSet>();
    rules->rules.push_back(core::EventRule(core::Measure::kSpanDuration, 1e6, 1e12));
    return rules;
  }

  const TempDir dir_;
  std::atomic<int> copies_{0};
  core::Engine engine_{core::Limits{}, SlowRule()};
  std::unique_ptr<Ingest> ingest_;
};

TEST_F(IngestJournalTest, WhatIsToldIsKept) {
  std::atomic<int> told{0}, kept{0};
  Options options;
  options.on_transitions = [&](const std::vector<core::Transition>& transitions) {
    const std::vector<core::RecordHeader> records = Left();
    for (const core::Transition& transition : transitions) {
      ++told;
      kept += std::any_of(records.begin(), records.end(), [&](const core::RecordHeader& record) {
        return record.kind == core::RecordKind::kOtlp && record.now_ns == transition.at_ns;
      });
    }
  };
  Start(std::move(options));
  for (int i = 0; i < 10; ++i) {
    testing::SpanSpec spec;
    spec.name = "operation " + std::to_string(i);
    spec.span_id = "span-id" + std::to_string(i);
    ASSERT_TRUE(ingest_->Submit(core::RecordKind::kOtlp, testing::TracesData("bot", {spec.Encode()})));
  }
  ASSERT_TRUE(WaitUntil([&] { return told == 10; })) << told;
  ingest_->Stop(kSecond);
  // A machine that stood still for a second makes the journal pause: what is told then is not kept.
  if (ingest_->GetStatus().journal.failures > 0) GTEST_SKIP() << "the journal paused";
  EXPECT_EQ(kept, 10) << "a kill would have made them be told twice";
}

TEST_F(IngestJournalTest, TheTimeOfAnIdleEngineIsKept) {
  Start();
  ASSERT_TRUE(ingest_->Submit(core::RecordKind::kOtlp, testing::TracesData("bot", {testing::SpanSpec().Encode()})));
  std::vector<core::RecordHeader> records;
  ASSERT_TRUE(WaitUntil([&] {
    records = Left();
    return !records.empty() && records.back().kind == core::RecordKind::kTime &&
           engine_.Stats().store.completed_total == 1;
  }));
  ASSERT_TRUE(WaitUntil([&] { return Left().back().now_ns >= records.back().now_ns + kSecond; }))
      << "without a change, too";
}

}  // namespace
}  // namespace spanwatch::ingest
