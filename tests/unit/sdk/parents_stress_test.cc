// Eight threads, a pool and coroutines at once: every span's parent is the one that the code means. A million spans, as
// far as two minutes allow; SPANWATCH_STRESS_SPANS=10000000 asks for more and then takes as long as it takes.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "examples/coroutines/pool.h"
#include "examples/coroutines/task.h"
#include "spanwatch/spanwatch.h"
#include "spanwatch/testing.h"

namespace spanwatch::test {
namespace {

using ::example::Pool;
using ::example::Task;
using ::spanwatch::testing::Capture;
using ::spanwatch::testing::CapturedSpan;

constexpr int kThreads = 8;
constexpr int kPoolThreads = 4;
constexpr int kTreesARound = 40;  // of each thread
constexpr int kMaxDepth = 4;

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15 + 1) {}
  std::uint32_t Below(std::uint32_t bound) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return static_cast<std::uint32_t>(state_ >> 33) % bound;
  }

 private:
  std::uint64_t state_;
};

// Each span carries what its parent and trace should be, as the code knows them.
void Mark(Span& span, const Context& parent) {
  span.SetTag("parent", static_cast<std::int64_t>(parent.span_id().value));
  span.SetTag("trace", static_cast<std::int64_t>(parent.trace_id().lo));
}

struct Work {
  Pool* pool;
  std::atomic<std::uint64_t>* spans;
};

void OnPool(const Work& work, int depth, Random random, const Context& parent);

// What may be done anywhere: nothing in here waits for the pool.
void Anywhere(const Work& work, int depth, Random* random, const Context& parent) {
  work.spans->fetch_add(1, std::memory_order_relaxed);
  Span span("work");
  Mark(span, parent);
  const Context here = span.context();
  if (depth == kMaxDepth) return;
  for (std::uint32_t i = random->Below(3); i > 0; --i) {
    switch (random->Below(4)) {
      case 0: {  // begins here, ends elsewhere
        work.spans->fetch_add(1, std::memory_order_relaxed);
        auto moved = std::make_shared<Span>("moved");
        Mark(*moved, here);
        moved->Detach();
        work.pool->Post([moved]() mutable { moved.reset(); });
        break;
      }
      case 1:  // a callback that runs later, on another thread
        work.pool->Post(Bind(
            [work, depth, child = Random(random->Below(1 << 30)), here]() { OnPool(work, depth + 1, child, here); }));
        break;
      case 2:
        WithNewContext({}, [&](Span& root) {
          work.spans->fetch_add(1, std::memory_order_relaxed);
          Mark(root, Context());
          root.SetTag("trace", static_cast<std::int64_t>(root.context().trace_id().lo));
          Anywhere(work, depth + 1, random, root.context());
        });
        break;
      default:
        Anywhere(work, depth + 1, random, here);
    }
  }
}

void OnPool(const Work& work, int depth, Random random, const Context& parent) {
  Anywhere(work, depth, &random, parent);
}

Task<int> InCoroutine(Work work, int depth, Random random, Context parent) {
  work.spans->fetch_add(1, std::memory_order_relaxed);
  Span span("coroutine");
  Mark(span, parent);
  const Context here = span.context();
  for (std::uint32_t i = random.Below(4); i > 0; --i) {
    if (random.Below(2) == 0) co_await work.pool->Switch();
    if (depth < kMaxDepth && random.Below(2) == 0) {
      co_await InCoroutine(work, depth + 1, Random(random.Below(1 << 30)), here);
    } else {
      Anywhere(work, depth + 1, &random, here);
    }
  }
  co_return depth;
}

void OneTree(const Work& work, std::uint64_t seed) {
  Random random(seed);
  Span root("root", SpanKind::kServer, Context());
  work.spans->fetch_add(1, std::memory_order_relaxed);
  Mark(root, Context());
  root.SetTag("trace", static_cast<std::int64_t>(root.context().trace_id().lo));
  const Context here = root.context();
  for (int i = 0; i < 6; ++i) {
    switch (i % 3) {
      case 0:
        Anywhere(work, 0, &random, here);
        break;
      case 1:
        EXPECT_EQ(example::Wait(InCoroutine(work, 0, Random(random.Below(1 << 30)), here)), 0);
        break;
      default: {
        auto task = std::make_shared<std::packaged_task<void()>>(
            Bind([&, child = Random(random.Below(1 << 30))] { OnPool(work, 0, child, here); }));
        std::future<void> done = task->get_future();
        work.pool->Post([task] { (*task)(); });
        done.get();
      }
    }
  }
}

std::uint64_t CountWrong(const std::vector<CapturedSpan>& spans) {
  std::uint64_t wrong = 0;
  for (const CapturedSpan& span : spans) {
    const bool right = span.tag("parent") == static_cast<std::int64_t>(span.parent_id.value) &&
                       span.tag("trace") == static_cast<std::int64_t>(span.trace_id.lo);
    if (!right && ++wrong < 5) ADD_FAILURE() << span.name << " has a wrong parent";
  }
  return wrong;
}

std::uint64_t OneRound(std::uint64_t round) {
  std::atomic<std::uint64_t> spans{0};
  {
    Pool pool(kPoolThreads);
    const Work work{&pool, &spans};
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < kTreesARound; ++i)
          OneTree(work, (round * kThreads + static_cast<std::uint64_t>(t)) * kTreesARound + i + 1);
      });
    }
    for (std::thread& thread : threads) thread.join();
  }  // the pool finishes what is posted
  return spans.load();
}

TEST(ParentsStressTest, NotOneWrongParent) {
  const char* const asked = std::getenv("SPANWATCH_STRESS_SPANS");
  const std::uint64_t target = asked != nullptr ? std::strtoull(asked, nullptr, 10) : 1000000;
  const auto until = std::chrono::steady_clock::now() + std::chrono::minutes(2);
  std::uint64_t spans = 0;
  std::uint64_t wrong = 0;
  Capture capture;
  for (std::uint64_t round = 0; spans < target; ++round) {
    if (asked == nullptr && std::chrono::steady_clock::now() > until) break;
    const std::uint64_t made = OneRound(round);
    const std::vector<CapturedSpan> captured = capture.Spans();
    ASSERT_EQ(captured.size(), made);
    wrong += CountWrong(captured);
    spans += made;
    capture.Clear();
  }
  EXPECT_EQ(wrong, 0u);
  EXPECT_EQ(capture.dropped(), 0u);
  RecordProperty("spans", std::to_string(spans));
  std::printf("%llu spans\n", static_cast<unsigned long long>(spans));
}

}  // namespace
}  // namespace spanwatch::test
