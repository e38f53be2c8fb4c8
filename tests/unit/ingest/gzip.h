// Packs as a client would. Header only, tests.
#ifndef SPANWATCH_TESTS_UNIT_INGEST_GZIP_H_
#define SPANWATCH_TESTS_UNIT_INGEST_GZIP_H_

#include <zlib.h>

#include <string>
#include <string_view>

namespace spanwatch::ingest::testing {

inline std::string Gzip(std::string_view text) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

}  // namespace spanwatch::ingest::testing

#endif  // SPANWATCH_TESTS_UNIT_INGEST_GZIP_H_
