#include "spanwatch/coroutine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <thread>

#include "examples/coroutines/pool.h"
#include "examples/coroutines/task.h"
#include "spanwatch/testing.h"

namespace spanwatch::test {
namespace {

using ::example::Pool;
using ::example::Task;
using ::example::Wait;
using ::spanwatch::testing::Capture;
using ::testing::SizeIs;

// A coroutine type that knows nothing of tracing.
struct Foreign {
  struct promise_type {
    Foreign get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
  std::coroutine_handle<promise_type> coroutine;
};

// Suspends and gives the coroutine away.
struct Park {
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> coroutine) const noexcept { *handle = coroutine; }
  void await_resume() const noexcept {}
  std::coroutine_handle<>* handle;
};

void ResumeElsewhere(std::coroutine_handle<> coroutine) {
  std::thread([&] {
    coroutine.resume();
    EXPECT_FALSE(Context::Current().IsValid()) << "something of the coroutine was left on this thread";
  }).join();
}

Task<int> Inner(Pool* pool) {
  const Span span("inner");
  co_await pool->Switch();
  const Span after("inner.after");
  co_return 5;
}

Task<int> Outer(Pool* pool) {
  const Span span("outer");
  {
    const Span before("before");
    co_await pool->Switch();
    const Span within("within");
  }
  const int result = co_await Inner(pool);
  const Span last("last");
  co_return result;
}

TEST(CoroutineTest, SpansFollowATaskOverThreadsAndTasks) {
  Capture capture;
  Pool pool(2);
  {
    const Span root("root");
    EXPECT_EQ(Wait(Outer(&pool)), 5);
    const Span end("end");
  }
  EXPECT_EQ(capture.Tree(), "root\n  outer\n    before\n      within\n    inner\n      inner.after\n    last\n  end\n");
}

Foreign Adapted(std::coroutine_handle<>* handle) {
  CoroutineContext context;
  Span outer("outer");
  {
    const Span inner("inner");
    co_await context.Await(Park{handle});
    const Span child("child");
    co_await context.Await(Park{handle});
  }
  const Span sibling("sibling");
}

TEST(CoroutineTest, ACoroutineContextDoesItInAnyCoroutine) {
  Capture capture;
  std::coroutine_handle<> handle;
  {
    const Span root("root");
    Adapted(&handle);
    const Span meanwhile("meanwhile");  // not the child of a suspended coroutine's span
  }
  const Span other("other");
  ResumeElsewhere(handle);
  ResumeElsewhere(handle);
  EXPECT_EQ(capture.Tree(), "root\n  outer\n    inner\n      child\n    sibling\n  meanwhile\n");
}

TEST(CoroutineTest, BackOnTheFirstThreadItIsTheSame) {
  Capture capture;
  std::coroutine_handle<> handle;
  Adapted(&handle);
  ResumeElsewhere(handle);
  handle.resume();
  EXPECT_FALSE(Context::Current().IsValid());
  EXPECT_EQ(capture.Tree(), "outer\n  inner\n    child\n  sibling\n");
}

Foreign WithScope(std::coroutine_handle<>* handle, Context elsewhere) {
  CoroutineContext context;
  const Span outer("outer");
  {
    const ContextScope scope(elsewhere);
    co_await context.Await(Park{handle});
    const Span in_scope("in_scope");
  }
  const Span after("after");
  co_await context.Await(Park{handle});
  const Span last("last");
}

TEST(CoroutineTest, ScopesFollowToo) {
  Capture capture;
  std::coroutine_handle<> handle;
  {
    Span elsewhere("elsewhere");
    elsewhere.Detach();
    WithScope(&handle, elsewhere.context());
    ResumeElsewhere(handle);
    ResumeElsewhere(handle);
  }
  EXPECT_EQ(capture.Tree(), "elsewhere\n  in_scope\nouter\n  after\n    last\n");
}

TEST(CoroutineTest, ASuspendedCoroutineCanBeDestroyedOnAnyThread) {
  Capture capture;
  std::coroutine_handle<> handle;
  Adapted(&handle);
  std::thread([&] { handle.destroy(); }).join();
  Span elsewhere("elsewhere");
  WithScope(&handle, elsewhere.context());
  handle.destroy();
  elsewhere.End();
  EXPECT_FALSE(Context::Current().IsValid());
  EXPECT_THAT(capture.Named("outer"), SizeIs(2));
  EXPECT_THAT(capture.Named("inner"), SizeIs(1));
}

Foreign Unadapted(std::coroutine_handle<>* handle) {
  CoroutineContext context;
  const Span outer("outer");
  co_await Park{handle};
  const Span lost("lost");
  co_await context.Await(Park{handle});
  const Span found("found");
}

TEST(CoroutineTest, GoingElsewhereWithoutSayingSoIsSurvived) {
  Capture capture;
  std::coroutine_handle<> handle;
  {
    const Span root("root");
    Unadapted(&handle);
    std::thread([&] { handle.resume(); }).join();  // its span "lost" stays on that thread
    ResumeElsewhere(handle);
    const Span after("after");
  }
  { const Span other("other"); }
  EXPECT_EQ(capture.Named("found").size(), 1u);
  EXPECT_EQ(capture.One("found").parent_id, capture.One("root").span_id);
  EXPECT_EQ(capture.One("after").parent_id, capture.One("root").span_id);
  EXPECT_FALSE(capture.One("other").parent_id.IsValid());
}

Task<int> Fails(Pool* pool) {
  co_await pool->Switch();
  throw std::runtime_error("late");
}
Task<int> Works(Pool* pool) {
  co_await pool->Switch();
  const Span child("child");
  co_return 3;
}
Task<std::string> Caller(Pool* pool) {
  const Span span("caller");
  std::string text;
  try {
    co_await Traced("fails", [&] { return Fails(pool); });
  } catch (const std::runtime_error& error) {
    text = error.what();
  }
  const int three = co_await Traced("works", [&] { return Works(pool); });
  const Span after("after");
  co_return text + std::to_string(three);
}

TEST(CoroutineTest, TracedTasksEndWithTheWork) {
  Capture capture;
  Pool pool(2);
  EXPECT_EQ(Wait(Caller(&pool)), "late3");
  EXPECT_EQ(capture.Tree(), "caller\n  fails!\n  works\n    child\n  after\n");
  EXPECT_EQ(capture.One("fails").error_type, "std::runtime_error");
}

TEST(CoroutineTest, TraceWideTagsFindTheRootOfACoroutine) {
  Capture capture;
  Pool pool(1);
  Wait([](Pool* on) -> Task<void> {
    const Span root("root");
    co_await on->Switch();
    const Span child("child");
    Context::Current().SetTags({{"tenant", 7}}).AddLog(LogLevel::kInfo, "here");
  }(&pool));
  EXPECT_EQ(capture.One("root").tag("tenant"), 7);
  EXPECT_THAT(capture.One("child").logs, SizeIs(1));
}

TEST(CoroutineTest, NothingHappensWithTracingOff) {
  Pool pool(1);
  EXPECT_EQ(Wait(Outer(&pool)), 5);
  EXPECT_EQ(Wait(Caller(&pool)), "late3");
}

}  // namespace
}  // namespace spanwatch::test
