// The page is complete without this: it sorts tables, hides contours, enlarges pictures, marks where the reader is in the
// contents, and opens what is folded before printing.
"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const key = (row) => row.cells[column].textContent.replaceAll(",", "");
      const compare = (a, b) => {
        const [x, y] = [parseFloat(key(a)), parseFloat(key(b))];
        const numbers = column > 0 && (!Number.isNaN(x) || !Number.isNaN(y));
        if (numbers) return (Number.isNaN(x) ? Infinity : x) - (Number.isNaN(y) ? Infinity : y);
        return key(a).localeCompare(key(b), undefined, { numeric: true });
      };
      const rows = [...table.tBodies[0].rows].sort(compare);
      table.tBodies[0].append(...(up ? rows : rows.reverse()));
    });
  });
}
for (const box of document.querySelectorAll("input[data-hide]")) {
  box.addEventListener("change", () => document.body.classList.toggle(`hide-${box.dataset.hide}`, !box.checked));
}
for (const box of document.querySelectorAll(".switches")) box.hidden = false;
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => (part.open = true)));
const enlarged = document.getElementById("enlarged");
for (const slice of document.querySelectorAll(".slice")) {
  const show = () => {
    enlarged.querySelector("div").replaceChildren(slice.cloneNode(true));
    enlarged.showModal();
  };
  slice.setAttribute("role", "button");
  slice.setAttribute("aria-label", `Enlarge: ${slice.querySelector("img").alt}`);
  slice.tabIndex = 0;
  slice.addEventListener("click", show);
  slice.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); show(); }
  });
}
enlarged.addEventListener("click", () => enlarged.close());
const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
const parts = [...document.querySelectorAll("main > section")];
function mark() {
  const here = parts.filter((part) => part.getBoundingClientRect().top < innerHeight / 3).at(-1) ?? parts[0];
  for (const [name, link] of links) name === here?.id ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current");
}
addEventListener("scroll", mark, { passive: true });
mark();
