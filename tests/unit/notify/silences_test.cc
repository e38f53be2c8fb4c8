#include "sidecar/notify/silences.h"

#include <gtest/gtest.h>

#include "sidecar/notify/routing.h"
#include "tests/unit/notify/routes.h"

namespace spanwatch::notify {
namespace {

constexpr std::int64_t kHour = 3600 * kSec;

tl::expected<std::shared_ptr<const core::StringMatcher>, std::string> Compile(const std::string& pattern) {
  if (pattern == "(") return tl::make_unexpected(std::string("no pattern"));
  return std::make_shared<StdRegex>(pattern);
}

class SilencesTest : public testing::Test {
 protected:
  std::string Add(core::Silence silence, std::int64_t now = kEpoch) {
    auto changed = book.Set(std::move(silence), now);
    return changed ? changed->id : "error: " + changed.error();
  }
  core::SilenceState State(const std::string& id, std::int64_t now) { return StateOf(*book.Find(id), now); }
  static core::Silence Bot(const std::string& id = "") {
    return SilenceOf(id, {Equal("service", "bot")}, kEpoch, kEpoch + kHour);
  }

  SilenceBook book{Compile};
};

TEST_F(SilencesTest, ANewOneGetsAnIdAndBeginsNowAtTheEarliest) {
  core::Silence silence = Bot();
  silence.starts_ns = kEpoch - 5 * kHour;
  const std::string id = Add(silence);
  EXPECT_EQ(id.size(), 32u);
  EXPECT_EQ(id.find_first_not_of("0123456789abcdef"), std::string::npos);
  EXPECT_EQ(book.Find(id)->starts_ns, kEpoch);
  EXPECT_EQ(book.Find(id)->updated_ns, kEpoch);
  EXPECT_NE(Add(silence), id);
}

TEST_F(SilencesTest, AnActiveOneCanBeProlongedAndToldAnewButNotMatchOtherwise) {
  const std::string id = Add(Bot());
  core::Silence longer = Bot(id);
  longer.ends_ns = kEpoch + 9 * kHour;
  longer.comment = "longer";
  EXPECT_EQ(Add(longer, kEpoch + 60 * kSec), id);
  EXPECT_EQ(book.Find(id)->starts_ns, kEpoch) << "its start stays";
  EXPECT_EQ(book.Find(id)->comment, "longer");
  core::Silence other = longer;
  other.matchers = {Equal("service", "api")};
  const std::string second = Add(other, kEpoch + 120 * kSec);
  EXPECT_NE(second, id);
  EXPECT_EQ(State(id, kEpoch + 120 * kSec), core::SilenceState::kExpired);
  EXPECT_EQ(State(second, kEpoch + 120 * kSec), core::SilenceState::kActive);
}

TEST_F(SilencesTest, APendingOneIsChangedWhollyAndAnExpiredOneIsMadeAnew) {
  core::Silence later = Bot();
  later.starts_ns = kEpoch + 10 * kSec;
  const std::string id = Add(later);
  later.id = id;
  later.matchers = {Equal("service", "api")};
  later.starts_ns = kEpoch + 20 * kSec;
  EXPECT_EQ(Add(later), id);
  EXPECT_EQ(book.Find(id)->starts_ns, kEpoch + 20 * kSec);
  SilenceBook::Changed changed;
  EXPECT_TRUE(book.Expire(id, kEpoch + kSec, &changed));
  EXPECT_EQ(changed.written, std::vector<std::string>{id});
  EXPECT_EQ(State(id, kEpoch + kSec), core::SilenceState::kExpired) << "one that has not begun is over too";
  changed = {};
  EXPECT_TRUE(book.Expire(id, kEpoch + 2 * kSec, &changed));
  EXPECT_TRUE(changed.written.empty());
  EXPECT_FALSE(book.Expire("x", kEpoch, &changed));
  EXPECT_NE(Add(later, kEpoch + 3 * kSec), id);
}

TEST_F(SilencesTest, RefusesWhatMakesNoSense) {
  const auto error = [&](auto change) {
    core::Silence silence = Bot();
    change(&silence);
    const std::string text = Add(std::move(silence));
    return text.substr(0, text.find(';'));
  };
  EXPECT_EQ(error([](auto* s) { s->created_by = " \t"; }), "error: createdBy: is missing");
  EXPECT_EQ(error([](auto* s) { s->comment = ""; }), "error: comment: is missing");
  EXPECT_EQ(error([](auto* s) { s->comment = std::string(1025, 'x'); }), "error: comment: longer than 1024 bytes");
  EXPECT_EQ(error([](auto* s) { s->comment = "a\x01"; }), "error: comment: allowed: UTF-8 without control characters");
  EXPECT_EQ(error([](auto* s) { s->created_by = "a\nb"; }),
            "error: createdBy: allowed: UTF-8 without control characters");
  EXPECT_EQ(error([](auto* s) { s->matchers.clear(); }),
            "error: matchers: give at least one, as in {\"name\":\"service\",\"value\":\"bot\"}");
  EXPECT_EQ(error([](auto* s) { s->matchers.assign(17, Equal("a", "b")); }), "error: matchers: more than 16");
  EXPECT_EQ(error([](auto* s) { s->matchers = {NotEqual("service", "bot")}; }),
            "error: matchers: they match everything");
  EXPECT_EQ(error([](auto* s) {
              s->matchers = {{"service", core::MatchOp::kRegex, ".*", nullptr}};
            }),
            "error: matchers: they match everything");
  EXPECT_EQ(error([](auto* s) {
              s->matchers = {{"service", core::MatchOp::kRegex, "(", nullptr}};
            }),
            "error: matchers[0].value: no pattern");
  EXPECT_EQ(error([](auto* s) { s->matchers = {Equal("", "b")}; }), "error: matchers[0].name: is missing");
  EXPECT_EQ(error([](auto* s) { s->matchers = {Equal("a", std::string(1025, 'x'))}; }),
            "error: matchers[0].value: longer than 1024 bytes");
  EXPECT_EQ(error([](auto* s) { s->ends_ns = s->starts_ns; }), "error: endsAt: must be after startsAt");
  EXPECT_EQ(error([](auto* s) { s->ends_ns = INT64_MAX; }), "error: endsAt: out of range");
  EXPECT_EQ(error([](auto* s) { s->starts_ns = INT64_MAX - 1; }), "error: startsAt: out of range");
  EXPECT_EQ(error([](auto* s) { s->id = "f"; }), "error: id: there is no silence f");
  EXPECT_TRUE(book.all().empty());
}

TEST_F(SilencesTest, AreKeptForFiveDays) {
  const std::string id = Add(Bot());
  EXPECT_TRUE(book.Purge(kEpoch + kHour + kKeepSilencesNs - 1).empty());
  EXPECT_EQ(book.Purge(kEpoch + kHour + kKeepSilencesNs), std::vector<std::string>{id});
  EXPECT_TRUE(book.all().empty());
}

TEST_F(SilencesTest, AThousandAtMostThoseThatAreOverMakeRoom) {
  core::Silence brief = Bot();
  brief.ends_ns = kEpoch + kSec;
  const std::string first = Add(brief);
  for (std::size_t i = 1; i < core::kMaxSilences; ++i) ASSERT_EQ(Add(Bot()).size(), 32u);
  EXPECT_EQ(Add(Bot()), "error: there are 1000 silences that are not over; expire some first");
  auto changed = book.Set(Bot(), kEpoch + kSec);
  ASSERT_TRUE(changed.has_value());
  EXPECT_EQ(changed->removed, std::vector<std::string>{first});
  EXPECT_EQ(book.all().size(), core::kMaxSilences);
}

TEST_F(SilencesTest, AreTheSameAfterTheDisk) {
  core::Silence silence = Bot();
  silence.matchers = {Equal("service", "bot"), {"team", core::MatchOp::kNotRegex, "a|b", nullptr}};
  const core::Silence stored = *book.Find(Add(silence));
  const std::string bytes = SilenceBook::Encode(stored);
  SilenceBook other(Compile);
  ASSERT_TRUE(other.Add(bytes));
  const core::Silence& read = *other.Find(stored.id);
  EXPECT_EQ(SilenceBook::Encode(read), bytes);
  EXPECT_TRUE(read.matchers[1].Matches("c"));
  EXPECT_FALSE(read.matchers[1].Matches("a"));
  // No part of it is taken for all, and nothing after it is overlooked.
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    SilenceBook damaged(Compile);
    EXPECT_FALSE(damaged.Add(std::string_view(bytes).substr(0, size))) << size;
  }
  EXPECT_FALSE(SilenceBook(Compile).Add(bytes + "x"));
}

}  // namespace
}  // namespace spanwatch::notify
