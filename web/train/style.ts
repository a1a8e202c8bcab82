/** What the page that trains has beside the style sheet of all pages. */
export const trainStyle = `
.lead { margin-bottom: 1.25rem; }
input[type="number"] { width: 7.5rem; }
.main-button { font-size: 1.125rem; font-weight: 600; min-height: 3rem; min-width: 12rem; }
.state { margin: 1rem 0 0; min-height: 8rem; }
.state p { margin: .25rem 0; min-height: 1.55em; font-variant-numeric: tabular-nums; max-width: none; overflow-wrap: anywhere; }
.state progress { display: block; width: 100%; max-width: none; height: .75rem; accent-color: var(--accent); }
.images-line { min-height: 5rem; }
.images-line.muted { min-height: 0; margin: 0; }
.saves { font-size: .875rem; }
.hash { min-height: 4.65em; }
.place { aspect-ratio: 560 / 240; border-radius: 4px; }
.place:empty { background: var(--tint); }
.one-line { min-height: 1.55em; font-variant-numeric: tabular-nums; }
.whole-width { max-width: none; margin-top: 2rem; }
.batch, .filters { display: grid; gap: .5rem .75rem; margin: .5rem 0 0; padding: 0; list-style: none; max-width: none; }
.batch { grid-template-columns: repeat(8, minmax(0, 1fr)); }
.filters { grid-template-columns: repeat(16, minmax(0, 1fr)); max-width: 44rem; }
.batch canvas, .filters canvas { display: block; width: 100%; aspect-ratio: 1; image-rendering: pixelated; background: var(--tint); }
.batch li { font-size: .75rem; line-height: 1.35; min-width: 0; }
.batch span { display: block; height: 1.35em; overflow: hidden; white-space: nowrap; text-overflow: ellipsis; }
.batch span + span { color: var(--muted); }
.rules { margin: .5rem 0; padding: 0; list-style: none; max-width: none; columns: 22rem 2; column-gap: 2.5rem; font-size: .875rem; }
.rules li { break-inside: avoid; padding: .3rem 0 .3rem 1.75rem; border-bottom: 1px solid var(--rule); position: relative; }
.rules li::before { position: absolute; left: .25rem; content: "○"; color: var(--muted); }
.rules .pass::before { content: "✓"; color: var(--line-3); font-weight: 700; }
.rules .fail::before { content: "✗"; color: var(--alert); font-weight: 700; }
.rules .fail { color: var(--alert); }
.rules .evidence { display: block; color: var(--muted); }
.runs { margin: .5rem 0; padding: 0; list-style: none; max-width: none; }
.runs li { display: flex; flex-wrap: wrap; align-items: center; gap: .5rem 1rem; padding: .4rem 0; border-bottom: 1px solid var(--rule); }
.runs li span { flex: 1 1 16rem; }
@media (max-width: 44rem) {
  .batch { grid-template-columns: repeat(4, minmax(0, 1fr)); }
  .filters { grid-template-columns: repeat(8, minmax(0, 1fr)); }
  .state p { min-height: 4.65em; }
  .hash { min-height: 9.5rem; }
}
@media screen and (max-width: 30rem) { .place { aspect-ratio: 350 / 240; } .one-line { min-height: 3.1em; } }
`;
