#include "sidecar/metrics/negotiate.h"

#include <gtest/gtest.h>

namespace spanwatch::metrics {
namespace {

constexpr char kText[] = "text/plain; version=0.0.4; charset=utf-8";
constexpr char kOpenMetrics[] = "application/openmetrics-text; version=1.0.0; charset=utf-8";

std::string TypeFor(std::string_view accept) {
  const Negotiated negotiated = Negotiate(accept);
  EXPECT_EQ(negotiated.format == Format::kOpenMetrics,
            negotiated.content_type.starts_with("application/openmetrics-text"));
  return negotiated.content_type;
}

TEST(NegotiateTest, TextUnlessOpenMetricsIsAskedFor) {
  EXPECT_EQ(TypeFor(""), kText);
  EXPECT_EQ(TypeFor("*/*"), kText);
  EXPECT_EQ(TypeFor("text/html,application/xhtml+xml,*/*;q=0.8"), kText);
  EXPECT_EQ(TypeFor("application/*"), kText);
}

TEST(NegotiateTest, WhatPrometheusSends) {
  EXPECT_EQ(TypeFor("application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
                    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"),
            kOpenMetrics);
  EXPECT_EQ(
      TypeFor("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
              "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
              "text/plain;version=0.0.4;q=0.2,*/*;q=0.1"),
      std::string(kOpenMetrics) + "; escaping=underscores");
}

TEST(NegotiateTest, VersionsAndWeightsCount) {
  EXPECT_EQ(TypeFor("Application/OpenMetrics-Text"), kOpenMetrics);
  EXPECT_EQ(TypeFor("application/openmetrics-text; q=0.9 ; version=\"1.0.0\""), kOpenMetrics);
  EXPECT_EQ(TypeFor("application/openmetrics-text;version=0.0.1"), kText);
  EXPECT_EQ(TypeFor("application/openmetrics-text;version=2.0.0"), kText);
  EXPECT_EQ(TypeFor("application/openmetrics-text;q=0"), kText);
  EXPECT_EQ(TypeFor("application/openmetrics-text;q=0.1, text/plain"), kText);
  EXPECT_EQ(TypeFor("application/openmetrics-text;q=nonsense, text/plain;q=0.1"), kText);
  EXPECT_EQ(TypeFor(";;,,=;q=,\"application/openmetrics-text"), kText);
}

}  // namespace
}  // namespace spanwatch::metrics
