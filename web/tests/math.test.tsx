import { renderToStaticMarkup } from "react-dom/server";
import Markdown from "react-markdown";
import { expect, test } from "vitest";

import { remarkMarkers } from "../src/text/markers";
import { remarkFormulas, unifyDisplays } from "../src/text/math";

function formulasIn(text: string): string[] {
  const found: string[] = [];
  renderToStaticMarkup(
    <Markdown
      remarkPlugins={[remarkFormulas, remarkMarkers]}
      components={{
        code: ({ className, children }) => {
          if (className?.includes("math-")) found.push(`${className.split("math-")[1]}:${String(children).trim()}`);
          return null;
        },
      }}
    >
      {unifyDisplays(text)}
    </Markdown>,
  );
  return found;
}

test.each([
  ["so $x^2$ it is", ["inline:x^2"]],
  ["so \\(x_1\\) and \\(y\\).", ["inline:x_1", "inline:y"]],
  ["so \\[x\\] it is", ["display:x"]],
  ["so $$x$$ it is", ["display:x"]],
  ["$$\na + b\n$$", ["display:a + b"]],
  ["\\[\na\n- b\n\\]", ["display:a\n- b"]],
  ["\\(a\nb\\)", ["inline:a\nb"]],
  ["It costs $5 and $10.", []],
  ["It costs $5 and $10, so $x$ is free", ["inline:x"]],
  ["from $20,000 to $30,000 [1]", []],
  ["`$x$` and \\$x\\$", []],
  ["```\n\\[\nx\n\\]\n$y$\n```", []],
  ["a quoted \\[12] stays, \\(never closed", []],
  ["$$never closed", []],
  ["$$5 million\n\nand more", []],
])("formulas in %j", (text, formulas) => {
  expect(formulasIn(text)).toEqual(formulas);
});

test("unifying displays moves no character", () => {
  const text = "A\n\n\\[\nx\n\\]\n\nB \\[12] [1]";
  expect(unifyDisplays(text)).toHaveLength(text.length);
  expect(unifyDisplays(text).indexOf("[1]")).toBe(text.indexOf("[1]"));
});
