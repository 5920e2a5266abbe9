// The form is complete without this: one list decides which image is started. This
// shows the images that stand out as choices of their own, and filters the list. They
// only set the list, and are not sent.
"use strict";

(() => {
  const MOST_ROWS = 8;
  const NO_FORM = "nublado-none";

  // The list of images, of which those are shown that have all words of the filter.
  class ImageList {
    constructor(box) {
      this.select = box.querySelector("select");
      this.filter = box.querySelector(".nublado-filter");
      this.input = this.filter.querySelector("input");
      this.found = this.filter.querySelector("[role=status]");
      this.takeOlder(box.querySelector(".nublado-older"));
      this.groups = [...this.select.querySelectorAll("optgroup")].map((group) => ({
        label: group.label,
        options: [...group.children].map((option) => ({
          option,
          text: `${group.label} ${option.text} ${option.value}`.toLowerCase(),
        })),
      }));
      this.total = this.groups.reduce((sum, group) => sum + group.options.length, 0);
      this.input.value = "";
      this.input.addEventListener("input", () => this.show());
      this.input.addEventListener("keydown", (event) => this.look(event));
      this.filter.hidden = false;
    }

    // Images that could be had by their tags only become part of the list.
    takeOlder(older) {
      if (!older) return;
      const { label, place } = older.dataset;
      const group = document.createElement("optgroup");
      group.label = label;
      for (const { value } of older.querySelectorAll("option")) {
        group.append(new Option(value, `${place}:${value}`));
      }
      const chosen = this.select.value;
      this.select.querySelector("option[value='']").parentElement.remove();
      this.select.append(group);
      if (chosen) this.select.value = chosen;
      older.remove();
    }

    show() {
      const words = this.input.value.toLowerCase().split(/\s+/).filter(Boolean);
      const before = this.select.value;
      let count = 0;
      this.select.replaceChildren(...this.groups.flatMap((group) => {
        const matching = group.options.filter(({ text }) => words.every((word) => text.includes(word)));
        if (matching.length === 0) return [];
        count += matching.length;
        const shown = document.createElement("optgroup");
        shown.label = group.label;
        shown.append(...matching.map(({ option }) => option));
        return [shown];
      }));
      // A list that is open shows what was found.
      if (words.length > 0 && count > 1) this.select.size = Math.min(MOST_ROWS, count + 1);
      else this.select.removeAttribute("size");
      this.select.value = before;
      if (this.select.selectedIndex < 0) this.select.selectedIndex = 0;
      this.select.disabled = count === 0;
      const { found, none } = this.found.dataset;
      const text = found.replace("{found}", count).replace("{all}", this.total);
      this.found.textContent = words.length === 0 ? "" : text;
      this.input.setCustomValidity(count === 0 ? none : "");
    }

    // Enter looks at what was found; it does not start a lab yet.
    look(event) {
      if (event.key !== "Enter") return;
      event.preventDefault();
      if (!this.select.disabled) this.select.focus();
    }

    choose(image) {
      this.input.value = "";
      this.show();
      this.select.value = image;
    }
  }

  function radio(id, content) {
    const input = document.createElement("input");
    Object.assign(input, { type: "radio", id, name: "nublado-image" });
    input.setAttribute("form", NO_FORM);
    const label = document.createElement("label");
    label.htmlFor = id;
    label.append(...content.childNodes);
    content.append(input, label);
    content.classList.add("nublado-choice");
    return input;
  }

  function addChoices(images, box) {
    const list = new ImageList(box);
    const cards = [...images.querySelectorAll("[data-image]")].map((card, index) => {
      const input = radio(`nublado-image-${index + 1}`, card);
      input.addEventListener("change", () => {
        list.choose(card.dataset.image);
        box.hidden = true;
      });
      return { input, image: card.dataset.image };
    });
    const another = images.querySelector(".nublado-another");
    const other = radio("nublado-image-other", another);
    other.addEventListener("change", () => { box.hidden = false; });
    another.hidden = false;
    another.append(box);
    images.classList.add("nublado-chosen");
    images.previousElementSibling.remove();

    // The list tells which image is started, also after a browser has restored it.
    function follow() {
      const card = cards.find(({ image }) => image === list.select.value);
      (card ? card.input : other).checked = true;
      box.hidden = card !== undefined;
    }
    follow();
    addEventListener("pageshow", follow);
  }

  // What cannot succeed cannot be sent either.
  function refuse(form) {
    form?.querySelectorAll("[type=submit]").forEach((button) => { button.disabled = true; });
  }

  document.querySelectorAll(".nublado-form").forEach((root) => {
    const images = root.querySelector(".nublado-images");
    const box = root.querySelector(".nublado-list");
    if (images && box) addChoices(images, box);
    if (!("refused" in root.dataset)) return;
    if (document.readyState === "loading") addEventListener("DOMContentLoaded", () => refuse(root.closest("form")));
    else refuse(root.closest("form"));
  });
})();
