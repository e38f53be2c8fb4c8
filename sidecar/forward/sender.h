// The sender's loop: posts batches, one after the other, and repeats what may be repeated. Internal to forward/.
// One thread, which calls nothing from outside forward/ and client/: it may be left behind when a name lookup hangs.
#ifndef SPANWATCH_SIDECAR_FORWARD_SENDER_H_
#define SPANWATCH_SIDECAR_FORWARD_SENDER_H_

#include <memory>
#include <optional>
#include <string>

#include "sidecar/forward/shared.h"
#include "sidecar/forward/target.h"

namespace spanwatch::forward {

class Sender {
 public:
  explicit Sender(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}

  // Until everything is sent after Shared::BeginStop(), or its deadline.
  void Run();

 private:
  void Adopt(Options options);
  void Attempt();
  void OnReply(const client::Response& response);
  void End(std::optional<Reason> dropped, std::uint64_t rejected_spans);
  void Tell(const std::string& error, bool failed);

  const std::shared_ptr<Shared> shared_;
  Options options_;
  std::optional<Target> target_;  // none: off
  std::shared_ptr<client::HttpClient> client_;
  std::optional<RetryPolicy> policy_;
  std::optional<Batch> batch_;  // at hand
  std::string wire_;            // its body as it is sent; empty: not made yet
  bool zipped_ = false;
  bool tried_ = false;
  bool told_failing_ = false;
};

}  // namespace spanwatch::forward

#endif  // SPANWATCH_SIDECAR_FORWARD_SENDER_H_
