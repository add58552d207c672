/** The page's entry. */
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { applyTheme } from "./hooks/theme";
import "./style/index.css";
import { Page } from "./views/Page";
import { Safely } from "./views/Safely";
import { words } from "./words";

document.documentElement.lang = words.lang;
applyTheme();

const root = document.getElementById("page");
if (root !== null) {
  createRoot(root).render(
    <StrictMode>
      <Safely of="page" instead={<p className="broken">{words.errors["page_error"]}</p>}>
        <Page />
      </Safely>
    </StrictMode>,
  );
}
