// Comfort on top of pages that work without it.
"use strict";
(() => {
  const all = (selector) => document.querySelectorAll(selector);
  const lang = document.documentElement.lang || "en";

  // What only works with a script is hidden until one runs.
  all("[data-script]").forEach((each) => { each.hidden = false; });

  // <button data-copy="#id" data-copied="Copied">: copies the text of the element.
  all("[data-copy]").forEach((button) => {
    if (!navigator.clipboard) return;
    button.hidden = false;
    const words = button.textContent;
    button.addEventListener("click", async () => {
      const source = document.querySelector(button.dataset.copy);
      await navigator.clipboard.writeText((source.value ?? source.textContent).trim());
      button.textContent = button.dataset.copied;
      setTimeout(() => { button.textContent = words; }, 2500);
    });
  });

  // <form data-confirm="Sure?">: asks first. <form data-once>: a second click does nothing.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    const question = event.submitter?.dataset.confirm ?? form.dataset.confirm;
    if (question && !window.confirm(question)) { event.preventDefault(); return; }
    if (!("once" in form.dataset)) return;
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "1";
  });
  // A page taken from the back/forward cache may be sent again.
  addEventListener("pageshow", (event) => {
    if (event.persisted) all("form[data-sent]").forEach((form) => { delete form.dataset.sent; });
  });

  // <form data-auto>: filters act when changed; the focus is where it was after the reload.
  const kept = "filter-focus";
  const last = sessionStorage.getItem(kept);
  sessionStorage.removeItem(kept);
  all("form[data-auto]").forEach((form) => {
    if (last) document.getElementById(last)?.focus({ preventScroll: true });
    form.addEventListener("change", (event) => {
      if (!event.target.matches("[type=checkbox], [type=radio], select")) return;
      // On a phone the page would jump away under the filters: there the button sends them.
      if (!matchMedia("(min-width: 62rem)").matches) return;
      sessionStorage.setItem(kept, event.target.id);
      form.requestSubmit();
    });
  });

  // <form data-totals data-exponent="2" data-currency="USD">: rows [data-price=minor units]
  // with an input [data-quantity] and an [data-line]; one [data-total] for the sum.
  // Whole numbers throughout; what counts is what the server computes.
  all("[data-totals]").forEach((form) => {
    const { exponent, currency } = form.dataset;
    const format = new Intl.NumberFormat(lang, {
      minimumFractionDigits: Number(exponent), useGrouping: "always",
    });
    const group = format.formatToParts(1234567).find((each) => each.type === "group").value;
    const write = (minor) => {
      const digits = minor.toString().padStart(Number(exponent) + 1, "0");
      const cut = digits.length - Number(exponent);
      const text = Number(exponent) ? `${digits.slice(0, cut)}.${digits.slice(cut)}` : digits;
      const figure = format.format(text);
      return lang === "en" ? `${currency}\u00a0${figure}` : `${figure}\u00a0${currency}`;
    };
    // Digits, or groups of three as the reader's language separates them; else null.
    const read = (typed) => {
      const [first, ...rest] = typed.trim().split(/\s/.test(group) ? /\s/ : group);
      const whole = /^\d{1,12}$/.test(first) && rest.every((each) => /^\d{3}$/.test(each));
      return whole && (!rest.length || first.length <= 3) ? BigInt(first + rest.join("")) : null;
    };
    form.addEventListener("input", () => {
      let sum = 0n;
      for (const row of form.querySelectorAll("[data-price]")) {
        const quantity = read(row.querySelector("[data-quantity]").value);
        const line = quantity === null ? null : BigInt(row.dataset.price) * quantity;
        const shown = row.querySelector("[data-line]");
        if (shown) shown.textContent = line === null ? "–" : write(line);
        sum = sum === null || line === null ? null : sum + line;
      }
      const total = form.querySelector("[data-total]");
      if (total) total.textContent = sum === null ? "–" : write(sum);
    });
  });

  // <textarea data-words="id">: counts words while somebody types, as the server does.
  all("[data-words]").forEach((area) => {
    area.addEventListener("input", () => {
      const words = area.value.split(/\s+/).filter(Boolean).length;
      document.getElementById(area.dataset.words).textContent = words.toLocaleString(lang);
    });
  });
})();
