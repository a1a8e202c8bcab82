/** What the audit's page has beside the style sheet of all pages. */
export const auditStyle = `
.entries { display: flex; flex-wrap: wrap; gap: .5rem; margin: 0 0 1rem; padding: 0; list-style: none; max-width: none; }
.entries [aria-current] { border-color: var(--accent); box-shadow: inset 0 -2px var(--accent); }
@media print { .entries { display: none; } }
`;
