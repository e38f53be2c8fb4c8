// What all pages share: head, style, and small pieces of HTML. Used by page.cc and index_page.cc.
#ifndef SPANWATCH_SIDECAR_HTTP_PAGE_FRAME_H_
#define SPANWATCH_SIDECAR_HTTP_PAGE_FRAME_H_

#include <string>
#include <string_view>

namespace spanwatch::http {

// Up to and with <main>. `home`: relative link to the index. `refresh_s`: reload after so many seconds, 0: never.
std::string PageHead(std::string_view title, std::string_view nonce, std::string_view home, int refresh_s);
std::string PageEnd();

// <span class="kind">text</span>; text is escaped.
std::string Badge(std::string_view kind, std::string_view text);
// A figure with its name, for a row of them; both are escaped.
std::string Tile(std::string_view name, std::string_view value);

}  // namespace spanwatch::http

#endif  // SPANWATCH_SIDECAR_HTTP_PAGE_FRAME_H_
