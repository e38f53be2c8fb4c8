#include "sidecar/ingest/otlp_gzip.h"

#include <zlib.h>

#include <algorithm>

namespace spanwatch::ingest {
namespace {

constexpr std::size_t kStep = 64u << 10;
constexpr int kGzipOnly = 16 + MAX_WBITS;

class Inflater {
 public:
  Inflater() { good_ = inflateInit2(&stream_, kGzipOnly) == Z_OK; }
  ~Inflater() {
    if (good_) inflateEnd(&stream_);
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  GzipResult Run(std::string_view bytes, std::size_t max_bytes, std::string* out) {
    if (!good_) return GzipResult::kBroken;
    std::size_t used = 0;
    while (true) {
      // zlib counts in 32 bits.
      const std::size_t in = std::min<std::size_t>(bytes.size() - used, 1u << 30);
      const std::size_t room = std::min(kStep, max_bytes - out->size() + 1);  // one byte too many shows
      const std::size_t before = out->size();
      out->resize(before + room);
      stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data() + used));
      stream_.avail_in = static_cast<uInt>(in);
      stream_.next_out = reinterpret_cast<Bytef*>(out->data() + before);
      stream_.avail_out = static_cast<uInt>(room);
      const int status = inflate(&stream_, Z_NO_FLUSH);
      used += in - stream_.avail_in;
      const std::size_t made = room - stream_.avail_out;
      out->resize(before + made);
      if (out->size() > max_bytes) return GzipResult::kTooLarge;
      if (status == Z_STREAM_END) {
        const std::string_view rest = bytes.substr(used);
        if (rest.find_first_not_of('\0') == std::string_view::npos) return GzipResult::kGood;
        if (inflateReset(&stream_) != Z_OK) return GzipResult::kBroken;
      } else if (status == Z_BUF_ERROR || (status == Z_OK && made == 0 && used == bytes.size())) {
        return GzipResult::kTruncated;
      } else if (status != Z_OK) {
        return GzipResult::kBroken;
      }
    }
  }

 private:
  z_stream stream_{};
  bool good_ = false;
};

}  // namespace

GzipResult Gunzip(std::string_view bytes, std::size_t max_bytes, std::string* out) {
  out->clear();
  const GzipResult result = Inflater().Run(bytes, max_bytes, out);
  if (result != GzipResult::kGood) std::string().swap(*out);
  return result;
}

}  // namespace spanwatch::ingest
