/** What the page that predicts has beside the style sheet of all pages. */
export const predictStyle = `
.given { margin: .75rem 0; }
.given div { display: flex; flex-wrap: wrap; gap: 0 1rem; padding: .2rem 0; }
.given dt { min-width: 7rem; color: var(--muted); }
.given dd { margin: 0; overflow-wrap: anywhere; min-height: 1.55em; }
`;
