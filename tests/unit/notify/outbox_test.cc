// The outbox and its file: what it remembers, and what it does with a disk or a file that is not as it should be.
#include "sidecar/notify/outbox.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "tests/unit/notify/incidents.h"
#include "tests/unit/notify/outbox_files.h"

namespace spanwatch::notify {
namespace {

using core::TransitionKind;

core::Transition At(std::int64_t at_ns, const std::string& id, TransitionKind kind = TransitionKind::kFiring) {
  core::Transition transition = MakeTransition(MakeIncident(id), kind);
  transition.at_ns = at_ns;
  return transition;
}

std::vector<core::Transition> Many(int begin, int end, TransitionKind kind = TransitionKind::kFiring) {
  std::vector<core::Transition> all;
  for (int i = begin; i < end; ++i) all.push_back(At(i + 1, "i" + std::to_string(i), kind));
  return all;
}

class OutboxTest : public testing::Test {
 protected:
  OutboxOptions InFile() {
    OutboxOptions options;
    options.path = dir_.File();
    options.retry_ns = 0;
    return options;
  }
  std::int64_t Query(const char* sql) {
    sqlite3* db = nullptr;
    sqlite3_stmt* statement = nullptr;
    EXPECT_EQ(sqlite3_open(dir_.File().c_str(), &db), SQLITE_OK);
    EXPECT_EQ(sqlite3_prepare_v2(db, sql, -1, &statement, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
    const std::int64_t number = sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : -1;
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return number;
  }
  // An outbox with one transition, closed.
  void Fill(int count = 1) {
    Outbox outbox(InFile());
    outbox.Open();
    EXPECT_EQ(outbox.Commit(Many(0, count)).fresh.size(), std::size_t(count));
  }

  TempDir dir_;
};

TEST_F(OutboxTest, ATransitionIsNewOnce) {
  {
    Outbox outbox(InFile());
    outbox.Open();
    EXPECT_TRUE(outbox.was_new());
    EXPECT_EQ(outbox.committed_ns(), INT64_MIN);
    const auto first = outbox.Commit({At(5, "a"), At(7, "b"), At(5, "a")});
    EXPECT_EQ(first.fresh.size(), 2u);
    EXPECT_EQ(outbox.committed_ns(), 7);
    EXPECT_EQ(outbox.Commit({At(7, "b"), At(7, "c")}).fresh.size(), 1u);
    EXPECT_EQ(outbox.GetStatus().repeats, 2u);
    EXPECT_EQ(outbox.GetStatus().committed, 3u);
  }
  Outbox again(InFile());
  again.Open();
  EXPECT_FALSE(again.was_new());
  EXPECT_EQ(again.committed_ns(), 7);
  EXPECT_TRUE(again.Commit({At(5, "a"), At(7, "c")}).fresh.empty());
  EXPECT_TRUE(again.GetStatus().writable);
  struct stat info {};
  ASSERT_EQ(stat(dir_.File().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(OutboxTest, GivesAReceiverBackWhatItStoredAndWhatItWasNeverGiven) {
  {
    Outbox outbox(InFile());
    outbox.Open();
    Outbox::Receiver receiver;
    EXPECT_TRUE(outbox.Load("discord", &receiver).unconsumed.empty());
    const auto first = outbox.Commit(Many(0, 2));
    Changes changes;
    changes.incidents = {{"i0", 3, 1, "incident zero"}, {"i1", 3, 2, std::string("\0x", 2)}};
    changes.slots = {{3, "slot three"}, {4, "slot four"}, {5, "slot five"}};
    EXPECT_TRUE(outbox.Save(&receiver, changes, first.sequence, "print"));
    outbox.Commit(Many(2, 4));
    changes = {};
    changes.removed_slots = {4};
    EXPECT_TRUE(outbox.Save(&receiver, changes, first.sequence, "print"));
  }
  Outbox outbox(InFile());
  outbox.Open();
  Outbox::Receiver receiver;
  const StoredReceiver stored = outbox.Load("discord", &receiver);
  ASSERT_EQ(stored.incidents.size(), 2u);
  EXPECT_EQ(stored.incidents[1].body, std::string("\0x", 2));
  ASSERT_EQ(stored.slots.size(), 2u);
  EXPECT_EQ(stored.slots[0].body, "slot three");
  EXPECT_EQ(stored.slots[1].id, 5u);
  EXPECT_EQ(stored.webhook, "print");
  ASSERT_EQ(stored.unconsumed.size(), 2u);
  EXPECT_EQ(stored.unconsumed[0].incident.id, "i2");
  EXPECT_EQ(stored.unconsumed[1].incident.last_error, MakeIncident("x").last_error);
  EXPECT_TRUE(outbox.Load("other", &receiver).unconsumed.empty()) << "a new receiver begins with what comes next";
  outbox.ForgetAllBut({"other"});
  EXPECT_TRUE(outbox.Load("discord", &receiver).incidents.empty());
}

TEST_F(OutboxTest, NeverStoresTheSecret) {
  std::string print;
  {
    Outbox outbox(InFile());
    outbox.Open();
    print = outbox.Fingerprint("https://discord.com/api/webhooks/1/SECRETTOKEN");
    EXPECT_NE(print, outbox.Fingerprint("https://discord.com/api/webhooks/1/SECRETTOKEM"));
    Outbox::Receiver receiver;
    outbox.Load("discord", &receiver);
    EXPECT_TRUE(outbox.Save(&receiver, {}, 0, print));
  }
  EXPECT_EQ(ReadAll(dir_.File()).find("SECRETTOKEN"), std::string::npos);
  Outbox again(InFile());
  again.Open();
  EXPECT_EQ(again.Fingerprint("https://discord.com/api/webhooks/1/SECRETTOKEN"), print);
  TempDir other;
  OutboxOptions options = InFile();
  options.path = other.File();
  Outbox foreign(options);
  foreign.Open();
  EXPECT_NE(foreign.Fingerprint("https://discord.com/api/webhooks/1/SECRETTOKEN"), print) << "keyed by the file";
}

TEST_F(OutboxTest, DamagedFilesArePutAsideAndAFewAreKept) {
  for (int i = 1; i <= 5; ++i) {
    WriteAll(dir_.File(), "this is no database, number " + std::to_string(i) + std::string(5000, 'x'));
    Outbox outbox(InFile());
    outbox.Open();
    EXPECT_TRUE(outbox.GetStatus().writable);
    EXPECT_EQ(outbox.GetStatus().corruptions, 1u);
    EXPECT_THAT(outbox.GetStatus().note, testing::HasSubstr("corrupt-" + std::to_string(i)));
    EXPECT_EQ(outbox.Commit({At(1, "a")}).fresh.size(), 1u);
  }
  EXPECT_EQ(dir_.Count("corrupt-"), 3u);
  EXPECT_THAT(ReadAll(dir_.File("notify.db.corrupt-5")), testing::HasSubstr("number 5"));
}

TEST_F(OutboxTest, ATruncatedFileIsPutAside) {
  Fill(200);
  const std::string whole = ReadAll(dir_.File());
  for (const std::size_t size : {whole.size() / 2, std::size_t{4096}, std::size_t{100}}) {
    WriteAll(dir_.File(), whole.substr(0, size));
    Outbox outbox(InFile());
    outbox.Open();
    EXPECT_EQ(outbox.GetStatus().corruptions, 1u) << size;
    EXPECT_TRUE(outbox.GetStatus().writable) << size;
    EXPECT_TRUE(outbox.was_new());
  }
}

TEST_F(OutboxTest, BytesOverwrittenWhileItRunsCostTheFileNotTheAlert) {
  Outbox outbox(InFile());
  outbox.Open();
  Outbox::Receiver receiver;
  outbox.Load("discord", &receiver);
  outbox.Commit(Many(0, 8000));  // more than SQLite keeps in memory
  outbox.Tend();
  std::string bytes = ReadAll(dir_.File());
  ASSERT_GT(bytes.size(), 2'500'000u);
  for (std::size_t i = 4096; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 7);
  WriteAll(dir_.File(), bytes);
  outbox.Load("discord", &receiver);
  EXPECT_EQ(outbox.GetStatus().corruptions, 1u);
  EXPECT_EQ(outbox.Commit({At(9000, "last")}).fresh.size(), 1u);
  EXPECT_TRUE(outbox.GetStatus().writable);
  EXPECT_EQ(dir_.Count("corrupt-1"), 1u);
  Changes changes;
  changes.slots = {{1, "slot"}};
  EXPECT_FALSE(outbox.Save(&receiver, changes, 1, "")) << "the rest of its state is not in the new file";
  changes.reset = true;
  EXPECT_TRUE(outbox.Save(&receiver, changes, 1, ""));
}

TEST_F(OutboxTest, AReceiverMustWriteAllAnewIntoANewFile) {
  Outbox outbox(InFile());
  outbox.Open();
  Outbox::Receiver receiver;
  outbox.Load("discord", &receiver);
  --receiver.generation;
  Changes changes;
  changes.slots = {{1, "slot"}};
  EXPECT_FALSE(outbox.Save(&receiver, changes, 0, ""));
  changes.reset = true;
  EXPECT_TRUE(outbox.Save(&receiver, changes, 0, ""));
  changes.reset = false;
  EXPECT_TRUE(outbox.Save(&receiver, changes, 0, ""));
}

TEST_F(OutboxTest, AFileOfANewerVersionIsLeftAlone) {
  Fill();
  Query("PRAGMA user_version=99");
  const std::string before = ReadAll(dir_.File());
  {
    Outbox outbox(InFile());
    outbox.Open();
    EXPECT_FALSE(outbox.GetStatus().writable);
    EXPECT_THAT(outbox.GetStatus().problem, testing::HasSubstr("newer version"));
    EXPECT_EQ(outbox.Commit({At(9, "z")}).fresh.size(), 1u) << "delivered all the same";
    outbox.Tend();
    Outbox::Receiver receiver;
    outbox.Load("discord", &receiver);
    EXPECT_FALSE(outbox.Save(&receiver, {}, 0, ""));
  }
  EXPECT_EQ(ReadAll(dir_.File()), before);
  EXPECT_EQ(dir_.Count("corrupt"), 0u);
}

TEST_F(OutboxTest, WhereNothingCanBeWrittenItWorksInMemoryUntilItCan) {
  OutboxOptions options = InFile();
  options.path = dir_.File("folder") + "/notify.db";
  Outbox outbox(options);
  outbox.Open();
  EXPECT_TRUE(outbox.GetStatus().enabled);
  EXPECT_FALSE(outbox.GetStatus().writable);
  EXPECT_NE(outbox.GetStatus().problem, "");
  EXPECT_EQ(outbox.Commit({At(1, "a")}).fresh.size(), 1u);
  EXPECT_EQ(outbox.Commit({At(1, "a")}).fresh.size(), 0u);
  EXPECT_EQ(outbox.GetStatus().pending, 1u);
  EXPECT_EQ(outbox.committed_ns(), INT64_MIN);
  std::filesystem::create_directory(dir_.File("folder"));
  EXPECT_EQ(outbox.Tend().sequence, 1u);
  EXPECT_TRUE(outbox.GetStatus().writable);
  EXPECT_EQ(outbox.GetStatus().pending, 0u);
  EXPECT_EQ(outbox.committed_ns(), 1);
}

TEST_F(OutboxTest, AFullDiskIsSurvivedAndCaughtUpWith) {
  const int failed = InChild([&] {
    signal(SIGXFSZ, SIG_IGN);
    OutboxOptions options = InFile();
    options.max_waiting = 20;
    Outbox outbox(options);
    outbox.Open();
    outbox.Commit(Many(0, 3));
    Outbox::Receiver receiver;
    outbox.Load("discord", &receiver);
    rlimit old{};
    getrlimit(RLIMIT_FSIZE, &old);
    const rlimit full{1, old.rlim_max};
    setrlimit(RLIMIT_FSIZE, &full);
    int problems = 0;
    const auto expect = [&](bool good, const char* what) {
      if (!good) fprintf(stderr, "full disk: %s\n", what);
      problems += good ? 0 : 1;
    };
    expect(outbox.Commit(Many(2, 13)).fresh.size() == 10, "the known one is known, the others go on");
    expect(outbox.Commit(Many(3, 33)).fresh.size() == 20, "those that wait are known");
    expect(!outbox.Save(&receiver, {}, 5, ""), "nothing is saved");
    const OutboxStatus status = outbox.GetStatus();
    expect(!status.writable && !status.problem.empty(), "told");
    expect(status.pending == 20 && status.given_up == 10, "bounded and counted");
    expect(status.write_errors > 0, "errors counted");
    expect(outbox.committed_ns() == 3, "committed only what is on disk");
    setrlimit(RLIMIT_FSIZE, &old);
    outbox.Tend();
    expect(outbox.GetStatus().writable && outbox.GetStatus().pending == 0, "written later");
    expect(outbox.committed_ns() == 33, "committed now");
    expect(outbox.Save(&receiver, {}, 5, ""), "saved again");
    return problems;
  });
  EXPECT_EQ(failed, 0);
  Outbox again(InFile());
  again.Open();
  EXPECT_EQ(again.Commit(Many(13, 33)).fresh.size(), 0u);
  EXPECT_EQ(again.Commit(Many(3, 13)).fresh.size(), 10u) << "these were given up";
}

TEST_F(OutboxTest, TheFileStaysInItsSizeAndTheOldestDeliveredGo) {
  OutboxOptions options = InFile();
  options.max_bytes = 1 << 20;
  Outbox outbox(options);
  outbox.Open();
  Outbox::Receiver receiver;
  outbox.Load("discord", &receiver);
  for (int i = 0; i < 60; ++i) {
    const auto committed = outbox.Commit(Many(100 * i, 100 * i + 100));
    ASSERT_EQ(committed.fresh.size(), 100u);
    ASSERT_TRUE(outbox.Save(&receiver, {}, committed.sequence, ""));
    if (i % 7 == 0) outbox.Tend();
    ASSERT_TRUE(outbox.GetStatus().writable) << i << outbox.GetStatus().problem;
  }
  outbox.Close();
  EXPECT_LE(std::filesystem::file_size(dir_.File()), std::uintmax_t{1 << 20});
  EXPECT_EQ(Query("SELECT max(at_ns) FROM transitions"), 6000);
  EXPECT_GT(Query("SELECT min(at_ns) FROM transitions"), 1000);
  EXPECT_EQ(outbox.GetStatus().given_up, 0u);
}

TEST_F(OutboxTest, WithoutReceiversTheFileStaysInItsSizeToo) {
  OutboxOptions options = InFile();
  options.max_bytes = 1 << 20;
  Outbox outbox(options);
  outbox.Open();
  for (int i = 0; i < 60; ++i) {
    const auto kind = i % 2 == 0 ? TransitionKind::kFiring : TransitionKind::kUpdated;
    ASSERT_EQ(outbox.Commit(Many(100 * i, 100 * i + 100, kind)).fresh.size(), 100u);
    if (i % 7 == 0) outbox.Tend();
    ASSERT_TRUE(outbox.GetStatus().writable) << i << outbox.GetStatus().problem;
  }
  outbox.Close();
  EXPECT_EQ(Query("SELECT max(at_ns) FROM transitions"), 6000);
  EXPECT_GT(Query("SELECT min(at_ns) FROM transitions"), 1000);
}

TEST_F(OutboxTest, UpdatesGoWhenTheyAreConsumedTheRestWhenItIsOld) {
  OutboxOptions options = InFile();
  Outbox outbox(options);
  outbox.Open();
  Outbox::Receiver receiver;
  outbox.Load("discord", &receiver);
  outbox.Commit(Many(0, 700, TransitionKind::kUpdated));
  const auto consumed = outbox.Commit(Many(700, 710));
  outbox.Commit(Many(710, 720, TransitionKind::kUpdated));
  outbox.Save(&receiver, {}, consumed.sequence, "");
  outbox.Tend();
  outbox.Close();
  EXPECT_EQ(Query("SELECT count(*) FROM transitions"), 20);
  options.keep_ns = -1'000'000'000;
  Outbox old(options);
  old.Open();
  old.Tend();
  old.Close();
  EXPECT_EQ(Query("SELECT count(*) FROM transitions"), 10) << "what no receiver was given stays";
  EXPECT_EQ(Query("SELECT max(at_ns) FROM transitions"), 720);
}

TEST_F(OutboxTest, ASecondUserOfTheFileIsRefused) {
  Outbox first(InFile());
  first.Open();
  first.Commit({At(1, "a")});
  Outbox second(InFile());
  second.Open();
  EXPECT_FALSE(second.GetStatus().writable);
  EXPECT_EQ(second.Commit({At(1, "a")}).fresh.size(), 1u);
  EXPECT_TRUE(first.GetStatus().writable);
  EXPECT_EQ(dir_.Count("corrupt"), 0u);
}

}  // namespace
}  // namespace spanwatch::notify
