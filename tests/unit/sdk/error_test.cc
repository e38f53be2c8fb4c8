#include "spanwatch/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>

#include "spanwatch/testing.h"

namespace spanwatch::test {

template <typename T, typename E>
class Expected {
 public:
  Expected(T value) : value_(std::move(value)) {}  // NOLINT
  static Expected Error(E error) {
    Expected expected{T()};
    expected.value_.reset();
    expected.error_ = std::move(error);
    return expected;
  }
  bool has_value() const { return value_.has_value(); }
  const E& error() const { return *error_; }

 private:
  std::optional<T> value_;
  std::optional<E> error_;
};

enum class Problem { kNone, kQuota = 3 };
enum class Known { kGone = 2 };
inline std::error_code make_error_code(Known problem) { return {static_cast<int>(problem), std::generic_category()}; }

struct Status {
  enum Code { kOk, kUnavailable = 14 };
  bool ok() const { return status_code == kOk; }
  Code code() const { return status_code; }
  std::string_view message() const { return "no backend"; }
  Code status_code = kOk;
};
struct StatusOr {
  bool ok() const { return of.ok(); }
  const Status& status() const { return of; }
  Status of;
};
struct Reply {
  int code = 200;
};
struct Sick {
  bool ok() const { return false; }
  std::string message() const { throw 1; }
};

}  // namespace spanwatch::test

template <>
struct spanwatch::ResultTraits<spanwatch::test::Reply> {
  static bool Failed(const spanwatch::test::Reply& reply) { return reply.code >= 500; }
  static void Record(const spanwatch::test::Reply&, spanwatch::Span& span) { span.Fail("HTTP 5xx", "bad gateway"); }
};

namespace spanwatch::test {
namespace {

using ::spanwatch::testing::Capture;
using ::spanwatch::testing::CapturedSpan;
using ::testing::SizeIs;

template <typename Result>
CapturedSpan Recorded(const Result& result) {
  Capture capture;
  Traced("op", [&] { return result; });
  return capture.One("op");
}

void ExpectError(const CapturedSpan& span, const std::string& type, const std::string& message) {
  EXPECT_TRUE(span.failed);
  EXPECT_EQ(span.error_type, type);
  EXPECT_EQ(span.error_message, message);
  ASSERT_THAT(span.errors, SizeIs(1));
  EXPECT_EQ(span.errors[0].type, type);
  EXPECT_EQ(span.errors[0].message, message);
}

TEST(ErrorTest, ErrorCodes) {
  EXPECT_FALSE(Recorded(std::error_code()).failed);
  ExpectError(Recorded(std::make_error_code(std::errc::timed_out)), "generic:110", "Connection timed out");
}

TEST(ErrorTest, ExpectedLikeWithAllKindsOfErrors) {
  EXPECT_FALSE(Recorded(Expected<int, std::string>(5)).failed);
  ExpectError(Recorded(Expected<int, std::string>::Error("no answer")), "", "no answer");
  ExpectError(Recorded(Expected<int, std::error_code>::Error(std::make_error_code(std::errc::timed_out))),
              "generic:110", "Connection timed out");
  ExpectError(Recorded(Expected<int, Problem>::Error(Problem::kQuota)), "spanwatch::test::Problem:3",
              "spanwatch::test::Problem:3");
  ExpectError(Recorded(Expected<int, Known>::Error(Known::kGone)), "generic:2", "No such file or directory");
  ExpectError(Recorded(Expected<int, std::runtime_error>::Error(std::runtime_error("odd"))), "std::runtime_error",
              "odd");
  ExpectError(Recorded(Expected<int, int>::Error(7)), "int:7", "int:7");
}

TEST(ErrorTest, AnExpectedWithAnExceptionPointerKeepsTheCauses) {
  std::exception_ptr error;
  try {
    try {
      throw std::out_of_range("inner");
    } catch (...) {
      std::throw_with_nested(std::runtime_error("outer"));
    }
  } catch (...) {
    error = std::current_exception();
  }
  const CapturedSpan span = Recorded(Expected<int, std::exception_ptr>::Error(error));
  ExpectError(span, "std::runtime_error", "outer");
  EXPECT_EQ(span.errors[0].causes, "std::out_of_range: inner");
}

TEST(ErrorTest, StatusLike) {
  EXPECT_FALSE(Recorded(Status()).failed);
  ExpectError(Recorded(Status{Status::kUnavailable}), "spanwatch::test::Status:14", "no backend");
  ExpectError(Recorded(StatusOr{{Status::kUnavailable}}), "spanwatch::test::Status:14", "no backend");
}

TEST(ErrorTest, ATypeOfOnesOwn) {
  EXPECT_FALSE(Recorded(Reply()).failed);
  const CapturedSpan span = Recorded(Reply{502});
  EXPECT_EQ(span.error_type, "HTTP 5xx");
  EXPECT_EQ(span.error_message, "bad gateway");
}

TEST(ErrorTest, WhatIsNoResultIsNoError) {
  EXPECT_FALSE(Recorded(std::optional<int>()).failed);
  EXPECT_FALSE(Recorded(false).failed);
  EXPECT_FALSE(Recorded(std::string("error")).failed);
}

TEST(ErrorTest, AnErrorThatCannotTellItsMessageIsStillOne) {
  const CapturedSpan span = Recorded(Sick());
  EXPECT_TRUE(span.failed);
  EXPECT_EQ(span.error_message, "an error that could not be described");
}

TEST(ErrorTest, AnExceptionWithoutAMessageIsStillOne) {
  struct Mute : std::exception {
    const char* what() const noexcept override { return nullptr; }
  };
  Capture capture;
  EXPECT_THROW(Traced("op", [] { throw Mute(); }), Mute);
  EXPECT_TRUE(capture.One("op").failed);
  EXPECT_EQ(capture.One("op").error_message, "");
}

TEST(ErrorTest, FailTakesErrorValues) {
  Capture capture;
  {
    Span("code").Fail(std::make_error_code(std::errc::timed_out));
    Span("exception").Fail(std::invalid_argument("bad"));
    Span("status").FailIfError(Status{Status::kUnavailable});
    Span("fine").FailIfError(Status());
  }
  EXPECT_EQ(capture.One("code").error_type, "generic:110");
  EXPECT_EQ(capture.One("exception").error_type, "std::invalid_argument");
  EXPECT_EQ(capture.One("status").error_message, "no backend");
  EXPECT_FALSE(capture.One("fine").failed);
}

TEST(ErrorTest, DerivedExceptionsAreNamedByWhatTheyAre) {
  Capture capture;
  const std::out_of_range error("far");
  const std::exception& base = error;
  Span("op").Fail(base);
  EXPECT_EQ(capture.One("op").error_type, "std::out_of_range");
}

TEST(ErrorTest, UnwindingIsRecorded) {
  Capture capture;
  try {
    const Span span("left");
    throw 5;
  } catch (int) {
  }
  EXPECT_TRUE(capture.One("left").failed);
  EXPECT_EQ(capture.One("left").error_message, "left by an exception");
}

}  // namespace
}  // namespace spanwatch::test
