/** What the audit's page has beside the reports' style sheet. */
export const auditStyle = `
html { scrollbar-gutter: stable; }
.lead { font-size: 1.125rem; }
.row { display: flex; flex-wrap: wrap; align-items: center; gap: .5rem 1rem; max-width: none; }
.field { margin: 1.5rem 0 1rem; padding: 1.5rem 1.25rem; border: 2px dashed var(--muted); border-radius: 8px; background: var(--tint); }
.field.over { border-color: var(--accent); border-style: solid; }
.field .row { margin: .75rem 0; }
.call { margin: 0; font-size: 1.25rem; font-weight: 600; }
button, select { font: inherit; color: var(--ink); background: var(--paper); border: 1px solid var(--muted); border-radius: 4px; padding: .4rem .9rem; min-height: 2.5rem; }
button { cursor: pointer; }
button:disabled, select:disabled { cursor: default; }
.field .first { color: var(--paper); background: var(--accent); border-color: var(--accent); }
button:hover:enabled { border-color: var(--accent); }
:is(button, select, a, summary):focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.images-line { min-height: 2.5rem; margin: .5rem 0; max-width: 44rem; }
.said { min-height: 1.55rem; color: var(--alert); }
.entries { display: flex; flex-wrap: wrap; gap: .5rem; margin: 0 0 1rem; padding: 0; list-style: none; max-width: none; }
.entries [aria-current] { border-color: var(--accent); box-shadow: inset 0 -2px var(--accent); }
.outcome { min-height: 1rem; }
.outcome .notice { margin-top: 0; min-height: 7.5rem; white-space: pre-line; overflow-wrap: anywhere; }
progress { width: 12rem; max-width: 50%; accent-color: var(--accent); }
.save { font-size: .875rem; padding-top: 1rem; border-top: 1px solid var(--rule); }
article { margin: 1.5rem 0 3rem; }
article:focus { outline: none; }
article pre { white-space: pre-wrap; }
@media print { .field, .save, .entries, .images-line, .lead { display: none; } }
`;
