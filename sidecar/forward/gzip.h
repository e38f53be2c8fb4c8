// gzip (RFC 1952) of what is sent. Pure; any thread.
#ifndef SPANWATCH_SIDECAR_FORWARD_GZIP_H_
#define SPANWATCH_SIDECAR_FORWARD_GZIP_H_

#include <string>
#include <string_view>

namespace spanwatch::forward {

// Empty: zlib had no memory; send the bytes as they are.
std::string Gzip(std::string_view bytes);

}  // namespace spanwatch::forward

#endif  // SPANWATCH_SIDECAR_FORWARD_GZIP_H_
