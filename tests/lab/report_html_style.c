/* SPDX-License-Identifier: BSD-2-Clause */
/* report_html_style.c - how the page looks and the little that it does. Colours of states come from
 * diagrams/, those of identities are made here: none of them is a state's.
 */
#include "tests/lab/report_html.h"

static const char rules[] =
    ":root{--ink:#1f2933;--faint:#616e7c;--page:#ffffff;--soft:#f5f7fa;--rule:#d9e0e7;"
    "--bad:#b3261e;--bad-soft:#fde8e6;--good:#2b7a4b;--cut:#c2410c;color-scheme:light dark}\n"
    "@media screen and "
    "(prefers-color-scheme:dark){:root{--ink:#e6ebf0;--faint:#9aa7b4;--page:#14191f;"
    "--soft:#1c232b;--rule:#303a45;--bad:#ff8a80;--bad-soft:#40201e;--good:#7fd3a0;--cut:#ffb077}}"
    "\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0;padding:1.6rem 2rem;background:var(--page);color:var(--ink);"
    "font:14px/1.4 system-ui,'Segoe UI',Roboto,Helvetica,Arial,sans-serif}\n"
    "h1{font-size:1.7rem;line-height:1.2;margin:.1rem 0 .6rem}\n"
    "h2{font-size:1.25rem;margin:0 0 .3rem}h3{font-size:.95rem;margin:0 0 .4rem}\n"
    "code,pre{font-family:ui-monospace,'DejaVu Sans "
    "Mono',Menlo,Consolas,monospace;font-size:.86em}\n"
    "small{color:var(--faint);font-size:.82em}em{font-style:italic}\n"
    ".brand{margin:0;color:var(--faint);letter-spacing:.03em}\n"
    ".lead{max-width:62rem;font-size:1.02rem;margin:.2rem 0 .7rem}\n"
    ".legend{list-style:none;margin:0 0 1.2rem;padding:0;display:grid;gap:.35rem;max-width:78rem;"
    "color:var(--faint)}\n"
    ".legend li{padding-left:5rem}.legend li>b:first-child{display:inline-block;width:5rem;"
    "margin-left:-5rem;color:var(--ink)}\n"
    ".chip-state{display:inline-block;background:var(--fill);border:1.5px solid var(--line);"
    "color:#1f2933;border-radius:.35rem;padding:0 .4rem;font-size:.84em;font-weight:600}\n"
    ".heads[width]{position:absolute}\n"
    /* verdicts, filters, index */
    ".verdict{display:inline-block;padding:.05rem .55rem;border-radius:1rem;font-size:.8rem;"
    "font-weight:600;vertical-align:middle;color:#fff;background:#616e7c}\n"
    ".verdict.passed{background:#2b7a4b}.verdict.failed{background:#b3261e}\n"
    ".filters{border:1px solid var(--rule);border-radius:.5rem;display:inline-flex;gap:1.2rem;"
    "margin:0 0 .6rem;padding:.2rem .9rem .4rem}\n"
    "body:has(#show-passed:checked) :is(section.run,.index tr):not(.passed),"
    "body:has(#show-failed:checked) :is(section.run,.index tr):not(.failed),"
    "body:has(#show-skipped:checked) :is(section.run,.index tr):not(.skipped){display:none}\n"
    ".index{border-collapse:collapse;width:100%;max-width:100rem;margin-bottom:1.4rem}\n"
    ".index td{padding:.3rem .6rem;border-bottom:1px solid var(--rule);white-space:nowrap}\n"
    ".index td:nth-child(2){white-space:normal;min-width:18rem}.index .life{width:45%}\n"
    ".index .steps{color:var(--faint);text-align:right}a{color:inherit}\n"
    /* strip */
    ".strip{display:block;width:100%;height:30px;margin:.3rem 0 .8rem}"
    ".index .strip{height:24px;margin:0}\n"
    ".strip rect{fill:var(--line)}.strip rect[class^=i]{fill:var(--c)}"
    ".strip .s-none,.strip .s-blank{fill:var(--fill)}\n"
    ".strip .held{fill:var(--bad)}.strip .cut{fill:var(--cut)}.strip .fail{fill:var(--bad)}\n"
    /* a run */
    ".run{border-top:2px solid var(--rule);padding-top:1.1rem;margin-bottom:2.4rem}\n"
    ".where,.device{margin:.1rem "
    "0;color:var(--faint)}.device{color:var(--ink);margin-bottom:.6rem}\n"
    ".failure{border-left:5px solid var(--bad);background:var(--bad-soft);padding:.6rem 1rem;"
    "margin:.6rem 0 .9rem;border-radius:.3rem}\n"
    ".failure code{user-select:all;overflow-wrap:anywhere}\n"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem .9rem;margin:0}"
    "dt{color:var(--faint)}dd{margin:0;overflow-wrap:anywhere}\n"
    ".sides{display:grid;grid-template-columns:minmax(0,1fr) 22rem;gap:1.4rem;align-items:start}\n"
    "aside{position:sticky;top:.6rem;max-height:98vh;overflow:auto;font-size:.9rem}\n"
    /* lanes */
    ".lanes{min-width:0;border-bottom:1px solid var(--rule)}\n"
    ".lanes>.heads,.row>summary{display:grid;grid-template-columns:2.5rem minmax(12.5rem,1fr) "
    "5.5rem 5.5rem 5.6rem 5.7rem 6rem 5.2rem 5.4rem minmax(5rem,7.6rem)}\n"
    ".lanes>.heads{position:sticky;top:0;background:var(--page);z-index:2;font-weight:600;"
    "border-bottom:2px solid var(--ink)}\n"
    ".lanes>.heads span{padding:.2rem .45rem}.heads small{display:block;font-weight:400}\n"
    ".row>summary{list-style:none;cursor:pointer;border-top:1px solid "
    "var(--rule);min-height:2rem}\n"
    ".row>summary::-webkit-details-marker{display:none}\n"
    ".row>summary:hover,.row[open]>summary{background:var(--soft)}\n"
    ".row>summary:focus-visible{outline:2px solid #2563a8;outline-offset:-2px}\n"
    ".c{padding:.32rem .45rem;min-width:0;overflow-wrap:anywhere}\n"
    ".boots .what{font-weight:600}\n"
    ".n{color:var(--faint);white-space:nowrap;text-align:right;font-variant-numeric:tabular-nums}\n"
    ".same>.t{opacity:0}.row>summary:hover .same>.t,.row>summary:focus .same>.t,"
    ".row[open] .same>.t{opacity:.75}\n"
    ".c small{display:block}\n"
    ".state{background:var(--fill);border-left:4px solid "
    "var(--line);color:#1f2933;margin-top:-1px}\n"
    ".state em{color:#b3261e;font-style:normal;font-weight:700}\n"
    ".striped{background:repeating-linear-gradient(135deg,var(--fill) 0 7px,#fff 7px 14px)}\n"
    ".asleep{opacity:.45}.mode.held{color:var(--bad);font-weight:700}\n"
    ".identity{border-left:7px solid var(--c,transparent);margin-top:-1px;"
    "background:color-mix(in srgb,var(--c,transparent) 13%,transparent)}\n"
    ".identity.nobody,.off,.none{color:var(--faint)}.out{color:var(--bad);font-weight:600}\n"
    ".disc{display:inline-block;min-width:1.45em;height:1.45em;line-height:1.45em;padding:0 .3em;"
    "border-radius:1em;text-align:center;font-size:.84em;color:#fff;background:var(--c)}\n"
    ".disc.dead{background:none;color:var(--c);box-shadow:inset 0 0 0 2px var(--c);"
    "text-decoration:line-through}\n"
    ".image{display:inline-block;border-radius:.35rem;padding:0 .4rem;font-size:.84em;"
    "border:1.5px solid var(--faint);color:var(--faint);white-space:nowrap}\n"
    ".image.legacy{border-style:dotted}.runs .image.aware{background:#1f2933;border-color:#1f2933;"
    "color:#fff}.runs .image.legacy{background:#7b6a58;border-color:#7b6a58;color:#fff}\n"
    ".slot.runs.same>.t,.slot.same>.t{opacity:.22}\n"
    ".tag{display:inline-block;border-radius:.3rem;padding:0 .35rem;margin:.1rem .2rem 0 0;"
    "font-size:.8em;border:1px solid var(--rule);overflow-wrap:anywhere}\n"
    ".what .tag{margin-left:.4rem}.tag.bad,.tag.exit{border-color:var(--bad);color:var(--bad)}\n"
    ".tag.cut{border-color:var(--cut);color:var(--cut);font-weight:600}\n"
    ".tag.trial{border-style:dashed;border-color:#b7791f;color:#b7791f}\n"
    ".tag.next{border:0;padding:0;color:var(--ink);font-weight:600}\n"
    ".tag.reason{border-color:#b7791f}\n"
    ".dark .c:not(.what):not(.n){filter:grayscale(.6);opacity:.75}\n"
    ".fails>summary{background:var(--bad-soft);outline:2px solid var(--bad);outline-offset:-2px}\n"
    ".wrong{display:block;margin-top:.25rem;color:var(--bad)}\n"
    ".detail{padding:.5rem 1rem .8rem 2.7rem;background:var(--soft)}.panel .detail{padding:.6rem;"
    "border-radius:.4rem}\n"
    ".detail pre{margin:.6rem 0 0;white-space:pre-wrap;overflow-wrap:anywhere;padding:.5rem .7rem;"
    "border-left:3px solid var(--rule)}\n"
    ".trace .go{font-weight:700}.trace .done{color:var(--faint)}.trace .held{color:var(--bad);"
    "font-weight:700}\n"
    ".panel .detail{display:flex;flex-direction:column;gap:.6rem}.panel .trace{order:-1;margin:0}"
    ".panel dl{grid-template-columns:5.6rem 1fr;gap:.1rem .6rem}\n"
    ".hint{color:var(--faint)}\n"
    /* state machine */
    ".machine{width:100%;height:auto;display:block}\n"
    ".machine g rect{fill:var(--fill);stroke:var(--line);stroke-width:1.5}\n"
    ".machine g text{text-anchor:middle;font-size:14px;font-weight:600;fill:#1f2933}\n"
    ".machine .never{opacity:.4}.machine .end rect{stroke-width:3}\n"
    ".machine .here rect{stroke:var(--ink);stroke-width:4}\n"
    ".can{fill:none;stroke:var(--rule);stroke-width:1.2}.can-head{fill:var(--rule)}\n"
    ".did{fill:none;stroke:var(--ink);stroke-width:2}.did-head{fill:var(--ink)}\n"
    ".machine .at{text-anchor:middle;font-size:12px;font-weight:600;fill:var(--ink);"
    "stroke:var(--page);stroke-width:5px;paint-order:stroke}\n"
    "@media screen and (prefers-color-scheme:dark){.state,.chip-state{color:var(--ink);"
    "background:color-mix(in srgb,var(--line) 36%,var(--page))}.state em{color:var(--bad)}"
    ".striped{background:repeating-linear-gradient(135deg,color-mix(in srgb,var(--line) 36%,"
    "var(--page)) 0 7px,var(--page) 7px 14px)}"
    ".machine g rect{fill:color-mix(in srgb,var(--line) 36%,var(--page))}.machine g text{fill:"
    "var(--ink)}.strip .s-none,.strip .s-blank{fill:color-mix(in srgb,var(--line) 50%,var(--page))}"
    ".runs .image.aware{background:#e6ebf0;border-color:#e6ebf0;color:#14191f}"
    ".tag.trial,.tag.reason{border-color:#e0a94a;color:#e0a94a}}\n"
    "@media (max-width:1240px){.sides{grid-template-columns:1fr}aside{position:static;order:-1;"
    "display:grid;grid-template-columns:20rem 1fr;gap:1rem;max-height:none}aside h3{display:none}"
    ".lanes{overflow-x:auto}.lanes>*{min-width:64rem}}\n"
    "@media print{html{font-size:10px}body{padding:0;font-size:9px}.filters,.panel{display:none}"
    "*{-webkit-print-color-adjust:exact;print-color-adjust:exact}"
    ".sides{display:flex;flex-direction:column}.lanes{width:100%}aside{position:static;order:-1;"
    "width:38%;max-height:none}"
    ".lanes>.heads{position:static}.row,.failure,aside{break-inside:avoid}"
    ".run{break-before:page}.run:first-child{break-before:auto}@page{size:A4 "
    "landscape;margin:10mm}}"
    "\n";

