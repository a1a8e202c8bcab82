/** What every page that runs in a browser has beside the reports' style sheet. */
export const pageStyle = `
html { scrollbar-gutter: stable; }
.pages { display: flex; flex-wrap: wrap; gap: .25rem 1.5rem; margin: 0 0 1.25rem; padding: 0; list-style: none; font-size: .875rem; max-width: none; }
.pages a { display: inline-block; padding: .25rem 0; }
.pages [aria-current] { color: var(--ink); font-weight: 600; text-decoration: none; }
.lead { font-size: 1.125rem; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.row { display: flex; flex-wrap: wrap; align-items: center; gap: .5rem 1rem; max-width: none; }
.field { margin: 1.5rem 0 1rem; padding: 1.5rem 1.25rem; border: 2px dashed var(--muted); border-radius: 8px; background: var(--tint); }
.field.over { border-color: var(--accent); border-style: solid; }
.field .row { margin: .75rem 0; }
.call { margin: 0; font-size: 1.25rem; font-weight: 600; }
button, select, input { font: inherit; color: var(--ink); background: var(--paper); border: 1px solid var(--muted); border-radius: 4px; padding: .4rem .9rem; min-height: 2.5rem; max-width: 100%; }
button { cursor: pointer; }
:is(button, select, input):disabled { cursor: default; opacity: .6; }
button.first { color: var(--paper); background: var(--accent); border-color: var(--accent); }
button:hover:enabled { border-color: var(--ink); }
:is(button, select, input, a, summary):focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.choices { display: flex; flex-wrap: wrap; gap: .75rem 1.5rem; margin: .75rem 0; }
.choices label { display: grid; grid-template-columns: minmax(0, 1fr); gap: .25rem; max-width: 100%; font-size: .875rem; color: var(--muted); min-width: 0; }
.images-line { min-height: 2.5rem; margin: .5rem 0; max-width: 44rem; }
.said { min-height: 1.55rem; color: var(--alert); }
.outcome { min-height: 1rem; }
.outcome .notice { margin-top: 0; min-height: 7.5rem; white-space: pre-line; overflow-wrap: anywhere; }
progress { width: 12rem; max-width: 50%; accent-color: var(--accent); }
.save { font-size: .875rem; padding-top: 1rem; border-top: 1px solid var(--rule); }
article { margin: 1.5rem 0 3rem; }
article:focus { outline: none; }
article pre { white-space: pre-wrap; }
@media print { .field, .save, .pages, .images-line, .lead { display: none; } }
`;
