// Whether a request may be answered, by its Host and Origin: a web page elsewhere must not reach what listens on
// loopback (DNS rebinding), nor write through a visitor's browser. Immutable after construction: any thread.
#ifndef SPANWATCH_SIDECAR_HTTP_ACCESS_H_
#define SPANWATCH_SIDECAR_HTTP_ACCESS_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace spanwatch::http {

// An authority ("Example.org:80", "[::1]:9464") without its port, brackets and final dot, in lower case. Nullopt if it
// is none, or has user information.
std::optional<std::string> HostOf(std::string_view authority);

// "localhost", "*.localhost", 127.0.0.0/8, "::1".
bool IsLoopback(std::string_view host);

class Access {
 public:
  // `listen_host`: http.listen without port; `external_url`, `allowed_hosts`: as configured.
  Access(const std::string& listen_host, const std::string& external_url,
         const std::vector<std::string>& allowed_hosts);

  // Null if allowed, else the reason as a sentence. `host`, `origin`: the headers; nullopt if absent. `write`: not GET
  // or HEAD.
  std::optional<std::string> Refuse(const std::optional<std::string>& host, const std::optional<std::string>& origin,
                                    bool write) const;

 private:
  bool Known(std::string_view host) const;

  bool listens_on_loopback_ = true;
  std::string external_origin_;     // "https://trace.example.org", lower case; may be empty
  std::vector<std::string> hosts_;  // lower case, without port
};

}  // namespace spanwatch::http

#endif  // SPANWATCH_SIDECAR_HTTP_ACCESS_H_
