// How programs end and begin: exit while threads trace, spans in static objects, the SDK's memory at its worst.
#include <gtest/gtest.h>
#include <malloc.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "spanwatch/spanwatch.h"
#include "tests/unit/sdk/traced.h"

#if defined(__SANITIZE_THREAD__)
#define SPANWATCH_UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SPANWATCH_UNDER_TSAN 1
#endif
#endif

namespace spanwatch::test {
namespace {

// Made before main, ended after it: outside of Start and Shutdown that is nothing.
const Span early("made before main");

TEST(ExitTest, ASpanMadeBeforeMainIsNothing) { EXPECT_FALSE(early.IsRecording()); }

#if !defined(SPANWATCH_UNDER_TSAN)  // it refuses new threads in the child of a program with threads

constexpr char kNobody[] = "ipc:///tmp/spanwatch-test-nobody-here";

// Exit status of a child that does this.
int ExitOf(const std::function<void()>& body) {
  const pid_t child = fork();
  if (child == 0) {
    body();
    _exit(99);
  }
  int status = -1;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void TraceForEver(std::atomic<int>* traced) {
  while (true) {
    const Span outer("outer");
    Span("inner").SetTag("text", std::string(100, 'x'));
    traced->fetch_add(1);
  }
}

// Static and thread-local objects with spans in their destructors, threads that trace all the while, no Shutdown.
void ExitInTheMiddle(int round) {
  struct AtEnd {
    ~AtEnd() { const Span span("a destructor after main"); }
  };
  static AtEnd before_start;
  thread_local AtEnd of_this_thread;
  static_cast<void>(&of_this_thread);
  Start(TracedOptions(kNobody));
  static AtEnd after_start;
  std::atexit([] { const Span span("at exit"); });
  static std::atomic<int> traced{0};
  for (int i = 0; i < 3; ++i) std::thread(TraceForEver, &traced).detach();
  while (traced < 1000) std::this_thread::yield();
  const Span open("open at exit");
  if (round % 2 == 0) std::exit(7);
  std::thread([] { std::exit(7); }).join();
}

TEST(ExitTest, ExitWhileThreadsTrace) {
  for (int round = 0; round < 20; ++round) ASSERT_EQ(ExitOf([round] { ExitInTheMiddle(round); }), 7) << round;
}

TEST(ExitTest, ShutdownAtExitAndSpansAfterIt) {
  EXPECT_EQ(ExitOf([] {
              std::atexit([] { const Span span("after Shutdown"); });  // runs second
              std::atexit([] { Shutdown(100); });                      // runs first
              Start(TracedOptions(kNobody));
              Span("work").End();
              std::exit(7);
            }),
            7);
}

TEST(ExitTest, StartedAndShutDownOverAndOver) {
  EXPECT_EQ(ExitOf([] {
              bool good = true;
              for (std::uint64_t i = 0; i < 10; ++i) {
                Span("before").End();
                good = good && Start(TracedOptions(kNobody));
                Span("between").End();
                good = good && Shutdown(0) == 1 && GetStats().emitted == 1;
              }
              std::exit(good ? 7 : 8);
            }),
            7);
}

// pthread_cancel unwinds a thread from where it waits, and must find no such place in the SDK, which may not be left
// so.
void CancelThreads(void* (*body)(void*)) {
  for (int i = 0; i < 50; ++i) {
    pthread_t thread;
    ASSERT_EQ(pthread_create(&thread, nullptr, body, nullptr), 0);
    pthread_cancel(thread);
    pthread_join(thread, nullptr);
  }
}

void* FailOverAndOver(void*) {
  for (int i = 0; i < 500; ++i) Span("failed").Fail("each wakes the sender");
  Traced("cancelled", [] { pthread_testcancel(); });
  return nullptr;
}

TEST(ExitTest, CancelledThreadsEndAsTheyWould) {
  EXPECT_EQ(ExitOf([] {
              Start(TracedOptions(kNobody));
              CancelThreads(FailOverAndOver);
              CancelThreads([](void*) -> void* {
                Shutdown(0);
                Start(TracedOptions(kNobody));
                return nullptr;
              });
              _exit(::testing::Test::HasFailure() ? 8 : 7);
            }),
            7);
}

// More threads than rings, all rings full, hundreds of open spans with as much text as they take, nobody who receives.
void TheWorst() {
  constexpr int kThreads = 90, kOpen = 40, kTags = 11;
  const std::string text(4096, 'x');
  Start(TracedOptions(kNobody));
  const auto heap = [] { return mallinfo2().uordblks + mallinfo2().hblkhd; };
  const std::size_t before = heap();
  std::atomic<int> ready{0};
  std::atomic<bool> go_on{false};
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 500; ++n) Span("ended").SetTag("text", text);
      std::vector<Span> open;
      open.reserve(kOpen);
      for (int n = 0; n < kOpen; ++n) {
        open.emplace_back("open");
        for (int tag = 0; tag < kTags; ++tag) open.back().SetTag("tag" + std::to_string(tag), text);
      }
      ++ready;
      while (!go_on) std::this_thread::yield();
    });
  }
  while (ready < kThreads) std::this_thread::yield();
  // The rings have been read into the buffer of batches.
  EXPECT_TRUE(WaitForStats([](const Stats& now) { return now.waiting == 0 && now.own_bytes > 6'000'000; }));
  const std::size_t grown = heap() - before;
  EXPECT_LT(GetStats().own_bytes, 10'000'000u);
  EXPECT_LT(grown, 10'000'000u);  // the rings are not in the heap, but the threads are
  go_on = true;
  for (std::thread& thread : threads) thread.join();
  Shutdown(0);
  EXPECT_TRUE(EquationHolds(GetStats()));
}

// In a process of its own, because rings and tables stay for the threads to come.
TEST(MemoryTest, BelowTenMegabytesWhateverHappens) {
  EXPECT_EQ(ExitOf([] {
              TheWorst();
              _exit(::testing::Test::HasFailure() ? 8 : 7);
            }),
            7);
}

#endif  // SPANWATCH_UNDER_TSAN

}  // namespace
}  // namespace spanwatch::test
