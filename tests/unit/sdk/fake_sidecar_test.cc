// The fake sidecar itself, and its decoding with protozero: an implementation that is not the SDK's.
#include "tests/unit/sdk/fake_sidecar.h"

#include <unistd.h>
#include <zmq.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <protozero/pbf_reader.hpp>
#include <protozero/pbf_writer.hpp>

namespace spanwatch::test {
namespace {

std::string Hex(const std::string& bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    text += kDigits[static_cast<unsigned char>(c) >> 4];
    text += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return text;
}

std::string AnyValue(protozero::pbf_reader reader) {
  std::string text = "(empty)";
  while (reader.next()) {
    char number[32];
    switch (reader.tag()) {
      case 1:
        text = reader.get_string();
        break;
      case 2:
        text = reader.get_bool() ? "true" : "false";
        break;
      case 3:
        text = std::to_string(reader.get_int64());
        break;
      case 4:
        std::snprintf(number, sizeof(number), "%g", reader.get_double());
        text = number;
        break;
      default:
        reader.skip();
    }
  }
  return text;
}

void AddAttribute(protozero::pbf_reader reader, std::map<std::string, std::string>* out,
                  std::vector<std::string>* twice) {
  std::string key, value;
  while (reader.next()) {
    if (reader.tag() == 1)
      key = reader.get_string();
    else if (reader.tag() == 2)
      value = AnyValue(reader.get_message());
    else
      reader.skip();
  }
  if (out->count(key) > 0 && twice != nullptr) twice->push_back(key);
  (*out)[key] = value;
}

WireEvent DecodeEvent(protozero::pbf_reader reader) {
  WireEvent event;
  while (reader.next()) {
    switch (reader.tag()) {
      case 1:
        event.time_ns = reader.get_fixed64();
        break;
      case 2:
        event.name = reader.get_string();
        break;
      case 3:
        AddAttribute(reader.get_message(), &event.attributes, nullptr);
        break;
      case 4:
        event.dropped = reader.get_uint32();
        break;
      default:
        reader.skip();
    }
  }
  return event;
}

void DecodeStatus(protozero::pbf_reader reader, WireSpan* span) {
  while (reader.next()) {
    if (reader.tag() == 2)
      span->status_message = reader.get_string();
    else if (reader.tag() == 3)
      span->status = static_cast<std::uint64_t>(reader.get_enum());
    else
      reader.skip();
  }
}

std::pair<std::string, std::string> DecodeLink(protozero::pbf_reader reader) {
  std::pair<std::string, std::string> ids;
  while (reader.next()) {
    if (reader.tag() == 1)
      ids.first = Hex(reader.get_bytes());
    else if (reader.tag() == 2)
      ids.second = Hex(reader.get_bytes());
    else
      reader.skip();
  }
  return ids;
}

WireSpan DecodeSpan(protozero::pbf_reader reader) {
  WireSpan span;
  while (reader.next()) {
    switch (reader.tag()) {
      case 1:
        span.trace_id = Hex(reader.get_bytes());
        break;
      case 2:
        span.span_id = Hex(reader.get_bytes());
        break;
      case 3:
        span.trace_state = reader.get_string();
        break;
      case 4:
        span.parent_id = Hex(reader.get_bytes());
        break;
      case 5:
        span.name = reader.get_string();
        break;
      case 6:
        span.kind = static_cast<std::uint64_t>(reader.get_enum());
        break;
      case 7:
        span.start_ns = reader.get_fixed64();
        break;
      case 8:
        span.end_ns = reader.get_fixed64();
        break;
      case 9:
        AddAttribute(reader.get_message(), &span.attributes, &span.duplicate_keys);
        break;
      case 10:
        span.dropped_attributes = reader.get_uint32();
        break;
      case 11:
        span.events.push_back(DecodeEvent(reader.get_message()));
        break;
      case 12:
        span.dropped_events = reader.get_uint32();
        break;
      case 13:
        span.links.push_back(DecodeLink(reader.get_message()));
        break;
      case 15:
        DecodeStatus(reader.get_message(), &span);
        break;
      case 16:
        span.flags = reader.get_fixed32();
        break;
      default:
        reader.skip();
    }
  }
  return span;
}

void DecodePayload(protozero::pbf_reader traces, WireMessage* out) {
  while (traces.next(1)) {
    protozero::pbf_reader resource_spans = traces.get_message();
    while (resource_spans.next()) {
      if (resource_spans.tag() == 1) {
        protozero::pbf_reader resource = resource_spans.get_message();
        while (resource.next(1)) AddAttribute(resource.get_message(), &out->resource, nullptr);
      } else if (resource_spans.tag() == 2) {
        protozero::pbf_reader scope_spans = resource_spans.get_message();
        while (scope_spans.next(2)) out->spans.push_back(DecodeSpan(scope_spans.get_message()));
      } else {
        resource_spans.skip();
      }
    }
  }
}

void DecodeDrop(protozero::pbf_reader reader, std::map<std::string, std::uint64_t>* out) {
  std::string reason;
  std::uint64_t spans = 0;
  while (reader.next()) {
    if (reader.tag() == 1)
      reason = reader.get_string();
    else if (reader.tag() == 2)
      spans = reader.get_uint64();
    else
      reader.skip();
  }
  (*out)[reason] = spans;
}

WireTotals DecodeTotals(protozero::pbf_reader reader) {
  WireTotals totals;
  while (reader.next()) {
    switch (reader.tag()) {
      case 1:
        totals.sequence = reader.get_uint64();
        break;
      case 2:
        totals.batched = reader.get_uint64();
        break;
      case 3:
        totals.sampled_out = reader.get_uint64();
        break;
      case 4:
        DecodeDrop(reader.get_message(), &totals.drops);
        break;
      default:
        reader.skip();
    }
  }
  return totals;
}

void DecodeGauge(protozero::pbf_reader reader, WireMessage* out) {
  std::string name, labels;
  double value = 0;
  while (reader.next()) {
    if (reader.tag() == 1) {
      name = reader.get_string();
    } else if (reader.tag() == 2) {
      protozero::pbf_reader label = reader.get_message();
      std::string key, text;
      while (label.next()) {
        std::string* const part =
            label.tag() == 1 ? &key : &text;  // protozero forgets the tag once the value was taken
        *part = label.get_string();
      }
      labels += (labels.empty() ? "" : ",") + key + "=" + text;
    } else if (reader.tag() == 3) {
      value = reader.get_double();
    } else {
      reader.skip();
    }
  }
  out->gauges[name + "{" + labels + "}"] = value;
}

void DecodeHeartbeat(protozero::pbf_reader reader, WireMessage* out) {
  while (reader.next()) {
    switch (reader.tag()) {
      case 1:
        out->rss_bytes = reader.get_uint64();
        break;
      case 2:
        out->sdk_bytes = reader.get_uint64();
        break;
      case 3:
        out->sdk_cpu_ns = reader.get_uint64();
        break;
      case 4:
        DecodeGauge(reader.get_message(), out);
        break;
      case 5:
        out->ring_fill = reader.get_double();
        break;
      case 6:
        out->sample_rate = reader.get_double();
        break;
      default:
        reader.skip();
    }
  }
}

}  // namespace

WireMessage DecodeMessage(const std::string& envelope, const std::string& payload) {
  WireMessage out;
  protozero::pbf_reader reader(envelope);
  while (reader.next()) {
    switch (reader.tag()) {
      case 1:
        out.version = reader.get_uint32();
        break;
      case 2:
        out.kind = static_cast<std::uint64_t>(reader.get_enum());
        break;
      case 3:
        out.process_id = reader.get_bytes();
        break;
      case 4:
        out.sequence = reader.get_uint64();
        break;
      case 5:
        out.oldest_held = reader.get_uint64();
        break;
      case 6:
        out.acknowledged = DecodeTotals(reader.get_message());
        break;
      case 7:
        out.batched_before = reader.get_uint64();
        break;
      case 8:
        out.span_count = reader.get_uint32();
        break;
      case 9:
        DecodeDrop(reader.get_message(), &out.drops);
        break;
      case 10:
        out.sampled_out = reader.get_uint64();
        break;
      case 11:
        out.send_time_ns = reader.get_fixed64();
        break;
      case 12:
        out.redaction_policy = reader.get_fixed64();
        break;
      case 13:
        DecodeHeartbeat(reader.get_message(), &out);
        break;
      default:
        reader.skip();
    }
  }
  DecodePayload(protozero::pbf_reader(payload), &out);
  return out;
}

std::string EncodeAnswer(std::uint64_t kind, const std::string& process_id, std::uint64_t applied,
                         const std::string& reason, std::optional<double> sample_rate,
                         std::optional<std::uint64_t> slow_ns) {
  std::string bytes;
  protozero::pbf_writer writer(bytes);
  writer.add_uint32(1, 1);
  writer.add_enum(2, static_cast<std::int32_t>(kind));
  writer.add_bytes(3, process_id);
  if (applied != 0) writer.add_uint64(4, applied);
  if (sample_rate || slow_ns) {
    protozero::pbf_writer settings(writer, 5);
    if (sample_rate) settings.add_double(1, *sample_rate);
    if (slow_ns) settings.add_uint64(2, *slow_ns);
  }
  if (!reason.empty()) writer.add_string(6, reason);
  return bytes;
}

FakeSidecar::FakeSidecar() : own_directory_(true) {
  char directory[] = "/tmp/swt-XXXXXX";
  directory_ = mkdtemp(directory);
  endpoint_ = "ipc://" + directory_ + "/s";
  policy_ = [](FakeSidecar& self, const WireMessage& message) { return self.GoodAnswer(message); };
  Serve();
}

FakeSidecar::FakeSidecar(const std::string& directory)
    : directory_(directory), endpoint_("ipc://" + directory + "/spanwatch.sock") {
  policy_ = [](FakeSidecar& self, const WireMessage& message) { return self.GoodAnswer(message); };
  Serve();
}

FakeSidecar::~FakeSidecar() {
  StopServing();
  unlink(endpoint_.c_str() + 6);
  if (own_directory_) rmdir(directory_.c_str());
}

void FakeSidecar::Serve() {
  context_ = zmq_ctx_new();
  router_ = zmq_socket(context_, ZMQ_ROUTER);
  const int none = 0;
  zmq_setsockopt(router_, ZMQ_LINGER, &none, sizeof(none));
  if (zmq_bind(router_, endpoint_.c_str()) != 0) std::abort();
  stop_ = false;
  thread_ = std::thread([this] { Run(); });
}

void FakeSidecar::StopServing() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  if (!thread_.joinable()) return;
  thread_.join();
  zmq_close(router_);
  zmq_ctx_term(context_);
}

