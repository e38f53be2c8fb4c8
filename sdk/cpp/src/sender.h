// The sender thread: reads the rings, encodes, keeps and sends batches, speaks the wire protocol.
#ifndef SPANWATCH_SDK_CPP_SRC_SENDER_H_
#define SPANWATCH_SDK_CPP_SRC_SENDER_H_

#include <atomic>
#include <cstdint>
#include <string>

#include "sdk/cpp/src/clock.h"
#include "sdk/cpp/src/config.h"
#include "sdk/cpp/src/envelope.h"
#include "sdk/cpp/src/memory_sampler.h"
#include "sdk/cpp/src/mutex.h"
#include "sdk/cpp/src/otlp_encoder.h"
#include "sdk/cpp/src/outbox.h"
#include "sdk/cpp/src/redactor.h"
#include "sdk/cpp/src/thread_block.h"
#include "sdk/cpp/src/transport.h"

namespace spanwatch::internal {

// What the sender tells others, and how it is told to stop. Threads: any.
struct SenderStatus {
  std::atomic<std::uint64_t> batched{0}, delivered{0}, evicted{0}, memory_drops{0}, shutdown_drops{0};
  std::atomic<std::uint64_t> no_descriptors{0};
  std::atomic<std::uint64_t> own_bytes{0}, cpu_ns{0}, reconnects{0}, refused{0}, redacted{0};
  // Of the fullest ring, in 1/1000000 of it: at the last look, and since the beginning.
  std::atomic<std::uint32_t> ring_fill{0}, highest_ring_fill{0};
  std::atomic<bool> connected{false};
  // Monotonic time; 0: go on. Written once, by Shutdown().
  std::atomic<std::int64_t> stop_by_ns{0};

  Mutex mutex;
  std::string endpoint GUARDED_BY(mutex);
  std::string problems GUARDED_BY(mutex);
  std::string no_answer GUARDED_BY(mutex);  // while nobody answers: a line that says so, and why

  // Keeps each text once, 4 KiB in all.
  void AddProblem(const std::string& problem) EXCLUDES(mutex);
};

// Threads: one runs Run(); the constructor and destructor belong to whoever starts and joins it.
class Sender {
 public:
  // May throw std::bad_alloc.
  Sender(const Config& config, SenderStatus* status);

  // Until status->stop_by_ns is set and what can be delivered by then is.
  void Run() noexcept;

 private:
  enum class State { kDown, kHello, kUp };

  // One turn of the loop. May throw std::bad_alloc, which costs what it was about and nothing else.
  void Turn();
  void NoteNoMemory() noexcept;
  int TimeoutMs(std::int64_t now) const noexcept;

  // Rings to batches.
  bool DrainDue(std::int64_t now) noexcept;
  void Drain(std::int64_t now);
  double DrainBlock(ThreadBlock* block);  // returns how full its ring was, 0..1
  void NoteRingFill(double fullest) noexcept;
  void AddRecord(const RecordView& record);
  void CloseBatch();

  // Connection.
  void StepConnection(std::int64_t now);
  void SetAnswered() noexcept;
  void Connect(std::int64_t now);
  void Disconnect(std::int64_t now);
  void ReceiveAnswers(std::int64_t now);
  void OnAnswer(const Answer& answer, std::int64_t now);
  void OnResend(std::uint64_t applied, std::int64_t now);
  void OnClosed(std::int64_t now);
  void OnRefused(const Answer& answer, std::int64_t now);
  void AdoptSettings(const Answer& answer) noexcept;

  // Messages.
  Counters CurrentCounters() const noexcept;
  Envelope MakeEnvelope(EnvelopeKind kind) const noexcept;
  bool Send(const Envelope& envelope, Payload* payload) noexcept;
  void SendBatches();
  void SendHeartbeat();
  void ResendIfStalled() noexcept;
  void SendOpenSpans();
  void CollectOpenSpans();
  bool AddOpenSpan(const Slot& slot, std::uint64_t started_before);
  void Goodbye(std::int64_t now) noexcept;

  bool Finished(std::int64_t now) const noexcept;
  void Publish() noexcept;

  const Config config_;
  SenderStatus* const status_;
  ClockConverter clock_;
  MemorySampler memory_;
  ProcessId process_id_;  // the first one is also service.instance.id
  Redactor redactor_;
  OtlpEncoder encoder_;
  Outbox outbox_;
  Transport transport_;
  ByteBuffer envelope_bytes_;
  std::string answer_bytes_;

  Counters base_;      // what earlier process ids have reported
  Counters reported_;  // in the last envelope of this one
  State state_ = State::kDown;
  std::int64_t retry_at_ = 0;
  std::int64_t backoff_ns_ = 0;
  std::int64_t hello_deadline_ = 0;
  std::int64_t last_answer_ = 0;
  std::int64_t next_second_ = 0;
  std::int64_t last_drain_ = 0;
  std::int64_t last_sample_ = 0;  // of the process's memory
  std::int64_t last_calibration_ = 0;
  bool wake_soon_ = false;
  bool open_list_sent_ = false;
  double ring_fill_ = 0;  // the fullest ring since the last heartbeat, 0..1
  std::uint64_t resent_above_ = UINT64_MAX;
  std::int64_t resent_at_ = 0;
  std::uint64_t refused_oldest_ = 0;
  std::uint64_t memory_drops_ = 0;
  std::uint64_t slow_threshold_ns_ = 0;
  bool stopping_ = false;
  bool gave_up_ = false;  // no sidecar to be found since stopping
  bool was_up_ = false;
  int closed_in_a_row_ = 0;
  std::uint64_t progress_ = 0;  // acknowledged sequence at the last heartbeat
  int stalled_seconds_ = 0;
};

}  // namespace spanwatch::internal

#endif  // SPANWATCH_SDK_CPP_SRC_SENDER_H_
