// The overview's memory: filled by many operations and by wide ones, given back, numbers used again.
#include <gtest/gtest.h>

#include <memory>
#include <random>

#include "sidecar/core/overview.h"
#include "sidecar/core/overview_figures.h"
#include "tests/support/engine_driver.h"
#include "tests/support/heap.h"

namespace spanwatch::core {
namespace {

class OverviewBudgetTest : public ::testing::Test {
 protected:
  OverviewBudgetTest() { overview_->Configure({}); }
  void Call(std::uint32_t operation, std::uint32_t service, std::int64_t duration_ns, double weight = 1) {
    SpanView span;
    span.start_ns = now_ns_;
    span.end_ns = now_ns_ + duration_ns;
    span.weight = weight;
    overview_->OnSpan(now_ns_, operation, service, batch_, span);
    overview_->Settle();
    calls_ += weight;
    ASSERT_LE(overview_->bytes(), kMaxOverviewBytes);
  }
  OverviewView View() const {
    std::vector<NamedRecord> records;
    for (std::size_t i = 0; i < overview_->slots(); ++i) {
      const OperationRecord* record = overview_->record(i);
      if (record == nullptr) continue;
      const bool other = record->operation == kOtherOperation;
      records.push_back({"service" + std::to_string(record->service),
                         other ? "(other)" : "op" + std::to_string(record->operation), *record});
    }
    SortRecords(&records);
    OverviewView view;
    view.now_ns = now_ns_;
    view.since_ns = overview_->since_ns();
    FillOverview(records, &view);
    return view;
  }

