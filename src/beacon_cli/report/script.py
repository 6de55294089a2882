"""What the page's filters need and nothing more. One string, whose hash the page's policy names.

Without it the page is whole: every answer is there, folded by question, and the filters are not shown.
"""

from __future__ import annotations

SCRIPT = """
"use strict";
(() => {
  const get = (id) => document.getElementById(id);
  const filters = get("filters");
  if (!filters) return;
  const questions = [...document.querySelectorAll("details.q")];
  const refusals = new Set(["hard_refusal", "soft_refusal"]);
  const [question, model, reading] = ["question", "model", "reading"].map(get);
  const fits = (kind) => reading.value === "" || kind === reading.value
    || (reading.value === "refusal" && refusals.has(kind));
  const apply = () => {
    let shown = 0, all = 0;
    for (const each of questions) {
      let some = false;
      for (const part of each.querySelectorAll("section.m")) {
        const wanted = (question.value === "" || each.dataset.q === question.value)
          && (model.value === "" || part.dataset.m === model.value);
        let any = false;
        for (const answer of part.getElementsByTagName("article")) {
          all += 1;
          const hit = wanted && fits(answer.dataset.k);
          answer.hidden = !hit;
          any = any || hit;
          shown += hit ? 1 : 0;
        }
        for (const more of part.querySelectorAll("details.more")) {
          more.hidden = !more.querySelector("article:not([hidden])");
        }
        part.hidden = !any;
        some = some || any;
      }
      each.hidden = !some;
    }
    get("count").textContent = `${shown.toLocaleString("en")} of ${all.toLocaleString("en")} answers`;
  };
  const open = (yes) => {
    for (const each of questions) if (!each.hidden) each.open = yes;
  };
  filters.hidden = false;
  for (const each of [question, model, reading]) each.addEventListener("change", apply);
  get("marks").addEventListener("change", (event) =>
    get("answers").classList.toggle("plain", !event.target.checked));
  get("open").addEventListener("click", () => open(true));
  get("close").addEventListener("click", () => open(false));
  get("clear").addEventListener("click", () => {
    for (const each of [question, model, reading]) each.value = "";
    apply();
  });
  let before = [];
  addEventListener("beforeprint", () => {
    before = questions.filter((each) => !each.open && !each.hidden);
    for (const each of before) each.open = true;
  });
  addEventListener("afterprint", () => {
    for (const each of before) each.open = false;
  });
  apply();
})();
"""
