// The filter of the page of a difference: rows, pictures and inputs of one column and of one instrument.
"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const all = (selector, under = document) => [...under.querySelectorAll(selector)];
  const column = byId("column"), instrument = byId("instrument");

  /** Whether an element is about the instrument that is asked for; where it names none, it stays. */
  function isOfInstrument(element, wanted) {
    const named = all("[data-key]", element);
    return !wanted || !named.length
      || named.some(({ dataset }) => [dataset.key, dataset.symbol].some((name) => name.toLowerCase().includes(wanted)));
  }

  /** The columns that a row of a table is about; null where it says none. */
  function columnsOf(row) {
    if (row.dataset.column) return [row.dataset.column];
    const heads = all("thead th", row.closest("table")).map((head) => head.textContent);
    const place = heads.findIndex((head) => head === "column" || head === "evidence");
    if (place < 0) return null;
    return row.cells[place].textContent.split(":")[0].split(",").map((name) => name.trim());
  }

  function filter() {
    const wanted = instrument.value.trim().toLowerCase(), name = column.value;
    all("tbody tr").forEach((row) => {
      const columns = name ? columnsOf(row) : null;
      row.hidden = !isOfInstrument(row, wanted) || (columns !== null && !columns.includes(name));
    });
    // A table of inputs belongs to the cell that the sentence above it names.
    all("section > p").forEach((sentence) => {
      const next = sentence.nextElementSibling;
      if (!sentence.textContent.startsWith("Input of ")) return;
      sentence.hidden = !isOfInstrument(sentence, wanted) || (name !== "" && !sentence.textContent.includes(` of ${name} (`));
      if (next) next.hidden = sentence.hidden;
    });
    all("img").forEach((picture) => {
      const of = picture.alt.match(/ of (\S+)$/);
      picture.hidden = Boolean(name && of && of[1] !== name);
    });
    const rows = all("#differing tbody tr"), shown = rows.filter((row) => !row.hidden).length;
    byId("shown").textContent = name || wanted ? `${shown} of ${rows.length} rows of instruments` : "";
    const said = new URLSearchParams(Object.entries({ column: name, instrument: instrument.value.trim() }).filter(([, value]) => value));
    history.replaceState(null, "", said.size ? `#${said}` : location.pathname + location.search);
  }

  const asked = new URLSearchParams(location.hash.slice(1));
  if (asked.has("column") || asked.has("instrument")) {
    column.value = asked.get("column") ?? "";
    instrument.value = asked.get("instrument") ?? "";
    filter();
  }
  column.addEventListener("change", filter);
  instrument.addEventListener("input", filter);
  byId("filter").addEventListener("submit", (event) => event.preventDefault());
})();
