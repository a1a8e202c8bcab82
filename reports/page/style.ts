/** The style sheet of every report: light, dark and print, from phone to desktop. */
export const style = `
:root {
  color-scheme: light dark;
  --paper: #fdfdfc; --ink: #1c1e21; --muted: #5b6068; --rule: #d9dbdf; --tint: #f3f4f2;
  --accent: #1f5fa8; --alert: #9a3412; --alert-tint: #fff3ea;
  --training: #1f5fa8; --validation: #a8540a; --test: #7a1f5c;
  --line-1: #1f5fa8; --line-2: #a8540a; --line-3: #1b7a4b; --line-4: #7a1f5c;
  --line-5: #0f7a8a; --line-6: #b3261e; --line-7: #6b6f00; --line-8: #5b4bb0;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #16181b; --ink: #e6e7e9; --muted: #a3a8b0; --rule: #3a3e45; --tint: #1f2226;
    --accent: #7fb2ec; --alert: #fdba8c; --alert-tint: #33231a;
    --training: #7fb2ec; --validation: #f0a75a; --test: #e58cc6;
    --line-1: #7fb2ec; --line-2: #f0a75a; --line-3: #6fcf9b; --line-4: #e58cc6;
    --line-5: #6fd0dd; --line-6: #ff8a80; --line-7: #cfc95a; --line-8: #b7a8f5;
  }
}
.network { display: block; max-width: none; }
.network path { fill: none; stroke: var(--muted); stroke-width: 1; }
.network rect { fill: var(--paper); stroke-width: 1.5; }
.network text { fill: var(--ink); font-size: 10px; text-anchor: middle; }
.network .size { text-anchor: start; fill: var(--muted); font-size: 12px; }
.network .breaks rect { fill: var(--alert-tint); stroke: var(--alert) !important; stroke-width: 3; }
.network .breaks text { fill: var(--alert); font-weight: 700; }
@media print {
  :root {
    color-scheme: light;
    --paper: #fff; --ink: #000; --muted: #444; --rule: #bbb; --tint: #f3f3f3;
    --accent: #1f5fa8; --alert: #9a3412; --alert-tint: #fff;
    --training: #1f5fa8; --validation: #a8540a; --test: #7a1f5c;
    --line-1: #1f5fa8; --line-2: #a8540a; --line-3: #1b7a4b; --line-4: #7a1f5c;
    --line-5: #0f7a8a; --line-6: #b3261e; --line-7: #6b6f00; --line-8: #5b4bb0;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 2.5rem 1.25rem 4rem; max-width: 70rem;
  background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
  overflow-wrap: break-word;
}
h1, h2, h3 { line-height: 1.25; font-weight: 600; text-wrap: balance; }
h1 { font-size: 1.75rem; margin: 0 0 1rem; }
h2 { font-size: 1.2rem; margin: 3.5rem 0 1rem; padding-top: .75rem; border-top: 1px solid var(--rule); }
h3 { font-size: 1rem; margin: 2rem 0 .5rem; }
p, ul, ol { max-width: 44rem; margin: .5rem 0; }
ul, ol { padding-left: 1.25rem; }
a { color: var(--accent); }
code { font: .875em/1.4 ui-monospace, "SF Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.muted, caption, figcaption { color: var(--muted); font-size: .875rem; }
.eyebrow { margin: 0; color: var(--muted); font-size: .875rem; }
.result { display: flex; flex-wrap: wrap; align-items: center; gap: .5rem 1.5rem; margin: 1rem 0; max-width: none; }
.result span { max-width: 36rem; }
.result strong { font-size: 3.25rem; line-height: 1; font-weight: 600; letter-spacing: -.02em; }
.result.none strong { font-size: 2rem; letter-spacing: 0; }
.notice {
  margin: 1.25rem 0; padding: .75rem 1rem; border-left: 4px solid var(--alert);
  background: var(--alert-tint); max-width: 48rem;
}
.notice.calm { border-left-color: var(--accent); background: var(--tint); }
.notice.calm strong { color: inherit; }
.notice > :first-child { margin-top: 0; }
.notice > :last-child { margin-bottom: 0; }
.notice strong { color: var(--alert); }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(14rem, 44%), 1fr)); gap: 1rem 1.5rem; margin: 1.75rem 0 0; }
.facts dt { color: var(--muted); font-size: .8125rem; }
.facts dd { margin: 0; font-variant-numeric: tabular-nums; }
.columns { display: grid; gap: 1.5rem 2.5rem; }
@media (min-width: 56rem) { .columns { grid-template-columns: 1fr 1fr; } }
.columns > * { min-width: 0; }
figure { margin: 0 0 1rem; max-width: 36rem; break-inside: avoid; }
figure:has(.wide-table), figure:has(.confusion), figure:has(.network) { max-width: none; }
figure h3 { margin: .5rem 0 .25rem; }
figcaption { margin-top: .25rem; }
.legend { display: flex; flex-wrap: wrap; gap: .125rem 1.25rem; margin: 0; padding: 0; list-style: none; font-size: .875rem; }
.legend li::before { content: ""; display: inline-block; width: 1.5rem; margin-right: .5rem; vertical-align: middle; border-top: 2px solid var(--color); }
.legend .dashed::before { border-top-style: dashed; }
.legend .dots::before { border: 0; width: .5rem; height: .5rem; margin-left: .5rem; border-radius: 50%; background: var(--color); print-color-adjust: exact; }
.plot svg { display: block; width: 100%; height: auto; }
.plot .narrow { display: none; }
@media screen and (max-width: 30rem) { .plot .narrow { display: block; } .plot .wide { display: none; } }
.contents { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin: 1.5rem 0 0; padding: .75rem 0 0; border-top: 1px solid var(--rule); list-style: none; font-size: .875rem; max-width: none; }
h2[id] { scroll-margin-top: 1rem; }
details { margin: 1rem 0; }
summary { cursor: pointer; color: var(--accent); }
summary:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.scroll { overflow-x: auto; background: linear-gradient(to right, var(--paper) 30%, transparent) 0 0 / 2rem 100% no-repeat local, linear-gradient(to left, var(--paper) 30%, transparent) 100% 0 / 2rem 100% no-repeat local, linear-gradient(to right, var(--rule), transparent) 0 0 / .5rem 100% no-repeat, linear-gradient(to left, var(--rule), transparent) 100% 0 / .5rem 100% no-repeat; margin: .5rem 0 1rem; }
.scroll:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding-bottom: .5rem; }
th, td { padding: .3rem .75rem .3rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--rule); }
th { font-weight: 600; }
tbody th { font-weight: 400; }
thead th { color: var(--muted); font-weight: 500; }
.number { text-align: right; }
.wide-table { width: 100%; }
.kinds tbody th { white-space: nowrap; }
.kinds thead th { min-width: 5.75rem; overflow-wrap: anywhere; vertical-align: bottom; }
@media screen {
  .kinds td.number { white-space: nowrap; }
  .kinds .sentences { min-width: 12rem; }
}
.departures th { white-space: nowrap; }
.departures td:last-child, .trials td:last-child { min-width: 12rem; }
.whole { white-space: nowrap; }
.confusion th, .confusion td { padding: .3rem .4rem; border: 0; text-align: right; }
.confusion tbody th, .confusion thead td { text-align: left; white-space: nowrap; padding-left: 0; }
.confusion thead th { vertical-align: bottom; height: 6.5rem; white-space: nowrap; }
.confusion thead th span { writing-mode: vertical-rl; transform: rotate(180deg); }
.confusion td { min-width: 2.4rem; print-color-adjust: exact; background: color-mix(in srgb, var(--color) var(--share), transparent); }
.confusion .right { --color: var(--accent); font-weight: 600; }
.confusion .wrong { --color: var(--validation); }
.confusion .zero { color: var(--muted); }
.offsets thead th { height: auto; }
.offsets thead th span { writing-mode: horizontal-tb; transform: none; }
td.bar { min-width: 7rem; width: 40%; }
td.bar span { display: block; height: .75rem; margin-top: .3rem; width: var(--share); min-width: 1px; background: var(--accent); print-color-adjust: exact; }
.images { display: grid; grid-template-columns: repeat(auto-fill, minmax(5rem, 1fr)); gap: 1rem .75rem; margin: 1rem 0 0; padding: 0; list-style: none; max-width: none; }
.images.pairs { grid-template-columns: repeat(auto-fill, minmax(8.75rem, 1fr)); }
.images.large { grid-template-columns: repeat(auto-fill, minmax(8rem, 1fr)); }
.images.large img { width: 6rem; height: 6rem; object-fit: contain; object-position: left bottom; image-rendering: auto; background: none; }
.images.large li { overflow-wrap: anywhere; }
.images div { display: flex; gap: .25rem; }
.images img { display: block; width: 4rem; height: 4rem; image-rendering: pixelated; background: var(--tint); }
.images li { font-size: .75rem; line-height: 1.35; break-inside: avoid; }
.images span { color: var(--muted); font-size: inherit; }
.fields { columns: 19rem 2; column-gap: 2.5rem; font-size: .875rem; margin: .5rem 0; }
.fields div { display: flex; justify-content: space-between; gap: 1rem; padding: .2rem 0; border-bottom: 1px solid var(--rule); break-inside: avoid; }
.fields dt { color: var(--muted); }
.fields dd { margin: 0; text-align: right; overflow-wrap: anywhere; }
.fields .departs dd { color: var(--alert); font-weight: 600; }
.judgements { margin: .5rem 0 1.5rem; }
.judgements div { display: grid; gap: .125rem 1.5rem; padding: .5rem 0; border-bottom: 1px solid var(--rule); }
@media (min-width: 44rem), print { .judgements div { grid-template-columns: 13rem 1fr; } }
.judgements dt, .judgements dd { margin: 0; min-width: 0; max-width: 50rem; overflow-wrap: anywhere; }
.judgements p { margin: 0 0 .25rem; max-width: none; }
.judgements .fail dt { color: var(--alert); font-weight: 600; }
.judgements .outcome { display: inline-block; min-width: 4rem; font-size: .875rem; }
.changes li { margin: .75rem 0; break-inside: avoid; }
@media screen and (max-width: 30rem) {
  .confusion { font-size: .75rem; }
  .confusion th, .confusion td { padding: .2rem; }
  .confusion td { min-width: 1.75rem; }
  td.bar { display: none; }
}
@media print { body { padding: 0; max-width: none; font-size: 10pt; } .scroll { overflow: visible; background: none; } nav { display: none; } details > :not(summary) { display: block; } h2, h3, figcaption:first-child { break-after: avoid; } h2 + p, h3 + p { break-after: avoid; } }
`;
