#include "sidecar/ingest/ingest.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <deque>
#include <initializer_list>
#include <map>
#include <optional>
#include <thread>
#include <utility>

#include "sidecar/core/mutex.h"
#include "sidecar/ingest/answerer.h"
#include "sidecar/ingest/clock.h"
#include "sidecar/ingest/connections.h"
#include "sidecar/ingest/endpoint.h"
#include "sidecar/ingest/envelope.h"
#include "sidecar/ingest/frames.h"
#include "sidecar/ingest/recorder.h"
#include "sidecar/ingest/restore.h"
#include "sidecar/ingest/socket.h"
#include "sidecar/ingest/submit_queue.h"

namespace spanwatch::ingest {
namespace {

// Of the socket's messages, before the queue of Submit() and the grid have their turn.
constexpr int kMessagesPerRound = 64;
constexpr std::uint64_t kBytesPerRound = 1u << 20;
constexpr int kSubmitsPerRound = 16;
constexpr std::int64_t kExpiryIntervalNs = 10'000'000'000;
constexpr std::int64_t kLogIntervalNs = 30'000'000'000;
constexpr std::int64_t kClockIntervalNs = 3'600'000'000'000;
constexpr std::int64_t kMaxLingerNs = 200'000'000;
constexpr std::int64_t kJournalCloseNs = 1'000'000'000;
// The last acknowledgements wait so long for the journal.
constexpr std::int64_t kLastAckNs = 200'000'000;
// While nothing comes, the journal is told this often that the sidecar is there, as by the heartbeat of an SDK.
constexpr std::int64_t kIdleRecordNs = 1'000'000'000;

std::int64_t SteadyNs() {
  return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

class Ingest::Impl {
 public:
  Impl(Options options, core::Engine* engine)
      : options_(std::move(options)), engine_(engine), decoder_(options_.parse_reload) {}
  ~Impl() { Stop(1'000'000'000); }

  tl::expected<void, std::string> Start() EXCLUDES(mutex_) {
    if (socket_) return tl::unexpected(std::string("the receiver was started before"));
    auto result = Prepare();
    if (!result) {
      Release(0);
      return result;
    }
    stopping_.store(false);
    submits_.Open();
    thread_ = std::thread([this] { Run(); });
    return {};
  }

  void Stop(std::int64_t budget_ns) EXCLUDES(mutex_) {
    if (!thread_.joinable()) return;
    const std::int64_t end_ns = SteadyNs() + std::max<std::int64_t>(budget_ns, 0);
    drain_end_ns_.store(end_ns - budget_ns / 2);
    stopping_.store(true);
    socket_->Wake();
    thread_.join();
    submits_.Close();
    const std::int64_t rest_ns = std::clamp<std::int64_t>(end_ns - SteadyNs(), 0, kMaxLingerNs);
    Release(static_cast<int>(rest_ns / 1'000'000));
  }

  bool Submit(core::RecordKind kind, std::string bytes) {
    if (kind != core::RecordKind::kReload && kind != core::RecordKind::kOtlp) return false;
    return submits_.Submit(kind, std::move(bytes), [this] { socket_->Wake(); });
  }

  std::vector<std::string> BoundEndpoints() const EXCLUDES(mutex_) {
    MutexLock lock(&mutex_);
    return bound_;
  }

  Status GetStatus() const EXCLUDES(mutex_) {
    Status status;
    {
      MutexLock lock(&mutex_);
      status = published_;
    }
    status.submits_refused = submits_.refused();
    status.journal_configured = journal_ != nullptr;
    if (journal_ != nullptr) status.journal = journal_->status();
    return status;
  }

  const Folded& folded() const { return folded_; }

 private:
  enum Warning : std::size_t { kTableFull, kClock, kWarnings };

  struct Submitted {
    std::uint64_t index = 0;
    std::shared_ptr<SubmitQueue::Item> item;
    bool accepted = false;
  };
  struct Held {
    std::uint64_t index = 0;
    std::vector<core::Transition> transitions;
  };

  // --- Start and stop, on the caller's thread ---

  tl::expected<void, std::string> Prepare() EXCLUDES(mutex_) {
    auto socket = RouterSocket::Open(options_.max_message_bytes);
    if (!socket) return tl::unexpected(socket.error());
    socket_.emplace(std::move(*socket));
    if (auto result = OpenJournal(); !result) return result;
    if (auto result = BindAll(); !result) return result;
    if (!options_.record_path.empty()) {
      auto recorder = Recorder::Open(options_.record_path);
      if (!recorder) return tl::unexpected(recorder.error());
      recorder_ = std::move(*recorder);
    }
    connections_.emplace();
    answerer_.emplace(&*socket_, &*connections_);
    answerer_->SetSettings(SettingsOf(options_.limits));
    connections_->NumberFrom(folded_.last_connection);
    if (folded_.last_ns > 0) Append({++index_, clock_.Now(), core::RecordKind::kRestart, 0}, {}, {});
    if (recorder_.is_open() && folded_.last_ns > 0) RecordCheckpoint();
    if (!options_.first_reload.empty() && !SubmittedRecord(core::RecordKind::kReload, options_.first_reload)) {
      return tl::unexpected(std::string("the rules and limits to start with cannot be read"));
    }
    engine_->MarkStart();
    HandOnTransitions(UINT64_MAX);  // before Start() returns: from there on the engine's incidents are the known ones
    return {};
  }

  tl::expected<void, std::string> OpenJournal() {
    if (options_.journal_directory.empty()) return {};
    JournalOptions options;
    options.directory = options_.journal_directory;
    options.max_bytes = options_.journal_max_bytes;
    options.max_age_ns = options_.journal_max_age_ns;
    options.log = options_.log;
    auto journal = Journal::Open(std::move(options));
    if (!journal) return tl::unexpected(journal.error());
    journal_ = std::move(*journal);
    const std::int64_t begin_ns = SteadyNs();
    std::map<std::string, core::Transition> firing;
    Folder folder(&decoder_, engine_,
                  [&](std::vector<core::Transition> transitions) { Refold(std::move(transitions), &firing); });
    JournalReader reader = journal_->Read();
    core::RecordHeader header;
    std::string bytes;
    while (reader.Next(&header, &bytes)) folder.Fold(header, bytes);
    std::vector<core::Transition> still_firing;
    for (auto& [id, transition] : firing) still_firing.push_back(std::move(transition));
    if (!still_firing.empty() && options_.on_transitions) options_.on_transitions(std::move(still_firing));
    engine_->TakeNotices();  // were told when they happened
    folded_ = folder.result();
    if (!reader.damage().empty()) folded_.problems.push_back(reader.damage());
    folded_.duration_ns = SteadyNs() - begin_ns;
    reload_ = folded_.reload;
    index_ = folded_.last_index;
    applied_ns_ = folded_.last_ns;
    clock_.NotBefore(folded_.last_ns);
    journal_->SetWake([this] { socket_->Wake(); });
    BeginSegmentIfDue();
    return {};
  }

  // What the fold says again. Whoever delivers has most of it already; if he has nothing at all (a first start with
  // this journal, a database that was lost), what is over by now stays untold.
  void Refold(std::vector<core::Transition> transitions, std::map<std::string, core::Transition>* firing) {
    if (options_.committed_ns != INT64_MIN) {
      std::erase_if(transitions, [this](const auto& t) { return t.at_ns < options_.committed_ns; });
      if (!transitions.empty() && options_.on_transitions) options_.on_transitions(std::move(transitions));
      return;
    }
    for (core::Transition& transition : transitions) {
      if (transition.kind == core::TransitionKind::kResolved) {
        firing->erase(transition.incident.id);
      } else {
        (*firing)[transition.incident.id] = std::move(transition);
      }
    }
  }

  // A recording that begins with a restored engine says so; its traces begin empty.
  void RecordCheckpoint() {
    recorder_.Append({index_, applied_ns_, core::RecordKind::kCheckpoint, 0}, {MakeCheckpoint()});
  }

  void BeginSegmentIfDue() {
    if (journal_ == nullptr || !journal_->WantsSegment()) return;
    const std::int64_t now_ns = applied_ns_ != 0 ? applied_ns_ : clock_.Now();  // 0: nothing was applied yet
    journal_->BeginSegment({index_, now_ns, core::RecordKind::kCheckpoint, 0}, MakeCheckpoint());
  }

  std::string MakeCheckpoint() {
    const std::string engine = engine_->Checkpoint();
    return EncodeCheckpoint({reload_, connections_ ? connections_->last_number() : folded_.last_connection, engine});
  }

  std::uint64_t Acknowledged() const { return journal_ == nullptr ? UINT64_MAX : journal_->acknowledged(); }

  tl::expected<void, std::string> BindAll() EXCLUDES(mutex_) {
    std::vector<Endpoint> endpoints;
    if (options_.endpoints.empty()) {
      auto endpoint = FindDefaultSocket(SystemSocketDirectories());
      if (!endpoint) return tl::unexpected(endpoint.error());
      endpoints.push_back(std::move(*endpoint));
    }
    for (const std::string& uri : options_.endpoints) {
      auto endpoint = CheckEndpoint(uri);
      if (!endpoint) return tl::unexpected(endpoint.error());
      endpoints.push_back(std::move(*endpoint));
    }
    for (const Endpoint& endpoint : endpoints) {
      if (!endpoint.path.empty()) {
        auto lock = EndpointLock::Acquire(endpoint);
        if (!lock) return tl::unexpected(lock.error());
        locks_.push_back(std::move(*lock));
      }
      auto bound = socket_->Bind(endpoint);
      if (!bound) return tl::unexpected(bound.error());
      if (!endpoint.path.empty()) {
        socket_paths_.push_back(endpoint.path);
        if (auto result = SetSocketMode(endpoint); !result) return result;
      }
      MutexLock lock(&mutex_);
      bound_.push_back(*bound);
    }
    return {};
  }

  // The socket file goes before the lock: nobody else can have bound it yet. The object stays, for late Wake() calls.
  void Release(int linger_ms) EXCLUDES(mutex_) {
    if (socket_) socket_->Close(linger_ms);
    for (const std::string& path : socket_paths_) ::unlink(path.c_str());
    socket_paths_.clear();
    locks_.clear();
    recorder_.Close();
    if (journal_ != nullptr) journal_->Close(kJournalCloseNs);
    HandOnTransitions(UINT64_MAX);
    MutexLock lock(&mutex_);
    bound_.clear();
  }

  // --- The ingest thread ---

  void Run() EXCLUDES(mutex_) {
    while (!stopping_.load(std::memory_order_relaxed)) {
      if (!Round()) Wait();
    }
    // What has arrived is applied and acknowledged; what comes later the SDK keeps and sends to the next sidecar.
    while (SteadyNs() < drain_end_ns_.load() && Round()) {
    }
    const std::int64_t now_ns = clock_.Now();
    Append({++index_, now_ns, core::RecordKind::kTime, 0}, {}, {});
    FlushAnswers(now_ns);
    for (const std::int64_t end_ns = SteadyNs() + kLastAckNs;
         (answerer_->HoldsBack() || !submitted_.empty()) && SteadyNs() < end_ns;) {
      socket_->Wait(5);
      answerer_->Release(Acknowledged());
      FinishSubmits(Acknowledged());
    }
    for (Submitted& each : submitted_) each.accepted = false;
    FinishSubmits(UINT64_MAX);
    recorder_.Close();
    Publish();
  }

  // Accepted means applied and journaled.
  void FinishSubmits(std::uint64_t acknowledged) {
    for (; !submitted_.empty() && submitted_.front().index <= acknowledged; submitted_.pop_front()) {
      submits_.Done(submitted_.front().item, submitted_.front().accepted);
    }
  }

  // What a kill must not undo: told only once the record that gave rise to it is kept. Else the senders' repetition of
  // that record, at another time, would tell it again as something new.
  void HandOnTransitions(std::uint64_t acknowledged) {
    for (; !held_.empty() && held_.front().index <= acknowledged; held_.pop_front()) {
      if (options_.on_transitions) options_.on_transitions(std::move(held_.front().transitions));
    }
  }

  // Hands a record to whoever keeps it, and applies it.
  void Append(const core::RecordHeader& header, std::initializer_list<std::string_view> parts,
              const core::Decoded& decoded) {
    recorder_.Append(header, parts);
    if (journal_ != nullptr) journal_->Append(header, parts);
    Apply(header, decoded);
  }

  // False: nothing came.
  bool Round() EXCLUDES(mutex_) {
    bool busy = false;
    std::uint64_t bytes = 0;
    RouterSocket::Message message;
    for (int i = 0; i < kMessagesPerRound && bytes < kBytesPerRound && socket_->Receive(&message); ++i) {
      bytes += message.bytes;
      MessageRecord(message);
      busy = true;
    }
    for (int i = 0; i < kSubmitsPerRound; ++i) {
      const auto item = submits_.Take();
      if (!item) break;
      const bool accepted = SubmittedRecord(item->kind, item->bytes);
      recorder_.Flush();
      submitted_.push_back({index_, item, accepted});
      busy = true;
    }
    const std::int64_t now_ns = clock_.Now();
    Tick(now_ns);
    const std::uint64_t acknowledged = Acknowledged();
    FinishSubmits(acknowledged);
    HandOnTransitions(acknowledged);
    if (!held_.empty() && journal_ != nullptr) journal_->Hurry();
    if (answerer_->IsDue(now_ns)) {
      FlushAnswers(now_ns);
    } else if (answerer_->HoldsBack()) {
      recorder_.Flush();
      answerer_->Release(Acknowledged());
    }
    BeginSegmentIfDue();
    Publish();
    return busy;
  }

  void Wait() {
    const std::int64_t now_ns = clock_.Now();
    const std::int64_t due_ns = std::min(NextGridNs(), answerer_->DueNs());
    socket_->Wait((due_ns - now_ns + 999'999) / 1'000'000);
  }

  void MessageRecord(const RouterSocket::Message& message) {
    const std::int64_t now_ns = clock_.Now();
    ++status_.messages;
    status_.bytes += message.bytes;
    const Connection* connection = connections_->See(message.routing_id, now_ns);
    if (connection == nullptr) {
      ++status_.messages_refused;
      return Warn(kTableFull, now_ns, kLogIntervalNs,
                  "too many connections speak at once; messages of new ones are dropped");
    }
    const core::RecordHeader header{++index_, now_ns, core::RecordKind::kMessage, connection->number};
    if (message.error != nullptr) {
      const std::string bytes = MarkFrames(message.error);
      Append(header, {bytes}, decoder_.Decode(header, bytes));
    } else {
      const FramePrefix prefix = MakeFramePrefix(static_cast<std::uint32_t>(message.envelope.size()));
      Append(header, {{prefix.data(), prefix.size()}, message.envelope, message.payload},
             decoder_.DecodeMessage(message.envelope, message.payload));
    }
    answerer_->CountReceived(message.bytes);
  }

  bool SubmittedRecord(core::RecordKind kind, const std::string& bytes) {
    core::RecordHeader header{0, clock_.Now(), kind, 0};
    const core::Decoded decoded = decoder_.Decode(header, bytes);
    // What cannot be read makes no record: a fold must not stumble over it later.
    if (kind == core::RecordKind::kReload && decoded.error != nullptr) return false;
    header.index = ++index_;
    if (kind == core::RecordKind::kReload) reload_ = bytes;
    Append(header, {bytes}, decoded);
    if (decoded.limits) answerer_->SetSettings(SettingsOf(*decoded.limits));
    return true;
  }

  std::int64_t NextGridNs() const { return (applied_ns_ / core::kTickNs + 1) * core::kTickNs; }

  void Tick(std::int64_t now_ns) {
    if (now_ns < NextGridNs()) {
      if (now_ns / core::kTickNs == housekept_) return;
    } else {
      const std::uint64_t generation = engine_->Generation();
      Apply({0, now_ns, core::RecordKind::kTime, 0}, {});
      // A fold ends with the last record. What silence brought about must not be beyond its end.
      if (engine_->Generation() != generation || now_ns - recorded_ns_ >= kIdleRecordNs) {
        Append({++index_, now_ns, core::RecordKind::kTime, 0}, {}, {});
      }
    }
    // Once a grid step, whether records or this have moved the engine's time.
    housekept_ = now_ns / core::kTickNs;
    recorder_.Flush();
    for (const std::string& notice : engine_->TakeNotices()) {
      if (options_.log) options_.log(notice);
    }
    if (const std::string text = clock_.Complaint(); !text.empty()) Warn(kClock, now_ns, kClockIntervalNs, text);
    if (now_ns - expired_ns_ >= kExpiryIntervalNs) {
      expired_ns_ = now_ns;
      connections_->Expire(now_ns);
    }
  }

  void Apply(const core::RecordHeader& header, const core::Decoded& decoded) {
    applied_ns_ = header.now_ns;
    engine_->Apply(header, decoded);
    if (header.index != 0) {
      ++status_.records;
      recorded_ns_ = header.now_ns;
    }
    for (const core::Answer& answer : engine_->TakeAnswers()) answerer_->Take(answer, index_);
    std::vector<core::Transition> transitions = engine_->TakeTransitions();
    // Those of a tick without a record wait for the time record that follows it.
    if (!transitions.empty()) held_.push_back({index_ + (header.index == 0 ? 1 : 0), std::move(transitions)});
    std::vector<core::Completed> completed = engine_->TakeCompleted();
    if (!completed.empty() && options_.on_completed) options_.on_completed(std::move(completed));
  }

  // Acknowledged means recorded: the bytes are with the kernel before the SDK lets go of them.
  void FlushAnswers(std::int64_t now_ns) {
    recorder_.Flush();
    answerer_->Flush(now_ns);
    answerer_->Release(Acknowledged());
  }

  void Publish() EXCLUDES(mutex_) {
    if (!recorder_failed_ && !recorder_.failure().empty()) {
      recorder_failed_ = true;
      if (options_.log) options_.log(recorder_.failure());
    }
    status_.connections = connections_->size();
    status_.connections_expired = connections_->expired();
    status_.answers_sent = answerer_->sent();
    status_.answers_dropped = answerer_->dropped();
    status_.recorded_bytes = recorder_.bytes_written();
    status_.recorder_failed = recorder_failed_;
    MutexLock lock(&mutex_);
    published_ = status_;
  }

  void Warn(Warning warning, std::int64_t now_ns, std::int64_t every_ns, const std::string& text) {
    if (!options_.log || now_ns < next_warning_ns_[warning]) return;
    next_warning_ns_[warning] = now_ns + every_ns;
    options_.log(text);
  }

  // Constant after construction, or with synchronisation of their own.
  const Options options_;
  core::Engine* const engine_;
  SubmitQueue submits_;
  std::atomic<bool> stopping_{false};
  std::atomic<std::int64_t> drain_end_ns_{0};  // steady time
  std::thread thread_;

  // Of the thread in Start() before the ingest thread runs, then of that, then of the one in Stop().
  Decoder decoder_;
  std::optional<RouterSocket> socket_;
  std::vector<EndpointLock> locks_;
  std::vector<std::string> socket_paths_;
  Recorder recorder_;
  std::unique_ptr<Journal> journal_;  // null: memory only
  Folded folded_;
  std::deque<Submitted> submitted_;  // wait for the journal
  std::deque<Held> held_;            // the same
  std::string reload_;               // bytes of the latest kReload record
  bool recorder_failed_ = false;
  EngineClock clock_;
  std::optional<Connections> connections_;
  std::optional<Answerer> answerer_;
  std::uint64_t index_ = 0;
  std::int64_t applied_ns_ = 0;   // engine time of the last record
  std::int64_t recorded_ns_ = 0;  // of the last one with an index
  std::int64_t housekept_ = 0;    // grid step
  std::int64_t expired_ns_ = 0;
  std::array<std::int64_t, kWarnings> next_warning_ns_{};
  Status status_;

  mutable Mutex mutex_;
  std::vector<std::string> bound_ GUARDED_BY(mutex_);
  Status published_ GUARDED_BY(mutex_);
};

Ingest::Ingest(Options options, core::Engine* engine) : impl_(std::make_unique<Impl>(std::move(options), engine)) {}
Ingest::~Ingest() = default;
tl::expected<void, std::string> Ingest::Start() { return impl_->Start(); }
void Ingest::Stop(std::int64_t budget_ns) { impl_->Stop(budget_ns); }
bool Ingest::Submit(core::RecordKind kind, std::string bytes) { return impl_->Submit(kind, std::move(bytes)); }
std::vector<std::string> Ingest::BoundEndpoints() const { return impl_->BoundEndpoints(); }
Status Ingest::GetStatus() const { return impl_->GetStatus(); }
const Folded& Ingest::folded() const { return impl_->folded(); }

}  // namespace spanwatch::ingest
