#include "sidecar/core/ledger.h"

#include <algorithm>
#include <tuple>

namespace spanwatch::core {
namespace {

constexpr std::size_t kMaxReasons = 40;  // names of drops that one process may bring
constexpr std::size_t kMaxNameBytes = 128;
constexpr std::int64_t kEpisodeGapNs = 10'000'000'000;  // losses closer together are one episode
constexpr std::ptrdiff_t kMaxLivingPerConnection = 4;   // an SDK has one, or for a moment two after a fork or a closing
constexpr std::uint64_t kMaxBelievable = 1ull << 48;    // spans; a counter above it is a lie

std::string Cut(std::string_view text) { return std::string(text.substr(0, kMaxNameBytes)); }

std::string Prefix(const ProcessId& id) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (int i = 0; i < 4; ++i) {
    text += kDigits[id[static_cast<std::size_t>(i)] >> 4];
    text += kDigits[id[static_cast<std::size_t>(i)] & 15];
  }
  return text;
}

std::uint64_t Since(std::uint64_t value, std::uint64_t base) { return value > base ? value - base : 0; }

}  // namespace

void Ledger::Lose(Process* process, std::string_view reason, std::uint64_t spans) {
  const std::string* const name = CountLost(process, reason, spans);
  if (name == nullptr) return;
  auto& episodes = process->episodes;
  const auto same =
      std::find_if(episodes.rbegin(), episodes.rend(), [&](const Episode& e) { return e.reason == *name; });
  if (same != episodes.rend() && now_ns_ - same->last_ns <= kEpisodeGapNs) {
    same->last_ns = now_ns_;
    same->spans += spans;
    return;
  }
  if (episodes.size() >= kMaxEpisodes) episodes.pop_front();
  episodes.push_back({*name, now_ns_, now_ns_, spans});
}

// The reason under which they are counted; null: there are none.
const std::string* Ledger::CountLost(Process* process, std::string_view reason, std::uint64_t spans) {
  if (spans == 0) return nullptr;
  auto it = process->lost.find(reason);
  if (it == process->lost.end()) {
    it = process->lost.emplace(process->lost.size() < kMaxReasons ? std::string(reason) : "other", 0).first;
  }
  it->second += spans;
  total_lost_ += spans;
  RecentAt(now_ns_, &process->recent_lost).figure += spans;
  return &it->first;
}

// What a process had not told when it died belongs to the time of its last sign, and to that of what it had open. How
// much it was nobody knows, so it is noted even if nothing is known to be lost.
void Ledger::Die(Process* process) {
  process->tail_unknown = true;
  const std::uint64_t spans = Since(process->reported_batched, process->judged_batched);
  CountLost(process, "died", spans);
  process->judged_batched = std::max(process->judged_batched, process->reported_batched);
  Episode last{"died", process->last_seen_ns, process->last_seen_ns, spans};
  for (const OpenSpan& open : process->open)
    last.first_ns = std::min(last.first_ns, std::max(open.start_ns, process->last_seen_ns - kRecentNs));
  if (process->episodes.size() >= kMaxEpisodes) process->episodes.pop_front();
  process->episodes.push_back(std::move(last));
  Close(State::kDied, "died", process);
}

// Else the one with empty books that was heard of longest ago: a flood of names keeps nobody out, and a living process
// that goes this way is known again, with nothing missing, when it speaks.
void Ledger::ForgetOldestClosed() {
  auto oldest = processes_.end(), empty = processes_.end();
  for (auto it = processes_.begin(); it != processes_.end(); ++it) {
    const Process& process = it->second;
    const bool over = process.state == State::kClosed || process.state == State::kDied;
    if (over && (oldest == processes_.end() || process.serial < oldest->second.serial)) oldest = it;
    if (over || !process.HasEmptyBooks()) continue;
    if (empty == processes_.end() || process.last_seen_ns < empty->second.last_seen_ns) empty = it;
  }
  if (oldest == processes_.end()) oldest = empty;
  if (oldest == processes_.end()) return;
  ForgetOpen(&oldest->second);
  past_emitted_ += oldest->second.Emitted();
  past_applied_ += oldest->second.applied;
  past_sampled_out_ += oldest->second.sampled_out;
  for (const auto& [reason, spans] : oldest->second.lost) past_lost_[reason] += spans;
  processes_.erase(oldest);
}

