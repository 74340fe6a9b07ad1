// SPDX-License-Identifier: Apache-2.0
// What every page can do: remember a theme, copy, ask before it is too late, keep times relative.
"use strict";

const THEMES = ["light", "dark"];

function shownTheme() {
  const chosen = document.documentElement.dataset.theme;
  if (THEMES.includes(chosen)) return chosen;
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

function turnTheme() {
  const theme = shownTheme() === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  document.cookie = `theme=${theme}; path=/; max-age=31536000; samesite=lax`;
  document.dispatchEvent(new CustomEvent("theme"));
}

async function copyFrom(button) {
  await navigator.clipboard.writeText(button.dataset.copy);
  button.classList.add("done");
  setTimeout(() => button.classList.remove("done"), 1500);
}

function ago(seconds) {
  const size = Math.abs(seconds);
  const [unit, count] =
    size < 60 ? ["s", size] : size < 3600 ? ["min", size / 60] : size < 172800 ? ["h", size / 3600] : ["d", size / 86400];
  const text = `${Math.floor(count)} ${unit}`;
  if (size < 5) return "now";
  return seconds < 0 ? `in ${text}` : `${text} ago`;
}

function tellTimes() {
  for (const time of document.querySelectorAll("time[data-relative]")) {
    const text = ago((Date.now() - Date.parse(time.dateTime)) / 1000);
    if (time.textContent !== text) time.textContent = text;
  }
}

document.addEventListener("click", (event) => {
  const found = event.target.closest("[data-copy], [data-turn-theme], [data-close]");
  if (!found) return;
  if (found.dataset.copy !== undefined) copyFrom(found).catch(() => {});
  if (found.dataset.turnTheme !== undefined) turnTheme();
  if (found.dataset.close !== undefined) found.closest("dialog").close();
});

document.addEventListener("submit", (event) => {
  const question = event.submitter?.dataset.confirm ?? event.target.dataset.confirm;
  if (question && !window.confirm(question)) event.preventDefault();
});

document.addEventListener("htmx:sse:after:message", tellTimes);
document.addEventListener("htmx:after:swap", tellTimes);
document.addEventListener("signed-out", () => location.reload());
setInterval(tellTimes, 5000);
tellTimes();
