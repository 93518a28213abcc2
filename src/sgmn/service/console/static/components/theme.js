// The theme: as the system has it, light, or dark.

const STORED = "sgmn.theme";
const THEMES = ["system", "light", "dark"];

/** Applies the stored theme and returns its name. */
export function applyTheme() {
  const theme = localStorage.getItem(STORED) ?? "system";
  document.documentElement.dataset.theme = theme;
  return theme;
}

/** Changes to the next theme. */
export function nextTheme() {
  localStorage.setItem(STORED, THEMES[(THEMES.indexOf(applyTheme()) + 1) % THEMES.length]);
  return applyTheme();
}