// A process that is not known starts its ledger where its last acknowledgement (by an earlier life of ours) stood.
Ledger::Process* Ledger::Obtain(const RecordHeader& header, const EnvelopeView& envelope) {
  if (const auto it = processes_.find(envelope.process_id); it != processes_.end()) return &it->second;
  if (processes_.size() >= max_processes_) ForgetOldestClosed();
  // Nobody may fill the table with ids of his own making.
  const auto mine = std::count_if(processes_.begin(), processes_.end(), [&](const auto& entry) {
    const State state = entry.second.state;
    return entry.second.connection == header.connection && state != State::kClosed && state != State::kDied;
  });
  if (processes_.size() >= max_processes_ || mine >= kMaxLivingPerConnection) {
    ++refused_processes_;
    return nullptr;
  }
  Process& process = processes_[envelope.process_id];
  process.serial = ++serial_;
  process.connection = header.connection;
  if (envelope.has_acknowledged) {
    const Totals& base = envelope.acknowledged;
    process.judged_sequence = base.sequence;
    process.judged_batched = process.base_batched = process.reported_batched = base.batched;
    process.base_sampled_out = base.sampled_out;
    for (const Drop& drop : base.drops) process.base_drops[std::string(drop.reason)] = drop.spans;
  }
  return &process;
}

void Ledger::TakeIdentity(const Decoded& decoded, Process* process) {
  if (decoded.spans == nullptr || decoded.spans->resources.empty()) return;
  const ResourceView& resource = decoded.spans->resources.front();
  if (process->service != resource.service_name.substr(0, kMaxNameBytes)) process->service = Cut(resource.service_name);
  if (process->instance != resource.instance_id.substr(0, kMaxNameBytes)) process->instance = Cut(resource.instance_id);
}

// We said that we had more than we know of: our journal was memory only when we died, or was damaged since. The process
// has let go of it, so it is lost here, and not by any buffer's fault.
void Ledger::TakeAcknowledged(const EnvelopeView& envelope, Process* process) {
  const Totals& known = envelope.acknowledged;
  if (!envelope.has_acknowledged || known.sequence <= process->judged_sequence || known.batched >= kMaxBelievable ||
      known.batched < process->judged_batched) {
    return;
  }
  Lose(process, "journal_gap", known.batched - process->judged_batched);
  process->judged_sequence = known.sequence;
  process->judged_batched = known.batched;
}

// Cumulative counters only rise; one that falls or is absurd is not believed.
void Ledger::TakeCounters(const EnvelopeView& envelope, Process* process) {
  const std::uint64_t sampled_out = Since(envelope.sampled_out, process->base_sampled_out);
  if (sampled_out < kMaxBelievable) process->sampled_out = std::max(process->sampled_out, sampled_out);
  for (const Drop& drop : envelope.drops) {
    const auto base = process->base_drops.find(drop.reason);
    const std::uint64_t spans = Since(drop.spans, base == process->base_drops.end() ? 0 : base->second);
    const auto known = process->lost.find(drop.reason);
    const std::uint64_t before = known == process->lost.end() ? 0 : known->second;
    if (spans > before && spans < kMaxBelievable) {
      Lose(process, drop.reason, spans - before);
      process->dropped += spans - before;
    }
  }
  const std::uint64_t batched =
      envelope.batched_before + (envelope.kind == EnvelopeKind::kSpans ? envelope.span_count : 0);
  if (batched < kMaxBelievable) process->reported_batched = std::max(process->reported_batched, batched);
}

// The entry of this slot, made if it is not there; what is too old goes.
Ledger::Recent& Ledger::RecentAt(std::int64_t now_ns, std::deque<Recent>* recent) {
  const std::int64_t slot = now_ns / kRecentSlotNs;
  while (!recent->empty() && recent->front().slot <= slot - kRecentNs / kRecentSlotNs) recent->pop_front();
  if (recent->empty() || recent->back().slot != slot) recent->push_back({slot, 0});
  return recent->back();
}

