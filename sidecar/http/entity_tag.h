// Entity tags, so that who looks again and again is told cheaply that nothing changed. A tag is
// W/"<boot>-<generation>": boot is random, so that no tag outlives a restart; the generation is the engine's
// (Engine::Generation()). Where an answer also depends on the time (windows, ages, "the last 15 minutes"), a third part
// follows: the time in steps of 1 or 10 s; such an answer is at most one step older than it could be. Immutable: any
// thread.
#ifndef SPANWATCH_SIDECAR_HTTP_ENTITY_TAG_H_
#define SPANWATCH_SIDECAR_HTTP_ENTITY_TAG_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "sidecar/http/params.h"

namespace spanwatch::http {

class EntityTags {
 public:
  EntityTags();

  // Of the answer that is about to be made; empty: this handler's answers have none. `handler`: Response::handler.
  std::string Of(std::string_view handler, const Params& params, std::uint64_t generation, std::int64_t now_ns) const;
  // `if_none_match`: the header, a list of tags or "*".
  static bool Matches(std::string_view if_none_match, std::string_view tag);

 private:
  std::string boot_;
};

}  // namespace spanwatch::http

#endif  // SPANWATCH_SIDECAR_HTTP_ENTITY_TAG_H_
