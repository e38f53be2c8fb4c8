#include "sidecar/http/access.h"

#include <gtest/gtest.h>

namespace spanwatch::http {
namespace {

using Text = std::optional<std::string>;

TEST(AccessTest, HostsOfAuthorities) {
  EXPECT_EQ(HostOf("Example.ORG:80"), "example.org");
  EXPECT_EQ(HostOf("example.org."), "example.org");
  EXPECT_EQ(HostOf("[::1]:9464"), "::1");
  EXPECT_EQ(HostOf("[::1]"), "::1");
  for (const char* bad : {"", ":80", "a:b", "a:123456", "user@localhost", "[::1", "[::1]x", "a b", "localhost/x"}) {
    EXPECT_EQ(HostOf(bad), std::nullopt) << bad;
  }
}

TEST(AccessTest, Loopback) {
  for (const char* host : {"localhost", "a.localhost", "127.0.0.1", "127.255.0.3", "::1"})
    EXPECT_TRUE(IsLoopback(host)) << host;
  for (const char* host :
       {"localhost.evil.org", "127.0.0.1.evil.org", "127.evil.org", "10.0.0.1", "notlocalhost", ""}) {
    EXPECT_FALSE(IsLoopback(host)) << host;
  }
}

TEST(AccessTest, OnLoopbackForeignHostsAreRefused) {
  const Access access("127.0.0.1", "https://Trace.example.org/spanwatch", {"tracebox", "other:8080"});
  for (const char* host : {"localhost:9464", "127.0.0.1:9464", "[::1]:9464", "trace.example.org",
                           "TRACE.example.org:443", "tracebox:1", "other"}) {
    EXPECT_EQ(access.Refuse(host, {}, false), std::nullopt) << host;
    EXPECT_EQ(access.Refuse(host, {}, true), std::nullopt) << host;
  }
  for (const char* host : {"evil.org", "evil.org:9464", "localhost.evil.org", "", "example.org"}) {
    EXPECT_NE(access.Refuse(host, {}, false), std::nullopt) << host;
    EXPECT_NE(access.Refuse(host, {}, true), std::nullopt) << host;
  }
  EXPECT_EQ(access.Refuse({}, {}, false), std::nullopt);
  EXPECT_NE(access.Refuse({}, {}, true), std::nullopt);
}

TEST(AccessTest, OffLoopbackReadsAreFreeAndWritesAreNot) {
  const Access access("10.1.2.3", "", {});
  EXPECT_EQ(access.Refuse("anything.example.org", {}, false), std::nullopt);
  EXPECT_NE(access.Refuse("anything.example.org", {}, true), std::nullopt);
  EXPECT_EQ(access.Refuse("10.1.2.3:9464", {}, true), std::nullopt);
}

TEST(AccessTest, APresentOriginMustMatch) {
  const Access access("127.0.0.1", "https://trace.example.org/x", {});
  const auto allowed = [&](const char* origin) {
    return !access.Refuse("localhost:9464", Text(origin), false).has_value();
  };
  EXPECT_TRUE(allowed("http://localhost:9464"));
  EXPECT_TRUE(allowed("https://trace.example.org"));
  EXPECT_FALSE(allowed("http://localhost:3000"));  // another program on this machine
  EXPECT_FALSE(allowed("http://trace.example.org"));
  EXPECT_FALSE(allowed("https://evil.org"));
  EXPECT_FALSE(allowed("null"));
  EXPECT_FALSE(allowed(""));
}

}  // namespace
}  // namespace spanwatch::http
