// Everything but the traces, as bytes and back.
#include "sidecar/core/engine_impl.h"

namespace spanwatch::core {
namespace {

// Raised whenever the bytes change their meaning: an older checkpoint is then refused.
constexpr std::uint64_t kCheckpointVersion = 6;

}  // namespace

// Not under the mutex: only the calling thread changes what is read here, and a checkpoint may take milliseconds.
std::string Engine::Impl::Checkpoint() const NO_THREAD_SAFETY_ANALYSIS {
  std::string bytes;
  CodecWriter out(&bytes);
  out.U64(kCheckpointVersion).I64(now_ns_).I64(started_ns_).I64(last_tick_ns_).U64(records_).U64(spans_applied_);
  out.U64(rejected_.invalid_id).U64(rejected_.malformed).U64(rejected_.limit).U64(malformed_.size());
  for (const auto& [reason, count] : malformed_) out.Text(reason).U64(count);
  catalog_.Save(&out);
  statistics_.Save(&out);
  store_.SaveNumbers(&out);
  ledger_.Save(&out);
  alerts_.Save(&out);
  health_.Save(&out);
  dependencies_.Save(&out);
  errors_.Save(&out);
  gen_ai_.Save(&out);
  return bytes;
}

bool Engine::Impl::Restore(const Decoded& reload, std::string_view checkpoint) {
  CodecReader in(checkpoint);
  if (in.U64() != kCheckpointVersion) return false;
  Impl other(reload.limits != nullptr ? *reload.limits : Limits(), reload.rules);
  if (!other.Load(&in) || !in.AtEnd()) return false;
  MutexLock lock(&mutex_);
  return TakeOver(&other);
}

bool Engine::Impl::Load(CodecReader* in) {
  MutexLock lock(&mutex_);
  now_ns_ = in->I64();
  started_ns_ = in->I64();
  last_tick_ns_ = in->I64();
  records_ = in->U64();
  spans_applied_ = in->U64();
  rejected_.invalid_id = in->U32();
  rejected_.malformed = in->U32();
  rejected_.limit = in->U32();
  for (std::size_t n = in->Count(); n > 0 && in->ok(); --n) {
    const std::string reason(in->Text());
    malformed_[reason] = in->U64();
  }
  if (!in->ok() || !catalog_.Load(in) || !statistics_.Load(in) || !store_.LoadNumbers(in)) return false;
  return ledger_.Load(in, catalog_.operation_count()) && alerts_.Load(in, catalog_.operation_count()) &&
         health_.Load(in, catalog_.service_count()) && dependencies_.Load(in, catalog_.service_count()) &&
         errors_.Load(in, catalog_.operation_count()) && gen_ai_.Load(in, catalog_.service_count());
}

// The stored traces name operations by their numbers: these must mean the same in both catalogs.
bool Engine::Impl::TakeOver(Impl* other) {
  MutexLock lock(&other->mutex_);
  if (store_.size() > 0 && !catalog_.SameNames(other->catalog_)) return false;
  limits_ = other->limits_;
  now_ns_ = other->now_ns_;
  started_ns_ = other->started_ns_;
  last_tick_ns_ = other->last_tick_ns_;
  records_ = other->records_;
  spans_applied_ = other->spans_applied_;
  rejected_ = other->rejected_;
  malformed_ = std::move(other->malformed_);
  catalog_ = std::move(other->catalog_);
  store_.Configure(limits_);
  store_.TakeNumbers(other->store_);
  statistics_ = std::move(other->statistics_);
  statistics_.MovedTo(&catalog_);
  ledger_ = std::move(other->ledger_);
  alerts_ = std::move(other->alerts_);
  alerts_.MovedTo(&catalog_);
  overview_ = std::move(other->overview_);
  health_ = std::move(other->health_);
  dependencies_ = std::move(other->dependencies_);
  errors_ = std::move(other->errors_);
  gen_ai_ = std::move(other->gen_ai_);
  return true;
}

void Engine::Impl::MarkStart() {
  StatsView stats = Stats();
  MutexLock lock(&mutex_);
  stats_at_start_ = std::move(stats);
  statistics_.Mark();
  dependencies_.Mark();
  gen_ai_.Mark();
}

StatsView Engine::Impl::StatsAtStart() const {
  MutexLock lock(&mutex_);
  return stats_at_start_;
}

}  // namespace spanwatch::core
