// Redoc on this service's own document, in letters that every system has: its usual ones come from another host.
const LETTERS = "system-ui, sans-serif";

window.Redoc.init(
  "openapi.json",
  {
    theme: {
      typography: { fontFamily: LETTERS, headings: { fontFamily: LETTERS }, code: { fontFamily: "ui-monospace, monospace" } },
    },
  },
  document.getElementById("documentation"),
);
