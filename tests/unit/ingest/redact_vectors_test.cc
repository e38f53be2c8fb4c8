// The sidecar's end of the vectors that both ends of redaction are held to.
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "sdk/cpp/redact/keys.h"
#include "sdk/cpp/redact/text.h"
#include "tests/support/redaction_vectors.h"

namespace spanwatch::redact {
namespace {

std::string WithoutLimit(const std::string& text) {
  std::string out;
  RedactedCounts counts{};
  return RedactText(text, &out, &counts) ? out : text;
}

TEST(RedactVectors, TheSidecarObeysThem) {
  for (const spanwatch::testing::RedactionVector& vector : spanwatch::testing::ReadRedactionVectors()) {
    if (!vector.is_key) {
      EXPECT_EQ(WithoutLimit(vector.input), vector.expected) << vector.where;
      continue;
    }
    const KeyVerdict verdict = JudgeKey(vector.input);
    EXPECT_EQ(verdict == KeyVerdict::kSecret, vector.expected == "secret") << vector.where;
    EXPECT_EQ(verdict == KeyVerdict::kContent, vector.expected == "content") << vector.where;
  }
}

}  // namespace
}  // namespace spanwatch::redact
