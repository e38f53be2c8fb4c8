// Which traces are kept: limits, what goes first, what is written to disk; and a trace as kept bytes.
#include "sidecar/notify/kept_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "sidecar/core/trace_codec.h"
#include "tests/unit/core/analysis_builder.h"

namespace spanwatch::notify {
namespace {

constexpr std::int64_t kHour = 3'600'000'000'000;

TraceId Id(std::uint64_t number) { return {1, number}; }

KeptBytes Bytes(std::size_t size) { return {std::string(size, 'x'), false}; }

KeptIndex::Limits Small() {
  KeptIndex::Limits limits;
  limits.each_bytes = 100;
  limits.all_bytes = 1000;
  limits.incidents = 50;
  return limits;
}

class KeptIndexTest : public testing::Test {
 protected:
  void Keep(const std::string& incident, std::uint64_t trace, std::int64_t resolved_ns = 0, std::size_t size = 100) {
    index_.Put(incident, "Alert" + incident, Id(trace), resolved_ns);
    index_.SetCopy(Id(trace), Bytes(size));
  }
  bool Has(std::uint64_t trace) const {
    const auto* found = index_.Find(Id(trace));
    return found != nullptr && found->bytes > 0;
  }

  KeptIndex index_{Small(), false};
};

TEST_F(KeptIndexTest, ATraceIsKnownAsLongAsAnAlertRefersToIt) {
  Keep("a", 1);
  Keep("b", 1);
  EXPECT_EQ(index_.copies(), 1u);
  EXPECT_THAT(index_.AlertNames(*index_.Find(Id(1))), testing::ElementsAre("Alerta", "Alertb"));
  index_.Put("a", "Alerta", Id(2), 0);
  EXPECT_TRUE(Has(1)) << "b still refers to it";
  index_.Put("b", "Alertb", Id(2), 0);
  EXPECT_EQ(index_.Find(Id(1)), nullptr) << "replaced: the worst trace is another one";
  EXPECT_EQ(index_.bytes(), 0u);
}

TEST_F(KeptIndexTest, AnAlertIsForgottenSomeTimeAfterItsEnd) {
  Keep("a", 1, kHour);
  Keep("b", 2);
  index_.ForgetOld(73 * kHour);
  EXPECT_TRUE(Has(1)) << "72 h to the moment";
  index_.ForgetOld(73 * kHour + 1);
  EXPECT_FALSE(Has(1));
  EXPECT_TRUE(Has(2)) << "it still fires";
}

TEST_F(KeptIndexTest, CopiesOfAlertsResolvedLongestAgoGoFirst) {
  for (std::uint64_t i = 0; i < 5; ++i) Keep("fires" + std::to_string(i), 10 + i);
  Keep("late", 21, 300);
  Keep("early", 22, 100);
  Keep("middle", 23, 200);
  Keep("both", 24, 50);
  index_.Put("again", "x", Id(24), 0);  // the same trace, but this one fires
  Keep("one", 30);
  EXPECT_EQ(index_.bytes(), 1000u);
  Keep("two", 31);
  EXPECT_FALSE(Has(22));
  Keep("three", 32);
  EXPECT_FALSE(Has(23));
  EXPECT_TRUE(Has(21));
  Keep("four", 33);
  EXPECT_FALSE(Has(21));
  EXPECT_TRUE(Has(24)) << "one of its alerts fires";
  EXPECT_TRUE(Has(10));
  Keep("five", 34);
  EXPECT_FALSE(Has(10)) << "all fire: the oldest goes";
  EXPECT_NE(index_.Find(Id(10)), nullptr) << "its path stays";
  EXPECT_EQ(index_.bytes(), 1000u);
  EXPECT_EQ(index_.copies(), 10u);
}

TEST_F(KeptIndexTest, WholeCopiesLeaveRoomForCutOnes) {
  EXPECT_EQ(index_.RoomForWhole(Id(1)), 100u);
  for (std::uint64_t i = 0; i < 8; ++i) Keep("i" + std::to_string(i), i + 1);
  index_.Put("x", "x", Id(50), 0);
  EXPECT_EQ(index_.RoomForWhole(Id(50)), 75u) << "of 1000, 800 are taken and 125 are for cut copies";
  EXPECT_EQ(index_.RoomForWhole(Id(1)), 100u) << "its own copy will be replaced";
  Keep("y", 51);
  EXPECT_EQ(index_.RoomForWhole(Id(50)), 0u);
  index_.Resolve("i0", 5);
  EXPECT_EQ(index_.RoomForWhole(Id(50)), 75u) << "what is resolved makes room";
}

TEST_F(KeptIndexTest, TooLargeIsNotKept) {
  Keep("a", 1, 0, 101);
  EXPECT_FALSE(Has(1));
  EXPECT_NE(index_.Find(Id(1)), nullptr);
}

TEST_F(KeptIndexTest, AlertsAreBounded) {
  for (std::uint64_t i = 0; i < 49; ++i) Keep("i" + std::to_string(i), i + 1, 0, 1);
  Keep("over", 100, 7, 1);
  Keep("new", 101, 0, 1);
  EXPECT_EQ(index_.Find(Id(100)), nullptr) << "what is over goes first";
  Keep("newer", 102, 0, 1);
  EXPECT_EQ(index_.Find(Id(1)), nullptr) << "else the oldest";
  EXPECT_EQ(index_.Firing().size(), 50u);
}

// A disk of a few lines: what the changes make of it is what another index reads.
struct Disk {
  std::map<std::string, std::string> incidents;
  std::map<std::string, StoredKeptTrace> traces;

