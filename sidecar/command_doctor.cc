// `spanwatch doctor`: one line a check.
#include <csignal>
#include <cstdio>

#include "sidecar/app.h"
#include "sidecar/command_line.h"
#include "sidecar/doctor.h"
#include "sidecar/terminal.h"

namespace spanwatch::app {
namespace {

// Some of it was told by others: no escape sequences but our own.
std::string Printable(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) c = ' ';
  }
  return text;
}

class Printer {
 public:
  void Print(const Finding& finding) {
    std::string word, advice;
    switch (finding.status) {
      case FindingStatus::kOk:
        word = paint_.Green("ok     ");
        break;
      case FindingStatus::kWarning:
        word = paint_.Yellow("warning");
        ++warnings_;
        break;
      case FindingStatus::kFailed:
        word = paint_.Red("failed ");
        ++failed_;
        break;
      case FindingStatus::kSkipped:
        word = paint_.Dim("skipped");
        break;
    }
    std::string check = finding.check;
    check.resize(std::max<std::size_t>(check.size() + 1, 14), ' ');
    std::printf("%s  %s%s", word.c_str(), paint_.Bold(check).c_str(), Printable(finding.text).c_str());
    if (!finding.advice.empty()) std::printf(". What to do: %s", Printable(finding.advice).c_str());
    std::printf("\n");
    std::fflush(stdout);
  }

  int Finish() const {
    std::printf("%zu failed, %zu warning%s\n", failed_, warnings_, warnings_ == 1 ? "" : "s");
    return failed_ == 0 && std::fflush(stdout) == 0 ? 0 : kExitFailed;
  }

 private:
  const Paint paint_{STDOUT_FILENO};
  std::size_t failed_ = 0, warnings_ = 0;
};

}  // namespace

int RunDoctor(const CommandLine& command_line) {
  std::signal(SIGPIPE, SIG_IGN);
  Printer printer;
  auto config = LoadConfig(command_line.sources);
  if (!config) {
    for (const config::Problem& problem : config.error()) {
      printer.Print({FindingStatus::kFailed, "configuration", problem.ToString(), ""});
    }
    printer.Print({FindingStatus::kSkipped, "all else", "needs a configuration without mistakes", ""});
    return printer.Finish();
  }
  Doctor doctor(std::move(*config), [&](const Finding& finding) { printer.Print(finding); });
  doctor.Examine(command_line.send_test);
  return printer.Finish();
}

}  // namespace spanwatch::app