  std::unique_ptr<Overview> overview_ = std::make_unique<Overview>();
  SpanBatch batch_;
  std::int64_t now_ns_ = kStart;
  double calls_ = 0;
};

TEST_F(OverviewBudgetTest, ManyOperationsFoldIntoTheOtherOfTheirService) {
  for (std::uint32_t operation = 0; operation < 20'000; ++operation) Call(operation, operation % 10, kMs);
  EXPECT_GT(overview_->bytes(), kMaxOverviewBytes / 2) << "the test fills it";
  EXPECT_GT(overview_->folded_operations(), 1000u);
  EXPECT_EQ(overview_->folded_calls(), static_cast<double>(overview_->folded_operations()));
  const OverviewView view = View();
  EXPECT_EQ(view.all.windows[2].calls, calls_) << "folded, not lost";
  ASSERT_EQ(view.services.size(), 10u);
  EXPECT_EQ(view.services[3].windows[2].calls, 2000);
  EXPECT_EQ(view.operations[0].operation, "(other)");
}

TEST_F(OverviewBudgetTest, WideOperationsThatGrowFoldTheQuietOnes) {
  // Durations over 40 powers of two, for an hour; few operations are called often.
  std::mt19937_64 random(1);
  for (int minute = 0; minute < 60; ++minute) {
    for (int i = 0; i < 8000; ++i) {
      const auto operation = static_cast<std::uint32_t>(random() % 2 == 0 ? random() % 1800 : random() % 8);
      Call(operation, operation % 3, static_cast<std::int64_t>(random() >> (24 + random() % 40)));
    }
    now_ns_ += kMinute;
  }
  EXPECT_GT(overview_->folded_operations(), 100u) << "the test fills it";
  const OverviewView view = View();
  EXPECT_EQ(view.all.windows[2].calls, calls_);
  double windows = 0;
  for (const OperationOverview& each : view.operations) windows += each.windows[2].calls;
  EXPECT_EQ(windows, calls_);
  int busy = 0;
  for (const OperationOverview& each : view.operations)
    busy += each.windows[2].calls > 20'000 && each.operation != "(other)";
  EXPECT_EQ(busy, 8) << "those that matter are still there";
}

TEST_F(OverviewBudgetTest, ManyServicesWithNothingButOthersStayBounded) {
  for (int minute = 0; minute < 30; ++minute) {
    for (std::uint32_t i = 0; i < 12'000; ++i) Call(i, i % 1000, std::int64_t{1} << (i * 7 % 60));
    now_ns_ += kMinute;
  }
  EXPECT_NEAR(View().all.windows[2].calls, calls_, calls_ * 1e-6);
}

TEST_F(OverviewBudgetTest, WhatIsForgottenIsFreeAndItsNumberStartsAnew) {
  Call(0, 0, kMs);
  const std::uint64_t before = overview_->bytes();
  for (std::uint32_t operation = 1; operation < 4000; ++operation) Call(operation, 1, kMs);
  for (std::uint32_t operation = 1; operation < 4000; ++operation) overview_->ForgetOperation(operation);
  overview_->ForgetOperation(1'000'000);
  overview_->ForgetService(1'000'000);
  EXPECT_LE(overview_->bytes(), before + 4000 * 32) << "tables of numbers are left";
  Call(5, 2, kSecond);
  const OverviewView view = View();
  ASSERT_EQ(view.operations.size(), 2u);
  for (const OperationOverview& each : view.operations) {
    if (each.operation != "op5") continue;
    EXPECT_EQ(each.service, "service2");
    EXPECT_EQ(each.windows[2].calls, 1) << "nothing of the former op5";
    EXPECT_NEAR(each.windows[2].p50_ns, 1e9, 1e7);
  }
}

TEST_F(OverviewBudgetTest, RoomThatComesBackIsUsedAgain) {
  for (std::uint32_t operation = 0; operation < 20'000; ++operation) Call(operation, 0, kMs);
  EXPECT_GT(overview_->folded_operations(), 0u);
  for (std::uint32_t operation = 0; operation < 19'000; ++operation) overview_->ForgetOperation(operation);
  overview_->ForgetService(0);
  Call(19'500, 0, kMs);
  bool found = false;
  for (const OperationOverview& each : View().operations) found = found || each.operation == "op19500";
  EXPECT_TRUE(found);
  EXPECT_LE(overview_->folded_operations(), 1000u);
}

TEST_F(OverviewBudgetTest, IdleOperationsShrinkOnTicks) {
  for (std::uint32_t operation = 0; operation < 500; ++operation) {
    for (int power = 10; power < 30; ++power) Call(operation, 0, std::int64_t{1} << power);
  }
  const std::uint64_t full = overview_->bytes();
  now_ns_ += 66 * kMinute;
  for (int tick = 0; tick < 20; ++tick) overview_->Advance(now_ns_ + tick * 10 * kSecond);
  EXPECT_LT(overview_->bytes(), full / 4);
  EXPECT_TRUE(View().operations.empty());
}

TEST_F(OverviewBudgetTest, VeryManyCallsInOneMinuteAreCountedExactly) {
  for (int i = 0; i < 300; ++i) Call(1, 0, kMs, 1 << 20);
  for (int i = 0; i < 100; ++i) Call(1, 0, kMs, 1);
  EXPECT_EQ(View().all.windows[0].calls, calls_);
  EXPECT_NEAR(View().all.windows[0].p99_ns, 1e6, 1e4);
}

TEST_F(OverviewBudgetTest, TheFormulaIsCloseToTheHeap) {
  if (!HeapIsCounted()) GTEST_SKIP() << "the sanitizer's allocator tells nothing";
  std::size_t before = 0;
  // The first time malloc fills its lists of small pieces, which it counts as in use.
  for (int time = 0; time < 2; ++time) {
    overview_ = nullptr;
    before = HeapBytes();
    overview_ = std::make_unique<Overview>();
    overview_->Configure({});
    std::mt19937_64 random(1);
    for (int minute = 0; minute < 30; ++minute) {
      for (std::uint32_t i = 0; i < 6000; ++i)
        Call(i % 600, i % 7, static_cast<std::int64_t>((random() >> 40) + (random() >> 44)));
      now_ns_ += kMinute;
    }
  }
  const auto real = static_cast<double>(HeapBytes() - before);
  RecordProperty("real_bytes", static_cast<int>(real));
  RecordProperty("formula_bytes", static_cast<int>(overview_->bytes()));
  EXPECT_GT(overview_->bytes(), 1u << 20);
  EXPECT_NEAR(static_cast<double>(overview_->bytes()), real, 0.1 * real);
}

}  // namespace
}  // namespace spanwatch::core