/* Without it the page is whole: rows open, filters work. */
static const char script[] =
    "const rows = [...document.querySelectorAll('.row')];\n"
    "function show(row) {\n"
    "  const run = row.closest('.run');\n"
    "  run.querySelector('.panel').replaceChildren(row.querySelector('.detail').cloneNode(true));\n"
    "  for (const box of run.querySelectorAll('.machine g'))\n"
    "    box.classList.toggle('here', box.dataset.state === row.dataset.state);\n"
    "}\n"
    "for (const [at, row] of rows.entries()) {\n"
    "  const head = row.querySelector('summary');\n"
    "  row.addEventListener('mouseenter', () => show(row));\n"
    "  head.addEventListener('focus', () => show(row));\n"
    "  head.addEventListener('keydown', event => {\n"
    "    const step = {ArrowDown: 1, ArrowUp: -1}[event.key];\n"
    "    const next = step ? rows[at + step] : null;\n"
    "    if (!next) return;\n"
    "    event.preventDefault();\n"
    "    next.querySelector('summary').focus();\n"
    "  });\n"
    "}\n";

void lab_print_style(FILE *out)
{
    /* Hues between those of the states, dark enough for white numbers. */
    static const char *const colours[LAB_COLOURS] = {"#7c3aed", "#c2255c", "#0f766e", "#b45309",
                                                     "#4338ca", "#be123c", "#4d7c0f", "#86198f",
                                                     "#0e7490", "#713f12"};
    (void)fputs("<style>\n", out);
    for (enum idm_state s = 0; s < IDM_STATE_COUNT; s++)
        (void)fprintf(out, ".s-%s{--fill:%s;--line:%s}\n", lab_look_of(s)->id, lab_look_of(s)->fill,
                      lab_look_of(s)->line);
    for (size_t i = 0; i < LAB_COLOURS; i++)
        (void)fprintf(out, ".i%zu{--c:%s}\n", i, colours[i]);
    (void)fprintf(out, "%s</style>\n", rules);
}

void lab_print_script(FILE *out)
{
    /* In XML the text needs its section, in HTML the section needs its comment. */
    (void)fprintf(out, "<script>//<![CDATA[\n%s//]]></script>\n", script);
}
