#include "sidecar/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>

namespace spanwatch::app {
namespace {

constexpr const char* kExamples = R"(Examples:
  spanwatch serve                                  with ./config/spanwatch.yaml, /etc/spanwatch/spanwatch.yaml or the defaults
  spanwatch serve --set http.listen=127.0.0.1:8080
  spanwatch check config/spanwatch.yaml rules/*.yaml
  spanwatch test tests/rules/*.yaml                rule tests in virtual time
  spanwatch replay JOURNAL --rules rules/mine.yaml what these rules would have said of yesterday
  spanwatch doctor --send-test                     is everything well, and does Discord get messages?

A subcommand's own help: spanwatch serve --help. Documentation: docs/configuration.md, docs/rules.md,
docs/rule-tests.md, docs/operations.md.)";

constexpr const char* kServeFooter = R"(Order of what holds: --set, environment, --profile, file, default.
Environment: TRACING_MAX_TRACES, TRACING_TRACE_TTL, TRACING_SLOW_THRESHOLD, TRACING_MEMORY_LIMIT, LOG_LEVEL,
TRACING_LOG_LEVEL, and DISCORD_WEBHOOK_URL for the webhook.
Signals: SIGHUP loads the configuration again, SIGTERM and SIGINT stop.

Examples:
  spanwatch serve --config /etc/spanwatch/spanwatch.yaml
  spanwatch serve --profile development --set 'thresholds.slow=[200ms, 1s]'
  spanwatch serve --record spans.rec               writes every input to a file for `spanwatch replay`)";

constexpr const char* kCheckFooter = R"(Examples:
  spanwatch check                                  what `spanwatch serve` would load, with environment and webhook
  spanwatch check rules/*.yaml config/spanwatch.yaml

Exit status 0: no problem. 1: problems, one a line as file:line:column: what, what is allowed.)";

constexpr const char* kTestFooter =
    R"(Spans in, virtual time, expected alerts and Discord messages: docs/rule-tests.md. Nothing is
sent; hours take milliseconds; the same file gives the same result everywhere.

Examples:
  spanwatch test tests/rules/*.yaml
  spanwatch test mine.yaml --only 'slow' --show    also what happened, with the messages

Exit status 0: all passed. 1: a test failed, or a file has mistakes (file:line:column: what, what is allowed).)";

constexpr const char* kReplayFooter =
    R"(Journals and recordings bring the rules that were in force; --rules takes others instead, and
shows what they would have said. For OTLP spans those of the configuration or of --rules hold, and
each span is applied at the time at which it ended.

On a terminal (or with --text): a table of the alerts, how far back it reaches, and the messages as
Discord would show them. Else (or with --json): one line of JSON for each alert transition and a
last one with statistics and digest: equal input gives equal output.

Examples:
  spanwatch replay ~/.local/state/spanwatch/journal --rules rules/mine.yaml
  spanwatch replay traces.json --set 'thresholds.slow=[200ms, 1s]' --messages 3
  spanwatch replay spans.rec --json | tail -n 1)";

constexpr const char* kDoctorFooter =
    R"(One line a check: ok, warning or failed, with what to do. Looks at configuration, rules, ports,
socket, clock, disk and receivers, and at the running sidecar: its status, a sample span that it
is sent, a scrape. Works without a running sidecar too. Never shows a secret.

Examples:
  spanwatch doctor
  spanwatch doctor --config /etc/spanwatch/spanwatch.yaml --send-test   posts a sample to each receiver

Exit status 0: nothing failed. 1: something did.)";

void AddSources(CLI::App* command, config::Sources* sources) {
  command->add_option("--config", sources->path, "configuration file (YAML)")->type_name("FILE");
  command->add_option("--profile", sources->profile, "lays profiles/NAME.yaml, beside the file, over it")
      ->type_name("NAME");
  command->add_option("--set", sources->sets, "sets one key, as in store.ttl=1h; VALUE is YAML; may be repeated")
      ->type_name("KEY=VALUE")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

CLI::App* AddReplay(CLI::App* app, std::string* path, CommandLine* result) {
  CLI::App* replay =
      app->add_subcommand("replay", "Fold a journal, a recording or OTLP spans; tell the alerts they give");
  replay
      ->add_option("PATH", *path,
                   "a journal's directory, a file of serve --record, or OTLP (JSON, JSON lines, protobuf)")
      ->required()
      ->type_name("");
  replay->add_option("--rules", result->rule_files, "these rules (after PATH) instead of those that were in force")
      ->type_name("FILE");
  CLI::Option* json = replay->add_flag_callback(
      "--json", [result] { result->output = Output::kJson; }, "lines of JSON, as in a pipe");
  replay
      ->add_flag_callback(
          "--text", [result] { result->output = Output::kText; }, "a table and messages, as on a terminal")
      ->excludes(json);
  replay->add_option("--messages", result->max_messages, "messages to show at most")
      ->type_name("N")
      ->capture_default_str();
  AddSources(replay, &result->sources);
  replay->footer(kReplayFooter);
  return replay;
}

bool IsCommand(const CLI::App& app, const std::string& name) {
  const auto commands = app.get_subcommands([](const CLI::App*) { return true; });
  return std::any_of(commands.begin(), commands.end(), [&](const CLI::App* each) { return each->get_name() == name; });
}

std::string CommandNames(const CLI::App& app) {
  std::string names;
  for (const CLI::App* each : app.get_subcommands([](const CLI::App*) { return true; })) {
    names += (names.empty() ? "" : ", ") + each->get_name();
  }
  return names;
}

// The first word that is no flag is the subcommand; CLI11 says of an unknown one only that one is required.
bool RefuseUnknownCommand(const CLI::App& app, int argc, const char* const* argv) {
  const std::string word = argc < 2 ? "" : argv[1];
  if (word.empty() || word[0] == '-' || IsCommand(app, word)) return false;
  std::cerr << "spanwatch: unknown subcommand \"" << word << "\"; allowed: " << CommandNames(app)
            << "\nspanwatch --help says what each does.\n";
  return true;
}

// What CLI11 says, and the help of the subcommand that it is about.
int RefuseArguments(const CLI::App& app, const CLI::ParseError& error) {
  const auto parsed = app.get_subcommands();
  const std::string command = parsed.empty() ? "spanwatch" : "spanwatch " + parsed.front()->get_name();
  std::cerr << command << ": " << error.what() << "\n" << command << " --help lists what is allowed.\n";
  return kExitUsage;
}

}  // namespace

std::variant<CommandLine, int> ParseCommandLine(int argc, const char* const* argv) {
  CommandLine result;
  CLI::App app("Spanwatch tells what is slow, failing, stuck or leaking: from spans to /metrics and Discord.",
               "spanwatch");
  app.set_version_flag("--version", std::string("spanwatch ") + SPANWATCH_VERSION);
  app.require_subcommand(1);
  app.footer(kExamples);

  CLI::App* serve = app.add_subcommand("serve", "Run the sidecar");
  AddSources(serve, &result.sources);
  serve->add_option("--record", result.record_path, "write every input to this new file")->type_name("FILE");
  serve->footer(kServeFooter);

  CLI::App* check = app.add_subcommand("check", "Check configuration and rule files");
  check->add_option("FILE", result.files, "files to check; none: what serve would load")->type_name("");
  AddSources(check, &result.sources);
  check->footer(kCheckFooter);

  CLI::App* test = app.add_subcommand("test", "Run rule tests: spans in, virtual time, expected alerts and messages");
  test->add_option("FILE", result.files, "files with tests")->required()->type_name("");
  test->add_option("--only", result.only, "run the tests whose name contains this")->type_name("TEXT");
  test->add_flag("--show", result.show, "tell what happened in each test, with the messages");
  test->footer(kTestFooter);

  std::string recording;
  CLI::App* replay = AddReplay(&app, &recording, &result);

  CLI::App* doctor = app.add_subcommand("doctor", "Look for what is wrong, and say what to do");
  AddSources(doctor, &result.sources);
  doctor->add_flag("--send-test", result.send_test, "post a sample alert to each receiver");
  doctor->footer(kDoctorFooter);

  CLI::App* version = app.add_subcommand("version", "Print the version");
  if (argc < 2) {
    std::cerr << app.help();
    return kExitUsage;
  }
  if (RefuseUnknownCommand(app, argc, argv)) return kExitUsage;
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {  // --help, --version
    return app.exit(asked);
  } catch (const CLI::ParseError& error) {
    return RefuseArguments(app, error);
  }
  if (serve->parsed()) result.command = Command::kServe;
  if (check->parsed()) result.command = Command::kCheck;
  if (replay->parsed()) {
    result.command = Command::kReplay;
    result.files = {recording};
  }
  if (test->parsed()) result.command = Command::kTest;
  if (doctor->parsed()) result.command = Command::kDoctor;
  if (version->parsed()) result.command = Command::kVersion;
  return result;
}

}  // namespace spanwatch::app