void Ledger::TakeHeartbeat(const EnvelopeView& envelope, Process* process) {
  process->rss_bytes = envelope.rss_bytes;
  if (process->first_heartbeat_ns == 0) process->first_heartbeat_ns = now_ns_;
  if (envelope.rss_bytes > 0 && now_ns_ - process->first_heartbeat_ns >= kRecentNs) {
    Recent& rss = RecentAt(now_ns_, &process->recent_rss);
    if (rss.figure == 0) rss.figure = envelope.rss_bytes;
  }
  process->sdk_bytes = envelope.sdk_bytes;
  process->sdk_cpu_ns = envelope.sdk_cpu_ns;
  process->sdk_ring_fill = envelope.sdk_ring_fill;
  process->sdk_sample_rate = envelope.sdk_sample_rate;
  process->gauges.clear();
  for (const GaugeView& gauge : envelope.gauges) {
    ProcessView::Gauge copy{Cut(gauge.name), {}, gauge.value};
    for (const auto& [name, value] : gauge.labels) copy.labels.push_back({Cut(name), Cut(value)});
    process->gauges.push_back(std::move(copy));
  }
}

// What lies below the oldest batch still held, and was never applied, is gone; how many spans that is shows the number
// of spans batched before it.
void Ledger::SkipTo(const EnvelopeView& envelope, Process* process) {
  Lose(process, "buffer_full", Since(envelope.batched_before, process->judged_batched));
  process->judged_batched = std::max(process->judged_batched, envelope.batched_before);
}

bool Ledger::OnBatch(const EnvelopeView& envelope, Process* process, AnswerKind* answer) {
  *answer = AnswerKind::kAck;
  const std::uint64_t next = process->judged_sequence + 1;
  if (envelope.sequence < next) return false;  // a repeat: acknowledged again, applied once
  const bool gap_is_final = envelope.oldest_held >= envelope.sequence;
  if (envelope.sequence > next && !gap_is_final) {
    *answer = AnswerKind::kResend;
    return false;
  }
  const bool absurd = envelope.batched_before < process->judged_batched || envelope.batched_before >= kMaxBelievable ||
                      (envelope.sequence == next && envelope.batched_before != process->judged_batched);
  if (absurd) {
    *answer = AnswerKind::kRefused;
    return false;
  }
  SkipTo(envelope, process);
  process->judged_sequence = envelope.sequence;
  process->judged_batched += envelope.span_count;
  return true;
}

void Ledger::Close(State state, const char* reason, Process* process) {
  Lose(process, reason, Since(process->reported_batched, process->judged_batched));
  process->judged_batched = std::max(process->judged_batched, process->reported_batched);
  process->state = state;
  process->open_spans = 0;
  process->gauges.clear();
  ForgetOpen(process);
}

bool Ledger::OnEnvelope(const RecordHeader& header, const EnvelopeView& envelope, const Decoded& decoded,
                        std::vector<Answer>* answers) {
  now_ns_ = header.now_ns;
  Answer answer{header.connection, AnswerKind::kAck, envelope.process_id, 0, ""};
  Process* process = Obtain(header, envelope);
  const auto finish = [&](AnswerKind kind, const char* reason) {
    answer.kind = kind;
    answer.reason = reason;
    answer.applied = process == nullptr ? 0 : process->judged_sequence;
    answers->push_back(answer);
  };
  if (process == nullptr) {
    finish(AnswerKind::kRefused, "too_many_processes");
    return false;
  }
  if (process->state == State::kClosed || process->state == State::kDied) {
    finish(AnswerKind::kClosed, "");
    return false;
  }
  if (envelope.kind == EnvelopeKind::kHello) {
    process->connection = header.connection;  // a new connection of the same process takes over
  } else if (process->connection != header.connection) {
    finish(AnswerKind::kRefused, "other_connection");
    return false;
  }
  process->state = State::kAlive;
  process->last_seen_ns = header.now_ns;
  next_due_ = std::min(next_due_, header.now_ns + kSilentAfterNs);
  TakeIdentity(decoded, process);
  TakeAcknowledged(envelope, process);

  bool apply = false;
  AnswerKind kind = AnswerKind::kAck;
  if (envelope.kind == EnvelopeKind::kSpans) {
    apply = OnBatch(envelope, process, &kind);
  } else if (envelope.kind == EnvelopeKind::kHello) {
    kind = AnswerKind::kWelcome;
  }
  if (kind == AnswerKind::kRefused) {
    finish(kind, "inconsistent_counters");
    return false;
  }
  TakeCounters(envelope, process);
  if (envelope.kind == EnvelopeKind::kHeartbeat || envelope.kind == EnvelopeKind::kGoodbye) {
    const bool nothing_held =
        envelope.batched_before < kMaxBelievable && envelope.oldest_held > process->judged_sequence + 1;
    if (envelope.kind == EnvelopeKind::kHeartbeat) TakeHeartbeat(envelope, process);
    if (envelope.kind == EnvelopeKind::kGoodbye)
      Close(State::kClosed, nothing_held ? "buffer_full" : "shutdown", process);
  }
  finish(kind, "");
  return apply;
}

