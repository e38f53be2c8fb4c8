// What `spanwatch doctor` finds: one finding a check, each with what to do. Looks, and changes nothing but for a sample
// span and, if asked, a sample alert. No finding contains a secret. One thread.
#ifndef SPANWATCH_SIDECAR_DOCTOR_H_
#define SPANWATCH_SIDECAR_DOCTOR_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "sidecar/config/config.h"

namespace spanwatch::notify {
class Channel;
}

namespace spanwatch::app {

enum class FindingStatus : std::uint8_t { kOk, kWarning, kFailed, kSkipped };  // skipped: needs a running sidecar

struct Finding {
  FindingStatus status = FindingStatus::kOk;
  std::string check;   // "port", "socket", ...
  std::string text;    // what was found
  std::string advice;  // what to do; empty: nothing
};
using OnFinding = std::function<void(Finding)>;

// What the running sidecar says of itself.
struct RunningReceiver {
  std::string name;
  bool posting = false;    // it has an address there
  std::string last_error;  // empty: the last request was well
};
struct RunningSidecar {
  bool answers = false;  // on http.listen, as a Spanwatch does
  std::string version, config_file, started;
  bool ready = false, reload_successful = true;
  std::string reload_error;
  std::string otlp_listen, state_dir;  // empty: off
  std::vector<std::string> endpoints;
  bool journal_on = true, outbox_on = true, outbox_writable = true;
  std::string journal_problem, outbox_problem;
  std::vector<RunningReceiver> receivers;
};

class Doctor {
 public:
  Doctor(config::Config config, OnFinding on_finding) : config_(std::move(config)), report_(std::move(on_finding)) {}

  // All checks, in order.
  void Examine(bool send_test);

 private:
  // doctor.cc
  void CheckRules();
  void CheckPort();
  void CheckOtlpPort();
  void CheckReload();
  bool CanBind(const char* check, const config::ListenAddress& address, const char* key);
  // doctor_local.cc
  void CheckSocket();
  void CheckSocketFile(const std::string& path);
  void CheckClock(std::int64_t moved_ns);
  void CheckDisk();
  void CheckJournal();
  // doctor_sample.cc
  void CheckSample();
  void CheckScrape();
  bool SendSample(const std::string& endpoint, const std::string& trace_id);
  // doctor_receivers.cc
  void CheckReceivers(bool send_test);
  void CheckReceiver(const core::Receiver& receiver, bool send_test);
  void CheckWithoutAddress(const core::Receiver& receiver, const std::string& name);
  bool AskDiscord(const notify::Channel& channel, const std::string& name);

  void Ok(const char* check, std::string text) { report_({FindingStatus::kOk, check, std::move(text), ""}); }
  void Warn(const char* check, std::string text, std::string advice) {
    report_({FindingStatus::kWarning, check, std::move(text), std::move(advice)});
  }
  void Fail(const char* check, std::string text, std::string advice) {
    report_({FindingStatus::kFailed, check, std::move(text), std::move(advice)});
  }
  void Skip(const char* check, std::string text) { report_({FindingStatus::kSkipped, check, std::move(text), ""}); }

  const config::Config config_;
  const OnFinding report_;
  RunningSidecar sidecar_;
};

// Where the sockets of this user's programs may be, in the order in which the SDK looks.
std::vector<std::string> SocketCandidates();

}  // namespace spanwatch::app

#endif  // SPANWATCH_SIDECAR_DOCTOR_H_
