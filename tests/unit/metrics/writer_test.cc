#include "sidecar/metrics/writer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace spanwatch::metrics {
namespace {

std::string Number(double value) {
  std::string text;
  AppendNumber(value, &text);
  return text;
}

std::string Write(Format format, void (*body)(Writer*)) {
  Writer writer(format, 0);
  body(&writer);
  return writer.Finish();
}

TEST(WriterTest, NumbersReadBackTheSame) {
  EXPECT_EQ(Number(0), "0");
  EXPECT_EQ(Number(600000), "600000");
  EXPECT_EQ(Number(-3), "-3");
  EXPECT_EQ(Number(0.1 + 0.2), "0.30000000000000004");
  EXPECT_EQ(std::stod(Number(1.0 / 3)), 1.0 / 3);
  EXPECT_EQ(Number(std::numeric_limits<double>::infinity()), "+Inf");
  EXPECT_EQ(Number(-std::numeric_limits<double>::infinity()), "-Inf");
  EXPECT_EQ(Number(std::nan("")), "NaN");
}

TEST(WriterTest, BoundsAreCanonical) {
  EXPECT_EQ(CanonicalBound(1), "1.0");
  EXPECT_EQ(CanonicalBound(0.002), "0.002");
  EXPECT_EQ(CanonicalBound(600000), "600000.0");
  EXPECT_EQ(CanonicalBound(1.4), "1.4");
  EXPECT_EQ(CanonicalBound(std::numeric_limits<double>::infinity()), "+Inf");
}

TEST(WriterTest, CounterNamesFollowTheFormat) {
  const auto body = [](Writer* writer) {
    writer->Family("a_seconds", Type::kCounter, "Line\nbreak, \\ and \"quotes\".");
    writer->Sample("x=\"1\"", 2);
  };
  EXPECT_EQ(Write(Format::kText, body),
            "# TYPE a_seconds_total counter\n# HELP a_seconds_total Line\\nbreak, \\\\ and "
            "\"quotes\".\na_seconds_total{x=\"1\"} 2\n");
  EXPECT_EQ(
      Write(Format::kOpenMetrics, body),
      "# TYPE a_seconds counter\n# UNIT a_seconds seconds\n# HELP a_seconds Line\\nbreak, \\\\ and \\\"quotes\\\".\n"
      "a_seconds_total{x=\"1\"} 2\n# EOF\n");
}

TEST(WriterTest, InfoIsAGaugeInText) {
  const auto body = [](Writer* writer) {
    writer->Family("b", Type::kInfo, "B.");
    writer->Sample("v=\"1\"", 1);
  };
  EXPECT_EQ(Write(Format::kText, body), "# TYPE b_info gauge\n# HELP b_info B.\nb_info{v=\"1\"} 1\n");
  EXPECT_EQ(Write(Format::kOpenMetrics, body), "# TYPE b info\n# HELP b B.\nb_info{v=\"1\"} 1\n# EOF\n");
}

TEST(WriterTest, AFamilyWithoutSamplesIsNotWritten) {
  const auto body = [](Writer* writer) {
    writer->Family("empty", Type::kGauge, "Nothing.");
    writer->Family("full", Type::kGauge, "One.");
    writer->Sample(1);
  };
  EXPECT_EQ(Write(Format::kText, body), "# TYPE full gauge\n# HELP full One.\nfull 1\n");
}

TEST(WriterTest, HistogramIsCumulativeAndWhole) {
  Writer writer(Format::kText, 0);
  core::HistogramCounts<2> counts;
  counts.buckets = {1, 1.4, 1.4};  // weights of sampled spans
  counts.sum = 5e9;
  counts.count = 3.8;
  const std::array<std::string, 2> bounds = {"0.5", "1.0"};
  writer.Family("h_seconds", Type::kHistogram, "H.");
  writer.Histogram("a=\"b\"", bounds, counts, 1e-9);
  EXPECT_EQ(writer.samples(), 5u);
  EXPECT_EQ(writer.Finish(),
            "# TYPE h_seconds histogram\n# HELP h_seconds H.\n"
            "h_seconds_bucket{a=\"b\",le=\"0.5\"} 1\nh_seconds_bucket{a=\"b\",le=\"1.0\"} 2\n"
            "h_seconds_bucket{a=\"b\",le=\"+Inf\"} 4\nh_seconds_sum{a=\"b\"} 5\nh_seconds_count{a=\"b\"} 4\n");
}

TEST(WriterTest, LabelValuesAreEscapedAndRepaired) {
  EXPECT_EQ(Labels().Add("a", "quote \" back \\ line\nend").text(), "a=\"quote \\\" back \\\\ line\\nend\"");
  EXPECT_EQ(Labels().Add("a", std::string("nul\0x", 5)).text(), "a=\"nul\xEF\xBF\xBDx\"");
  EXPECT_EQ(Labels().Add("a", "gr\xC3\xBC\xC3\x9F \xF0\x9F\x8E\x89").text(),
            "a=\"gr\xC3\xBC\xC3\x9F \xF0\x9F\x8E\x89\"");
  // Cut, overlong, surrogate, out of range, lone continuation: one mark a byte.
  EXPECT_EQ(Labels().Add("a", "x\xC3").text(), "a=\"x\xEF\xBF\xBD\"");
  EXPECT_EQ(Labels().Add("a", "\xC0\xAF").text(), "a=\"\xEF\xBF\xBD\xEF\xBF\xBD\"");
  EXPECT_EQ(Labels().Add("a", "\xED\xA0\x80").text(), "a=\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");
  EXPECT_EQ(Labels().Add("a", "\xF5\x80\x80\x80").text().size(), 4u + 4 * 3);
  EXPECT_EQ(Labels().Add("a", "1").Add("b", "2").text(), "a=\"1\",b=\"2\"");
}

TEST(WriterTest, LabelNamesBecomeLegal) {
  EXPECT_EQ(LegalLabelName("model"), "model");
  EXPECT_EQ(LegalLabelName("gen_ai.model-name"), "gen_ai_model_name");
  EXPECT_EQ(LegalLabelName("1st"), "label_1st");
  EXPECT_EQ(LegalLabelName("__name__"), "label___name__");
  EXPECT_EQ(LegalLabelName(""), "label_");
  EXPECT_EQ(LegalLabelName("a\"}\n"), "a___");
}

}  // namespace
}  // namespace spanwatch::metrics
