(() => {
  "use strict";
  const list = document.getElementById("error-list");
  const form = document.getElementById("error-filter");
  const count = document.getElementById("error-count");
  if (!list || !form || !count) return;
  const entries = [...list.children].map((entry) => ({
    entry,
    labels: entry.dataset.label.split("\n"),
    language: entry.dataset.language,
    system: entry.dataset.system,
    text: entry.querySelector(".text").textContent.toLowerCase(),
  }));
  const show = () => {
    const wanted = (name) => form.elements[name]?.value ?? "";
    const [label, language, system] = ["label", "language", "system"].map(wanted);
    const text = wanted("text").trim().toLowerCase();
    let shown = 0;
    for (const one of entries) {
      const fits =
        (!label || one.labels.includes(label)) &&
        (!language || one.language === language) &&
        (!system || one.system === system) &&
        one.text.includes(text);
      one.entry.hidden = !fits;
      if (fits) shown += 1;
    }
    count.textContent = `${shown} of ${entries.length} listed`;
  };
  form.addEventListener("input", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  show();
})();
