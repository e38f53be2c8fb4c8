#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "sidecar/config/config.h"
#include "tests/unit/config/environment.h"

namespace spanwatch::config {
namespace {

using testing::HasSubstr;

const std::string kGood = std::string(SPANWATCH_SOURCE_DIR) + "/tests/config/good/";
constexpr std::int64_t kSecond = 1'000'000'000;

std::string Lines(const std::vector<Problem>& problems) {
  std::string text;
  for (const Problem& problem : problems) text += problem.ToString() + "\n";
  return text;
}

Config MustLoad(const Sources& sources) {
  auto config = Load(sources);
  EXPECT_TRUE(config.has_value()) << (config ? "" : Lines(config.error()));
  return config ? *config : Config{};
}

std::string MustFail(const Sources& sources) {
  const auto config = Load(sources);
  EXPECT_FALSE(config.has_value());
  return config ? "" : Lines(config.error());
}

// No variable of the machine that runs the test may reach it.
class LoadTest : public testing::Test {
 protected:
  LoadTest() {
    for (const char* name :
         {"TRACING_MAX_TRACES", "TRACING_TRACE_TTL", "TRACING_SLOW_THRESHOLD", "TRACING_MEMORY_LIMIT", "LOG_LEVEL",
          "TRACING_LOG_LEVEL", "DISCORD_WEBHOOK_URL", "STATE_DIRECTORY", "XDG_STATE_HOME"}) {
      ::unsetenv(name);
    }
  }
};

TEST_F(LoadTest, EmptyFileGivesTheDefaults) {
  const Config config = MustLoad({.path = kGood + "empty.yaml"});
  EXPECT_EQ(config.http.host, "127.0.0.1");
  EXPECT_EQ(config.http.port, 9464);
  EXPECT_EQ(config.external_url, "http://localhost:9464");
  EXPECT_TRUE(config.external_url_is_default);
  EXPECT_EQ(config.limits.max_traces, 2000u);
  EXPECT_EQ(config.limits.ttl_ns, 7200 * kSecond);
  EXPECT_EQ(config.limits.memory_limit_bytes, 52428800u);
  EXPECT_EQ(config.limits.slow_warning_ns, kSecond);
  EXPECT_EQ(config.limits.slow_critical_ns, 5 * kSecond);
  EXPECT_TRUE(config.ingest_endpoints.empty());
  ASSERT_EQ(config.routing.receivers.size(), 1u);
  EXPECT_EQ(config.routing.receivers[0].name, "discord");
  EXPECT_EQ(config.routing.receivers[0].url_source, "environment variable DISCORD_WEBHOOK_URL");
  EXPECT_TRUE(config.routing.receivers[0].url.empty());
  EXPECT_EQ(config.routing.route.receiver, "discord");
  EXPECT_EQ(config.source_path, kGood + "empty.yaml");
  EXPECT_EQ(config.rules->rules.size(), 9u);
}

TEST_F(LoadTest, ShippedFileSaysTheDefaults) {
  const Config shipped = MustLoad({.path = std::string(SPANWATCH_SOURCE_DIR) + "/config/spanwatch.yaml"});
  const Config defaults = MustLoad({.path = kGood + "empty.yaml"});
  EXPECT_EQ(MakeReload(shipped), MakeReload(defaults));
  EXPECT_EQ(shipped.external_url, defaults.external_url);
  EXPECT_EQ(shipped.http.port, defaults.http.port);
  EXPECT_EQ(shipped.routing.route.repeat_interval_ns, defaults.routing.route.repeat_interval_ns);
  EXPECT_EQ(shipped.routing.route.group_interval_ns, defaults.routing.route.group_interval_ns);
}

TEST_F(LoadTest, WithoutAnyFileBuiltInDefaultsHold) {
  const std::string folder = testing::TempDir() + "spanwatch-load-" + std::to_string(::getpid());
  std::filesystem::create_directories(folder);
  std::filesystem::current_path(folder);
  if (std::filesystem::exists("/etc/spanwatch/spanwatch.yaml")) GTEST_SKIP() << "this machine has a configuration";
  const Config config = MustLoad({});
  EXPECT_EQ(config.source_path, "");
  EXPECT_EQ(config.rules->rules.size(), 9u);
  std::filesystem::create_directories("config");
  std::ofstream("config/spanwatch.yaml") << "store: { max_traces: 5 }\n";
  EXPECT_EQ(MustLoad({}).limits.max_traces, 5u);
  EXPECT_EQ(MustLoad({}).source_path, "config/spanwatch.yaml");
  std::filesystem::current_path("/");
  std::filesystem::remove_all(folder);
}

TEST_F(LoadTest, DiscordsOptionsArrive) {
  const Config config = MustLoad({.path = kGood + "full.yaml"});
  ASSERT_EQ(config.routing.receivers.size(), 2u);
  EXPECT_EQ(config.routing.receivers[0].discord.thread_id, "1134567890123456789");
  EXPECT_EQ(config.routing.receivers[0].discord.role_id, "1134567890123456792");
  EXPECT_EQ(config.routing.receivers[0].discord.mention_from, core::Severity::kWarning);
  EXPECT_FALSE(config.routing.receivers[0].send_resolved);
  EXPECT_TRUE(config.routing.receivers[1].discord.role_id.empty());
  EXPECT_EQ(config.routing.receivers[1].discord.mention_from, core::Severity::kCritical);
  EXPECT_TRUE(config.routing.receivers[1].send_resolved);
}

TEST_F(LoadTest, EveryKeyArrives) {
  const ScopedEnvironment environment(
      ScopedEnvironment::Values{{"SPANWATCH_TEST_TEAM_URL", "http://127.0.0.1:8080/api/webhooks/2/secret"}});
  const Config config = MustLoad({.path = kGood + "full.yaml"});
  EXPECT_EQ(config.http.host, "0.0.0.0");
  EXPECT_EQ(config.http.port, 9999);
  EXPECT_TRUE(config.http_insecure_listen);
  EXPECT_THAT(config.http_allowed_hosts, testing::ElementsAre("traces.example.org"));
  EXPECT_FALSE(config.otlp_enabled);
  EXPECT_THAT(config.ingest_endpoints,
              testing::ElementsAre("ipc:///tmp/spanwatch-test/a.sock", "tcp://127.0.0.1:5580"));
  EXPECT_EQ(config.limits.sample_rate, 0.125);
  EXPECT_EQ(config.state_dir, kGood + "state");
  EXPECT_FALSE(config.state_dir_is_default);
  EXPECT_EQ(config.journal_max_bytes, 17u << 20);
  EXPECT_EQ(config.journal_max_age_ns, 3 * 3'600'000'000'000);
  EXPECT_EQ(config.external_url, "https://traces.example.org/spanwatch");
  EXPECT_FALSE(config.external_url_is_default);
  EXPECT_EQ(config.limits.max_traces, 7u);
  EXPECT_EQ(config.limits.ttl_ns, 86400 * kSecond);
  EXPECT_EQ(config.limits.memory_limit_bytes, 3u << 19);
  EXPECT_EQ(config.limits.max_spans_per_trace, 99u);
  EXPECT_EQ(config.limits.slow_warning_ns, kSecond / 4);
  EXPECT_EQ(config.limits.slow_critical_ns, 90 * kSecond);
  EXPECT_EQ(config.limits.error_rate_warning, 0.005);
  EXPECT_EQ(config.limits.error_rate_critical, 1);
  EXPECT_EQ(config.limits.memory_warning_bytes, 1 << 10);
  EXPECT_EQ(config.limits.memory_critical_bytes, 1 << 30);
  EXPECT_EQ(config.limits.max_series, 11u);
  EXPECT_EQ(config.limits.max_series_per_service, 5u);
  EXPECT_EQ(config.limits.series_idle_ns, 600 * kSecond);
  EXPECT_THAT(config.limits.span_names, testing::ElementsAre("/users/{id}"));
  EXPECT_EQ(config.limits.max_incidents, 12u);
  EXPECT_EQ(config.limits.update_interval_ns, kSecond / 10);
  EXPECT_TRUE(config.duration_in_milliseconds);
  EXPECT_EQ(config.log_level, LogLevel::kError);
  EXPECT_EQ(config.rules->rules.size(), 27u);
  ASSERT_EQ(config.routing.receivers.size(), 2u);
  EXPECT_EQ(config.routing.receivers[0].url.Reveal(), "http://127.0.0.1:8080/api/webhooks/2/secret");
  EXPECT_EQ(config.routing.receivers[1].url.Reveal(), "https://discord.example/api/webhooks/1/secret-of-the-file");
  EXPECT_EQ(config.routing.receivers[1].url_source, "file " + kGood + "webhook.txt");
  EXPECT_EQ(config.routing.route.receiver, "spare");
  EXPECT_EQ(config.routing.route.group_interval_ns, 120 * kSecond);
  EXPECT_EQ(config.routing.route.repeat_interval_ns, 3600 * kSecond);
  EXPECT_EQ(config.routing.receivers[0].growth_interval_ns, kSecond / 4);
  EXPECT_EQ(config.routing.receivers[0].storm_messages, 3u);
  EXPECT_EQ(config.routing.receivers[0].storm_per_ns, 20 * kSecond);
  EXPECT_EQ(config.forward.endpoint, "https://otlp.example.org/tenant/v1/traces");
  EXPECT_FALSE(config.forward.gzip);
  ASSERT_EQ(config.forward.headers.size(), 2u);
  EXPECT_EQ(config.forward.headers[0].name, "Authorization");
  EXPECT_EQ(config.forward.headers[0].value.Reveal(), "Basic c2VjcmV0LWhlYWRlcg==");
  EXPECT_EQ(config.forward.headers[1].value.Reveal(), "team");
  const core::ForwardChoice& forward = config.limits.forward;
  EXPECT_FALSE(forward.all || forward.failed);
  EXPECT_TRUE(forward.slow && forward.alerted);
  EXPECT_EQ(forward.sample_ratio, 0.05);
}

TEST_F(LoadTest, FlagBeatsEnvironmentBeatsProfileBeatsFile) {
  Sources sources{.path = kGood + "minimal.yaml"};
  EXPECT_EQ(MustLoad(sources).limits.ttl_ns, 5400 * kSecond);
  sources.profile = "small";
  EXPECT_EQ(MustLoad(sources).limits.ttl_ns, 300 * kSecond);
  EXPECT_EQ(MustLoad(sources).limits.max_traces, 3u);
  const ScopedEnvironment environment(
      ScopedEnvironment::Values{{"TRACING_TRACE_TTL", "60000"}, {"TRACING_MAX_TRACES", "4"}});
  EXPECT_EQ(MustLoad(sources).limits.ttl_ns, 60 * kSecond);
  EXPECT_EQ(MustLoad(sources).limits.max_traces, 4u);
  sources.sets = {"store.ttl=30s"};
  EXPECT_EQ(MustLoad(sources).limits.ttl_ns, 30 * kSecond);
  EXPECT_EQ(MustLoad(sources).limits.max_traces, 4u);
  sources.sets = {"store.ttl=30s", "store.ttl=40s"};
  EXPECT_EQ(MustLoad(sources).limits.ttl_ns, 40 * kSecond);
  sources.sets.clear();
  sources.use_environment = false;
  EXPECT_EQ(MustLoad(sources).limits.ttl_ns, 300 * kSecond);
}

TEST_F(LoadTest, EnvironmentTakesTheSeedsUnitsAndWrittenOnes) {
  const ScopedEnvironment environment(ScopedEnvironment::Values{{"TRACING_MEMORY_LIMIT", "52428800"},
                                                                {"TRACING_TRACE_TTL", "2h"},
                                                                {"TRACING_SLOW_THRESHOLD", "1500"},
                                                                {"LOG_LEVEL", "WARN"}});
  const Config config = MustLoad({.path = kGood + "minimal.yaml"});
  EXPECT_EQ(config.limits.memory_limit_bytes, 52428800u);
  EXPECT_EQ(config.limits.ttl_ns, 7200 * kSecond);
  EXPECT_EQ(config.limits.slow_warning_ns, 1500 * kSecond / 1000);
  EXPECT_EQ(config.limits.slow_critical_ns, 5 * kSecond);
  EXPECT_EQ(config.rules->rules[0].warning, 1.5e9);  // SlowOperation, $slow
  EXPECT_EQ(config.log_level, LogLevel::kWarning);
  const ScopedEnvironment more(ScopedEnvironment::Values{{"TRACING_LOG_LEVEL", "debug"}});
  EXPECT_EQ(MustLoad({.path = kGood + "minimal.yaml"}).log_level, LogLevel::kDebug);
}

TEST_F(LoadTest, ABadEnvironmentStops) {
  const ScopedEnvironment environment(ScopedEnvironment::Values{{"TRACING_MAX_TRACES", "many"},
                                                                {"TRACING_TRACE_TTL", "soon"},
                                                                {"TRACING_SLOW_THRESHOLD", "10000"},
                                                                {"TRACING_MEMORY_LIMIT", "-1"},
                                                                {"LOG_LEVEL", "loud"}});
  const std::string lines = MustFail({.path = kGood + "minimal.yaml"});
  EXPECT_THAT(lines,
              HasSubstr("environment variable TRACING_MAX_TRACES: store.max_traces: \"many\" is not a whole number"));
  EXPECT_THAT(lines, HasSubstr("environment variable TRACING_TRACE_TTL: store.ttl: \"soon\" is not a duration"));
  EXPECT_THAT(lines, HasSubstr("thresholds.slow: critical \"5s\" must be larger than warning \"10000ms\""));
  EXPECT_THAT(lines, HasSubstr("environment variable TRACING_MEMORY_LIMIT: store.memory_limit: \"-1\" is negative"));
  EXPECT_THAT(lines, HasSubstr("environment variable LOG_LEVEL: log.level: unknown value \"loud\""));
}

TEST_F(LoadTest, SetTakesYamlValues) {
  const Config config = MustLoad({.path = kGood + "minimal.yaml",
                                  .sets = {"http.listen=127.0.0.1:0", "thresholds.slow=[2s, 3s]",
                                           "otlp.listen=", "rules=[]", "store={ttl: 10m}", "route.storm=off"}});
  EXPECT_EQ(config.http.port, 0);
  EXPECT_EQ(config.limits.slow_critical_ns, 3 * kSecond);
  EXPECT_FALSE(config.otlp_enabled);
  EXPECT_TRUE(config.rules->rules.empty());
  EXPECT_EQ(config.limits.ttl_ns, 600 * kSecond);
  ASSERT_EQ(config.routing.receivers.size(), 1u);
  EXPECT_EQ(config.routing.receivers[0].storm_messages, 0u);
  EXPECT_TRUE(MustLoad({.path = kGood + "minimal.yaml", .sets = {"receivers=[]"}}).routing.receivers.empty());
}

TEST_F(LoadTest, ABadSetSaysWhich) {
  EXPECT_THAT(MustFail({.path = kGood + "minimal.yaml", .sets = {"store"}}), HasSubstr("\"store\" is not KEY=VALUE"));
  EXPECT_THAT(MustFail({.path = kGood + "minimal.yaml", .sets = {"store..ttl=1s"}}), HasSubstr("is not KEY=VALUE"));
  EXPECT_THAT(MustFail({.path = kGood + "minimal.yaml", .sets = {"store.tll=1h"}}),
              HasSubstr("--set store.tll: store: unknown key \"tll\" (did you mean \"ttl\"?)"));
  EXPECT_THAT(MustFail({.path = kGood + "minimal.yaml", .sets = {"rules=[a"}}),
              HasSubstr("--set rules: not valid YAML"));
  EXPECT_THAT(MustFail({.path = kGood + "minimal.yaml", .sets = {"store.ttl=5"}}), HasSubstr("has no unit"));
}

TEST_F(LoadTest, AbsentFilesAndProfiles) {
  EXPECT_THAT(MustFail({.path = "/no/such/file.yaml"}),
              HasSubstr("--config: file \"/no/such/file.yaml\" cannot be read: No such file or directory"));
  EXPECT_THAT(MustFail({.path = kGood + "minimal.yaml", .profile = "smal"}), HasSubstr("(did you mean \"small\"?)"));
  EXPECT_THAT(MustFail({.path = kGood + "minimal.yaml", .profile = "../minimal"}), HasSubstr("is not a name"));
}

TEST_F(LoadTest, WebhookUrlsAreCheckedAndNeverShown) {
  const auto with = [](const std::string& url) {
    const ScopedEnvironment environment(ScopedEnvironment::Values{{"DISCORD_WEBHOOK_URL", url}});
    const auto config = Load({.path = kGood + "minimal.yaml"});
    return config ? std::string("fine") : Lines(config.error());
  };
  EXPECT_EQ(with("https://discord.com/api/webhooks/1/topsecret"), "fine");
  EXPECT_EQ(with("http://localhost:9/api/webhooks/1/topsecret"), "fine");
  EXPECT_EQ(with("http://[::1]:9/api/webhooks/1/topsecret"), "fine");
  for (const char* url : {"http://discord.com/api/webhooks/1/topsecret", "topsecret", "ftp://localhost/topsecret",
                          "http://localhost@evil.example/topsecret", "https://", "https://a b/topsecret",
                          "http://127.0.0.1.evil.example/topsecret"}) {
    const std::string lines = with(url);
    EXPECT_THAT(lines, HasSubstr("environment variable DISCORD_WEBHOOK_URL holds ")) << url;
    EXPECT_THAT(lines, testing::Not(HasSubstr("topsecret"))) << url;
  }
}

TEST_F(LoadTest, AWebhookFileMustBeReadable) {
  const Sources sources{.path = kGood + "minimal.yaml",
                        .sets = {"receivers=[{name: d, discord: {webhook_url_file: /no/such/file}}]"}};
  EXPECT_THAT(MustFail(sources), HasSubstr("file \"/no/such/file\" cannot be read: No such file or directory"));
}

TEST_F(LoadTest, ExternalUrlFollowsTheListenAddress) {
  const auto url = [](const std::string& listen) {
    return MustLoad({.path = kGood + "minimal.yaml", .sets = {"http.insecure_listen=true", "http.listen=" + listen}})
        .external_url;
  };
  EXPECT_EQ(url("127.0.0.1:8080"), "http://localhost:8080");
  EXPECT_EQ(url("0.0.0.0:8080"), "http://localhost:8080");
  EXPECT_EQ(url("192.0.2.7:8080"), "http://192.0.2.7:8080");
  EXPECT_EQ(url("\"[2001:db8::1]:8080\""), "http://[2001:db8::1]:8080");
}

TEST_F(LoadTest, StateDirectoryFollowsTheEnvironment) {
  const Sources sources{.path = kGood + "minimal.yaml"};
  const ScopedEnvironment home(ScopedEnvironment::Values{{"HOME", "/home/someone"}});
  EXPECT_EQ(MustLoad(sources).state_dir, "/home/someone/.local/state/spanwatch");
  const ScopedEnvironment xdg(ScopedEnvironment::Values{{"XDG_STATE_HOME", "/xdg"}});
  EXPECT_EQ(MustLoad(sources).state_dir, "/xdg/spanwatch");
  const ScopedEnvironment systemd(ScopedEnvironment::Values{{"STATE_DIRECTORY", "/var/lib/spanwatch"}});
  EXPECT_EQ(MustLoad(sources).state_dir, "/var/lib/spanwatch");
  EXPECT_EQ(MustLoad({.path = kGood + "minimal.yaml", .sets = {"state_dir="}}).state_dir, "");
}

}  // namespace
}  // namespace spanwatch::config
