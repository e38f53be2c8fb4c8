// Incidents and transitions as bytes (codec.h): for checkpoints and for the notifier's outbox. Load: false if the bytes
// are not such; *out is then unspecified.
#ifndef SPANWATCH_SIDECAR_CORE_INCIDENT_CODEC_H_
#define SPANWATCH_SIDECAR_CORE_INCIDENT_CODEC_H_

#include "sidecar/core/codec.h"
#include "sidecar/core/incident.h"

namespace spanwatch::core {

void Save(const Incident& incident, CodecWriter* out);
bool Load(CodecReader* in, Incident* out);
void Save(const Transition& transition, CodecWriter* out);
bool Load(CodecReader* in, Transition* out);

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_INCIDENT_CODEC_H_
