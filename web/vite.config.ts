/** How the page is built, and served while it is worked on. */
import react from "@vitejs/plugin-react";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

/** Leave out the fonts of formulas in formats that no browser with this page's other needs asks for: two thirds of them. */
const woff2Only: Plugin = {
  name: "woff2-only",
  enforce: "pre",
  transform(code, id) {
    if (!id.includes("katex.css")) return null;
    return code.replaceAll(/,\s*url\([^)]*\.(woff|ttf)\) format\(['"][^'"]*['"]\)/g, "");
  },
};

export default defineConfig({
  plugins: [woff2Only, react()],
  build: {
    outDir: "../server/static",
    emptyOutDir: true,
    // Files, not data URLs: one rule for what the server has to serve.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // What the packages inside ask of whoever passes them on.
    license: { fileName: "licences.md" },
  },
  // `npm run dev` shows the page with live reload; the service answers from where `citestream serve` listens.
  server: { proxy: { "/v1": "http://127.0.0.1:8000" } },
  test: { include: ["tests/**/*.test.{ts,tsx}"] },
});
