#include "sidecar/notify/transition_queue.h"

#include <gtest/gtest.h>

#include "tests/unit/notify/incidents.h"

namespace spanwatch::notify {
namespace {

using core::TransitionKind;

core::Transition T(const std::string& id, TransitionKind kind) { return MakeTransition(MakeIncident(id), kind); }

std::string Show(TransitionQueue* queue) {
  std::string text;
  for (const auto& t : queue->TakeAll()) text += t.incident.id + ":" + core::ToString(t.kind) + " ";
  return text;
}

TEST(TransitionQueue, OrderAndLatestState) {
  TransitionQueue queue(10);
  queue.Push(T("a", TransitionKind::kFiring));
  queue.Push(T("b", TransitionKind::kFiring));
  queue.Push(T("a", TransitionKind::kUpdated));
  queue.Push(T("b", TransitionKind::kResolved));
  EXPECT_EQ(queue.size(), 2u);
  EXPECT_EQ(Show(&queue), "a:firing b:resolved ");
  EXPECT_TRUE(queue.empty());
}

TEST(TransitionQueue, FullDropsTheOldestUpdateFirst) {
  TransitionQueue queue(3);
  EXPECT_EQ(queue.Push(T("a", TransitionKind::kFiring)), 0u);
  EXPECT_EQ(queue.Push(T("b", TransitionKind::kUpdated)), 0u);
  EXPECT_EQ(queue.Push(T("c", TransitionKind::kUpdated)), 0u);
  EXPECT_EQ(queue.Push(T("d", TransitionKind::kFiring)), 1u);
  EXPECT_EQ(queue.Push(T("e", TransitionKind::kResolved)), 1u);
  EXPECT_EQ(Show(&queue), "a:firing d:firing e:resolved ");
}

TEST(TransitionQueue, ThenWhatFiredAndEndedWhileItWaited) {
  TransitionQueue queue(2);
  queue.Push(T("a", TransitionKind::kFiring));
  queue.Push(T("b", TransitionKind::kFiring));
  queue.Push(T("b", TransitionKind::kResolved));
  EXPECT_EQ(queue.Push(T("c", TransitionKind::kFiring)), 1u);
  EXPECT_EQ(Show(&queue), "a:firing c:firing ");
}

TEST(TransitionQueue, FiringsAndResolutionsStayUntilTwiceTheLimit) {
  TransitionQueue queue(2);
  std::size_t dropped = 0;
  for (const char* id : {"a", "b", "c", "d"}) dropped += queue.Push(T(id, TransitionKind::kFiring));
  EXPECT_EQ(dropped, 0u);
  EXPECT_EQ(queue.Push(T("e", TransitionKind::kResolved)), 1u);
  EXPECT_EQ(queue.size(), 4u);
}

}  // namespace
}  // namespace spanwatch::notify
