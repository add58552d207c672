import { renderToStaticMarkup } from "react-dom/server";
import { expect, test } from "vitest";

import { newTurn } from "../src/state/turn";
import { Answer } from "../src/views/Answer";

const ATTACKS = `<script>hit()</script> <img src=x onerror="hit()"> [plain](https://example.org/go) ![x](javascript:hit())
$\\href{javascript:hit()}{x}$ $\\htmlData{onclick=hit()}{y}$ <a href="javascript:hit()">click</a>
# <img src=x onerror=hit()>

\\[12] \\(a\\) \\[b\\] $$c$$ ![1] [1]: https://example.org [x][1] [^1]: y

| $a$ | \\(b [1] |
|---|---|
| [1] $c | d$ |

\`\`\`html
${"`"}<b>\\[
\`\`\`

- $$
  x
  $$
> \\[
> y
> \\]`;

test("no beginning of a hostile text breaks the page, and none gets an element of its own", () => {
  const broken: string[] = [];
  for (let end = 1; end <= ATTACKS.length; end += 1) {
    try {
      const html = renderToStaticMarkup(
        <Answer turn={{ ...newTurn("run", "q"), answer: ATTACKS.slice(0, end) }} onOpen={() => undefined} />,
      );
      expect(html).not.toMatch(/<(img|script|iframe|style|form)|javascript:[^<]*"/);
    } catch (error) {
      broken.push(`${JSON.stringify(ATTACKS.slice(Math.max(0, end - 40), end))}: ${String(error)}`);
    }
  }
  expect(broken).toEqual([]);
}, 60_000);
