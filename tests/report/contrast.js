// Of each text on the page: its colour against what lies behind it, as WCAG counts contrast.
() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      layers.push(colour);
      if (colour[3] === 255) break;
    }
    return layers.reverse().reduce((under, over) => under.map((v, i) => (i === 3 ? 255 : over[i] * over[3] / 255 + v * (1 - over[3] / 255))), [255, 255, 255, 255]);
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    const box = element.getBoundingClientRect();
    const style = getComputedStyle(element);
    if (!own || !box.width || !box.height || style.visibility === "hidden" || parseFloat(style.fontSize) === 0) continue;
    if (["SCRIPT", "STYLE"].includes(element.tagName)) continue;
    const [a, b] = [light(rgba(style.color)), light(behind(element))].sort((x, y) => y - x);
    found.push([(a + 0.05) / (b + 0.05), element.tagName + "." + element.className, element.textContent.slice(0, 30)]);
  }
  return found;
}
