// The read-out under the pointer or the arrow keys, and the copy button. Without it the page says the same.
"use strict";
(() => {
  const strip = document.getElementById("strip");
  const data = JSON.parse(document.getElementById("data").textContent);
  if (strip) {
    const layer = strip.querySelector(".layer");
    const cursor = strip.querySelector(".cursor");
    const moment = document.getElementById("moment");
    const idle = moment.textContent;
    const outputs = new Map(data.charts.map((chart) => [
      chart.key,
      [...strip.querySelectorAll(`[data-key="${chart.key}"] output`)],
    ]));
    const span = data.to - data.from;
    let at = null;

    const clear = () => {
      at = null;
      cursor.hidden = true;
      moment.textContent = idle;
      for (const list of outputs.values()) for (const output of list) output.textContent = "";
    };
    const show = (seconds) => {
      at = Math.min(data.to, Math.max(data.from, seconds));
      cursor.hidden = false;
      cursor.style.left = `${((at - data.from) * 100) / span}%`;
      moment.textContent = `${at < 0 ? "−" : "+"}${Math.abs(at).toFixed(1)} s`;
      for (const chart of data.charts) {
        const index = Math.floor((at - data.from) / chart.bin);
        outputs.get(chart.key).forEach((output, layerIndex) => {
          const values = chart.values[layerIndex];
          output.textContent = `${values[Math.min(index, values.length - 1)]}${chart.unit}`;
        });
      }
    };
    strip.addEventListener("pointermove", (event) => {
      const box = layer.getBoundingClientRect();
      const share = (event.clientX - box.left) / box.width;
      if (share < 0 || share > 1) clear();
      else show(data.from + share * span);
    });
    strip.addEventListener("pointerleave", clear);
    strip.addEventListener("blur", clear);
    strip.addEventListener("keydown", (event) => {
      const step = span / (event.shiftKey ? 20 : 100);
      const moves = { ArrowRight: step, ArrowLeft: -step };
      if (event.key in moves) show(at === null ? 0 : at + moves[event.key]);
      else if (event.key === "Home") show(data.from);
      else if (event.key === "End") show(data.to);
      else if (event.key === "Escape") clear();
      else return;
      event.preventDefault();
    });
  }
  for (const button of document.querySelectorAll("[data-copy]")) {
    if (!navigator.clipboard) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
        button.textContent = "Copied";
      } catch {
        button.textContent = "Select and copy";
      }
    });
  }
  addEventListener("beforeprint", () => {
    for (const finding of document.querySelectorAll("details")) finding.open = true;
  });
})();