void Ledger::Applied(const EnvelopeView& envelope, std::uint64_t applied, const Rejected& rejected) {
  Process& process = processes_[envelope.process_id];
  const std::uint64_t count = envelope.span_count;
  const std::uint64_t kept = std::min<std::uint64_t>(applied, count);
  process.applied += kept;
  const std::uint64_t refused = std::min<std::uint64_t>(rejected.Total(), count - kept);
  Lose(&process, "rejected", refused);
  Lose(&process, "malformed", count - kept - refused);
}

void Ledger::ForgetOpen(Process* process) {
  for (const OpenSpan& span : process->open) {
    const auto it = open_index_.find(span.span_id.value);
    if (it != open_index_.end() && it->second == &span) open_index_.erase(it);
  }
  process->open.clear();
}

void Ledger::OnOpenSpans(const EnvelopeView& envelope, std::uint64_t count, std::vector<OpenSpan> spans) {
  const auto it = processes_.find(envelope.process_id);
  if (it == processes_.end()) return;
  Process& process = it->second;
  process.open_spans = count;
  ForgetOpen(&process);
  const std::size_t room = kMaxAllOpenSpans - std::min(kMaxAllOpenSpans, open_index_.size());
  if (spans.size() > std::min(kMaxOpenSpans, room)) spans.resize(std::min(kMaxOpenSpans, room));
  process.open = std::move(spans);
  for (const OpenSpan& span : process.open) open_index_.insert({span.span_id.value, &span});
}

const OpenSpan* Ledger::FindOpen(const TraceId& trace, SpanId id) const {
  const auto it = open_index_.find(id.value);
  return it == open_index_.end() || it->second->trace_id != trace ? nullptr : it->second;
}

std::vector<TraceLoss> Ledger::LossesBetween(std::int64_t from_ns, std::int64_t to_ns,
                                             const std::vector<TraceSummary::Service>& services) const {
  std::vector<TraceLoss> losses;
  for (const auto& [id, process] : processes_) {
    const bool asked = std::any_of(services.begin(), services.end(),
                                   [&service = process.service](const auto& each) { return each.name == service; });
    if (!asked) continue;
    for (const Episode& episode : process.episodes) {
      if (episode.last_ns < from_ns || episode.first_ns > to_ns) continue;
      losses.push_back({Prefix(id), process.service, episode.reason, episode.spans});
    }
  }
  return losses;
}

std::map<std::string_view, ServiceTroubles> Ledger::Troubles(std::int64_t now_ns) const {
  std::map<std::string_view, ServiceTroubles> troubles;
  const std::int64_t first = now_ns / kRecentSlotNs - kRecentNs / kRecentSlotNs;
  for (const auto& [id, process] : processes_) {
    ServiceTroubles& service = troubles[process.service];
    if (process.state == State::kAlive) ++service.alive;
    if (process.state == State::kSilent) ++service.silent;
    if (process.state == State::kDied && now_ns - process.last_seen_ns < kDiedAfterNs + kRecentNs) ++service.died;
    for (const Recent& lost : process.recent_lost) {
      if (lost.slot >= first) service.lost += lost.figure;
    }
    if (process.state != State::kAlive) continue;
    for (const Recent& rss : process.recent_rss) {
      if (rss.slot < first || process.rss_bytes <= rss.figure) continue;
      service.memory_growth_bytes = std::max(service.memory_growth_bytes, process.rss_bytes - rss.figure);
    }
  }
  return troubles;
}

