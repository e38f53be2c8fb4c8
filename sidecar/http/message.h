// The head of an HTTP/1.1 request, and the bytes of an answer, where cpp-httplib is not wanted: it copies bodies, and
// has limits of its own for them. Pure; any thread.
#ifndef SPANWATCH_SIDECAR_HTTP_MESSAGE_H_
#define SPANWATCH_SIDECAR_HTTP_MESSAGE_H_

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace spanwatch::http {

// Views into the parsed text.
struct RequestHead {
  std::string_view method;
  std::string_view path;  // without query, not decoded
  bool keep_alive = true;
  std::vector<std::pair<std::string_view, std::string_view>> headers;

  std::optional<std::string_view> Find(std::string_view lower_name) const;  // the first of that name
};

// `head`: request line and headers, with or without the empty line. False: no request of HTTP/1.x.
bool ParseRequestHead(std::string_view head, RequestHead* out);

const char* ReasonPhrase(int status);

struct AnswerParts {
  int status = 200;
  std::string content_type;
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
  bool close = false;
  bool without_body = false;  // the answer to HEAD
  bool streamed = false;      // the head alone: the body follows, in chunks or until the connection's end
  bool chunked = false;
};
std::string AnswerBytes(const AnswerParts& parts);

}  // namespace spanwatch::http

#endif  // SPANWATCH_SIDECAR_HTTP_MESSAGE_H_
