"use strict";
// Everything is readable without this script: it sorts tables, filters pairs and opens what is printed.
for (const head of document.querySelectorAll("main table thead th")) {
  const table = head.closest("table");
  if (table.tBodies[0].rows.length < 3) continue;
  const button = document.createElement("button");
  button.type = "button";
  button.append(...head.childNodes);
  head.append(button);
  button.addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "descending" ||
      (!head.hasAttribute("aria-sort") && !head.classList.contains("numeric"));
    const column = [...head.parentNode.children].indexOf(head);
    for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "ascending" : "descending");
    const key = (row) => row.cells[column].dataset.sort ?? row.cells[column].textContent;
    const numeric = head.classList.contains("numeric");
    const rows = [...table.tBodies[0].rows].sort((a, b) => {
      if (!numeric) return key(a).localeCompare(key(b));
      const [left, right] = [parseFloat(key(a)), parseFloat(key(b))];
      if (Number.isNaN(left) || Number.isNaN(right)) return Number.isNaN(left) - Number.isNaN(right);
      return left - right;
    });
    table.tBodies[0].append(...(down ? rows : rows.reverse()));
  });
}

for (const number of document.querySelectorAll("data[value]")) number.title = number.value;

const list = document.getElementById("pair-list");
if (list) {
  const pairs = [...list.children];
  const language = document.getElementById("pair-language");
  const text = document.getElementById("pair-text");
  const count = document.getElementById("pair-count");
  const filter = () => {
    const wanted = text.value.trim().toLowerCase();
    let shown = 0;
    for (const pair of pairs) {
      const named = pair.querySelector("summary").textContent.toLowerCase();
      pair.hidden = (language.value && pair.dataset.language !== language.value) || !named.includes(wanted);
      shown += !pair.hidden;
    }
    count.textContent = `${shown} of ${pairs.length}`;
  };
  for (const same of list.querySelectorAll(".same")) {
    same.closest("details").addEventListener("toggle", () => {
      const code = document.getElementById(same.dataset.code).cloneNode(true);
      code.removeAttribute("id");
      same.replaceWith(code);
    }, { once: true });
  }
  language.addEventListener("change", filter);
  text.addEventListener("input", filter);
  document.querySelector(".filters").hidden = false;
  filter();
}

let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details.more:not([open])")];
  for (const details of opened) details.open = true;
});
addEventListener("afterprint", () => {
  for (const details of opened) details.open = false;
});
