/** The page's entry. */
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import "./style.css";
import { Page } from "./views/Page";

const root = document.getElementById("page");
if (root !== null) {
  createRoot(root).render(
    <StrictMode>
      <Page />
    </StrictMode>,
  );
}
