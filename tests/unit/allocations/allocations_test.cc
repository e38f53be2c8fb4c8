// Exact allocation counts, in a program of their own: the header below replaces operator new here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "spanwatch/count_allocations.h"
#include "spanwatch/spanwatch.h"
#include "spanwatch/testing.h"

namespace spanwatch::test {
namespace {

// Kept from the optimiser, which may leave out a new and its delete.
void* Escape(void* memory) {
  asm volatile("" : : "g"(memory) : "memory");
  return memory;
}
void Allocate(std::size_t bytes, int times = 1) {
  for (int i = 0; i < times; ++i) ::operator delete(Escape(::operator new(bytes)));
}

// Before main, before the SDK's and the test framework's own constructors perhaps.
const std::unique_ptr<int> g_early = std::make_unique<int>(1);

struct AllocatesAtTheEnd {
  ~AllocatesAtTheEnd() {
    Span span("after everything");
    Allocate(1000);
  }
};
const AllocatesAtTheEnd g_late;

std::pair<std::int64_t, std::int64_t> Counts(const testing::CapturedSpan& span) {
  const auto number = [&](const char* key) {
    return span.tag(key) ? std::stoll(span.tag(key).ToString()) : std::int64_t{-1};
  };
  return {number("spanwatch.alloc.bytes"), number("spanwatch.alloc.count")};
}
using Pair = std::pair<std::int64_t, std::int64_t>;

TEST(AllocationsTest, EachSpanHasItsOwnAndItsChildrens) {
  testing::Capture capture;
  ASSERT_TRUE(capture.ok());
  {
    Span outer("outer");
    Allocate(100);
    {
      Span inner("inner");
      Allocate(1000, 3);
      Span("nothing").End();
    }
    Allocate(10);
  }
  EXPECT_EQ(Counts(capture.One("nothing")), Pair(0, 0));
  EXPECT_EQ(Counts(capture.One("inner")), Pair(3000, 3));
  EXPECT_EQ(Counts(capture.One("outer")), Pair(3110, 5));
}

TEST(AllocationsTest, EveryFormOfNewCounts) {
  testing::Capture capture;
  struct alignas(128) Wide {
    char bytes[128];
  };
  {
    Span span("forms");
    delete static_cast<int*>(Escape(new int(1)));
    delete[] static_cast<char*>(Escape(new char[100]));
    delete static_cast<int*>(Escape(new (std::nothrow) int(1)));
    delete[] static_cast<char*>(Escape(new (std::nothrow) char[100]));
    auto* const wide = static_cast<Wide*>(Escape(new Wide));
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(wide) % 128, 0u);
    delete wide;
    delete[] static_cast<Wide*>(Escape(new (std::nothrow) Wide[2]));
    ::operator delete(Escape(::operator new(0)));
  }
  EXPECT_EQ(Counts(capture.One("forms")), Pair(4 + 100 + 4 + 100 + 128 + 256, 7));
}

TEST(AllocationsTest, WhatFailsIsNotCountedAndSaysSo) {
  testing::Capture capture;
  // More than there is, and not so much that the compiler objects.
  volatile std::size_t too_much = SIZE_MAX / 4;
  bool thrown = false;
  {
    Span span("failing");
    EXPECT_EQ(::operator new(too_much, std::nothrow), nullptr);
    try {
      Escape(::operator new(too_much));
    } catch (const std::bad_alloc&) {
      thrown = true;
    }
  }
  EXPECT_TRUE(thrown);
  EXPECT_EQ(Counts(capture.One("failing")), Pair(0, 0));
}

TEST(AllocationsTest, TheSdkDoesNotCountItself) {
  testing::Capture capture;
  {
    Span outer("outer");
    // More open spans at once than one table of slots has, tags that outgrow a span, an exception described.
    std::vector<Span> open;
    open.reserve(100);
    for (int i = 0; i < 100; ++i) open.emplace_back("open");
    const std::string text(3000, 'x');
    for (int i = 0; i < 10; ++i) open[0].SetTag("tag", text);
    try {
      throw std::runtime_error("short");
    } catch (const std::runtime_error&) {
      open[1].FailWithCurrentException();
    }
    open.clear();
  }
  const Pair counts = Counts(capture.One("outer"));
  // The vector, the text, and what() of the exception.
  EXPECT_LE(counts.second, 4) << counts.first;
  EXPECT_GE(counts.second, 2);
}

TEST(AllocationsTest, ThreadsCountForThemselves) {
  testing::Capture capture;
  {
    Span here("here");
    std::thread other([] {
      Span there("there");
      Allocate(5000, 2);
    });
    other.join();
  }
  EXPECT_EQ(Counts(capture.One("there")), Pair(10000, 2));
  EXPECT_LT(Counts(capture.One("here")).first, 5000);
}

TEST(AllocationsTest, ASpanThatEndsElsewhereHasNone) {
  testing::Capture capture;
  Span moved("moved");
  moved.Detach();
  std::thread([span = std::move(moved)]() mutable {
    Allocate(5000);
    span.End();
  }).join();
  EXPECT_EQ(Counts(capture.One("moved")), Pair(-1, -1));
  EXPECT_EQ(capture.Spans().size(), 1u);
}

TEST(AllocationsTest, WithSamplingTheRestOfTheRecordIsTheSame) {
  Options options;
  options.sample_rate = 0.5;
  testing::Capture capture(options);
  int kept = 0;
  for (int i = 0; i < 1000; ++i) {
    Span span("sampled");
    Allocate(64);
    span.SetTag("key", "value");
  }
  for (const testing::CapturedSpan& span : capture.Named("sampled")) {
    ++kept;
    EXPECT_EQ(Counts(span), Pair(64, 1));
    EXPECT_EQ(span.tag("key"), "value");
  }
  EXPECT_GT(kept, 300);
  EXPECT_LT(kept, 700);
}

TEST(AllocationsTest, AForkedChildCountsOn) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    testing::Capture capture;
    {
      Span span("child");
      Allocate(64);
    }
    _exit(Counts(capture.One("child")) == Pair(64, 1) ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace spanwatch::test
