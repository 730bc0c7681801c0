// el: makes elements. Text always goes in as text, never as markup: names come from files.

/** An element with attributes, event handlers (`onclick`) and children (nodes or text). */
function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** The element with this id; every id in the page's own markup exists. */
function byId(id) {
  return document.getElementById(id);
}

/** A table in a frame that scrolls sideways where it must; `rows` are arrays of text or nodes. */
function dataTable(caption, columns, rows) {
  const head = columns.map((column) =>
    el("th", { scope: "col", class: column.number ? "number" : null }, column.name),
  );
  const body = rows.map((cells) =>
    el(
      "tr",
      {},
      cells.map((cell, index) =>
        index === 0
          ? el("th", { scope: "row" }, cell)
          : el("td", { class: columns[index].number ? "number" : null }, cell),
      ),
    ),
  );
  const table = el(
    "table",
    {},
    el("caption", {}, caption),
    el("thead", {}, el("tr", {}, head)),
    el("tbody", {}, body),
  );
  // A frame that scrolls has to be reachable by the keyboard.
  return el("div", { class: "table-frame", tabindex: "0", role: "region", "aria-label": caption }, table);
}

/** Say something to a screen reader without moving the focus. */
function announce(text) {
  byId("announcer").textContent = text;
}

/** Offer `text` as a download. */
function download(name, text, type) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  const link = el("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}
