/** Light, dark, or as the system has it. */
import { useEffect, useState } from "react";

export const THEMES = ["system", "light", "dark"] as const;

export type Theme = (typeof THEMES)[number];

const KEY = "citestream.theme";

/** Show the theme that was chosen last; before the first paint. */
export function applyTheme(): Theme {
  const stored = THEMES.find((theme) => theme === localStorage.getItem(KEY)) ?? "system";
  document.documentElement.dataset["theme"] = stored;
  return stored;
}

export function useTheme(): [Theme, (theme: Theme) => void] {
  const [theme, setTheme] = useState(applyTheme);
  useEffect(() => {
    localStorage.setItem(KEY, theme);
    document.documentElement.dataset["theme"] = theme;
  }, [theme]);
  return [theme, setTheme];
}
