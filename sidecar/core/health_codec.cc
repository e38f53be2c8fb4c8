// The health of services as a checkpoint keeps it.
#include "sidecar/core/health.h"

namespace spanwatch::core {

void Health::SaveService(const Service& service, CodecWriter* out) const {
  out->Bool(service.live);
  if (!service.live) return;
  out->U64(static_cast<std::uint64_t>(service.status)).I64(service.slot_end_ns).I64(service.since_ns);
  out->U64(service.judged_spans).Id(service.trace).Id(service.span).Bool(service.trace_failed);
  out->Text(service.error);
  for (const Level& level : service.levels) {
    out->I64(level.held_ns).U64(level.issues.size());
    for (const HealthIssue& issue : level.issues) {
      out->U64(static_cast<std::uint64_t>(issue.kind)).U64(static_cast<std::uint64_t>(issue.level));
      out->F64(issue.part).F64(issue.whole).F64(issue.border).F64(issue.average_ns);
    }
  }
  const Slot& now = service.current;
  out->I64(now.number).F64(now.spans).F64(now.errors).F64(now.duration_ns).F64(now.slow_warning);
  out->F64(now.slow_critical).U64(now.raw).U64(service.past.size());
  for (const PastSlot& past : service.past) {
    out->U64(past.number).U64(past.raw);
    for (const float figure : {past.spans, past.errors, past.duration_ns, past.slow_warning, past.slow_critical})
      out->F64(static_cast<double>(figure));
  }
}

bool Health::LoadService(CodecReader* in, Service* service) {
  service->live = in->Bool();
  if (!service->live) return in->ok();
  service->status = static_cast<HealthStatus>(in->Below(3));
  service->slot_end_ns = in->I64();
  service->since_ns = in->I64();
  service->judged_spans = in->U64();
  service->trace = in->TraceIdValue();
  service->span = in->SpanIdValue();
  service->trace_failed = in->Bool();
  service->error = in->Text();
  for (Level& level : service->levels) {
    level.held_ns = in->I64();
    const std::size_t count = in->Below(kHealthIssueKinds + 1);
    for (std::size_t i = 0; i < count && in->ok(); ++i) {
      HealthIssue& issue = level.issues.emplace_back();
      issue.kind = static_cast<HealthIssue::Kind>(in->Below(kHealthIssueKinds));
      issue.level = static_cast<HealthStatus>(in->Below(3));
      issue.part = in->F64();
      issue.whole = in->F64();
      issue.border = in->F64();
      issue.average_ns = in->F64();
    }
  }
  Slot& now = service->current;
  now.number = in->I64();
  now.spans = in->F64();
  now.errors = in->F64();
  now.duration_ns = in->F64();
  now.slow_warning = in->F64();
  now.slow_critical = in->F64();
  now.raw = in->U64();
  const std::size_t count = in->Below(kHealthSlots + 2);
  for (std::size_t i = 0; i < count && in->ok(); ++i) {
    PastSlot& past = service->past.emplace_back();
    past.number = in->U32();
    past.raw = in->U32();
    for (float* figure : {&past.spans, &past.errors, &past.duration_ns, &past.slow_warning, &past.slow_critical})
      *figure = static_cast<float>(in->F64());
  }
  return in->ok();
}

void Health::Save(CodecWriter* out) const {
  out->I64(due_ns_).U64(services_.size());
  for (std::size_t i = 0; i < services_.size(); ++i) SaveService(services_[i], out);
}

bool Health::Load(CodecReader* in, std::size_t services) {
  due_ns_ = in->I64();
  const std::size_t count = in->Count();
  if (count > services) return false;
  for (std::size_t i = 0; i < count; ++i) {
    Service& service = services_.Append();
    if (!LoadService(in, &service)) return false;
    if (service.status != HealthStatus::kHealthy) ++unhealthy_;
  }
  return in->ok();
}

}  // namespace spanwatch::core