void FakeSidecar::Run() {
  while (true) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (stop_) return;
    }
    zmq_pollitem_t item = {router_, 0, ZMQ_POLLIN, 0};
    if (zmq_poll(&item, 1, 10) <= 0) continue;
    std::vector<std::string> frames;
    int more = 1;
    while (more != 0) {
      zmq_msg_t frame;
      zmq_msg_init(&frame);
      zmq_msg_recv(&frame, router_, 0);
      frames.emplace_back(static_cast<const char*>(zmq_msg_data(&frame)), zmq_msg_size(&frame));
      more = zmq_msg_more(&frame);
      zmq_msg_close(&frame);
    }
    if (frames.size() != 3) std::abort();
    WireMessage message = DecodeMessage(frames[1], frames[2]);
    message.identity = frames[0];
    message.raw = frames[1] + frames[2];
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const std::string& answer : policy_(*this, message)) {
      zmq_send(router_, frames[0].data(), frames[0].size(), ZMQ_SNDMORE);
      zmq_send(router_, answer.data(), answer.size(), 0);
    }
    messages_.push_back(std::move(message));
    changed_.notify_all();
  }
}

std::vector<std::string> FakeSidecar::GoodAnswer(const WireMessage& message) {
  std::uint64_t& applied = applied_[message.process_id];
  if (applied == 0 && message.acknowledged) applied = message.acknowledged->sequence;
  if (message.kind == kSpans) {
    const bool gap_is_final = message.oldest_held >= message.sequence;
    if (message.sequence > applied + 1 && !gap_is_final) return {EncodeAnswer(kResend, message.process_id, applied)};
    if (message.sequence > applied) {
      applied = message.sequence;
      spans_.insert(spans_.end(), message.spans.begin(), message.spans.end());
    }
  }
  if (message.kind == kOpenSpans) return {};
  return {EncodeAnswer(message.kind == kHello ? kWelcome : kAck, message.process_id, applied)};
}

void FakeSidecar::SetPolicy(Policy policy) {
  const std::lock_guard<std::mutex> lock(mutex_);
  policy_ = std::move(policy);
}

void FakeSidecar::Forget() {
  const std::lock_guard<std::mutex> lock(mutex_);
  applied_.clear();
}

bool FakeSidecar::WaitFor(const std::function<bool(const std::vector<WireMessage>&)>& predicate) {
  std::unique_lock<std::mutex> lock(mutex_);
  return changed_.wait_for(lock, std::chrono::milliseconds(kDeadlineMs), [&] { return predicate(messages_); });
}

std::vector<WireMessage> FakeSidecar::Messages() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return messages_;
}

std::vector<WireSpan> FakeSidecar::Spans() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return spans_;
}

std::vector<WireSpan> FakeSidecar::SpansNamed(const std::string& name) {
  std::vector<WireSpan> found;
  for (const WireSpan& span : Spans()) {
    if (span.name == name) found.push_back(span);
  }
  return found;
}

}  // namespace spanwatch::test
