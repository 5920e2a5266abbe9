// The spawner form works without this. It adds a filter for thousands of images,
// and chooses "another image" for whoever picks one.
"use strict";

(() => {
  const MOST_ROWS = 8;

  function enhance(form) {
    const select = form.querySelector("select[name=image_dropdown]");
    const sentinel = form.querySelector("#nublado-image-other");
    const filter = form.querySelector(".nublado-filter");
    if (!select || !sentinel || !filter) return;

    const choose = () => { sentinel.checked = true; };
    select.addEventListener("change", choose);
    select.addEventListener("click", choose);
    addFilter(filter, select, choose);
  }

  function addFilter(filter, select, choose) {
    const input = filter.querySelector("input");
    const found = filter.querySelector("[role=status]");
    const groups = [...select.querySelectorAll("optgroup")].map((group) => ({
      label: group.label,
      options: [...group.children].map((option) => ({
        option,
        text: `${group.label} ${option.text} ${option.value}`.toLowerCase(),
      })),
    }));
    const total = groups.reduce((sum, group) => sum + group.options.length, 0);

    function show() {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      const before = select.value;
      let count = 0;
      select.replaceChildren(...groups.flatMap((group) => {
        const matching = group.options.filter(({ text }) => words.every((word) => text.includes(word)));
        if (matching.length === 0) return [];
        count += matching.length;
        const shown = document.createElement("optgroup");
        shown.label = group.label;
        shown.append(...matching.map(({ option }) => option));
        return [shown];
      }));
      // A list that is open shows what was found.
      if (words.length > 0 && count > 1) select.size = Math.min(MOST_ROWS, count + 1);
      else select.removeAttribute("size");
      select.value = before;
      if (select.selectedIndex < 0) select.selectedIndex = 0;
      select.disabled = count === 0;
      if (words.length > 0 && count > 0) choose();
      found.textContent = words.length === 0 ? "" : `${count} of ${total} images`;
    }

    input.addEventListener("input", show);
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      // Enter looks at what was found; it does not start a lab yet.
      event.preventDefault();
      if (!select.disabled) select.focus();
    });
    // A browser that comes back to the page may have kept the text.
    if (input.value) show();
    filter.hidden = false;
  }

  document.querySelectorAll(".nublado-form").forEach(enhance);
})();
