#include "sidecar/http/otlp_server.h"

#include <exception>
#include <optional>

#include "sidecar/http/message.h"

namespace spanwatch::http {
namespace {

std::string HeaderText(const RequestHead& head, std::string_view lower_name) {
  return std::string(head.Find(lower_name).value_or(std::string_view{}));
}

std::optional<std::string> OptionalHeader(const RequestHead& head, std::string_view lower_name) {
  const auto value = head.Find(lower_name);
  return value ? std::optional<std::string>(*value) : std::nullopt;
}

Reply MakeReply(OtlpAnswer answer, bool close, bool without_body) {
  AnswerParts parts{
      answer.status, std::move(answer.content_type), std::move(answer.body), std::move(answer.headers), close,
      without_body};
  return {AnswerBytes(parts), close};
}

}  // namespace

OtlpServer::OtlpServer(const OtlpOptions& options, OtlpHandler handler)
    : handler_(std::move(handler)),
      access_(options.host, options.external_url, options.allowed_hosts),
      listener_(
          [&] {
            ListenerOptions listener;
            listener.host = options.host;
            listener.port = options.port;
            listener.setting = "otlp.listen";
            listener.max_body_bytes = options.max_body_bytes;
            listener.max_buffered_bytes = 2 * options.max_body_bytes;
            listener.allow_chunked = true;
            listener.workers = options.workers;
            listener.urgent_workers = 0;
            listener.refuse = [this](int status, const std::string& message, std::string_view head) {
              return Refuse(status, message, head);
            };
            return listener;
          }(),
          [this](std::string request) { return Handle(std::move(request)); }) {}

Reply OtlpServer::Handle(std::string request) const {
  const std::size_t head_end = request.find("\r\n\r\n");
  RequestHead head;
  if (head_end == std::string::npos || !ParseRequestHead(std::string_view(request).substr(0, head_end), &head)) {
    return Refuse(400, "this is no HTTP/1.1 request", {});
  }
  const bool close = !head.keep_alive;
  const bool without_body = head.method == "HEAD";
  const std::string content_type = HeaderText(head, "content-type");
  const bool write = head.method != "GET" && head.method != "HEAD";
  try {
    if (const auto reason = access_.Refuse(OptionalHeader(head, "host"), OptionalHeader(head, "origin"), write)) {
      return MakeReply(handler_.refuse(content_type, 403, *reason), close, without_body);
    }
    OtlpRequest parsed{
        std::string(head.method), std::string(head.path), content_type, HeaderText(head, "content-encoding"), {}};
    request.erase(0, head_end + 4);  // `head` is no more
    parsed.body = std::move(request);
    return MakeReply(handler_.handle(std::move(parsed)), close, without_body);
  } catch (const std::exception&) {  // out of memory: the client shall try again
    return MakeReply(handler_.refuse(content_type, 503, "no memory for this request now"), true, without_body);
  }
}

Reply OtlpServer::Refuse(int status, const std::string& message, std::string_view head) const {
  RequestHead parsed;
  std::string content_type;
  if (ParseRequestHead(head, &parsed)) content_type = HeaderText(parsed, "content-type");
  // A 408 would be final for an OTLP client; that its network is slow is no reason to lose the spans.
  return MakeReply(handler_.refuse(content_type, status == 408 ? 503 : status, message), true, false);
}

}  // namespace spanwatch::http