  void Write(const KeptChanges& changes) {
    if (changes.reset) {
      incidents.clear();
      traces.clear();
    }
    for (const auto& id : changes.removed_incidents) incidents.erase(id);
    for (const auto& id : changes.removed_traces) traces.erase(id);
    for (const auto& row : changes.incidents) incidents[row.id] = row.info;
    for (const auto& row : changes.traces) {
      StoredKeptTrace& stored = traces[row.id];
      stored.id = row.id;
      stored.info = row.info;
      if (row.change != StoredKeptTrace::Body::kAsItWas) stored.body = row.body;
      stored.size = stored.body.size();
    }
  }
  StoredKept Read() const {
    StoredKept stored;
    for (const auto& [id, info] : incidents) stored.incidents.push_back({id, info});
    for (const auto& [id, row] : traces) stored.traces.push_back({id, row.info, row.size, {}, ""});
    return stored;
  }
};

TEST(KeptIndexOnDisk, WhatIsWrittenIsWhatIsReadBack) {
  std::mt19937 random(11);
  KeptIndex index(Small(), true);
  Disk disk;
  for (int i = 0; i < 3000; ++i) {
    const std::string incident = "i" + std::to_string(random() % 70);
    const TraceId trace = Id(1 + random() % 40);
    switch (random() % 6) {
      case 0:
        index.Resolve(incident, 1 + i);
        break;
      case 1:
        index.ForgetOld(72 * kHour + i / 2);
        break;
      case 2:
        index.SetPath(trace, {{{"op", "", i, 0.5, 1}}, 0, 0, false}, 3, true);
        break;
      default:
        index.Put(incident, "Alert", trace, 0);
        if (random() % 2 == 0) index.SetCopy(trace, Bytes(1 + random() % 100));
    }
    ASSERT_LE(index.bytes(), 1000u);
    if (random() % 4 != 0) continue;
    const KeptChanges changes = index.TakeChanges();
    const auto fate = random() % 10;
    if (fate == 0) {
      index.NotWritten(changes);
      continue;
    }
    if (fate == 1) {
      disk = {};
      index.NotWritten(changes);
      index.ForgetDisk();
      continue;
    }
    disk.Write(changes);
    index.Written(changes);
    KeptIndex other(Small(), true);
    ASSERT_EQ(other.Load(disk.Read()), 0u);
    ASSERT_FALSE(other.HasChanges());
    ASSERT_EQ(other.bytes(), index.bytes());
    ASSERT_EQ(other.copies(), index.copies());
    ASSERT_EQ(other.Firing(), index.Firing());
    for (std::uint64_t n = 1; n <= 40; ++n) {
      const auto *a = index.Find(Id(n)), *b = other.Find(Id(n));
      ASSERT_EQ(a == nullptr, b == nullptr);
      if (a == nullptr) continue;
      ASSERT_EQ(a->bytes, b->bytes);
      ASSERT_EQ(a->path, b->path);
      ASSERT_EQ(a->incidents, b->incidents);
      ASSERT_EQ(a->body, "") << "written, so no longer in memory";
    }
  }
}

TEST(KeptIndexOnDisk, DamagedRowsAreLeftOutAndDeleted) {
  KeptIndex index(Small(), true);
  for (std::uint64_t i = 1; i <= 3; ++i) {
    index.Put("i" + std::to_string(i), "Alert", Id(i), 0);
    index.SetCopy(Id(i), Bytes(10));
  }
  Disk disk;
  disk.Write(index.TakeChanges());
  disk.traces.at(Id(1).ToHex()).info = "\x01nonsense";
  disk.incidents.at("i2") = "";
  disk.traces["not hex"] = {"not hex", disk.traces.at(Id(3).ToHex()).info, 10, {}, ""};
  KeptIndex other(Small(), true);
  EXPECT_EQ(other.Load(disk.Read()), 4u) << "two traces, and two alerts: one damaged, one that lost its trace";
  EXPECT_EQ(other.copies(), 1u);
  disk.Write(other.TakeChanges());
  EXPECT_EQ(disk.traces.size(), 1u);
  EXPECT_EQ(disk.incidents.size(), 1u);
}

core::TraceCopy Large(std::size_t spans, std::size_t text) {
  std::vector<core::testing::Line> lines = {{1, 0, "root", 0, 10'000}, {2, 1, "slow", 0, 9'000}};
  for (std::uint64_t i = 0; i < spans; ++i) lines.push_back({i + 3, 2, "side", double(i % 100), double(i % 100) + 1});
  core::TraceCopy trace = core::testing::Trace(lines);
  trace.summary.trace_id = Id(1);
  trace.summary.span_count = static_cast<std::uint32_t>(trace.spans.size());
  trace.resources.resize(1);
  std::mt19937 random(1);
  for (auto& span : trace.spans) {
    std::string noise(text, ' ');
    for (char& c : noise) c = static_cast<char>('!' + random() % 90);
    span.attributes.push_back({"noise", core::AttributeType::kString, 0, 0, noise});
  }
  return trace;
}

TEST(KeptBytesTest, WholeIfItFitsElseThePath) {
  const core::TraceCopy trace = Large(1000, 100);
  const core::TraceAnalysis analysis = core::Analyse(trace, {});
  const KeptBytes whole = Pack(trace, analysis, 256 << 10, 256 << 10);
  ASSERT_FALSE(whole.cut);
  EXPECT_LE(whole.bytes.size(), 256u << 10);
  EXPECT_EQ(Unpack(whole.bytes)->spans.size(), 1002u);

  const KeptBytes cut = Pack(trace, analysis, 10'000, 10'000);
  ASSERT_TRUE(cut.cut);
  EXPECT_LE(cut.bytes.size(), 10'000u);
  const auto copy = Unpack(cut.bytes);
  ASSERT_TRUE(copy);
  EXPECT_EQ(copy->summary.span_count, 1002u) << "as it was";
  EXPECT_LT(copy->spans.size(), 150u);
  EXPECT_EQ(copy->spans[0].name, "root");
  EXPECT_EQ(copy->spans[1].name, "slow");
  const core::TraceAnalysis again = core::Analyse(*copy, {});
  ASSERT_EQ(again.bottlenecks.size(), analysis.bottlenecks.size());
  EXPECT_EQ(again.bottlenecks[0].critical_ns, analysis.bottlenecks[0].critical_ns) << "the same path";

  EXPECT_TRUE(Pack(trace, analysis, 0, 256 << 10).cut) << "no room for a whole one";
}

TEST(KeptBytesTest, APathThatIsTooLargeLosesDetailThenSpans) {
  const core::TraceCopy trace = Large(1000, 1000);
  const core::TraceAnalysis analysis = core::Analyse(trace, {});
  const KeptBytes bare = Pack(trace, analysis, 3000, 3000);
  EXPECT_LE(bare.bytes.size(), 3000u);
  const auto copy = Unpack(bare.bytes);
  ASSERT_TRUE(copy);
  EXPECT_TRUE(copy->spans[0].attributes.empty());
  EXPECT_EQ(copy->spans[0].name, "root");
  const KeptBytes none = Pack(trace, analysis, 10, 10);
  EXPECT_TRUE(none.bytes.empty());
}

TEST(KeptBytesTest, DamageIsRefused) {
  const core::TraceCopy trace = Large(20, 20);
  const std::string bytes = Pack(trace, core::Analyse(trace, {}), 256 << 10, 256 << 10).bytes;
  ASSERT_TRUE(Unpack(bytes));
  std::mt19937 random(5);
  int refused = 0;
  for (int i = 0; i < 5000; ++i) {
    std::string damaged = bytes;
    const std::size_t at = random() % damaged.size();
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << random() % 8));
    // Some bits mean nothing to zlib; its checksum guards the rest.
    const auto copy = Unpack(damaged);
    refused += copy ? 0 : 1;
    if (copy) {
      EXPECT_EQ(core::EncodeTrace(*copy), core::EncodeTrace(*Unpack(bytes))) << at;
    }
    EXPECT_FALSE(Unpack(std::string_view(bytes).substr(0, at)));
  }
  EXPECT_GT(refused, 4500);
  EXPECT_FALSE(Unpack(std::string(9, '\xff'))) << "a size without an end";
  EXPECT_FALSE(Unpack(std::string("\xff\xff\xff\x7f") + bytes)) << "a size beyond the limit";
}

}  // namespace
}  // namespace spanwatch::notify
