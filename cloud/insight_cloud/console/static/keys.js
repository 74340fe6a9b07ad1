// SPDX-License-Identifier: Apache-2.0
// The keyboard: `/` searches, `g` and a letter goes to a page, `?` tells them, digits label.
"use strict";

const PATIENCE_MS = 1200;
let leaderAt = 0;

function isTyping(target) {
  return target.closest("input, textarea, select, [contenteditable]") !== null;
}

function goTo(letter) {
  const link = document.querySelector(`nav a[data-key="${CSS.escape(letter)}"]`);
  if (link) location.assign(link.href);
  return Boolean(link);
}

function press(key) {
  const button = document.querySelector(`[data-press="${CSS.escape(key)}"]`);
  if (button) button.click();
  return Boolean(button);
}

function act(event) {
  if (event.key === "Escape" && isTyping(event.target)) return event.target.blur();
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return undefined;
  if (Date.now() - leaderAt < PATIENCE_MS) {
    leaderAt = 0;
    return goTo(event.key) && event.preventDefault();
  }
  if (event.key === "g") {
    leaderAt = Date.now();
  } else if (event.key === "/") {
    const search = document.querySelector("[data-search]");
    if (search) {
      event.preventDefault();
      search.focus();
      search.select();
    }
  } else if (event.key === "?") {
    document.getElementById("keys").showModal();
  } else if (press(event.key)) {
    event.preventDefault();
  }
  return undefined;
}

document.addEventListener("keydown", act);