void Ledger::ServiceSigns::Add(const ServiceSigns& other) {
  if (std::tie(other.last_seen_ns, other.serial) > std::tie(last_seen_ns, serial)) {
    last_seen_ns = other.last_seen_ns;
    serial = other.serial;
  }
  if (other.goodbye_serial > goodbye_serial) {
    goodbye_ns = other.goodbye_ns;
    goodbye_serial = other.goodbye_serial;
  }
  living = living || other.living;
  rss_bytes = std::max(rss_bytes, other.rss_bytes);
}

std::map<std::string_view, Ledger::ServiceSigns> Ledger::Signs() const {
  std::map<std::string_view, ServiceSigns> signs;
  for (const auto& [id, process] : processes_) {
    ServiceSigns own;
    if (process.state == State::kClosed) {
      own.goodbye_ns = process.last_seen_ns;
      own.goodbye_serial = process.serial;
    } else {
      own.last_seen_ns = process.last_seen_ns;
      own.serial = process.serial;
      own.living = process.state != State::kDied;
      own.rss_bytes = own.living ? process.rss_bytes : 0;
    }
    signs[process.service].Add(own);
  }
  return signs;
}

bool Ledger::HasLiving() const {
  return std::any_of(processes_.begin(), processes_.end(), [](const auto& entry) {
    return entry.second.state == State::kAlive || entry.second.state == State::kSilent;
  });
}

void Ledger::Advance(std::int64_t now_ns) {
  now_ns_ = now_ns;
  if (now_ns < next_due_) return;
  next_due_ = INT64_MAX;
  for (auto& [id, process] : processes_) {
    if (process.state == State::kClosed || process.state == State::kDied) continue;
    const std::int64_t silent_for = now_ns - process.last_seen_ns;
    if (silent_for >= kDiedAfterNs) {
      Die(&process);
      continue;
    }
    if (silent_for >= kSilentAfterNs) process.state = State::kSilent;
    const std::int64_t wait = process.state == State::kSilent ? kDiedAfterNs : kSilentAfterNs;
    next_due_ = std::min(next_due_, process.last_seen_ns + wait);
  }
}

void Ledger::Resume(std::int64_t now_ns) {
  for (auto& [id, process] : processes_) {
    if (process.state == State::kClosed || process.state == State::kDied) continue;
    process.last_seen_ns = now_ns;
    next_due_ = std::min(next_due_, now_ns + kSilentAfterNs);
  }
}

void Ledger::Show(StatsView* view) const {
  constexpr const char* kStates[] = {"alive", "silent", "closed", "died"};
  Reasons lost = past_lost_;
  view->emitted = past_emitted_;
  view->applied = past_applied_;
  view->sampled_out = past_sampled_out_;
  for (const auto& [id, process] : processes_) {
    ProcessView shown;
    shown.id = Prefix(id);
    shown.serial = process.serial;
    shown.service = process.service;
    shown.instance = process.instance;
    shown.state = kStates[static_cast<int>(process.state)];
    shown.applied = process.applied;
    shown.sampled_out = process.sampled_out;
    shown.emitted = process.Emitted();
    for (const auto& [reason, spans] : process.lost) {
      shown.lost.push_back({reason, spans});
      lost[reason] += spans;
    }
    shown.tail_unknown = process.tail_unknown;
    shown.sequence = process.judged_sequence;
    shown.open_spans = process.open_spans;
    shown.rss_bytes = process.rss_bytes;
    shown.sdk_bytes = process.sdk_bytes;
    shown.sdk_cpu_seconds = static_cast<double>(process.sdk_cpu_ns) / 1e9;
    shown.sdk_ring_fill = process.sdk_ring_fill;
    shown.sdk_sample_rate = process.sdk_sample_rate;
    shown.last_seen_ns = process.last_seen_ns;
    shown.gauges = process.gauges;
    view->emitted += shown.emitted;
    view->applied += process.applied;
    view->sampled_out += process.sampled_out;
    view->processes.push_back(std::move(shown));
  }
  for (const auto& [reason, spans] : lost) view->lost.push_back({reason, spans});
  view->processes_dropped = refused_processes_;
}

}  // namespace spanwatch::core
