/** What the page that predicts has beside the style sheet of all pages. */
export const predictStyle = `
.given { margin: .75rem 0; }
.given div { display: flex; flex-wrap: wrap; gap: 0 1rem; padding: .2rem 0; }
.given dt { min-width: 7rem; color: var(--muted); }
.images.pairs { grid-template-columns: repeat(auto-fill, minmax(16.5rem, 1fr)); gap: 1.5rem; }
.images.pairs img { width: 8rem; height: 8rem; image-rendering: auto; }
.images.pairs img + img { image-rendering: pixelated; }
.images.pairs li { font-size: .9375rem; line-height: 1.5; overflow-wrap: anywhere; }
.given dd { margin: 0; overflow-wrap: anywhere; min-height: 1.55em; }
`;
