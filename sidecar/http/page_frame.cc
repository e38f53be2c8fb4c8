#include "sidecar/http/page_frame.h"

#include "sidecar/http/text.h"

namespace spanwatch::http {
namespace {

constexpr char kStyle[] = R"css(
:root{--bg:#f7f8fa;--panel:#fff;--ink:#1d2430;--soft:#667085;--line:#e3e7ee;--accent:#3867d6;--bad:#c92a2a;--warn:#b26a00;--good:#2b8a3e}
@media(prefers-color-scheme:dark){:root{--bg:#12161d;--panel:#1a2029;--ink:#e4e9f1;--soft:#93a0b4;--line:#2b3442;--accent:#7aa2ff;
--bad:#ff7b72;--warn:#e3b341;--good:#56d364}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:14px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
a{color:var(--accent);text-decoration:none}a:hover{text-decoration:underline}
header{background:var(--panel);border-bottom:1px solid var(--line);padding:.6rem 1.2rem;display:flex;gap:1.2rem;align-items:baseline;flex-wrap:wrap}
header b{font-size:1.05rem}
main{max-width:1400px;margin:0 auto;padding:1rem 1.2rem 3rem}
h1{font-size:1.3rem;margin:.4rem 0 .2rem;overflow-wrap:anywhere}h2{font-size:1.05rem;margin:1.6rem 0 .5rem}
code,.mono{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.92em}
.soft{color:var(--soft)}
.tiles{display:flex;flex-wrap:wrap;gap:.6rem;margin:.8rem 0}
.tile{background:var(--panel);border:1px solid var(--line);border-radius:8px;padding:.5rem .9rem;min-width:7.5rem}
.tile span{display:block;color:var(--soft);font-size:.82rem}.tile b{font-size:1.15rem;font-weight:600}
.note{background:var(--panel);border:1px solid var(--line);border-left:4px solid var(--warn);border-radius:6px;padding:.5rem .9rem;margin:.8rem 0}
.panel{background:var(--panel);border:1px solid var(--line);border-radius:8px;overflow-x:auto}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.4rem .8rem;border-bottom:1px solid var(--line);vertical-align:top}
th{color:var(--soft);font-weight:500;font-size:.85rem}tr:last-child td{border-bottom:0}td.k{white-space:nowrap}td.n,th.n{text-align:right;white-space:nowrap}
td{overflow-wrap:anywhere}td.x{min-width:11rem}.note ul{margin:.2rem 0;padding-left:1.2rem}.note li{overflow-wrap:anywhere}
.badge{display:inline-block;border:1px solid currentColor;border-radius:9px;padding:0 .5rem;font-size:.78rem;line-height:1.35;white-space:nowrap}
.error,.critical,.died{color:var(--bad)}.warning,.pending,.silent{color:var(--warn)}.success,.resolved,.alive,.healthy{color:var(--good)}
.open,.none,.closed{color:var(--soft)}
details.span{border-bottom:1px solid var(--line)}details.span:last-child{border-bottom:0}
summary{display:grid;grid-template-columns:minmax(16rem,2fr) 3fr 6.5rem 6.5rem;gap:.8rem;align-items:center;padding:.3rem .8rem;cursor:pointer;list-style:none}
summary::-webkit-details-marker{display:none}summary:hover{background:var(--bg)}
summary .name{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
summary .n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
.bad .name{color:var(--bad);font-weight:600}
svg.bar{width:100%;height:19px;display:block}svg.bar .path{fill:var(--ink)}td.b{width:35%;min-width:8rem}td.b svg.bar{height:14px;margin-top:.25rem}td.w{width:55%}td.s{width:1%}svg.spark{width:8rem;height:20px;display:block}svg.spark rect{fill:var(--accent)}svg.spark.bad rect{fill:var(--bad)}details.span:target{outline:2px solid var(--accent)}svg.bar .track{fill:var(--line);opacity:.55}svg.bar .failed{fill:var(--bad)}
.c0{fill:#4c78d8}.c1{fill:#2f9e8f}.c2{fill:#b07cd8}.c3{fill:#d19a2e}.c4{fill:#5b9e3a}.c5{fill:#d46a9f}.c6{fill:#3a9fc4}.c7{fill:#9a8468}
.more{padding:.2rem .8rem .8rem 2rem;background:var(--bg)}
.more dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem;margin:.3rem 0}.more dt{color:var(--soft)}
.more dd{margin:0;overflow-wrap:anywhere;white-space:pre-wrap}.more h3{font-size:.88rem;margin:.6rem 0 .1rem}
@media(max-width:640px){main{padding:.6rem .6rem 2rem}header{padding:.5rem .6rem;gap:.2rem .9rem}th,td{padding:.35rem .5rem}
.tiles{gap:.4rem}.tile{min-width:28%;flex:1 1 auto;padding:.3rem .6rem}.tile b{font-size:1rem}
summary{grid-template-columns:1fr max-content max-content;gap:.1rem .8rem;padding:.35rem .5rem}summary .name{grid-column:1/-1;white-space:normal}
.path tr{display:grid;grid-template-columns:1fr max-content max-content;border-bottom:1px solid var(--line);padding:.2rem 0}
.path td{border:0;padding:.1rem .5rem}.path td.w{grid-column:1/-1}.path td.w,.path td.b{width:auto}.more{padding-left:.8rem}}
)css";

constexpr unsigned kMaxIndent = 40;

}  // namespace

std::string PageHead(std::string_view title, std::string_view nonce, std::string_view home, int refresh_s) {
  std::string page = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>";
  page += EscapeHtml(title);
  page +=
      "</title><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
      "<link rel=\"icon\" href=\"data:,\">";
  if (refresh_s > 0) page += "<meta http-equiv=\"refresh\" content=\"" + std::to_string(refresh_s) + "\">";
  page.append("<style nonce=\"").append(nonce).append("\">").append(kStyle);
  for (unsigned i = 2; i <= kMaxIndent; ++i) {
    page += ".d" + std::to_string(i) + "{padding-left:" + std::to_string((i - 1) * 14) + "px}";
  }
  page += "</style></head><body><header><b><a href=\"";
  page.append(home).append("\">Spanwatch</a></b>");
  for (const auto& [path, name] :
       {std::pair{"metrics", "metrics"}, std::pair{"api/v1/stats", "stats"}, std::pair{"api/v1/overview", "overview"},
        std::pair{"api/v1/services", "services"}, std::pair{"api/v1/errors", "errors"},
        std::pair{"api/v1/traces", "traces"}, std::pair{"api/v1/alerts", "alerts"}, std::pair{"api/v1/rules", "rules"},
        std::pair{"api/v1/status", "status"}}) {
    page.append("<a href=\"").append(home).append(path).append("\">").append(name).append("</a>");
  }
  page += "</header><main>\n";
  return page;
}

std::string PageEnd() { return "</main></body></html>\n"; }

std::string Badge(std::string_view kind, std::string_view text) {
  return "<span class=\"badge " + EscapeHtml(kind) + "\">" + EscapeHtml(text) + "</span>";
}

std::string Tile(std::string_view name, std::string_view value) {
  return "<div class=\"tile\"><span>" + EscapeHtml(name) + "</span><b>" + EscapeHtml(value) + "</b></div>";
}

}  // namespace spanwatch::http
